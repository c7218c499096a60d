//! The store: one door for writes, immutable snapshots for reads.
//!
//! Comes in: batches. Goes out: an answer once they are durable, and snapshots that hold every row exactly
//! once. A batch goes queue → log → fsync → head → answer ([`append`]); flushes move rows from the head to
//! the tables ([`flush`]); a start brings the head back from the log ([`recover`]). Knows nothing of HTTP
//! and queries.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use model::{Batch, Clock, Labels};
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) mod append;
pub(crate) mod flush;
pub(crate) mod flush_files;
pub(crate) mod hot;
pub(crate) mod maintain;
pub(crate) mod recover;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use append::{Appended, Command, Job};
use flush::FlushReport;
use view::View;

use crate::catalog::{Catalog, DataFile, FileSets};
use crate::compact::{CompactionReport, CompactionScope, Compactor, ProgressFn};
use crate::config::Config;
use crate::dedup::batch_key;
use crate::error::{Error, Result};
use crate::head::metadata::{MetadataByFamily, MetadataMap};
use crate::index::files::FileIndexCounters;
use crate::lease::Lease;
use crate::memory::Ledger;
use crate::parquet_file::WrittenFile;
use crate::snapshot::Snapshot;
use crate::stats::{Counters, HeadStats, HotStats, IndexStats, StoreStats};
use crate::tables::Table;
use crate::wal::replay::{ReplayProgress, ReplayReport};

/// Earliest and latest time of a row, milliseconds since the Unix epoch: the years 1 to 9999, which every
/// reader of the tables can tell.
const TIME_MS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;
/// Largest label set, bytes.
const LABELS_BYTES_MAX: usize = 256 << 10;
/// Commands that may wait for the writing thread.
const COMMANDS_MAX: usize = 4_096;
/// Bytes a permit of the queue stands for.
const PERMIT_BYTES: u64 = 1_024;

/// The durable store of one process. Dropping it without [`Store::close`] is like a crash: nothing that was
/// acknowledged is lost, the next start reads it from the log.
#[derive(Debug)]
pub struct Store {
    inner: Arc<Inner>,
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// What the store's tasks share.
#[derive(Debug)]
pub(crate) struct Inner {
    config: Config,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    view: Arc<ArcSwap<View>>,
    metadata: Arc<MetadataMap>,
    counters: Arc<Counters>,
    ledger: Arc<Ledger>,
    replay: OnceLock<ReplayReport>,
    commands: mpsc::Sender<Command>,
    queue: Arc<Semaphore>,
    /// Application id of this data directory's commits.
    app_id: String,
    /// One flush at a time.
    flushing: tokio::sync::Mutex<()>,
    /// Held from a change of the catalog's files until the view has them.
    committing: tokio::sync::Mutex<()>,
    flush_wanted: Notify,
    /// Told when the index of the head's label sets has something to build.
    index_wanted: Arc<Notify>,
    closed: AtomicBool,
    /// Keeps other processes out of the data directory.
    _lock: File,
    compactor: Compactor,
    /// Held by whoever maintains the tables.
    lease: Arc<Lease>,
    /// Where the log lies, to read it again.
    disks: recover::Disks,
}

impl Store {
    /// What runs inside, for tests that turn its screws.
    #[cfg(test)]
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Opens the store: checks that the object store can hold the tables, reads the catalog, brings back
    /// from the log in `config.data_dir` what is not in the tables, and starts the background work.
    ///
    /// Damage in the log is skipped and told in [`StoreStats::replay`]; it never keeps the store from
    /// opening. Fails with [`Error::Locked`] where another process uses the directory, and where the object
    /// store cannot be read.
    pub async fn open(
        config: Config,
        objects: Arc<dyn ObjectStore>,
        prefix: Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Store> {
        Store::open_watched(config, objects, prefix, clock, Arc::default()).await
    }

    /// As [`Store::open`]; `progress` tells meanwhile how far the log is read.
    pub async fn open_watched(
        config: Config,
        objects: Arc<dyn ObjectStore>,
        prefix: Path,
        clock: Arc<dyn Clock>,
        progress: Arc<ReplayProgress>,
    ) -> Result<Store> {
        config.validate()?;
        let disks = recover::Disks::real(&config.data_dir)?;
        recover::open(config, objects, prefix, clock, disks, progress).await
    }

    /// Stores a batch. Resolves once it is on disk, fsynced; from then on every new snapshot holds its rows.
    ///
    /// A batch whose source and id were stored within the last 24 hours is answered with
    /// [`Appended::Duplicate`]. [`Error::Unavailable`] and [`Error::Backpressure`] say that nothing was
    /// stored and when to send it again; [`Error::InvalidBatch`] and [`Error::TooLarge`] that sending it
    /// again will not help. Samples whose time the settings refuse are dropped and counted, and the rest of the
    /// batch is stored: the rows in the answer tell how many that are. Where the future is dropped before it resolves, the batch may or may not be
    /// stored.
    pub async fn append(&self, mut batch: Batch) -> Result<Appended> {
        let inner = &self.inner;
        inner.check_open()?;
        let bytes = inner.check_batch(&batch).inspect_err(|_| Counters::bump(&inner.counters.invalid))?;
        inner.reject_by_time(&mut batch);
        inner.check_room().inspect_err(|_| Counters::bump(&inner.counters.backpressure))?;
        let permits = bytes.min(inner.config.queue_bytes_max).div_ceil(PERMIT_BYTES) as u32;
        let queue = Arc::clone(&inner.queue);
        let permit = queue.acquire_many_owned(permits).await.map_err(|_| Error::Closed)?;
        let key = batch.batch_id.as_deref().map(|id| batch_key(&batch.source, id));
        let (reply, answer) = oneshot::channel();
        inner.send(Command::Append(Box::new(Job { batch, key, reply, permit }))).await?;
        let appended = answer.await.map_err(|_| Error::Closed)?;
        inner.ask_for_flush();
        appended
    }

    /// The rows as they are now. Files and generations are fixed; rows appended later may show in the
    /// newest generation of an earlier snapshot, but no row shows twice and none that is there disappears.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot::of(self.inner.view.load_full(), &self.inner.catalog))
    }

    /// Commits everything appended before the call to the tables.
    pub async fn flush(&self) -> Result<FlushReport> {
        self.inner.flush().await
    }

    /// Commits changes of files other than a flush's, such as a compaction's, and shows them in snapshots.
    pub async fn commit_files(
        &self,
        table: Table,
        adds: Vec<WrittenFile>,
        removes: Vec<Arc<DataFile>>,
        txn: Option<(String, i64)>,
    ) -> Result<Arc<FileSets>> {
        self.inner.commit_files(table, adds, removes, txn, None).await
    }

    /// Merges files now, as the maintenance leader: waits for the lease for as long as a leader that is gone
    /// would keep it, and fails with [`Error::LeaseHeld`] where another process keeps it longer. Merges that
    /// fail are counted in the report; what was merged before stays merged.
    pub async fn compact(&self, scope: &CompactionScope, progress: &ProgressFn) -> Result<CompactionReport> {
        self.inner.check_open()?;
        self.inner.compact(scope, progress, &self.stop).await
    }

    /// Takes no more batches, commits what is in the head and stops the background work. Fails with
    /// [`Error::Unflushed`] where the tables cannot be written in time: the rows stay in the log, and the
    /// next start brings them back. A second call does nothing.
    pub async fn close(&self) -> Result<()> {
        if self.inner.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let limit = self.inner.config.close_timeout;
        let flushed = tokio::time::timeout(limit, self.inner.flush()).await;
        self.halt().await;
        match flushed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "last flush failed");
                Err(self.unflushed(limit))
            }
            Err(_) => Err(self.unflushed(limit)),
        }
    }

    /// Counts and sizes.
    pub fn stats(&self) -> StoreStats {
        let inner = &self.inner;
        StoreStats {
            wal: inner.counters.wal(),
            head: inner.head_stats(),
            hot: inner.hot_stats(),
            append: inner.counters.append(),
            flush: inner.counters.flush(),
            index: inner.index_stats(),
            compaction: inner.compactor.stats(),
            lease: inner.lease.stats(),
            memory: inner.ledger.stats(),
            replay: inner.replay.get().cloned().unwrap_or_default(),
            tokens: inner.catalog.tokens().stats(),
            cache: inner.catalog.cache().map(|cache| cache.stats()).unwrap_or_default(),
            parts: inner.catalog.parts().map(|parts| parts.stats()).unwrap_or_default(),
        }
    }

    /// The tables' files.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The account of the process's memory, for queries to reserve theirs.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.inner.ledger
    }

    /// What sources told of metric families.
    pub fn metadata(&self) -> Arc<MetadataByFamily> {
        self.inner.metadata.get()
    }

    /// Ends tasks and thread and waits for them; does not flush.
    async fn halt(&self) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "background task failed");
            }
        }
        if let Some(cache) = self.inner.catalog.cache().map(Arc::clone)
            && tokio::task::spawn_blocking(move || cache.close()).await.is_err()
        {
            tracing::error!("the cache could not be closed");
        }
        // Fails where the thread is gone already.
        let _ = self.inner.commands.send(Command::Stop).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && let Ok(Err(_)) = tokio::task::spawn_blocking(|| thread.join()).await
        {
            tracing::error!("the writing thread panicked");
        }
    }

    fn unflushed(&self, after: Duration) -> Error {
        Error::Unflushed { after, rows: self.inner.view.load().rows() }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Inner {
    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) { Err(Error::Closed) } else { Ok(()) }
    }

    async fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).await.map_err(|_| Error::Closed)
    }

    /// Bytes of a batch, about; fails where it holds what the tables cannot.
    fn check_batch(&self, batch: &Batch) -> Result<u64> {
        let mut bytes = batch.source.len() + batch.batch_id.as_ref().map_or(0, String::len);
        for point in &batch.points {
            check_labels(&point.labels)?;
            check_time(point.timestamp_ms)?;
        }
        bytes += batch.points.len() * 32;
        bytes += self.check_sparse(batch)?;
        for stream in &batch.log_streams {
            check_labels(&stream.labels)?;
            bytes += stream.entries.iter().map(entry_bytes).sum::<usize>();
        }
        for probe in &batch.probes {
            check_time(probe.timestamp_ms)?;
            bytes += 512 + probe.attributes.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
            bytes += probe.target.len() + probe.reason.as_ref().map_or(0, String::len);
        }
        bytes += batch.metadata.iter().map(|entry| entry.help.len() + entry.family.len()).sum::<usize>();
        let (size, limit) = (bytes as u64, self.config.batch_bytes_max);
        if size > limit {
            return Err(Error::TooLarge { what: format!("batch of {}", batch.source), size, limit });
        }
        Ok(size)
    }

    /// Bytes of histograms, start times and exemplars, about; fails as [`Inner::check_batch`].
    fn check_sparse(&self, batch: &Batch) -> Result<usize> {
        let mut bytes = batch.starts.len() * 32;
        for point in &batch.histograms {
            check_labels(&point.labels)?;
            check_time(point.timestamp_ms)?;
            check_time(point.start_ms)?;
            bytes += 128 + point.histogram.heap_bytes();
        }
        for start in &batch.starts {
            check_labels(&start.labels)?;
            check_time(start.timestamp_ms)?;
            check_time(start.start_ms)?;
        }
        for exemplar in &batch.exemplars {
            check_labels(&exemplar.labels)?;
            check_labels(&exemplar.exemplar_labels)?;
            check_time(exemplar.timestamp_ms)?;
            bytes += 64 + exemplar.exemplar_labels.heap_bytes();
        }
        Ok(bytes)
    }

    /// Drops samples that are too old or too far ahead of the clock, and counts them.
    fn reject_by_time(&self, batch: &mut Batch) {
        let now_ms = self.clock.now_ms();
        let ms = |limit: Option<Duration>| {
            limit.map_or(i64::MAX, |limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX))
        };
        let oldest_ms = now_ms.saturating_sub(ms(self.config.reject_older_than));
        let newest_ms = now_ms.saturating_add(ms(self.config.reject_future));
        let (mut old, mut future) = (0, 0);
        let mut keep = |timestamp_ms: i64| {
            old += u64::from(timestamp_ms < oldest_ms);
            future += u64::from(timestamp_ms > newest_ms);
            (oldest_ms..=newest_ms).contains(&timestamp_ms)
        };
        batch.points.retain(|point| keep(point.timestamp_ms));
        batch.histograms.retain(|point| keep(point.timestamp_ms));
        batch.exemplars.retain(|exemplar| keep(exemplar.timestamp_ms));
        // Those of samples that were dropped just now.
        batch.starts.retain(|start| (oldest_ms..=newest_ms).contains(&start.timestamp_ms));
        if old + future > 0 {
            tracing::debug!(source = batch.source, old, future, "samples dropped for their time");
            Counters::add(&self.counters.rejected_old, old);
            Counters::add(&self.counters.rejected_future, future);
        }
    }

    /// Fails where the log or the head is full.
    fn check_room(&self) -> Result<()> {
        let wal_bytes = self.counters.wal_bytes.load(Ordering::Relaxed);
        let checks = [
            ("the log", wal_bytes, self.config.wal_bytes_max),
            ("the head", self.view.load().heap_bytes(), self.config.head_bytes_max),
            ("the process's memory", self.ledger.used(), self.ledger.limit()),
        ];
        for (what, size, limit) in checks {
            if size > limit {
                self.flush_wanted.notify_one();
                let retry_after = self.config.retry_after;
                return Err(Error::Backpressure { what, size, limit, retry_after });
            }
        }
        Ok(())
    }

    /// Wakes the flush task where the head has grown large.
    fn ask_for_flush(&self) {
        let view = self.view.load();
        let (rows, bytes) = (view.active.rows(), view.active.heap_bytes());
        if rows >= self.config.flush_rows || bytes >= self.config.flush_bytes {
            self.flush_wanted.notify_one();
        }
    }

    fn head_stats(&self) -> HeadStats {
        let view = self.view.load();
        let metrics = view.generations(Table::Metrics);
        let unflushed = |table| -> u64 {
            view.unflushed(table).iter().map(|generation| generation.table_rows(table)).sum()
        };
        let label_bytes = self.counters.registry_bytes.load(Ordering::Relaxed);
        HeadStats {
            series: metrics.iter().map(|generation| generation.series_count()).max().unwrap_or(0),
            points: unflushed(Table::Metrics),
            histograms: unflushed(Table::Histograms),
            start_times: unflushed(Table::StartTimes),
            exemplars: unflushed(Table::Exemplars),
            log_lines: unflushed(Table::Logs),
            probe_results: unflushed(Table::Probes),
            bytes: view.heap_bytes() + view.hot.bytes() + label_bytes + view.committed_bytes(),
            label_bytes,
            unflushed_generations: view.ended.len() as u64,
            label_sets: self.counters.label_sets.load(Ordering::Relaxed),
            id_collisions_total: self.counters.id_collisions.load(Ordering::Relaxed),
            metadata_dropped_total: self.metadata.dropped(),
        }
    }

    fn hot_stats(&self) -> HotStats {
        HotStats {
            merges_total: self.counters.hot_merges.load(Ordering::Relaxed),
            merge_time_total: Duration::from_micros(self.counters.hot_merge_us.load(Ordering::Relaxed)),
            ..self.view.load().hot.stats()
        }
    }
}

impl Inner {
    fn index_stats(&self) -> IndexStats {
        use Ordering::Relaxed;
        let live = &self.view.load().live;
        let files = [Table::Series, Table::LogStreams].map(|table| self.catalog.file_index(table));
        let loaded = files.map(|index| index.loaded());
        let sum = |count: fn(&FileIndexCounters) -> &AtomicU64| {
            files.iter().map(|index| count(index.counters()).load(Relaxed)).sum::<u64>()
        };
        IndexStats {
            live_series: (live.series.len() + live.streams.len()) as u64,
            live_bytes: (live.series.heap_bytes() + live.streams.heap_bytes()) as u64,
            file_days: loaded.iter().map(|view| view.day_count() as u64).sum(),
            file_series: loaded.iter().map(|view| view.series_count()).sum(),
            file_bytes: loaded.iter().map(|view| view.heap_bytes() as u64).sum(),
            loads_total: sum(|counters| &counters.loads),
            load_time_total: Duration::from_micros(sum(|counters| &counters.load_us)),
            decoded_series_total: sum(|counters| &counters.decoded_series),
            evicted_days_total: sum(|counters| &counters.evictions),
        }
    }
}

fn check_time(timestamp_ms: i64) -> Result<()> {
    if TIME_MS.contains(&timestamp_ms) {
        return Ok(());
    }
    Err(Error::InvalidBatch(format!("timestamp {timestamp_ms} ms is outside of the years 1 to 9999")))
}

fn check_labels(labels: &Labels) -> Result<()> {
    let size = labels.heap_bytes();
    if size <= LABELS_BYTES_MAX {
        return Ok(());
    }
    let (what, limit) = ("label set".to_owned(), LABELS_BYTES_MAX as u64);
    Err(Error::TooLarge { what, size: size as u64, limit })
}

fn entry_bytes(entry: &model::LogEntry) -> usize {
    let attributes: usize = entry.attributes.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    entry.body.len() + attributes + 64
}

/// The directory of the log in a data directory.
pub(crate) fn wal_dir(data_dir: &std::path::Path) -> PathBuf {
    data_dir.join("wal")
}
