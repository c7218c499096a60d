//! Counts and sizes of the cache.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a cache of file ranges has done and holds; all zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Blocks in memory.
    pub memory: CacheTierStats,
    /// Blocks on disk.
    pub disk: CacheTierStats,
    /// Blocks that were on their way to another reader already.
    pub coalesced_total: u64,
    /// Requests to the object store.
    pub requests_total: u64,
    /// Bytes they brought.
    pub fetched_bytes_total: u64,
    /// Requests asked again because the answer was cut short or too long.
    pub retries_total: u64,
    /// Reads the cache could not serve, which went to the object store as they were.
    pub bypassed_total: u64,
    /// Blocks on disk that were damaged, and deleted.
    pub damaged_total: u64,
    /// Reads, writes and deletions on disk that failed.
    pub disk_failures_total: u64,
    /// Blocks written to disk.
    pub written_blocks_total: u64,
    /// Bytes of them.
    pub written_bytes_total: u64,
    /// Blocks not written because the disk was slow, full or failing.
    pub dropped_writes_total: u64,
}

/// One tier of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheTierStats {
    /// Blocks found.
    pub hits_total: u64,
    /// Blocks looked for in vain.
    pub misses_total: u64,
    /// Blocks that left to make room.
    pub evictions_total: u64,
    /// Blocks held.
    pub blocks: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Most bytes it may hold.
    pub limit_bytes: u64,
}

/// Counters behind [`CacheStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) memory_hits: AtomicU64,
    pub(super) memory_misses: AtomicU64,
    pub(super) memory_evictions: AtomicU64,
    pub(super) disk_hits: AtomicU64,
    pub(super) disk_misses: AtomicU64,
    pub(super) disk_evictions: AtomicU64,
    pub(super) coalesced: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) fetched_bytes: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) bypassed: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) disk_failures: AtomicU64,
    pub(super) written_blocks: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) dropped_writes: AtomicU64,
}

impl Counters {
    pub(super) fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }

    /// The counts, without the sizes.
    pub(super) fn stats(&self) -> CacheStats {
        let tier = |hits: &AtomicU64, misses: &AtomicU64, evictions: &AtomicU64| CacheTierStats {
            hits_total: hits.load(Relaxed),
            misses_total: misses.load(Relaxed),
            evictions_total: evictions.load(Relaxed),
            ..CacheTierStats::default()
        };
        CacheStats {
            memory: tier(&self.memory_hits, &self.memory_misses, &self.memory_evictions),
            disk: tier(&self.disk_hits, &self.disk_misses, &self.disk_evictions),
            coalesced_total: self.coalesced.load(Relaxed),
            requests_total: self.requests.load(Relaxed),
            fetched_bytes_total: self.fetched_bytes.load(Relaxed),
            retries_total: self.retries.load(Relaxed),
            bypassed_total: self.bypassed.load(Relaxed),
            damaged_total: self.damaged.load(Relaxed),
            disk_failures_total: self.disk_failures.load(Relaxed),
            written_blocks_total: self.written_blocks.load(Relaxed),
            written_bytes_total: self.written_bytes.load(Relaxed),
            dropped_writes_total: self.dropped_writes.load(Relaxed),
        }
    }
}
