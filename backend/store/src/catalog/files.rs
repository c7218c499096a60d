//! Immutable sets of committed files, indexed by day.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use object_store::path::Path;

use crate::delta::TableState;
use crate::parquet_file::{FileStats, FileTags};
use crate::tables::Table;

/// One committed Parquet file.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// The table it belongs to.
    pub table: Table,
    /// The day of all its rows, in days since 1970-01-01.
    pub day: i32,
    /// Path relative to the table's folder, as the Delta log writes it.
    pub path: String,
    /// Key on the object store.
    pub key: Path,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows; 0 where another writer did not say.
    pub rows: u64,
    /// Bounds to prune by.
    pub stats: FileStats,
    /// CRC-32C of the whole file, where this program wrote it.
    pub crc32c: Option<u32>,
    /// Its level, and whether its rows may stand in another file too.
    pub tags: FileTags,
    /// When it was written, milliseconds since the Unix epoch.
    pub written_ms: i64,
}

impl DataFile {
    /// False where the file surely has no row with this metric, service or probe (the table's first sort
    /// column).
    pub fn may_hold_key(&self, key: &str) -> bool {
        self.stats.min_key.as_deref().is_none_or(|min| min <= key)
            && self.stats.max_key.as_deref().is_none_or(|max| key <= max)
    }

    /// Whether the rows are surely in the table's order ([`Table::sort_columns`]). Files another writer
    /// committed need not be.
    pub fn is_sorted(&self) -> bool {
        self.crc32c.is_some()
    }

    /// False where the file surely has no row between these times: inclusive, microseconds since the Unix
    /// epoch, `None` for no limit.
    pub fn may_hold_time(&self, start_us: Option<i64>, end_us: Option<i64>) -> bool {
        let before_end = end_us.zip(self.stats.min_ts_us).is_none_or(|(end, min)| min <= end);
        let after_start = start_us.zip(self.stats.max_ts_us).is_none_or(|(start, max)| start <= max);
        before_end && after_start
    }
}

/// The committed files of one table at one version.
#[derive(Clone, Debug)]
pub struct TableFiles {
    version: i64,
    /// Sorted by day, then by least key, then by path.
    files: Vec<Arc<DataFile>>,
    days: BTreeMap<i32, Range<usize>>,
    watermarks: BTreeMap<String, i64>,
    rows: u64,
    bytes: u64,
}

impl Default for TableFiles {
    fn default() -> TableFiles {
        TableFiles {
            version: -1,
            files: Vec::new(),
            days: BTreeMap::new(),
            watermarks: BTreeMap::new(),
            rows: 0,
            bytes: 0,
        }
    }
}

impl TableFiles {
    pub(crate) fn of(state: &TableState) -> TableFiles {
        let mut files: Vec<Arc<DataFile>> = state.files().map(Arc::clone).collect();
        files.sort_by(|a, b| (a.day, &a.stats.min_key, &a.path).cmp(&(b.day, &b.stats.min_key, &b.path)));
        TableFiles::sorted(state.version, state.watermarks(), files)
    }

    fn sorted(version: i64, watermarks: BTreeMap<String, i64>, files: Vec<Arc<DataFile>>) -> TableFiles {
        let mut days: BTreeMap<i32, Range<usize>> = BTreeMap::new();
        for (i, file) in files.iter().enumerate() {
            days.entry(file.day).or_insert(i..i).end = i + 1;
        }
        TableFiles {
            version,
            days,
            watermarks,
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.size).sum(),
            files,
        }
    }

    /// The files but those whose path is among `hidden`; version and watermarks stay.
    pub(crate) fn without(&self, hidden: impl Fn(&str) -> bool) -> TableFiles {
        let files = self.files.iter().filter(|file| !hidden(&file.path)).map(Arc::clone).collect();
        TableFiles::sorted(self.version, self.watermarks.clone(), files)
    }

    /// Whether another process writes to the table, as far as watermarks tell.
    pub(crate) fn has_other_writers(&self, app_id: &str) -> bool {
        self.watermarks.keys().any(|other| other != app_id)
    }

    /// Version of the Delta table; -1 where there is no table.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// All files, sorted by day, then by least key.
    pub fn files(&self) -> &[Arc<DataFile>] {
        &self.files
    }

    /// The files of one day.
    pub fn day(&self, day: i32) -> &[Arc<DataFile>] {
        self.days.get(&day).map_or(&[], |range| &self.files[range.clone()])
    }

    /// Days that have files, ascending, with their files.
    pub fn days(&self) -> impl DoubleEndedIterator<Item = (i32, &[Arc<DataFile>])> {
        self.days.iter().map(|(day, range)| (*day, &self.files[range.clone()]))
    }

    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The committed files of all tables.
#[derive(Clone, Debug, Default)]
pub struct FileSets {
    tables: [Arc<TableFiles>; Table::ALL.len()],
}

impl FileSets {
    /// The files of a table, sorted by day, then by least key.
    pub fn table(&self, table: Table) -> &[Arc<DataFile>] {
        self.table_files(table).files()
    }

    /// The files of a table with their index.
    pub fn table_files(&self, table: Table) -> &Arc<TableFiles> {
        &self.tables[table as usize]
    }

    /// The files of one day of a table.
    pub fn day(&self, table: Table, day: i32) -> &[Arc<DataFile>] {
        self.table_files(table).day(day)
    }

    /// Version of the last commit to `table` that application `app_id` made.
    pub fn watermark(&self, table: Table, app_id: &str) -> Option<i64> {
        self.table_files(table).watermarks.get(app_id).copied()
    }

    pub(crate) fn with(&self, table: Table, files: TableFiles) -> FileSets {
        self.with_shared(table, Arc::new(files))
    }

    pub(crate) fn with_shared(&self, table: Table, files: Arc<TableFiles>) -> FileSets {
        let mut sets = self.clone();
        sets.tables[table as usize] = files;
        sets
    }
}
