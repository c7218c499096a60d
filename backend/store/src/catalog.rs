//! Which files hold the rows: the tables of a store, their committed files and watermarks.
//!
//! Comes in: sorted rows to write as files, files to commit and to remove. Goes out: immutable sets of
//! committed files. Several catalogs, in several processes, may work on one store at once. Knows object
//! storage, Parquet and the Delta log; knows nothing of the WAL and of rows not yet in a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use futures::future::{join_all, try_join_all};
use model::Clock;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tracing::warn;

use crate::delta::actions::{Add, Remove, Txn, Values};
use crate::delta::{CRC32C_TAG, Change, FENCE_APP_ID, LEVEL_TAG, MAY_REPEAT_TAG, TableLog, TableState};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::index::files::FileIndex;
use crate::objects::{DurableFolder, PartSink, Upload, begin_upload, upload};
use crate::parquet_file::{Encoded, EncodedFile, FileEncoder, FileTags, WriteProfile, WrittenFile, encode};
use crate::paths::{FileNames, day_name, path_in_place_of};
use crate::range_cache::{CachedStore, RangeCache};
use crate::samples::part_cache::PartCache;
use crate::series_files::SeriesFiles;
use crate::tables::{DAY_COLUMN, Table};
use crate::tokens::sidecar::{Sidecar, Subject};
use crate::tokens::{self, TokenIndex};

mod files;

pub use files::{DataFile, FileSets, TableFiles};

/// A log not read for this long is read again before a commit: what stands in it may have been cleaned up,
/// and then a commit would take a version that only looks free.
const FRESH_FOR: Duration = Duration::from_secs(3_600);
/// A file written longer ago than this is looked for before it is committed: vacuum may have taken it.
const UNCOMMITTED_FOR: Duration = Duration::from_secs(1_800);

/// The tables of one store.
#[derive(Debug)]
pub struct Catalog {
    objects: Arc<dyn ObjectStore>,
    /// The same, for reading data files: through the cache where there is one.
    reads: Arc<dyn ObjectStore>,
    cache: Option<Arc<RangeCache>>,
    /// The folder the tables lie in, to be read without a detour.
    folder: Option<DurableFolder>,
    /// Decoded samples of its files, for queries.
    parts: Option<Arc<PartCache>>,
    prefix: Path,
    clock: Arc<dyn Clock>,
    writable: bool,
    tables: Vec<TableHandle>,
    series_ids: Ids,
    files: ArcSwap<FileSets>,
    /// Watermarks as callers last learned them; see [`Catalog::commit`].
    told: Mutex<HashMap<(Table, String), i64>>,
    series: Arc<SeriesFiles>,
    tokens: Arc<TokenIndex>,
    series_index: Arc<FileIndex>,
    stream_index: Arc<FileIndex>,
    names: Arc<FileNames>,
}

/// Begins files that take the place of others.
pub(crate) struct NewFiles {
    objects: Arc<dyn ObjectStore>,
    root: Path,
    clock: Arc<dyn Clock>,
    names: Arc<FileNames>,
    table: Table,
    day: i32,
    newest: String,
    parts: u16,
}

impl NewFiles {
    /// Begins a file, which is uploaded on `runtime` while it is written on another thread.
    pub(crate) fn begin(&mut self, profile: WriteProfile, runtime: &Handle) -> Result<OpenFile> {
        let (table, day) = (self.table, self.day);
        let path = path_in_place_of(&self.newest, day, self.parts)
            .unwrap_or_else(|| self.names.next_path(self.clock.as_ref(), day));
        self.parts = self.parts.saturating_add(1);
        let key = key_in(&self.root, &path);
        let (sink, upload) = begin_upload(runtime, &self.objects, &key);
        let encoder = FileEncoder::new(table, profile, sink)?;
        let written_ms = self.clock.now_ms();
        Ok(OpenFile { encoder, upload, table, day, path, key, written_ms })
    }
}

/// A file that is being written.
pub(crate) struct OpenFile {
    encoder: FileEncoder<PartSink>,
    upload: Upload,
    table: Table,
    day: i32,
    path: String,
    key: Path,
    written_ms: i64,
}

impl OpenFile {
    /// Adds rows, which must go on in the table's order. Blocks.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encoder.write(batch)
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.encoder.rows()
    }

    /// Bytes so far, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.encoder.bytes()
    }

    /// Ends the file; it is durable when this returns. Blocks.
    pub(crate) fn finish(self, tags: FileTags) -> Result<WrittenFile> {
        let OpenFile { encoder, upload, table, day, path, key, written_ms } = self;
        let ended = encoder.finish().and_then(|(sink, encoded)| {
            let ended = sink.end();
            let (size, crc32c) = ended.map_err(|error| Error::parquet(&key, error.into()))?;
            Ok((encoded, size, crc32c))
        });
        // Where writing failed, the upload knows why.
        upload.wait()?;
        let (Encoded { rows, stats, delta_stats, tokens }, size, crc32c) = ended?;
        let tokens = tokens.map(|tokens| Arc::new(tokens.finish(Subject { size, crc32c })));
        let written = WrittenFile {
            table,
            day,
            path,
            key,
            size,
            rows,
            stats,
            tags,
            delta_stats,
            crc32c,
            written_ms,
            tokens,
        };
        Ok(written)
    }

    /// Gives the file up; gives the reason where its upload has failed. Blocks.
    pub(crate) fn give_up(self) -> Result<()> {
        drop(self.encoder);
        self.upload.wait()
    }
}

#[derive(Debug)]
struct TableHandle {
    log: TableLog,
    state: tokio::sync::Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    state: TableState,
    /// When the log was last read to its end, milliseconds since the Unix epoch.
    read_ms: i64,
}

impl Catalog {
    /// Opens the tables under `prefix` and makes those that are missing.
    pub async fn open(objects: Arc<dyn ObjectStore>, prefix: Path, clock: Arc<dyn Clock>) -> Result<Catalog> {
        Catalog::load(objects, prefix, clock, true).await
    }

    /// Opens the tables without ever writing; missing tables are empty.
    pub async fn open_read_only(
        objects: Arc<dyn ObjectStore>,
        prefix: Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Catalog> {
        Catalog::load(objects, prefix, clock, false).await
    }

    async fn load(
        objects: Arc<dyn ObjectStore>,
        prefix: Path,
        clock: Arc<dyn Clock>,
        writable: bool,
    ) -> Result<Catalog> {
        let logs =
            Table::ALL.map(|table| TableLog::new(Arc::clone(&objects), &prefix, table, Arc::clone(&clock)));
        // Nothing is made before all that is there was found readable: a store of a later version stays as it is.
        let found = try_join_all(logs.iter().map(TableLog::load)).await?;
        let handles = logs.into_iter().zip(found).map(|(log, found)| TableHandle::open(log, found, writable));
        let tables = try_join_all(handles).await?;
        let (mut sets, mut series_ids) = (FileSets::default(), Ids::default());
        for (table, handle) in Table::ALL.into_iter().zip(&tables) {
            let loaded = handle.state.lock().await;
            if table == Table::Series {
                series_ids = loaded.state.ids();
            }
            sets = sets.with(table, TableFiles::of(&loaded.state));
        }
        Ok(Catalog {
            reads: Arc::clone(&objects),
            cache: None,
            folder: None,
            parts: None,
            objects,
            prefix,
            clock,
            writable,
            tables,
            series_ids,
            files: ArcSwap::from_pointee(sets),
            told: Mutex::default(),
            series: Arc::default(),
            tokens: Arc::default(),
            series_index: Arc::new(FileIndex::new(Table::Series)),
            stream_index: Arc::new(FileIndex::new(Table::LogStreams)),
            names: Arc::default(),
        })
    }

    /// The committed files of all tables.
    pub fn files(&self) -> Arc<FileSets> {
        self.files.load_full()
    }

    /// How ids of series are made in this store.
    pub(crate) fn series_ids(&self) -> Ids {
        self.series_ids
    }

    /// The object store the tables lie on.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Reads data files through `cache`, which must be in front of [`Catalog::objects`]. Maintenance goes on reading
    /// past it: what it reads front to back is not read again.
    pub(crate) fn with_cache(self, cache: Arc<RangeCache>) -> Catalog {
        let reads = Arc::new(CachedStore::new(Arc::clone(&cache)));
        Catalog { reads, cache: Some(cache), ..self }
    }

    /// Reads samples straight from `folder`, which must be what [`Catalog::objects`] lie in.
    pub(crate) fn with_folder(self, folder: Option<DurableFolder>) -> Catalog {
        Catalog { folder, ..self }
    }

    /// The folder to read samples from, if that is where the tables lie.
    pub(crate) fn folder(&self) -> Option<&DurableFolder> {
        self.folder.as_ref()
    }

    /// Keeps decoded samples of files in `parts`.
    pub(crate) fn with_parts(self, parts: Arc<PartCache>) -> Catalog {
        Catalog { parts: Some(parts), ..self }
    }

    /// The cache of decoded samples, if there is one.
    pub(crate) fn parts(&self) -> Option<&Arc<PartCache>> {
        self.parts.as_ref()
    }

    /// The object store to read data files from, for queries.
    pub(crate) fn reads(&self) -> &Arc<dyn ObjectStore> {
        &self.reads
    }

    /// The cache of ranges of data files, if there is one.
    pub(crate) fn cache(&self) -> Option<&Arc<RangeCache>> {
        self.cache.as_ref()
    }

    /// Key of the folder the tables lie in.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Reads series and stream files, with a cache.
    pub fn series(&self) -> &Arc<SeriesFiles> {
        &self.series
    }

    /// Which log files can hold a word.
    pub fn tokens(&self) -> &Arc<TokenIndex> {
        &self.tokens
    }

    /// The index of the files of `series`, or of `log_streams`.
    pub(crate) fn file_index(&self, table: Table) -> &Arc<FileIndex> {
        if table == Table::LogStreams { &self.stream_index } else { &self.series_index }
    }

    /// False where the catalog was opened for reading only.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Version of the last commit to `table` that application `app_id` made; `None` before the first.
    pub fn watermark(&self, table: Table, app_id: &str) -> Option<i64> {
        let watermark = self.files.load().watermark(table, app_id);
        if let Some(version) = watermark {
            self.told().insert((table, app_id.to_owned()), version);
        }
        watermark
    }

    fn told(&self) -> std::sync::MutexGuard<'_, HashMap<(Table, String), i64>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes rows of one day as one file, which no reader sees before it is committed. Commit it within the
    /// hour; vacuum takes files nobody committed.
    ///
    /// `rows` have the columns of [`Table::file_schema`] and are sorted by [`Table::sort_columns`] across all
    /// batches. Fails with [`Error::Schema`] where they are not.
    pub async fn write_file(
        &self,
        table: Table,
        day: i32,
        rows: Vec<RecordBatch>,
        profile: WriteProfile,
        tags: FileTags,
    ) -> Result<WrittenFile> {
        self.check_writable()?;
        let encoded = tokio::task::spawn_blocking(move || encode(table, &rows, profile)).await??;
        self.write_encoded(table, day, encoded, tags).await
    }

    /// The same for rows that are encoded.
    pub(crate) async fn write_encoded(
        &self,
        table: Table,
        day: i32,
        encoded: EncodedFile,
        tags: FileTags,
    ) -> Result<WrittenFile> {
        self.check_writable()?;
        let path = self.names.next_path(self.clock.as_ref(), day);
        let key = key_in(&self.handle(table).log.root, &path);
        let size = encoded.bytes.len() as u64;
        upload(self.objects.as_ref(), &key, encoded.bytes.clone()).await?;
        if let Some(cache) = &self.cache {
            cache.put_file(&key, &encoded.bytes, self.clock.now_ms());
        }
        Ok(WrittenFile {
            table,
            day,
            path,
            size,
            rows: encoded.rows,
            stats: encoded.stats,
            tags,
            delta_stats: encoded.delta_stats,
            crc32c: encoded.crc32c,
            written_ms: self.clock.now_ms(),
            key,
            tokens: encoded.tokens.map(Arc::new),
        })
    }

    /// Where a merge of files of one day writes to. `newest`: path of the file written last among those it
    /// takes the place of.
    pub(crate) fn new_files(&self, table: Table, day: i32, newest: &str) -> Result<NewFiles> {
        self.check_writable()?;
        Ok(NewFiles {
            objects: Arc::clone(&self.objects),
            root: self.handle(table).log.root.clone(),
            clock: Arc::clone(&self.clock),
            names: Arc::clone(&self.names),
            table,
            day,
            newest: newest.to_owned(),
            parts: 0,
        })
    }

    /// Adds and removes files of `table` in one atomic step and returns the files after it.
    ///
    /// `txn` is an application id with the version it has reached, which must grow. With it a commit happens
    /// exactly once: if the application's watermark on the store is not the one last learned here, from
    /// [`Catalog::watermark`] or from a commit, then a commit thought lost has arrived, nothing is committed
    /// and [`Error::WatermarkMoved`] tells how far the table is.
    ///
    /// Adding and removing files at once says that the rows stay the same (compaction). Races with other
    /// writers are run again; [`Error::Conflict`] means another writer removed a file of `removes`. After
    /// [`Error::Object`] the commit may still appear later.
    pub async fn commit(
        &self,
        table: Table,
        adds: Vec<WrittenFile>,
        removes: Vec<Arc<DataFile>>,
        txn: Option<(String, i64)>,
    ) -> Result<Arc<FileSets>> {
        self.commit_fenced(table, adds, removes, txn, None).await
    }

    /// [`Catalog::commit`] of a maintenance leader: fails with [`Error::Fenced`] where a later leader has
    /// committed to the table. `epoch` is the leader's.
    pub(crate) async fn commit_fenced(
        &self,
        table: Table,
        adds: Vec<WrittenFile>,
        removes: Vec<Arc<DataFile>>,
        txn: Option<(String, i64)>,
        epoch: Option<i64>,
    ) -> Result<Arc<FileSets>> {
        self.check_writable()?;
        if adds.is_empty() && removes.is_empty() && txn.is_none() {
            return Ok(self.files());
        }
        self.check_still_there(&adds).await?;
        self.write_sidecars(&adds).await;
        let handle = self.handle(table);
        let mut loaded = handle.state.lock().await;
        let change = Change { fence: epoch, ..change(&adds, &removes, &txn, self.clock.now_ms()) };
        let outcome = self.commit_locked(handle, &mut loaded, change).await;
        if outcome.is_ok() {
            self.keep_tokens(&adds, &loaded.state);
        }
        // Also after a failure: the state may have taken in commits of others.
        let sets = self.publish(table, &loaded.state);
        self.learn(table, &txn, &outcome);
        outcome?;
        if let Err(error) = handle.log.checkpoint_if_due(&mut loaded.state).await {
            warn!(%table, %error, "checkpoint failed, the next commit tries again");
        }
        Ok(sets)
    }

    /// Writes the sidecars of merged files. Fresh files are soon replaced: their filters stay in memory, and
    /// after a restart they are searched whole. A sidecar each would double the writes to the object store.
    async fn write_sidecars(&self, adds: &[WrittenFile]) {
        let lasting = adds.iter().filter(|file| file.tags.level > 0);
        let sidecars = lasting.filter_map(|file| Some((&file.key, file.tokens.as_deref()?)));
        let write = |(key, sidecar)| {
            tokens::load::write(&self.tokens, self.objects.as_ref(), &self.prefix, key, sidecar)
        };
        join_all(sidecars.map(write)).await;
    }

    /// Takes the token filters of files just committed into memory.
    fn keep_tokens(&self, adds: &[WrittenFile], state: &TableState) {
        let mut tokens: HashMap<&str, &Sidecar> =
            adds.iter().filter_map(|add| Some((add.path.as_str(), add.tokens.as_deref()?))).collect();
        if tokens.is_empty() {
            return;
        }
        for file in state.files() {
            if let Some(sidecar) = tokens.remove(file.path.as_str()) {
                self.tokens.insert(file, sidecar, false);
            }
        }
    }

    async fn commit_locked(&self, handle: &TableHandle, loaded: &mut Loaded, change: Change) -> Result<()> {
        let now_ms = self.clock.now_ms();
        if now_ms.abs_diff(loaded.read_ms) > FRESH_FOR.as_millis() as u64 {
            // Listed anew: reading on from the known version would trust `_last_checkpoint`, a mere hint.
            let newest = handle.log.load().await?.filter(|found| found.version > loaded.state.version);
            if let Some(newest) = newest {
                loaded.state = newest;
            }
        }
        if let Some(txn) = &change.txn {
            self.check_told(handle.log.table, &loaded.state, txn)?;
        }
        handle.log.commit(&mut loaded.state, change).await?;
        loaded.read_ms = now_ms;
        Ok(())
    }

    fn check_told(&self, table: Table, state: &TableState, txn: &Txn) -> Result<()> {
        let watermark = state.watermark(&txn.app_id);
        let told = self.told().get(&(table, txn.app_id.clone())).copied();
        match watermark {
            Some(watermark) if told != Some(watermark) || txn.version <= watermark => {
                Err(Error::WatermarkMoved { table: table.name(), app_id: txn.app_id.clone(), watermark })
            }
            _ => Ok(()),
        }
    }

    fn learn(&self, table: Table, txn: &Option<(String, i64)>, outcome: &Result<()>) {
        let Some((app_id, version)) = txn else { return };
        let version = match outcome {
            Ok(()) => *version,
            Err(Error::WatermarkMoved { watermark, .. }) => *watermark,
            Err(_) => return,
        };
        self.told().insert((table, app_id.clone()), version);
    }

    async fn check_still_there(&self, adds: &[WrittenFile]) -> Result<()> {
        let now_ms = self.clock.now_ms();
        for file in adds {
            if now_ms.abs_diff(file.written_ms) > UNCOMMITTED_FOR.as_millis() as u64 {
                let head = self.objects.head(&file.key).await;
                head.map_err(|source| Error::object("find", &file.key, source))?;
            }
        }
        Ok(())
    }

    /// Takes in the commits of other writers.
    pub async fn refresh(&self) -> Result<Arc<FileSets>> {
        try_join_all(Table::ALL.map(|table| self.refresh_table(table))).await?;
        Ok(self.files())
    }

    /// Takes in the commits of other writers to one table.
    pub(crate) async fn refresh_table(&self, table: Table) -> Result<()> {
        let handle = self.handle(table);
        let mut loaded = handle.state.lock().await;
        let before = loaded.state.version;
        let outcome = if before < 0 {
            handle.log.load().await.map(|found| {
                if let Some(state) = found {
                    loaded.state = state;
                }
            })
        } else {
            handle.log.catch_up(&mut loaded.state).await.map(|_| ())
        };
        if outcome.is_ok() {
            loaded.read_ms = self.clock.now_ms();
        }
        if loaded.state.version != before {
            self.publish(table, &loaded.state);
        }
        outcome
    }

    fn publish(&self, table: Table, state: &TableState) -> Arc<FileSets> {
        if self.files.load().table_files(table).version() != state.version {
            let files = Arc::new(TableFiles::of(state));
            self.files.rcu(|sets| sets.with_shared(table, Arc::clone(&files)));
            if table == Table::Logs {
                self.tokens.retain(files.files());
            }
        }
        self.files()
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.writable { Ok(()) } else { Err(Error::ReadOnly) }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(crate) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The highest epoch a maintenance leader has committed with; 0 before the first.
    pub(crate) fn maintenance_epoch(&self) -> i64 {
        let files = self.files();
        Table::ALL.into_iter().filter_map(|table| files.watermark(table, FENCE_APP_ID)).max().unwrap_or(0)
    }

    /// Paths of the removed files of a table with the time of their removal in milliseconds since the Unix
    /// epoch.
    pub(crate) async fn tombstones(&self, table: Table) -> HashMap<String, i64> {
        let loaded = self.handle(table).state.lock().await;
        let removed = |remove: &Remove| (remove.path.clone(), remove.deletion_timestamp.unwrap_or(0));
        loaded.state.tombstones().map(removed).collect()
    }

    fn handle(&self, table: Table) -> &TableHandle {
        &self.tables[table as usize]
    }

    /// Writes a checkpoint of every table now; the next start reads one file a table.
    pub async fn checkpoint(&self) -> Result<()> {
        self.check_writable()?;
        for handle in &self.tables {
            let mut loaded = handle.state.lock().await;
            handle.log.checkpoint(&mut loaded.state).await?;
        }
        Ok(())
    }
}

fn key_in(root: &Path, path: &str) -> Path {
    path.split('/').fold(root.clone(), |key, part| key.join(part))
}

impl TableHandle {
    async fn open(log: TableLog, found: Option<TableState>, writable: bool) -> Result<TableHandle> {
        let state = match found {
            Some(state) => state,
            None if writable => log.create().await?,
            None => TableState::empty(log.table, log.root.clone()),
        };
        let read_ms = log.clock.now_ms();
        Ok(TableHandle { log, state: tokio::sync::Mutex::new(Loaded { state, read_ms }) })
    }
}

fn change(
    adds: &[WrittenFile],
    removes: &[Arc<DataFile>],
    txn: &Option<(String, i64)>,
    now_ms: i64,
) -> Change {
    let data_change = adds.is_empty() || removes.is_empty();
    let partition = |day: i32| [(DAY_COLUMN.to_owned(), Some(day_name(day)))].into();
    let add = |file: &WrittenFile| Add {
        path: file.path.clone(),
        partition_values: partition(file.day),
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        modification_time: file.written_ms,
        data_change,
        stats: Some(file.delta_stats.clone()),
        tags: Some(delta_tags(file)),
    };
    let remove = |file: &Arc<DataFile>| Remove {
        path: file.path.clone(),
        deletion_timestamp: Some(now_ms),
        data_change,
        extended_file_metadata: Some(true),
        partition_values: Some(partition(file.day)),
        size: Some(i64::try_from(file.size).unwrap_or(i64::MAX)),
    };
    Change {
        fence: None,
        adds: adds.iter().map(add).collect(),
        removes: removes.iter().map(remove).collect(),
        txn: txn.as_ref().map(|(app_id, version)| Txn {
            app_id: app_id.clone(),
            version: *version,
            last_updated: Some(now_ms),
        }),
    }
}

fn delta_tags(file: &WrittenFile) -> Values {
    let tags = [
        (CRC32C_TAG, format!("{:08x}", file.crc32c)),
        (LEVEL_TAG, file.tags.level.to_string()),
        (MAY_REPEAT_TAG, file.tags.may_repeat.to_string()),
    ];
    tags.map(|(name, value)| (name.to_owned(), Some(value))).into()
}

#[cfg(test)]
mod tests;
