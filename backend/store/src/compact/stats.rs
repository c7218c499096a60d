//! Counts of compaction, for status pages and metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::CompactionReport;

/// Compactions since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionStats {
    /// Merges committed.
    pub compactions_total: u64,
    /// Files merged.
    pub files_in_total: u64,
    /// Files that took their place.
    pub files_out_total: u64,
    /// Rows read.
    pub rows_in_total: u64,
    /// Rows written.
    pub rows_out_total: u64,
    /// Rows that repeated another one.
    pub duplicates_total: u64,
    /// Bytes of the files merged.
    pub bytes_in_total: u64,
    /// Bytes of the files that took their place.
    pub bytes_out_total: u64,
    /// Time spent in merges that were committed.
    pub time_total: Duration,
    /// Merges that failed and will be tried again.
    pub failures_total: u64,
    /// Merges thrown away because another writer had changed the files.
    pub conflicts_total: u64,
    /// Damaged files left out now.
    pub quarantined_files: u64,
    /// Files of other writers left as they are at the last look.
    pub skipped_files: u64,
}

/// Counters behind [`CompactionStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    jobs: AtomicU64,
    files_in: AtomicU64,
    files_out: AtomicU64,
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    duplicates: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    time_us: AtomicU64,
    failures: AtomicU64,
    conflicts: AtomicU64,
    skipped: AtomicU64,
}

impl Counters {
    /// Adds what one merge did.
    pub(super) fn add(&self, report: &CompactionReport, time: Duration) {
        let pairs = [
            (&self.jobs, report.jobs),
            (&self.files_in, report.files_in),
            (&self.files_out, report.files_out),
            (&self.rows_in, report.rows_in),
            (&self.rows_out, report.rows_out),
            (&self.duplicates, report.duplicates),
            (&self.bytes_in, report.bytes_in),
            (&self.bytes_out, report.bytes_out),
            (&self.failures, report.failures),
            (&self.conflicts, report.conflicts),
            (&self.time_us, u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        ];
        for (counter, count) in pairs {
            counter.fetch_add(count, Relaxed);
        }
    }

    pub(super) fn set_skipped(&self, count: u64) {
        self.skipped.store(count, Relaxed);
    }

    pub(super) fn stats(&self, quarantined_files: u64) -> CompactionStats {
        CompactionStats {
            compactions_total: self.jobs.load(Relaxed),
            files_in_total: self.files_in.load(Relaxed),
            files_out_total: self.files_out.load(Relaxed),
            rows_in_total: self.rows_in.load(Relaxed),
            rows_out_total: self.rows_out.load(Relaxed),
            duplicates_total: self.duplicates.load(Relaxed),
            bytes_in_total: self.bytes_in.load(Relaxed),
            bytes_out_total: self.bytes_out.load(Relaxed),
            time_total: Duration::from_micros(self.time_us.load(Relaxed)),
            failures_total: self.failures.load(Relaxed),
            conflicts_total: self.conflicts.load(Relaxed),
            quarantined_files,
            skipped_files: self.skipped.load(Relaxed),
        }
    }
}

impl CompactionReport {
    pub(super) fn add(&mut self, other: &CompactionReport) {
        self.jobs += other.jobs;
        self.files_in += other.files_in;
        self.files_out += other.files_out;
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.duplicates += other.duplicates;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.conflicts += other.conflicts;
        self.failures += other.failures;
        self.quarantined += other.quarantined;
        self.skipped += other.skipped;
    }
}
