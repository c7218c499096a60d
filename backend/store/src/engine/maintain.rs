//! Removes rows past their time and files nobody names any more, at intervals, and makes token sidecars that
//! are missing; builds the index of the head's label sets when there is something to build.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::error::Result;
use crate::stats::Counters;
use crate::tables::Table;

/// Retention runs first this long after a start, so that it does not hold up the start itself.
const FIRST_RETENTION: Duration = Duration::from_secs(60);

/// Sidecars made from committed files in one run; each reads a whole data file.
const REBUILDS_AT_ONCE: usize = 4;

impl Inner {
    /// Removes the rows of days past their time from all tables; gives the number of files removed.
    pub(crate) async fn apply_retention(&self) -> Result<usize> {
        let mut removed = 0;
        for table in Table::ALL {
            let Some(days) = self.config.retention.days(table) else { continue };
            let _committing = self.committing.lock().await;
            let outcome = self.catalog.apply_retention(table, days).await;
            self.adopt_files(None, |_| {});
            removed += outcome?;
        }
        Ok(removed)
    }

    async fn vacuum(&self) -> Result<()> {
        let report = self.catalog.vacuum(self.config.vacuum_grace).await?;
        tracing::debug!(?report, "vacuumed");
        Ok(())
    }

    fn note_failure(&self, work: &str, outcome: Result<()>) {
        if let Err(error) = outcome {
            Counters::bump(&self.counters.maintenance_failures);
            tracing::warn!(%error, work, "maintenance failed, the next run tries again");
        }
    }
}

/// Keeps the token filters of log files in memory until told to stop.
pub(crate) async fn run_tokens(inner: Arc<Inner>, stop: CancellationToken) {
    crate::tokens::load::run(&inner.catalog, stop).await;
}

/// Runs retention until told to stop.
pub(crate) async fn run_retention(inner: Arc<Inner>, stop: CancellationToken) {
    let mut wait = FIRST_RETENTION.min(inner.config.retention_interval);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = inner.apply_retention() => outcome,
        };
        inner.note_failure("retention", outcome.map(|_| ()));
        wait = inner.config.retention_interval;
    }
}

/// Runs vacuum until told to stop.
pub(crate) async fn run_vacuum(inner: Arc<Inner>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(inner.config.vacuum_interval) => {}
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = inner.vacuum() => outcome,
        };
        inner.note_failure("vacuum", outcome);
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = inner.catalog.rebuild_missing_tokens(REBUILDS_AT_ONCE) => outcome,
        };
        inner.note_failure("token sidecars", outcome.map(|_| ()));
    }
}

/// Builds the index of the head's label sets whenever it has grown, until told to stop.
pub(crate) async fn run_index(inner: Arc<Inner>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = inner.index_wanted.notified() => {}
        }
        let live = inner.view.load().live.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || live.build()).await {
            tracing::error!(%error, "the index of the head could not be built");
        }
    }
}
