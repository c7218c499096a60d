//! Looks at the store as it lies there: folders, objects, tables by day, footers of Parquet files, text of
//! small objects. Comes in: keys from outside, relative to the store's prefix. Goes out: descriptions that
//! serialise to the JSON of the objects page. Never writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::Serialize;

use crate::catalog::{Catalog, DataFile, FileSets};
use crate::error::{Error, Result};
use crate::parquet_file::{FileStats, FileTags};
use crate::paths::{day_name, iso_ms, parse_day};
use crate::tables::{DAY_COLUMN, Table};

mod footer;

#[cfg(test)]
pub(crate) use footer::column_sizes;
pub use footer::{ColumnChunk, ColumnSize, ParquetDescription, RowGroup};

/// Most entries a listing gives.
const LISTING_MAX: usize = 10_000;
/// Largest object shown as text, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// One folder of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectListing {
    /// The folder, ending in `/`; empty for the top.
    pub prefix: String,
    /// Folders in it, each a key ending in `/`.
    pub prefixes: Vec<String>,
    /// Objects in it.
    pub objects: Vec<ObjectEntry>,
    /// True where there are more entries than given.
    pub truncated: bool,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectEntry {
    /// Key relative to the store's prefix.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, RFC 3339 in UTC.
    pub modified: String,
}

/// All tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TablesSummary {
    /// One entry a table.
    pub tables: Vec<TableSummary>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSummary {
    /// Name of the table.
    pub name: &'static str,
    /// Version of the Delta table.
    pub version: i64,
    /// Number of files.
    pub files: usize,
    /// Number of rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// How far they are merged, freshest first.
    pub levels: Vec<LevelSummary>,
    /// Its days, newest first.
    pub days: Vec<DaySummary>,
}

/// The files of one level: 0 fresh, 1 about an hour, 2 a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LevelSummary {
    /// The level.
    pub level: u8,
    /// Number of files.
    pub files: usize,
    /// Number of rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// One day of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DaySummary {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// Number of files.
    pub files: usize,
    /// Number of rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// How far they are merged, freshest first.
    pub levels: Vec<LevelSummary>,
}

/// The key on the object store of a key given from outside, relative to `prefix`.
///
/// Fails with [`Error::Key`] for empty keys and for anything that could lead out of the prefix.
pub fn resolve_key(prefix: &Path, key: &str) -> Result<Path> {
    let path = inside(prefix, key)?;
    if path == *prefix || key.ends_with('/') { Err(Error::Key(key.to_owned())) } else { Ok(path) }
}

fn inside(prefix: &Path, key: &str) -> Result<Path> {
    let refused = || Error::Key(key.to_owned());
    let hostile = |c: char| c.is_control() || matches!(c, '\\' | '%' | '#' | '?');
    if key.len() > 1_024 || key.starts_with('/') || key.contains(hostile) {
        return Err(refused());
    }
    // Refuses empty parts, `.` and `..`.
    let relative = Path::parse(key).map_err(|_| refused())?;
    Ok(prefix.parts().chain(relative.parts()).collect())
}

fn relative(prefix: &Path, key: &Path) -> String {
    let parts = key.prefix_match(prefix).into_iter().flatten();
    parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
}

/// The folder `folder` (relative to the store's prefix, with or without a final `/`; empty for the top).
pub async fn list(objects: &dyn ObjectStore, prefix: &Path, folder: &str) -> Result<ObjectListing> {
    let key = inside(prefix, folder.strip_suffix('/').unwrap_or(folder))?;
    let listed = objects.list_with_delimiter(Some(&key)).await;
    let listed = listed.map_err(|source| Error::object("list", &key, source))?;
    let truncated = listed.common_prefixes.len() + listed.objects.len() > LISTING_MAX;
    let mut prefixes: Vec<String> =
        listed.common_prefixes.iter().map(|found| format!("{}/", relative(prefix, found))).collect();
    prefixes.sort_unstable();
    prefixes.truncate(LISTING_MAX);
    let mut objects: Vec<ObjectEntry> = listed.objects.iter().map(|meta| entry(prefix, meta)).collect();
    objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    objects.truncate(LISTING_MAX - prefixes.len());
    let folder = relative(prefix, &key);
    let prefix = if folder.is_empty() { folder } else { format!("{folder}/") };
    Ok(ObjectListing { prefix, prefixes, objects, truncated })
}

fn entry(prefix: &Path, meta: &ObjectMeta) -> ObjectEntry {
    ObjectEntry {
        key: relative(prefix, &meta.location),
        size: meta.size,
        modified: iso_ms(meta.last_modified.timestamp_millis()),
    }
}

fn levels(files: &[Arc<DataFile>]) -> Vec<LevelSummary> {
    let mut levels: BTreeMap<u8, LevelSummary> = BTreeMap::new();
    for file in files {
        let level = file.tags.level;
        let sum = levels.entry(level).or_insert(LevelSummary { level, ..LevelSummary::default() });
        sum.files += 1;
        sum.rows += file.rows;
        sum.bytes += file.size;
    }
    levels.into_values().collect()
}

/// Files, rows and bytes of every table, day and level.
pub fn tables(files: &FileSets) -> TablesSummary {
    let summary = |table: Table| {
        let files = files.table_files(table);
        let days = files.days().rev().map(|(day, files)| DaySummary {
            day: day_name(day),
            files: files.len(),
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.size).sum(),
            levels: levels(files),
        });
        TableSummary {
            name: table.name(),
            version: files.version(),
            files: files.files().len(),
            rows: files.rows(),
            bytes: files.bytes(),
            levels: levels(files.files()),
            days: days.collect(),
        }
    };
    TablesSummary { tables: Table::ALL.map(summary).into() }
}

/// The text of a small object, such as a commit of the Delta log. Bytes that are no UTF-8 are replaced.
///
/// Fails with [`Error::TooLarge`] above 1 MiB.
pub async fn text(objects: &dyn ObjectStore, prefix: &Path, key: &str) -> Result<String> {
    let key = resolve_key(prefix, key)?;
    let failed = |source| Error::object("read", &key, source);
    let answer = objects.get(&key).await.map_err(failed)?;
    let size = answer.meta.size;
    if size > TEXT_BYTES_MAX {
        return Err(Error::TooLarge { what: key.to_string(), size, limit: TEXT_BYTES_MAX });
    }
    let bytes = answer.bytes().await.map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The data file at a key given from outside: `<table>/day=YYYY-MM-DD/<file>.parquet`, committed or not.
pub async fn data_file(catalog: &Catalog, key: &str) -> Result<Arc<DataFile>> {
    let path = resolve_key(catalog.prefix(), key)?;
    let (table, day) = table_and_day(key).ok_or_else(|| Error::Key(key.to_owned()))?;
    if let Some(file) = catalog.files().day(table, day).iter().find(|file| file.key == path) {
        return Ok(Arc::clone(file));
    }
    let head = catalog.objects().head(&path).await;
    let meta = head.map_err(|source| Error::object("read", &path, source))?;
    Ok(Arc::new(DataFile {
        table,
        day,
        path: key.split_once('/').map_or("", |(_, rest)| rest).to_owned(),
        key: path,
        size: meta.size,
        rows: 0,
        stats: FileStats::default(),
        crc32c: None,
        tags: FileTags::default(),
        written_ms: meta.last_modified.timestamp_millis(),
    }))
}

fn table_and_day(key: &str) -> Option<(Table, i32)> {
    let mut parts = key.split('/');
    let table = Table::from_name(parts.next()?)?;
    let day = parse_day(parts.next()?.strip_prefix(DAY_COLUMN)?.strip_prefix('=')?)?;
    let is_file = parts.next()?.ends_with(".parquet") && parts.next().is_none();
    is_file.then_some((table, day))
}

/// Reads a committed file whole and compares it with the checksum taken when it was written. `None` where it
/// carries none (another writer's file); fails with [`Error::Corrupt`] where the bytes have changed.
pub async fn verify(objects: &dyn ObjectStore, file: &DataFile) -> Result<Option<u32>> {
    let checksum = checksum(objects, file).await?;
    match file.crc32c {
        Some(expected) if expected != checksum => {
            Err(Error::corrupt(&file.key, "its checksum is not the one taken when it was written"))
        }
        expected => Ok(expected),
    }
}

/// CRC-32C of a whole file, which must have its size.
pub(crate) async fn checksum(objects: &dyn ObjectStore, file: &DataFile) -> Result<u32> {
    let failed = |source| Error::object("read", &file.key, source);
    let mut bytes = objects.get(&file.key).await.map_err(failed)?.into_stream();
    let (mut checksum, mut size) = (0, 0);
    while let Some(piece) = bytes.try_next().await.map_err(failed)? {
        checksum = crc32c::crc32c_append(checksum, &piece);
        size += piece.len() as u64;
    }
    if size == file.size {
        return Ok(checksum);
    }
    Err(Error::corrupt(&file.key, format!("{size} bytes instead of {}", file.size)))
}

#[cfg(test)]
mod tests;
