//! Counts and sizes of the store, for status pages and metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::compact::CompactionStats;
use crate::lease::LeaseStats;
use crate::range_cache::CacheStats;
use crate::samples::PartCacheStats;
use crate::tokens::TokenStats;
use crate::wal::replay::ReplayReport;

/// What the store has done since it was opened and what it holds now.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    /// The log.
    pub wal: WalStats,
    /// Rows in memory.
    pub head: HeadStats,
    /// Committed rows among them.
    pub hot: HotStats,
    /// Batches that came in.
    pub append: AppendStats,
    /// Commits to the tables.
    pub flush: FlushStats,
    /// The index of series and log streams.
    pub index: IndexStats,
    /// Files merged.
    pub compaction: CompactionStats,
    /// Who maintains the tables.
    pub lease: LeaseStats,
    /// The process's memory.
    pub memory: crate::memory::LedgerStats,
    /// What was found in the log when the store was opened.
    pub replay: ReplayReport,
    /// Token filters of log files.
    pub tokens: TokenStats,
    /// The cache of ranges of data files.
    pub cache: CacheStats,
    /// The cache of decoded samples.
    pub parts: PartCacheStats,
}

/// The log on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Segments.
    pub segments: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Number of the last record written.
    pub last_lsn: u64,
    /// Writes with fsync.
    pub groups_total: u64,
    /// Bytes written.
    pub written_bytes_total: u64,
    /// Time spent in write and fsync.
    pub write_time_total: Duration,
    /// Writes, fsyncs or new segments that failed.
    pub failures_total: u64,
}

/// Rows in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series with samples, of the generation or hot block that has most.
    pub series: u64,
    /// Samples in no file yet.
    pub points: u64,
    /// Native histograms in no file yet.
    pub histograms: u64,
    /// Start times of samples in no file yet.
    pub start_times: u64,
    /// Exemplars in no file yet.
    pub exemplars: u64,
    /// Log entries in no file yet.
    pub log_lines: u64,
    /// Probe results in no file yet.
    pub probe_results: u64,
    /// Bytes on the heap: rows in no file yet, hot rows, label sets.
    pub bytes: u64,
    /// Bytes of label sets and their index, part of `bytes`.
    pub label_bytes: u64,
    /// Generations that wait for their commit.
    pub unflushed_generations: u64,
    /// Label sets known to the writer.
    pub label_sets: u64,
    /// Label sets that shared a hash with an earlier one.
    pub id_collisions_total: u64,
    /// Metric families dropped because there were too many.
    pub metadata_dropped_total: u64,
}

/// Rows that are in files and kept in memory all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotStats {
    /// Blocks, over all tables.
    pub blocks: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes on the heap, without label sets.
    pub bytes: u64,
    /// Blocks given up because one of their files left the table.
    pub hidden_total: u64,
    /// Blocks dropped because their time was over.
    pub dropped_by_time_total: u64,
    /// Blocks dropped early because memory was short.
    pub dropped_by_memory_total: u64,
    /// Blocks packed or merged.
    pub merges_total: u64,
    /// Time spent on that.
    pub merge_time_total: Duration,
}

/// Batches since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendStats {
    /// Batches stored.
    pub batches_total: u64,
    /// Samples stored.
    pub points_total: u64,
    /// Native histograms stored.
    pub histograms_total: u64,
    /// Start times of samples stored.
    pub start_times_total: u64,
    /// Exemplars stored.
    pub exemplars_total: u64,
    /// Log entries stored.
    pub log_lines_total: u64,
    /// Probe results stored.
    pub probe_results_total: u64,
    /// Samples stored that were behind the newest one of their series, within the out-of-order window.
    pub out_of_order_total: u64,
    /// Samples stored that were further behind.
    pub too_old_total: u64,
    /// Samples stored that had the timestamp of the newest one of their series.
    pub repeated_total: u64,
    /// Samples dropped for their age.
    pub rejected_old_total: u64,
    /// Samples dropped because they lay too far ahead of the clock.
    pub rejected_future_total: u64,
    /// Batches not stored because they were stored before.
    pub duplicates_total: u64,
    /// Batches refused because the log could not be written.
    pub unavailable_total: u64,
    /// Batches refused because the log or the head was full.
    pub backpressure_total: u64,
    /// Batches refused because of what they hold.
    pub invalid_total: u64,
    /// Batches remembered to find repetitions.
    pub remembered_batches: u64,
    /// Batches forgotten before 24 hours were over, because there were too many.
    pub forgotten_batches_total: u64,
}

/// Flushes since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushStats {
    /// Flushes that ended well.
    pub flushes_total: u64,
    /// Flushes that failed and were or will be tried again.
    pub failures_total: u64,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// Commits to tables.
    pub commits_total: u64,
    /// Files written and committed.
    pub files_total: u64,
    /// Rows committed.
    pub rows_total: u64,
    /// Bytes committed.
    pub bytes_total: u64,
    /// Time spent in flushes that ended well.
    pub time_total: Duration,
    /// When the last commit was made, milliseconds since the Unix epoch.
    pub last_commit_ms: Option<i64>,
    /// Attempts to shorten the log that failed.
    pub trim_failures_total: u64,
    /// Retention runs and vacuums that failed.
    pub maintenance_failures_total: u64,
}

/// The index of series and log streams: of the head's, and of those in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Label sets in the index of the head.
    pub live_series: u64,
    /// Bytes of the index of the head, without the label sets, which [`HeadStats::bytes`] counts.
    pub live_bytes: u64,
    /// Days of files that are loaded.
    pub file_days: u64,
    /// Label sets of files that are loaded.
    pub file_series: u64,
    /// Bytes of what is loaded of files.
    pub file_bytes: u64,
    /// Times something was loaded.
    pub loads_total: u64,
    /// Time spent loading.
    pub load_time_total: Duration,
    /// Label sets decoded.
    pub decoded_series_total: u64,
    /// Days forgotten because the memory was needed for others.
    pub evicted_days_total: u64,
}

/// Counters behind [`StoreStats`], written by several threads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) wal_segments: AtomicU64,
    pub(crate) wal_bytes: AtomicU64,
    pub(crate) wal_last_lsn: AtomicU64,
    pub(crate) wal_groups: AtomicU64,
    pub(crate) wal_written_bytes: AtomicU64,
    pub(crate) wal_write_us: AtomicU64,
    pub(crate) wal_failures: AtomicU64,
    pub(crate) label_sets: AtomicU64,
    pub(crate) registry_bytes: AtomicU64,
    pub(crate) id_collisions: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) points: AtomicU64,
    pub(crate) histograms: AtomicU64,
    pub(crate) start_times: AtomicU64,
    pub(crate) exemplars: AtomicU64,
    pub(crate) log_lines: AtomicU64,
    pub(crate) probe_results: AtomicU64,
    pub(crate) out_of_order: AtomicU64,
    pub(crate) too_old: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) rejected_old: AtomicU64,
    pub(crate) rejected_future: AtomicU64,
    pub(crate) hot_merges: AtomicU64,
    pub(crate) hot_merge_us: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) unavailable: AtomicU64,
    pub(crate) backpressure: AtomicU64,
    pub(crate) invalid: AtomicU64,
    pub(crate) remembered_batches: AtomicU64,
    pub(crate) forgotten_batches: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_failures: AtomicU64,
    pub(crate) flush_failures_in_a_row: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) files: AtomicU64,
    pub(crate) committed_rows: AtomicU64,
    pub(crate) committed_bytes: AtomicU64,
    pub(crate) flush_us: AtomicU64,
    /// 0 for never.
    pub(crate) last_commit_ms: AtomicI64,
    pub(crate) trim_failures: AtomicU64,
    pub(crate) maintenance_failures: AtomicU64,
}

impl Counters {
    /// Adds one.
    pub(crate) fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Adds `count`.
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }

    /// Adds a duration to a counter of microseconds.
    pub(crate) fn add_time(counter: &AtomicU64, time: Duration) {
        counter.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn wal(&self) -> WalStats {
        WalStats {
            segments: self.wal_segments.load(Relaxed),
            bytes: self.wal_bytes.load(Relaxed),
            last_lsn: self.wal_last_lsn.load(Relaxed),
            groups_total: self.wal_groups.load(Relaxed),
            written_bytes_total: self.wal_written_bytes.load(Relaxed),
            write_time_total: Duration::from_micros(self.wal_write_us.load(Relaxed)),
            failures_total: self.wal_failures.load(Relaxed),
        }
    }

    pub(crate) fn append(&self) -> AppendStats {
        AppendStats {
            batches_total: self.batches.load(Relaxed),
            points_total: self.points.load(Relaxed),
            histograms_total: self.histograms.load(Relaxed),
            start_times_total: self.start_times.load(Relaxed),
            exemplars_total: self.exemplars.load(Relaxed),
            log_lines_total: self.log_lines.load(Relaxed),
            probe_results_total: self.probe_results.load(Relaxed),
            out_of_order_total: self.out_of_order.load(Relaxed),
            too_old_total: self.too_old.load(Relaxed),
            repeated_total: self.repeated.load(Relaxed),
            rejected_old_total: self.rejected_old.load(Relaxed),
            rejected_future_total: self.rejected_future.load(Relaxed),
            duplicates_total: self.duplicates.load(Relaxed),
            unavailable_total: self.unavailable.load(Relaxed),
            backpressure_total: self.backpressure.load(Relaxed),
            invalid_total: self.invalid.load(Relaxed),
            remembered_batches: self.remembered_batches.load(Relaxed),
            forgotten_batches_total: self.forgotten_batches.load(Relaxed),
        }
    }

    pub(crate) fn flush(&self) -> FlushStats {
        let last_commit_ms = self.last_commit_ms.load(Relaxed);
        FlushStats {
            flushes_total: self.flushes.load(Relaxed),
            failures_total: self.flush_failures.load(Relaxed),
            failures_in_a_row: self.flush_failures_in_a_row.load(Relaxed),
            commits_total: self.commits.load(Relaxed),
            files_total: self.files.load(Relaxed),
            rows_total: self.committed_rows.load(Relaxed),
            bytes_total: self.committed_bytes.load(Relaxed),
            time_total: Duration::from_micros(self.flush_us.load(Relaxed)),
            last_commit_ms: (last_commit_ms != 0).then_some(last_commit_ms),
            trim_failures_total: self.trim_failures.load(Relaxed),
            maintenance_failures_total: self.maintenance_failures.load(Relaxed),
        }
    }
}
