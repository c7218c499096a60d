//! Merges small files, removes rows past their time and files nobody names any more, makes token sidecars that
//! are missing, at intervals; whoever does it holds the maintenance lease. Builds the index of the head's label
//! sets when there is something to build, and reads token filters into memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use super::Inner;
use crate::catalog::{Catalog, DataFile};
use crate::compact::{Commits, CompactionReport, CompactionScope, Leading, ProgressFn};
use crate::error::{Error, Result};
use crate::lease::Leadership;
use crate::parquet_file::WrittenFile;
use crate::samples::buffers;
use crate::stats::Counters;
use crate::tables::Table;

/// How soon work is tried again that could not be done because another process had the lease.
const AGAIN: Duration = Duration::from_secs(300);
/// Retention runs first this long after a start, so that it does not hold up the start itself.
const FIRST_RETENTION: Duration = Duration::from_secs(60);

/// Sidecars made from committed files in one run; each reads a whole data file.
const REBUILDS_AT_ONCE: usize = 4;

#[async_trait]
impl Commits for Inner {
    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    async fn refresh(&self) -> Result<()> {
        let _committing = self.committing.lock().await;
        let outcome = self.catalog.refresh().await;
        self.adopt_files(None, |_| {});
        outcome.map(|_| ())
    }

    async fn replace(
        &self,
        table: Table,
        adds: Vec<WrittenFile>,
        removes: Vec<Arc<DataFile>>,
        epoch: Option<i64>,
    ) -> Result<()> {
        self.commit_files(table, adds, removes, None, epoch).await.map(|_| ())
    }
}

impl Inner {
    /// Removes the rows of days past their time from all tables; gives the number of files removed.
    pub(crate) async fn apply_retention(&self, epoch: Option<i64>) -> Result<usize> {
        let mut removed = 0;
        for table in Table::ALL {
            let Some(days) = self.config.retention.days(table) else { continue };
            let _committing = self.committing.lock().await;
            let outcome = self.catalog.apply_retention_fenced(table, days, epoch).await;
            self.adopt_files(None, |_| {});
            removed += outcome?;
        }
        Ok(removed)
    }

    async fn vacuum(&self) -> Result<()> {
        let report = self.catalog.vacuum(self.config.vacuum_grace).await?;
        tracing::debug!(?report, "vacuumed");
        self.catalog.rebuild_missing_tokens(REBUILDS_AT_ONCE).await?;
        Ok(())
    }

    /// Merges what there is to merge, once this process has the lease.
    pub(crate) async fn compact(
        &self,
        scope: &CompactionScope,
        progress: &ProgressFn,
        stop: &CancellationToken,
    ) -> Result<CompactionReport> {
        let leadership = self.lease.acquire_waiting(self.catalog.maintenance_epoch()).await?;
        self.lead(leadership, stop, async |leading: Leading| {
            self.compactor.run(self, scope, &leading, progress).await
        })
        .await
    }

    async fn compact_in_background(&self, stop: &CancellationToken) -> Result<()> {
        let scope = CompactionScope::default();
        // The store is asked for nothing as long as there is nothing to do.
        if !self.compactor.has_work(&self.catalog.files(), &scope, self.clock.now_ms()) {
            return Ok(());
        }
        let compaction = async |leading: Leading| {
            let report = self.compactor.run(self, &scope, &leading, &ProgressFn::default()).await?;
            tracing::debug!(?report, "compacted");
            Ok(())
        };
        self.lead_if_free(stop, compaction).await.map(|_| ())
    }

    /// Works as the maintenance leader; false where another process is.
    async fn lead_if_free(
        &self,
        stop: &CancellationToken,
        work: impl AsyncFnOnce(Leading) -> Result<()>,
    ) -> Result<bool> {
        match self.lease.acquire(self.catalog.maintenance_epoch()).await {
            Ok(leadership) => self.lead(leadership, stop, work).await.map(|()| true),
            Err(Error::LeaseHeld { holder, .. }) => {
                tracing::debug!(holder, "another process maintains the tables");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Works until it is done, the lease is lost or `stop` says so; then gives the lease back.
    async fn lead<T>(
        &self,
        leadership: Leadership,
        stop: &CancellationToken,
        work: impl AsyncFnOnce(Leading) -> Result<T>,
    ) -> Result<T> {
        let lost = leadership.lost().clone();
        let outcome = tokio::select! {
            outcome = work(leadership.leading()) => outcome,
            () = lost.cancelled() => Err(Error::Cancelled),
            () = stop.cancelled() => Err(Error::Cancelled),
        };
        leadership.release().await;
        outcome
    }

    /// Bytes of rows, label sets, indexes and caches.
    pub(crate) fn accounted_bytes(&self) -> u64 {
        let index = self.index_stats();
        let tokens = self.catalog.tokens().stats().bytes;
        let cache = self.catalog.cache().map_or(0, |cache| cache.memory_bytes());
        let parts = self.catalog.parts().map_or(0, |parts| parts.bytes());
        self.head_stats().bytes + index.live_bytes + index.file_bytes + tokens + cache + parts
    }

    /// What is cached of files goes first, and then hot rows, since files have them; then unflushed ones become
    /// files.
    pub(crate) fn give_up_memory(&self, bytes: u64) {
        let cached = self.catalog.cache().map_or(0, |cache| cache.give_up_memory(bytes));
        let bytes = bytes.saturating_sub(cached);
        let decoded = self.catalog.parts().map_or(0, |parts| parts.give_up_memory(bytes));
        let bytes = bytes.saturating_sub(decoded);
        if bytes == 0 {
            tracing::debug!(cached, decoded, "memory is short");
            return;
        }
        let before = self.view.load().hot.bytes();
        self.update_hot(|view| view.hot.give_up(bytes));
        let freed = before.saturating_sub(self.view.load().hot.bytes());
        tracing::debug!(bytes, freed, "memory is short");
        if freed < bytes {
            self.flush_wanted.notify_one();
        }
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

/// Runs compaction until told to stop.
pub(crate) async fn run_compaction(inner: Arc<Inner>, stop: CancellationToken) {
    let interval = inner.config.compaction_interval;
    // Processes that were started together look at different times, each always at the same.
    let share = xxh3_64(inner.app_id.as_bytes()) % 1_000;
    let wait = interval + interval.mul_f64(share as f64 / 5_000.0);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let outcome = inner.compact_in_background(&stop).await;
        if stop.is_cancelled() {
            return;
        }
        inner.note_failure("compaction", outcome);
    }
}

/// Runs retention until told to stop.
pub(crate) async fn run_retention(inner: Arc<Inner>, stop: CancellationToken) {
    let mut wait = FIRST_RETENTION.min(inner.config.retention_interval);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let keeps_all = Table::ALL.into_iter().all(|table| inner.config.retention.days(table).is_none());
        wait = inner.config.retention_interval;
        if keeps_all {
            continue;
        }
        let retention = async |leading: Leading| inner.apply_retention(leading.epoch).await.map(|_| ());
        let outcome = inner.lead_if_free(&stop, retention).await;
        if stop.is_cancelled() {
            return;
        }
        if matches!(outcome, Ok(false)) {
            wait = wait.min(AGAIN);
        }
        inner.note_failure("retention", outcome.map(|_| ()));
    }
}

/// Runs vacuum until told to stop.
pub(crate) async fn run_vacuum(inner: Arc<Inner>, stop: CancellationToken) {
    let mut wait = inner.config.vacuum_interval;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = inner.config.vacuum_interval;
        let outcome = inner.lead_if_free(&stop, async |_| inner.vacuum().await).await;
        if stop.is_cancelled() {
            return;
        }
        if matches!(outcome, Ok(false)) {
            wait = wait.min(AGAIN);
        }
        inner.note_failure("vacuum", outcome.map(|_| ()));
    }
}

/// How often the memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the account of the memory and gives up what can be done without where it runs short, until told to
/// stop.
pub(crate) async fn run_memory(inner: Arc<Inner>, stop: CancellationToken) {
    loop {
        // Room for pages is the process', not this store's.
        let excess = inner.ledger.set_store(inner.accounted_bytes() + buffers::kept_bytes());
        if excess > 0 {
            inner.give_up_memory(excess.saturating_sub(buffers::give_up()));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEMORY_INTERVAL) => {}
        }
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
