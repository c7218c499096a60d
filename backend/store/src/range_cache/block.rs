//! What a cache holds: blocks of 1 MiB of files whose names are never used twice.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::tables::DAY_COLUMN;

/// Size of a block, in bytes; the last one of a file is what is left.
pub(super) const BLOCK_BYTES: usize = 1 << 20;
/// Characters of a UUID with its dashes.
const UUID_CHARS: usize = 36;

/// Names a block of any file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BlockKey {
    /// xxh3-128 of the file's key. That two files share it is less likely than that their UUIDs do.
    pub(super) file: u128,
    /// Place in the file, counted from 0.
    pub(super) number: u32,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: Bytes,
    /// Size of the whole file.
    pub(super) file_size: u64,
    /// When the file was written, milliseconds since the Unix epoch.
    pub(super) modified_ms: i64,
}

impl Block {
    /// Whether it is as long as block `number` of its file must be.
    pub(super) fn is_whole(&self, number: u32) -> bool {
        block_len(self.file_size, number) == Some(self.bytes.len())
    }
}

/// Bytes of block `number` of a file; `None` behind its end.
pub(super) fn block_len(file_size: u64, number: u32) -> Option<usize> {
    let start = u64::from(number) * BLOCK_BYTES as u64;
    let rest = file_size.checked_sub(start).filter(|rest| *rest > 0)?;
    Some(usize::try_from(rest).map_or(BLOCK_BYTES, |rest| rest.min(BLOCK_BYTES)))
}

/// A file that may be cached.
#[derive(Clone, Debug)]
pub(super) struct FileRef {
    pub(super) path: Arc<Path>,
    hash: u128,
}

impl FileRef {
    /// The file at `key`, if it is a data file (`…/day=…/….parquet`) whose name holds a UUID: that of this program
    /// is one, those of Delta's other writers contain one. Only such names are sure to mean the same bytes for
    /// ever; logs, leases and sidecars never get here.
    pub(super) fn of(key: &Path) -> Option<FileRef> {
        Some(FileRef { hash: file_hash(key)?, path: Arc::new(key.clone()) })
    }

    /// The key of one of its blocks.
    pub(super) fn key(&self, number: u32) -> BlockKey {
        BlockKey { file: self.hash, number }
    }
}

/// xxh3-128 of the key of a file that may be cached, see [`FileRef::of`]; `None` for any other key.
pub(crate) fn file_hash(key: &Path) -> Option<u128> {
    let mut parts = key.as_ref().rsplit('/');
    let stem = parts.next()?.strip_suffix(".parquet")?;
    let day = parts.next()?.strip_prefix(DAY_COLUMN)?;
    (day.starts_with('=') && holds_uuid(stem)).then(|| xxh3_128(key.as_ref().as_bytes()))
}

fn holds_uuid(stem: &str) -> bool {
    let is_uuid = |window: &[u8]| {
        window[8] == b'-' && str::from_utf8(window).is_ok_and(|text| Uuid::parse_str(text).is_ok())
    };
    stem.as_bytes().windows(UUID_CHARS).any(is_uuid)
}
