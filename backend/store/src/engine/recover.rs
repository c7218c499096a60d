//! Opens a store: lock, node id, catalog, remembered batches, log, head, background work.
//!
//! Each table's watermark says up to which record its rows are committed; only what lies beyond is brought
//! back, so a crash between any two steps of a flush neither loses nor doubles a row. Where the log holds
//! more than fits into memory, generations are committed while it is being read.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path as FilePath;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use arc_swap::ArcSwap;
use model::{Batch, Clock};
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::append::Appender;
use super::flush::FlushReport;
use super::hot::Hot;
use super::view::{self, Ended, View};
use super::{COMMANDS_MAX, Inner, PERMIT_BYTES, Store, flush, maintain, wal_dir};
use crate::catalog::Catalog;
use crate::compact::{CompactionPolicy, Compactor};
use crate::config::Config;
use crate::dedup::{Dedup, batch_key};
use crate::error::{Error, Result};
use crate::head::generation::{Generation, Registries, TableSet};
use crate::head::metadata::MetadataMap;
use crate::head::series_rows::Committed;
use crate::lease::Lease;
use crate::memory::Ledger;
use crate::range_cache::RangeCache;
use crate::samples::part_cache::PartCache;
use crate::stats::Counters;
use crate::tables::Table;
use crate::wal::Lsn;
use crate::wal::codec::Origin;
use crate::wal::disk::{Disk, RealDisk, make_dir};
use crate::wal::replay::{ReplayProgress, ReplayReport, Sink, newer_segment, read_again, replay};
use crate::wal::segment;
use crate::wal::writer::{Position, Writer};

/// Directories of the log and of the remembered batches.
#[derive(Clone, Debug)]
pub(crate) struct Disks {
    pub(crate) wal: Arc<dyn Disk>,
    pub(crate) batches: Arc<dyn Disk>,
}

impl Disks {
    /// The directories in `data_dir`, made where they do not exist.
    pub(crate) fn real(data_dir: &FilePath) -> Result<Disks> {
        make_dir(data_dir).map_err(|error| Error::io(data_dir, error))?;
        let open = |dir: std::path::PathBuf| -> Result<Arc<dyn Disk>> {
            Ok(Arc::new(RealDisk::open(&dir).map_err(|error| Error::io(dir, error))?))
        };
        Ok(Disks { wal: open(wal_dir(data_dir))?, batches: open(data_dir.join("batches"))? })
    }
}

/// Opens a store whose log lies on `disks`; `progress` tells how far that is read.
pub(crate) async fn open(
    config: Config,
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    clock: Arc<dyn Clock>,
    disks: Disks,
    progress: Arc<ReplayProgress>,
) -> Result<Store> {
    let lock = lock(&config.data_dir)?;
    refuse_newer_log(&config.data_dir, disks.wal.as_ref())?;
    let app_id = format!("atl-{}", node_id(&config.data_dir)?);
    crate::contract::check(objects.as_ref(), &prefix).await?;
    let ledger = Ledger::new(config.memory_limit);
    let catalog = Catalog::open(Arc::clone(&objects), prefix, Arc::clone(&clock)).await?;
    let catalog = match config.cache {
        Some(cache) => {
            let folder = config.data_dir.join("cache");
            catalog.with_cache(RangeCache::open(objects, &folder, cache, Arc::clone(&ledger)))
        }
        None => catalog,
    };
    let parts = PartCache::new(config.part_cache_bytes_max, Arc::clone(&ledger));
    let catalog = catalog.with_parts(Arc::new(parts)).with_folder(config.folder.clone());
    catalog.tokens().set_bytes_max(config.token_bytes_max);
    let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
    // Random, so that a process that was killed does not take its own lease for one it still holds.
    let holder = format!("{app_id}-{}", uuid::Uuid::new_v4().simple());
    let lease = Lease::of_catalog(&catalog, holder, config.lease);
    let view = View {
        active: Arc::new(Generation::new(1)),
        ended: Vec::new(),
        files: catalog.files(),
        shown: catalog.files(),
        hot: Hot::default(),
        series: Arc::new(Committed::default()),
        streams: Arc::new(Committed::default()),
        live: Registries::default().live(),
    };
    let (series_bytes, stream_bytes) = (config.index_bytes_max, config.index_bytes_max / 4);
    catalog.file_index(Table::Series).set_bytes_max(series_bytes);
    catalog.file_index(Table::LogStreams).set_bytes_max(stream_bytes);
    let permits = (config.queue_bytes_max / PERMIT_BYTES).clamp(1, u64::from(u32::MAX) >> 4) as usize;
    let inner = Arc::new(Inner {
        catalog,
        clock,
        view: Arc::new(ArcSwap::from_pointee(view)),
        metadata: Arc::new(MetadataMap::default()),
        counters: Arc::new(Counters::default()),
        ledger,
        replay: OnceLock::new(),
        commands,
        queue: Arc::new(Semaphore::new(permits)),
        app_id,
        flushing: tokio::sync::Mutex::new(()),
        committing: tokio::sync::Mutex::new(()),
        flush_wanted: Notify::new(),
        index_wanted: Arc::default(),
        closed: AtomicBool::new(false),
        _lock: lock,
        disks,
        compactor: Compactor::new(CompactionPolicy {
            hot_window: config.hot_window,
            out_of_order_window: config.out_of_order_window,
            ..config.compaction.clone()
        }),
        lease,
        config,
    });
    let recovered = recover(&inner, progress).await?;
    let thread = start_thread(&inner, recovered, receiver)?;
    let stop = CancellationToken::new();
    let tasks = vec![
        tokio::spawn(flush::run(Arc::clone(&inner), stop.clone())),
        tokio::spawn(maintain::run_retention(Arc::clone(&inner), stop.clone())),
        tokio::spawn(maintain::run_vacuum(Arc::clone(&inner), stop.clone())),
        tokio::spawn(maintain::run_memory(Arc::clone(&inner), stop.clone())),
        tokio::spawn(maintain::run_tokens(Arc::clone(&inner), stop.clone())),
        tokio::spawn(maintain::run_index(Arc::clone(&inner), stop.clone())),
        tokio::spawn(maintain::run_compaction(Arc::clone(&inner), stop.clone())),
    ];
    Ok(Store { inner, stop, tasks: Mutex::new(tasks), thread: Mutex::new(Some(thread)) })
}

/// Fails where a later version of this program has written the log, before anything is changed.
fn refuse_newer_log(data_dir: &FilePath, wal: &dyn Disk) -> Result<()> {
    let dir = wal_dir(data_dir);
    match newer_segment(wal).map_err(|error| Error::io(&dir, error))? {
        None => Ok(()),
        Some((name, version)) => {
            let what = dir.join(name).display().to_string();
            Err(Error::Newer { what, found: version.into(), known: segment::VERSION.into() })
        }
    }
}

/// What the log gave, beside the rows in the view.
struct Recovered {
    position: Position,
    registries: Registries,
    dedup: Dedup,
}

async fn recover(inner: &Arc<Inner>, progress: Arc<ReplayProgress>) -> Result<Recovered> {
    let watermark = |table| {
        let version = inner.catalog.watermark(table, &inner.app_id).unwrap_or(0);
        u64::try_from(version).unwrap_or(0)
    };
    let watermarks = Table::ALL.map(watermark);
    // A generation at a time may wait while the one before it is committed.
    let (full, mut ended) = mpsc::channel::<Arc<Generation>>(1);
    let batches = Arc::clone(&inner.disks.batches);
    let (remembered_max, now_ms) = (inner.config.dedup_batches_max, inner.clock.now_ms());
    let dedup = Dedup::open(batches, remembered_max, now_ms)
        .map_err(|error| Error::io(inner.config.data_dir.join("batches"), error))?;
    let mut rebuild = Rebuild {
        watermarks,
        generation: Arc::clone(&inner.view.load().active),
        generation_bytes: inner.config.head_bytes_max / 4,
        registries: registries(inner, now_ms),
        metadata: Arc::clone(&inner.metadata),
        dedup,
        full,
    };
    let wal = Arc::clone(&inner.disks.wal);
    let reading = tokio::task::spawn_blocking(move || {
        let read = replay(wal.as_ref(), &mut rebuild, &progress);
        let Rebuild { generation, registries, dedup, .. } = rebuild;
        read.map(|(position, report)| (position, report, generation, registries, dedup))
    });
    while let Some(generation) = ended.recv().await {
        let waiting = Ended { generation, done: TableSet::default() };
        view::update(&inner.view, |view| view.ended.push(waiting.clone()));
        if let Err(error) = inner.flush_ended(&mut FlushReport::default(), false).await {
            tracing::warn!(%error, "rows from the log cannot be committed yet");
        }
        // A log larger than memory must not be kept in memory after all.
        view::update(&inner.view, |view| {
            view.hot = Hot::default();
            view.show();
        });
    }
    let (mut position, report, generation, registries, dedup) =
        reading.await?.map_err(|error| Error::io(wal_dir(&inner.config.data_dir), error))?;
    let live = registries.live();
    view::update(&inner.view, |view| {
        view.active = Arc::clone(&generation);
        view.live = live.clone();
    });
    let committed = watermarks.into_iter().max().unwrap_or(0);
    position.next_lsn = position.next_lsn.max(committed + 1).max(generation.last_lsn() + 1);
    tell(&report);
    // Set once, here.
    let _ = inner.replay.set(report);
    Ok(Recovered { position, registries, dedup })
}

/// Empty registries that know how late samples in the tables are.
fn registries(inner: &Inner, now_ms: i64) -> Registries {
    let mut registries = Registries::new(inner.catalog.series_ids(), &inner.index_wanted);
    let past = &mut registries.series.past;
    past.window_ms = i64::try_from(inner.config.out_of_order_window.as_millis()).unwrap_or(i64::MAX);
    for file in inner.catalog.files().table(Table::Metrics) {
        past.note(file.stats.max_ts_us.map_or(i64::MAX, |max_us| max_us.div_euclid(1_000) + 1), now_ms);
    }
    registries
}

fn tell(report: &ReplayReport) {
    let ReplayReport { segments, batches, rows, damaged_ranges, damaged_bytes, torn_tails, .. } = report;
    if *damaged_ranges > 0 {
        tracing::error!(damaged_ranges, damaged_bytes, "the log is damaged; records were lost");
    }
    if *segments > 0 {
        tracing::info!(segments, batches, rows, torn_tails, "log read");
    }
}

fn start_thread(
    inner: &Arc<Inner>,
    recovered: Recovered,
    commands: mpsc::Receiver<super::append::Command>,
) -> Result<thread::JoinHandle<()>> {
    let Recovered { position, registries, dedup } = recovered;
    let appender = Appender {
        commands,
        writer: Writer::new(Arc::clone(&inner.disks.wal), inner.config.wal_segment_bytes, position),
        dedup,
        registries,
        view: Arc::clone(&inner.view),
        metadata: Arc::clone(&inner.metadata),
        counters: Arc::clone(&inner.counters),
        clock: Arc::clone(&inner.clock),
        group_wait: inner.config.group_wait,
        retry_after: inner.config.retry_after,
        data_dir: inner.config.data_dir.clone(),
    };
    // Before the store is open, so that nobody sees it without its log.
    appender.publish();
    thread::Builder::new()
        .name("atl-wal".to_owned())
        .spawn(move || appender.run())
        .map_err(|error| Error::io(&inner.config.data_dir, error))
}

/// Takes replayed records into generations.
struct Rebuild {
    /// By table, in the order of [`Table::ALL`].
    watermarks: [Lsn; Table::ALL.len()],
    generation: Arc<Generation>,
    /// Size at which a generation is handed over to be committed.
    generation_bytes: u64,
    registries: Registries,
    metadata: Arc<MetadataMap>,
    dedup: Dedup,
    full: mpsc::Sender<Arc<Generation>>,
}

impl Rebuild {
    fn watermark(&self, table: Table) -> Lsn {
        self.watermarks[table as usize]
    }
}

impl Sink for Rebuild {
    fn wants(&self, lsn: Lsn) -> bool {
        Table::WITH_ROWS.into_iter().any(|table| lsn > self.watermark(table))
    }

    fn origin(&mut self, _lsn: Lsn, origin: &Origin) {
        if let Some(batch_id) = &origin.batch_id {
            self.dedup.insert(origin.received_ms, batch_key(&origin.source, batch_id));
        }
    }

    fn batch(&mut self, lsn: Lsn, received_ms: i64, mut batch: Batch) {
        if lsn <= self.watermark(Table::Metrics) {
            batch.points.clear();
        }
        if lsn <= self.watermark(Table::Logs) {
            batch.log_streams.clear();
        }
        if lsn <= self.watermark(Table::Probes) {
            batch.probes.clear();
        }
        if lsn <= self.watermark(Table::Histograms) {
            batch.histograms.clear();
        }
        if lsn <= self.watermark(Table::StartTimes) {
            batch.starts.clear();
        }
        if lsn <= self.watermark(Table::Exemplars) {
            batch.exemplars.clear();
        }
        self.metadata.learn(std::mem::take(&mut batch.metadata));
        if self.generation.heap_bytes() >= self.generation_bytes {
            let next = Arc::new(self.generation.successor());
            let ended = std::mem::replace(&mut self.generation, next);
            // Fails only where the start was called off.
            let _ = self.full.blocking_send(ended);
        }
        let resolved = self.registries.resolve(&batch);
        self.generation.append(lsn, received_ms, batch, &resolved, &mut self.registries);
    }
}

/// The rows of one table between two records, read from the log once more.
pub(crate) fn read_rows(disks: &Disks, table: Table, above: Lsn, of: &Generation) -> Result<Generation> {
    let (upto, generation) = (of.last_lsn(), Generation::new(of.sequence));
    generation.note_lsn(upto);
    // Registries of their own do not know what was written before.
    generation.note_repeats();
    let mut range = Range { table, above, upto, generation, registries: Registries::default() };
    read_again(disks.wal.as_ref(), &mut range).map_err(|error| Error::io("wal", error))?;
    Ok(range.generation)
}

/// Takes the rows of one table between two records.
struct Range {
    table: Table,
    above: Lsn,
    upto: Lsn,
    generation: Generation,
    registries: Registries,
}

impl Sink for Range {
    fn wants(&self, lsn: Lsn) -> bool {
        self.above < lsn && lsn <= self.upto
    }

    fn origin(&mut self, _lsn: Lsn, _origin: &Origin) {}

    fn batch(&mut self, lsn: Lsn, received_ms: i64, batch: Batch) {
        let mut wanted = Batch::new(batch.source);
        match self.table {
            Table::Series => {
                wanted.points = batch.points;
                wanted.histograms = batch.histograms;
                wanted.starts = batch.starts;
                wanted.exemplars = batch.exemplars;
            }
            Table::Metrics => wanted.points = batch.points,
            Table::Histograms => wanted.histograms = batch.histograms,
            Table::StartTimes => wanted.starts = batch.starts,
            Table::Exemplars => wanted.exemplars = batch.exemplars,
            Table::Logs | Table::LogStreams => wanted.log_streams = batch.log_streams,
            Table::Probes => wanted.probes = batch.probes,
        }
        let resolved = self.registries.resolve(&wanted);
        self.generation.append(lsn, received_ms, wanted, &resolved, &mut self.registries);
    }
}

/// Keeps other processes out of `data_dir` for as long as the file is open.
fn lock(data_dir: &FilePath) -> Result<File> {
    make_dir(data_dir).map_err(|error| Error::io(data_dir, error))?;
    let path = data_dir.join("lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| Error::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: data_dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io(path, error)),
    }
}

/// The name of this data directory in the tables' watermarks, drawn at random at the first start.
fn node_id(data_dir: &FilePath) -> Result<String> {
    let path = data_dir.join("node");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            let sound =
                !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if sound { Ok(id.to_owned()) } else { Err(Error::corrupt(path.display(), "not a node id")) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = uuid::Uuid::new_v4().simple().to_string();
            write_node_id(data_dir, &id).map_err(|error| Error::io(path, error))?;
            Ok(id)
        }
        Err(error) => Err(Error::io(path, error)),
    }
}

/// Written under another name first: a power cut leaves a whole id or none.
fn write_node_id(data_dir: &FilePath, id: &str) -> std::io::Result<()> {
    let draft = data_dir.join("node.new");
    let mut file = File::create(&draft)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    fs::rename(draft, data_dir.join("node"))?;
    File::open(data_dir)?.sync_all()
}
