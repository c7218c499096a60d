//! Decoded samples of files, kept for the next question: what one series has in one row group, all of its time.
//!
//! Comes in: parts as they were decoded, later the names of parts. Goes out: those that are still there. A
//! dashboard asks for the same few series again and again, its time a little later; of the files it has read
//! before it then opens none. Parts without samples are kept too: that a series is not there is worth knowing.
//!
//! What is kept can never be out of date, for the reason [`crate::range_cache`] gives: a file's name is never used
//! twice. Parts of files that vacuum deletes are not asked for any more and age out. Which parts stay is decided
//! by S3-FIFO ([`crate::s3fifo`]). The memory is part of the process's account and given up early.
//!
//! Knows nothing of Parquet and of which questions are worth it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store::path::Path;

use super::merge::Part;
use crate::memory::Ledger;
use crate::range_cache::file_hash;
use crate::s3fifo::S3Fifo;

/// Part of the ledger's limit that may be taken at the most.
const LEDGER_PART: u64 = 32;
/// Share of the ledger's limit, in tenths, from which on nothing more is kept.
const LEDGER_TENTHS_MAX: u64 = 8;
/// Part of the whole cache that one row group may bring.
const GROUP_PART: u64 = 8;
/// Bytes of a sample.
const SAMPLE_BYTES: u64 = 16;
/// What a part takes beside its samples, about: its name in the map, the queue and among the ghosts, its vectors.
const PART_BYTES: u64 = 256;
/// Most parts; bounds the bookkeeping.
const PARTS_MAX: usize = 128 << 10;

/// What a cache of decoded samples has done and holds; all zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartCacheStats {
    /// Parts found.
    pub hits_total: u64,
    /// Parts looked for in vain.
    pub misses_total: u64,
    /// Parts that left to make room.
    pub evictions_total: u64,
    /// Parts held, each of one series and one row group.
    pub parts: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Most bytes that may be held.
    pub limit_bytes: u64,
}

/// Names a row group of any file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupKey {
    /// Hash of the file's key.
    file: u128,
    /// Number of the row group.
    group: usize,
}

impl GroupKey {
    /// Row group `group` of the file at `key`; `None` where the file's name may be used again.
    pub(super) fn of(key: &Path, group: usize) -> Option<GroupKey> {
        Some(GroupKey { file: file_hash(key)?, group })
    }
}

/// Names what the series of an id has in a row group.
type PartKey = (GroupKey, i64);

/// Parts that were decoded.
#[derive(Debug)]
pub(crate) struct PartCache {
    parts: Mutex<S3Fifo<PartKey, Arc<Part>>>,
    limit: u64,
    ledger: Arc<Ledger>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

impl PartCache {
    /// Room for `bytes_max`, or for a part of the ledger's limit where that is less.
    pub(crate) fn new(bytes_max: u64, ledger: Arc<Ledger>) -> PartCache {
        let limit = bytes_max.min(ledger.limit() / LEDGER_PART);
        PartCache {
            parts: Mutex::new(S3Fifo::new(limit, PARTS_MAX)),
            limit,
            ledger,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// Whether what a row group has of some series may be kept: `samples` in `parts` parts.
    pub(super) fn has_room(&self, parts: usize, samples: usize) -> bool {
        let bytes = parts as u64 * PART_BYTES + samples as u64 * SAMPLE_BYTES;
        bytes <= self.limit / GROUP_PART && self.ledger.used() <= self.ledger.limit() / 10 * LEDGER_TENTHS_MAX
    }

    /// What the row group has of each of the series `tsids`, if all of it is here.
    pub(super) fn get_all(&self, group: GroupKey, tsids: &[i64]) -> Option<Vec<Arc<Part>>> {
        let mut parts = self.lock();
        let known = tsids.iter().filter(|tsid| parts.contains(&(group, **tsid))).count();
        self.misses.fetch_add((tsids.len() - known) as u64, Relaxed);
        if known < tsids.len() {
            return None;
        }
        let found = tsids.iter().map_while(|tsid| parts.get(&(group, *tsid)).map(Arc::clone)).collect();
        drop(parts);
        self.hits.fetch_add(known as u64, Relaxed);
        Some(found)
    }

    /// Keeps what the row group has of series, all of it.
    pub(super) fn insert(&self, group: GroupKey, found: impl IntoIterator<Item = (i64, Arc<Part>)>) {
        let mut evicted = Vec::new();
        let mut parts = self.lock();
        for (tsid, part) in found {
            // Another reader may have been here before; what is counted of the part's uses is to stay.
            if !parts.contains(&(group, tsid)) {
                let weight = PART_BYTES + part.timestamps.len() as u64 * SAMPLE_BYTES;
                evicted.extend(parts.insert((group, tsid), part, weight));
            }
        }
        drop(parts);
        self.evictions.fetch_add(evicted.len() as u64, Relaxed);
    }

    /// Gives up as much of the memory as there is, up to `bytes`; tells how much.
    pub(crate) fn give_up_memory(&self, bytes: u64) -> u64 {
        let mut parts = self.lock();
        let before = parts.bytes();
        let evicted = parts.shrink_to(before.saturating_sub(bytes));
        let freed = before - parts.bytes();
        drop(parts);
        self.evictions.fetch_add(evicted.len() as u64, Relaxed);
        freed
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    /// What was found, and what is held.
    pub(crate) fn stats(&self) -> PartCacheStats {
        let parts = self.lock();
        PartCacheStats {
            hits_total: self.hits.load(Relaxed),
            misses_total: self.misses.load(Relaxed),
            evictions_total: self.evictions.load(Relaxed),
            parts: parts.len() as u64,
            bytes: parts.bytes(),
            limit_bytes: self.limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, S3Fifo<PartKey, Arc<Part>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
