//! Compaction: many small files become few large ones, and repeated rows become one.
//!
//! Comes in: a catalog, and what may be compacted. Goes out: commits that replace files by others with the
//! same rows, and a report. [`plan`] says what to merge, [`merge`] merges, [`run`] reads, writes and commits.
//! The old files stay until vacuum. Two compactions at once do no harm: of two commits that remove the same
//! file, one fails. Knows nothing of the head and the log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

mod gather;
mod merge;
mod plan;
mod rows;
mod run;
mod stats;
mod unsorted;
mod work;

pub(crate) use run::{Commits, Leading};
pub use run::{Compactor, compact_catalog};
pub use stats::CompactionStats;

use crate::error::{Error, Result};
use crate::tables::Table;

/// Level of files that come from a flush.
pub const LEVEL_FRESH: u8 = 0;
/// Level of files merged over about an hour.
pub const LEVEL_HOUR: u8 = 1;
/// Level of files merged over a day, split by key.
pub const LEVEL_DAY: u8 = 2;

/// When files are merged, and how far. Sizes are bytes unless the name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionPolicy {
    /// Files younger than this are left alone: their rows are still in memory, and served from there.
    pub hot_window: Duration,
    /// Fresh files that make a merge worth it.
    pub fresh_files: usize,
    /// How long beyond `hot_window` fewer fresh files wait.
    pub fresh_wait: Duration,
    /// How long after its end a day still gets late rows in the ordinary way.
    pub out_of_order_window: Duration,
    /// Fresh files on a day already merged that make merging it again worth it.
    pub late_files: usize,
    /// How long fewer of them wait.
    pub late_wait: Duration,
    /// Size of a merged file after which the next one begins.
    pub target_bytes: u64,
    /// Rows of a merged file after which the next one begins.
    pub target_rows: u64,
    /// Most files merged at once; bounds memory.
    pub inputs_max: usize,
    /// Most bytes merged at once; bounds time. A single larger file is merged all the same.
    pub job_bytes_max: u64,
    /// Longest time of one merge. Must be less than the time vacuum leaves files that are not committed yet.
    pub job_time_max: Duration,
    /// Largest file of another writer that is sorted in memory; larger ones are left as they are.
    pub unsorted_bytes_max: u64,
}

impl Default for CompactionPolicy {
    fn default() -> CompactionPolicy {
        CompactionPolicy {
            hot_window: Duration::from_secs(2 * 3600),
            fresh_files: 12,
            fresh_wait: Duration::from_secs(3600),
            out_of_order_window: Duration::from_secs(2 * 3600),
            late_files: 4,
            late_wait: Duration::from_secs(6 * 3600),
            target_bytes: 256 << 20,
            target_rows: 400_000_000,
            inputs_max: 64,
            job_bytes_max: 8 << 30,
            job_time_max: Duration::from_secs(45 * 60),
            unsorted_bytes_max: 64 << 20,
        }
    }
}

impl CompactionPolicy {
    /// Fails where a setting makes no sense.
    pub fn validate(&self) -> Result<()> {
        let refuse = |text: &str| Err(Error::Setting(text.to_owned()));
        if self.inputs_max < 2 || self.fresh_files < 2 || self.late_files == 0 {
            return refuse("`inputs_max` and `fresh_files` must be at least 2, `late_files` at least 1");
        }
        if self.target_bytes == 0 || self.target_rows == 0 {
            return refuse("`target_bytes` and `target_rows` must be at least 1");
        }
        if self.job_time_max > Duration::from_secs(50 * 60) {
            return refuse("`job_time_max` is more than 50 min; vacuum may take files after an hour");
        }
        Ok(())
    }
}

/// What a compaction is to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactionScope {
    /// Only these tables; empty for all.
    pub tables: Vec<Table>,
    /// Only days from this one on, in days since 1970-01-01.
    pub first_day: Option<i32>,
    /// Only days up to this one.
    pub last_day: Option<i32>,
    /// Merge every day to the last level now, whatever the age of its files.
    pub all: bool,
}

impl CompactionScope {
    fn has_table(&self, table: Table) -> bool {
        self.tables.is_empty() || self.tables.contains(&table)
    }

    fn has_day(&self, day: i32) -> bool {
        self.first_day.is_none_or(|first| first <= day) && self.last_day.is_none_or(|last| day <= last)
    }
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Merges committed.
    pub jobs: u64,
    /// Files merged.
    pub files_in: u64,
    /// Files that took their place.
    pub files_out: u64,
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Rows that repeated another one.
    pub duplicates: u64,
    /// Bytes of the files merged.
    pub bytes_in: u64,
    /// Bytes of the files that took their place.
    pub bytes_out: u64,
    /// Merges thrown away because another writer had changed the files.
    pub conflicts: u64,
    /// Merges that failed; their files are as before.
    pub failures: u64,
    /// Files found damaged now, and left out.
    pub quarantined: u64,
    /// Files of other writers left as they are: too large to sort, or of other columns.
    pub skipped: u64,
}

/// How far a merge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionProgress {
    /// The table.
    pub table: Table,
    /// The day, in days since 1970-01-01.
    pub day: i32,
    /// Files being merged, and their bytes and rows; rows are 0 where other writers did not say.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Rows of these files.
    pub rows: u64,
    /// Rows written so far.
    pub rows_done: u64,
    /// Bytes written so far, about.
    pub bytes_done: u64,
    /// Whether the merge is committed.
    pub done: bool,
}

/// Is told how far compaction has come; called from the merging thread, and must not block.
#[derive(Clone, Default)]
pub struct ProgressFn(Option<Arc<dyn Fn(CompactionProgress) + Send + Sync>>);

impl ProgressFn {
    /// Calls `tell` with every step.
    pub fn new(tell: impl Fn(CompactionProgress) + Send + Sync + 'static) -> ProgressFn {
        ProgressFn(Some(Arc::new(tell)))
    }

    fn tell(&self, progress: CompactionProgress) {
        if let Some(tell) = &self.0 {
            tell(progress);
        }
    }
}

impl fmt::Debug for ProgressFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "ProgressFn(some)" } else { "ProgressFn(none)" })
    }
}

#[cfg(test)]
mod tests;
