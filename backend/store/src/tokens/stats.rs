//! Counts of the token index.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the token index holds and has done since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenStats {
    /// Data files with a filter in memory.
    pub files: u64,
    /// Of these, files whose row groups' filters are in memory too.
    pub files_with_groups: u64,
    /// Data files known to have no sidecar.
    pub files_without: u64,
    /// Bytes on the heap.
    pub bytes: u64,
    /// Filters pushed out of memory by others.
    pub evictions_total: u64,
    /// Sidecars written.
    pub sidecars_total: u64,
    /// Their bytes.
    pub sidecar_bytes_total: u64,
    /// Sidecars that could not be written; their files are not pruned.
    pub sidecar_failures_total: u64,
    /// Sidecars made from a committed file; they count as written too.
    pub rebuilt_total: u64,
    /// Sidecars read.
    pub loads_total: u64,
    /// Sidecars that could not be read, or are not of their file.
    pub load_failures_total: u64,
    /// Files asked about by queries.
    pub asked_files_total: u64,
    /// Of these, files whose filter was not in memory.
    pub unknown_files_total: u64,
    /// Of these, files that were left out.
    pub pruned_files_total: u64,
    /// Row groups left out of files that were not.
    pub pruned_row_groups_total: u64,
}

/// Counters behind [`TokenStats`].
#[derive(Debug, Default)]
pub(super) struct TokenCounters {
    pub(super) evictions: AtomicU64,
    pub(super) sidecars: AtomicU64,
    pub(super) sidecar_bytes: AtomicU64,
    pub(super) sidecar_failures: AtomicU64,
    pub(super) rebuilt: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) load_failures: AtomicU64,
    pub(super) asked_files: AtomicU64,
    pub(super) unknown_files: AtomicU64,
    pub(super) pruned_files: AtomicU64,
    pub(super) pruned_row_groups: AtomicU64,
}

impl TokenCounters {
    pub(super) fn fill(&self, stats: &mut TokenStats) {
        stats.evictions_total = self.evictions.load(Relaxed);
        stats.sidecars_total = self.sidecars.load(Relaxed);
        stats.sidecar_bytes_total = self.sidecar_bytes.load(Relaxed);
        stats.sidecar_failures_total = self.sidecar_failures.load(Relaxed);
        stats.rebuilt_total = self.rebuilt.load(Relaxed);
        stats.loads_total = self.loads.load(Relaxed);
        stats.load_failures_total = self.load_failures.load(Relaxed);
        stats.asked_files_total = self.asked_files.load(Relaxed);
        stats.unknown_files_total = self.unknown_files.load(Relaxed);
        stats.pruned_files_total = self.pruned_files.load(Relaxed);
        stats.pruned_row_groups_total = self.pruned_row_groups.load(Relaxed);
    }
}
