//! Moves rows from the head to the tables.
//!
//! A flush ends the active generation, writes its rows as files, a table and a day at a time, and commits
//! each table with the log sequence number at which the generation ends. Each commit and the generation's
//! part of the view change as one, so a snapshot has the rows from one side or the other. Series are
//! committed before the samples that need them. What is committed stays in memory for a while ([`super::hot`]). Steps that failed are tried again; a commit that arrived
//! although its answer was lost is recognised by the watermark.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::append::Command;
use super::hot::{HotBlock, TABLES as HOT_TABLES};
use super::recover::read_rows;
use super::view::{self, Ended, View};
use crate::catalog::{DataFile, FileSets};
use crate::error::{Error, Result};
use crate::head::generation::{Generation, TableSet};
use crate::head::series_rows::CommittedRows;
use crate::parquet_file::WrittenFile;
use crate::stats::Counters;
use crate::tables::Table;
use crate::wal::Lsn;

/// A table that names label sets comes before the one that refers to them.
const ORDER: [Table; 8] = [
    Table::Series,
    Table::Metrics,
    Table::Histograms,
    Table::StartTimes,
    Table::Exemplars,
    Table::LogStreams,
    Table::Logs,
    Table::Probes,
];

/// Wait after a first failure; doubles up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Rows committed, over all tables.
    pub rows: u64,
    /// Files committed.
    pub files: u64,
    /// Bytes committed.
    pub bytes: u64,
    /// Commits made.
    pub commits: u64,
    /// Log segments removed.
    pub trimmed_segments: u64,
}

impl Inner {
    /// Commits everything that is in the head now.
    pub(crate) async fn flush(&self) -> Result<FlushReport> {
        let _one = self.flushing.lock().await;
        let start = Instant::now();
        let mut report = FlushReport::default();
        let outcome = self.flush_head(&mut report).await;
        let took = start.elapsed();
        self.tend_hot_blocks().await;
        if let Err(error) = outcome {
            Counters::bump(&self.counters.flush_failures);
            Counters::bump(&self.counters.flush_failures_in_a_row);
            return Err(error);
        }
        self.counters.flush_failures_in_a_row.store(0, Relaxed);
        Counters::bump(&self.counters.flushes);
        Counters::add_time(&self.counters.flush_us, took);
        if report.commits > 0 {
            let FlushReport { rows, files, bytes, .. } = report;
            tracing::debug!(rows, files, bytes, ?took, "flushed");
        }
        Ok(report)
    }

    async fn flush_head(&self, report: &mut FlushReport) -> Result<()> {
        // What is left of an earlier attempt comes first; should that fail again, the active generation
        // grows on rather than leaving a row of small ones.
        self.flush_ended(report, true).await?;
        let (reply, rotated) = oneshot::channel();
        self.send(Command::Rotate(reply)).await?;
        rotated.await.map_err(|_| Error::Closed)?;
        self.flush_ended(report, true).await
    }

    /// Commits all generations that have ended. `trim`: whether the writing thread runs and can shorten
    /// the log.
    pub(crate) async fn flush_ended(&self, report: &mut FlushReport, trim: bool) -> Result<()> {
        loop {
            let Some(generation) = self.view.load().ended.first().map(|e| Arc::clone(&e.generation)) else {
                return Ok(());
            };
            for table in ORDER {
                self.flush_table(&generation, table, report).await?;
            }
            view::update(&self.view, |view| {
                view.ended.retain(|ended| !Arc::ptr_eq(&ended.generation, &generation));
            });
            let lsn = generation.last_lsn();
            let needed = self.view.load().ended.iter().any(|ended| ended.generation.last_lsn() <= lsn);
            if trim && !needed {
                self.trim(lsn, report).await?;
            }
        }
    }

    async fn flush_table(
        &self,
        generation: &Arc<Generation>,
        table: Table,
        report: &mut FlushReport,
    ) -> Result<()> {
        let view = self.view.load_full();
        let ended = view.ended.iter().find(|ended| Arc::ptr_eq(&ended.generation, generation));
        if ended.is_none_or(|ended| ended.done.contains(table)) {
            return Ok(());
        }
        let (adds, label_rows) = self.write_files(generation, table, &view).await?;
        let _committing = self.committing.lock().await;
        if adds.is_empty() {
            view::update(&self.view, |view| view.set_done(generation, table));
            return Ok(());
        }
        let (files, rows) = (adds.len() as u64, adds.iter().map(|file| file.rows).sum());
        let bytes = adds.iter().map(|file| file.size).sum();
        let version = i64::try_from(generation.last_lsn()).unwrap_or(i64::MAX);
        let txn = (self.app_id.clone(), version);
        let hot = self.hot_block(generation, table, &adds);
        match self.catalog.commit(table, adds, Vec::new(), Some(txn)).await {
            Ok(_) => {
                self.adopt_files(Some(table), |view| {
                    view.set_done(generation, table);
                    note_committed(view, table, &label_rows);
                    hot.iter().for_each(|block| view.hot.push(Arc::clone(block)));
                });
            }
            Err(Error::WatermarkMoved { watermark, .. }) => {
                return self.take_in_late_commit(generation, table, watermark).await;
            }
            Err(error) => return Err(error),
        }
        report.commits += 1;
        report.files += files;
        report.rows += rows;
        report.bytes += bytes;
        self.count_commit(files, rows, bytes);
        Ok(())
    }

    /// A commit thought lost has arrived. Where it holds all rows of the generation, they are done; where it
    /// is of an earlier run, which ended its generations elsewhere, the rest is read from the log and takes
    /// the generation's place.
    async fn take_in_late_commit(
        &self,
        generation: &Arc<Generation>,
        table: Table,
        watermark: i64,
    ) -> Result<()> {
        tracing::info!(%table, watermark, "a commit thought lost had arrived");
        let watermark = u64::try_from(watermark).unwrap_or(0);
        if watermark >= generation.last_lsn() {
            self.adopt_files(Some(table), |view| view.set_done(generation, table));
            return Ok(());
        }
        let (disks, of) = (self.disks.clone(), Arc::clone(generation));
        let rest = spawn_blocking(move || read_rows(&disks, table, watermark, &of)).await??;
        let rest = Ended { generation: Arc::new(rest), done: TableSet::all_but(table) };
        self.adopt_files(Some(table), |view| {
            view.set_done(generation, table);
            let place = view.ended.iter().position(|ended| Arc::ptr_eq(&ended.generation, generation));
            view.ended.insert(place.map_or(0, |place| place + 1), rest.clone());
        });
        Ok(())
    }

    /// What a generation's rows of `table` become once they are committed as `files`. Rows a commit of
    /// another attempt or run has brought do not become hot: which files those are is not known.
    fn hot_block(
        &self,
        generation: &Arc<Generation>,
        table: Table,
        files: &[WrittenFile],
    ) -> Option<Arc<HotBlock>> {
        if self.config.hot_window.is_zero() || !HOT_TABLES.contains(&table) {
            return None;
        }
        HotBlock::new(table, generation, files, self.clock.now_ms()).map(Arc::new)
    }

    /// Drops hot blocks past their time and packs and merges those that are left.
    async fn tend_hot_blocks(&self) {
        if self.config.hot_window.is_zero() || self.closed.load(Relaxed) {
            return;
        }
        let now_ms = self.clock.now_ms();
        self.update_hot(|view| view.hot.expire(now_ms, &self.config));
        while let Some(blocks) = self.view.load().hot.to_merge(&self.config) {
            let start = Instant::now();
            let merging = blocks.clone();
            let merged = spawn_blocking(move || HotBlock::packed(&merging)).await;
            // Blocks that cannot be packed, for lack of room or because of a fault, are not worth keeping.
            let merged = merged.ok().flatten().map(Arc::new);
            self.update_hot(|view| view.hot.replace(&blocks, merged.as_ref()));
            Counters::bump(&self.counters.hot_merges);
            Counters::add_time(&self.counters.hot_merge_us, start.elapsed());
        }
        self.update_hot(|view| view.hot.expire(now_ms, &self.config));
    }

    pub(crate) fn update_hot(&self, change: impl Fn(&mut View)) {
        view::update(&self.view, |view| {
            change(view);
            view.show();
        });
    }

    /// Shows the catalog's files in the view; `committing` must be held. `moved`: the table whose watermark
    /// this commit has moved.
    pub(crate) fn adopt_files(&self, moved: Option<Table>, change: impl Fn(&mut View)) {
        let files = self.catalog.files();
        view::update(&self.view, |view| {
            view.adopt(&files, &self.app_id, moved);
            change(view);
            view.show();
        });
    }

    pub(crate) async fn commit_files(
        &self,
        table: Table,
        adds: Vec<WrittenFile>,
        removes: Vec<Arc<DataFile>>,
        txn: Option<(String, i64)>,
        epoch: Option<i64>,
    ) -> Result<Arc<FileSets>> {
        let _committing = self.committing.lock().await;
        let outcome = self.catalog.commit_fenced(table, adds, removes, txn, epoch).await;
        self.adopt_files(None, |_| {});
        outcome
    }

    fn count_commit(&self, files: u64, rows: u64, bytes: u64) {
        let counters = &self.counters;
        Counters::bump(&counters.commits);
        Counters::add(&counters.files, files);
        Counters::add(&counters.committed_rows, rows);
        Counters::add(&counters.committed_bytes, bytes);
        counters.last_commit_ms.store(self.clock.now_ms(), Relaxed);
    }

    /// Shortens the log. A failure costs disk space, not rows, so it is counted and the next flush tries
    /// again.
    async fn trim(&self, lsn: Lsn, report: &mut FlushReport) -> Result<()> {
        let (reply, trimmed) = oneshot::channel();
        self.send(Command::Trim(lsn, reply)).await?;
        match trimmed.await.map_err(|_| Error::Closed)? {
            Ok(segments) => report.trimmed_segments += segments as u64,
            Err(error) => {
                Counters::bump(&self.counters.trim_failures);
                tracing::warn!(%error, "log cannot be shortened");
            }
        }
        Ok(())
    }
}

fn note_committed(view: &mut View, table: Table, rows: &CommittedRows) {
    let committed = match table {
        Table::Series => &mut view.series,
        Table::LogStreams => &mut view.streams,
        _ => return,
    };
    if !rows.is_empty() {
        Arc::make_mut(committed).add(rows);
    }
}

/// Flushes by time and when asked, until told to stop; after a failure sooner, and later with every
/// further one.
pub(crate) async fn run(inner: Arc<Inner>, stop: CancellationToken) {
    let mut wait = inner.config.flush_interval;
    let mut failures = 0u32;
    loop {
        let wanted = async {
            // A head that is full asks all the time; the object store that is away needs its rest.
            if failures == 0 { inner.flush_wanted.notified().await } else { std::future::pending().await }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = wanted => {}
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = inner.flush() => outcome,
        };
        match outcome {
            Ok(_) => {
                failures = 0;
                wait = inner.config.flush_interval;
            }
            Err(error) => {
                failures += 1;
                wait = (BACKOFF * 2u32.saturating_pow(failures - 1).min(64)).min(BACKOFF_MAX);
                tracing::warn!(%error, failures, ?wait, "flush failed, rows stay in the log");
            }
        }
    }
}
