//! Parquet files of the tables: rows to bytes, and files back to rows. Knows columns, encodings and pruning
//! inside a file; knows nothing of which files belong to a table.

use std::sync::Arc;

use object_store::path::Path;

use crate::tables::Table;
use crate::tokens::sidecar::Sidecar;

pub(crate) mod cache;
mod check;
mod encode;
mod footer;
mod front_to_back;
mod metric_file;
mod properties;
mod range_reader;
mod read;
mod values;

pub(crate) use encode::{Encoded, EncodedFile, FileEncoder, FileInMemory, encode};
pub use footer::{Footers, check_format};
pub(crate) use front_to_back::FrontToBack;
pub use properties::WriteProfile;
pub use read::{ReadOptions, read_batches};

/// Bounds of the rows of a file; `None` where not known. They may be wider than the truth by up to a
/// millisecond and, for strings longer than 256 bytes, by a suffix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStats {
    /// Earliest time, microseconds since the Unix epoch.
    pub min_ts_us: Option<i64>,
    /// Latest time, microseconds since the Unix epoch.
    pub max_ts_us: Option<i64>,
    /// Least metric, service or probe: the table's first sort column.
    pub min_key: Option<String>,
    /// Greatest metric, service or probe.
    pub max_key: Option<String>,
    /// Least `tsid` or `stream_id`.
    pub min_id: Option<i64>,
    /// Greatest `tsid` or `stream_id`.
    pub max_id: Option<i64>,
}

/// What the catalog remembers of a file beside its rows; it stands in the tags of the Delta log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileTags {
    /// How often its rows were merged: 0 fresh from a flush, 1 merged over about an hour, 2 over a day.
    pub level: u8,
    /// Whether rows may have the same id and time as rows of another file of the day. Of two files that
    /// share such a row at least one says so; files that both deny it need no look for duplicates.
    pub may_repeat: bool,
}

impl Default for FileTags {
    /// What is taken of a file that says nothing.
    fn default() -> FileTags {
        FileTags { level: 0, may_repeat: true }
    }
}

/// A file that lies on the store and is not committed yet.
#[derive(Clone, Debug)]
pub struct WrittenFile {
    /// The table it is for.
    pub table: Table,
    /// The day of all its rows, in days since 1970-01-01.
    pub day: i32,
    /// Path relative to the table's folder.
    pub path: String,
    /// Key on the object store.
    pub key: Path,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub rows: u64,
    /// Bounds to prune by.
    pub stats: FileStats,
    /// Its level, and whether its rows may stand in another file too.
    pub tags: FileTags,
    /// The same for other readers, as Delta's JSON.
    pub(crate) delta_stats: String,
    /// CRC-32C of the whole file.
    pub(crate) crc32c: u32,
    /// When it was written, milliseconds since the Unix epoch.
    pub(crate) written_ms: i64,
    /// Its token filters, for readers of this process.
    pub(crate) tokens: Option<Arc<Sidecar>>,
}

#[cfg(test)]
mod tests;
