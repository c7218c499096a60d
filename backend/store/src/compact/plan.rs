//! What to merge next: a pure function of a day's files, the time and the policy.
//!
//! Files of a day are looked at in order of writing, which is the order of their names. A merge takes files
//! that follow each other in this order, and what it writes is named so that it sorts in their place: rows
//! that compare equal keep their order however often they are merged.

use std::sync::Arc;
use std::time::Duration;

use super::{CompactionPolicy, LEVEL_DAY, LEVEL_FRESH, LEVEL_HOUR};
use crate::catalog::DataFile;
use crate::tables::Table;

const DAY_MS: i64 = 86_400_000;

/// Files to merge.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) table: Table,
    pub(crate) day: i32,
    /// In order of writing.
    pub(crate) inputs: Vec<Arc<DataFile>>,
    /// Level of the files to write.
    pub(crate) level: u8,
}

/// A day to look at.
#[derive(Clone, Copy)]
pub(crate) struct Day<'a> {
    pub(crate) table: Table,
    pub(crate) day: i32,
    pub(crate) files: &'a [Arc<DataFile>],
    pub(crate) now_ms: i64,
    pub(crate) policy: &'a CompactionPolicy,
    /// Merge everything to the last level, whatever its age.
    pub(crate) all: bool,
}

/// The next merge of a day; `None` where there is nothing to do yet. Files for which `left_out` is true stay
/// as they are.
pub(crate) fn next_job(day: Day<'_>, left_out: impl Fn(&DataFile) -> bool) -> Option<Job> {
    let mut files: Vec<&Arc<DataFile>> = day.files.iter().collect();
    files.sort_by_key(|file| file_name(file));
    if keeps_order(day.table) {
        // Rows must not change places across a file that stays.
        let mut stretches = files.split(|file| left_out(file));
        return stretches.find_map(|files| day.job_in(files));
    }
    files.retain(|file| !left_out(file));
    day.job_in(&files)
}

/// Names sort by time of writing.
fn file_name(file: &DataFile) -> &str {
    file.path.rsplit('/').next().unwrap_or_default()
}

/// Whether the order of rows that compare equal means something.
fn keeps_order(table: Table) -> bool {
    matches!(table, Table::Logs)
}

impl Day<'_> {
    fn job_in(&self, files: &[&Arc<DataFile>]) -> Option<Job> {
        let over_ms = (i64::from(self.day) + 1) * DAY_MS + ms(self.policy.out_of_order_window);
        if self.all || self.now_ms > over_ms { self.seal(files) } else { self.merge_fresh(files) }
    }

    /// The oldest fresh files that follow each other and are worth merging.
    fn merge_fresh(&self, files: &[&Arc<DataFile>]) -> Option<Job> {
        let is_fresh = |file: &&Arc<DataFile>| file.tags.level == LEVEL_FRESH && self.is_cold(file);
        let mut runs = files.split(|file| !is_fresh(file));
        runs.find_map(|run| {
            let waited = run.first().is_some_and(|file| self.age(file) > self.fresh_wait_ms());
            let worth_it = run.len() >= self.policy.fresh_files || (run.len() >= 2 && waited);
            let inputs = if worth_it { self.fitting(run) } else { &[] };
            (inputs.len() >= 2).then(|| self.job(inputs, LEVEL_HOUR))
        })
    }

    /// A day that is over: everything becomes files of the last level.
    fn seal(&self, files: &[&Arc<DataFile>]) -> Option<Job> {
        let cold = files.iter().take_while(|file| self.is_cold(file));
        let low: Vec<&Arc<DataFile>> = cold.filter(|file| file.tags.level < LEVEL_DAY).copied().collect();
        let sealed = files.iter().any(|file| file.tags.level >= LEVEL_DAY);
        let all_late = low.iter().all(|file| file.tags.level == LEVEL_FRESH);
        if sealed && all_late && !self.all && !self.late_are_due(&low) {
            return None;
        }
        if low.len() > self.policy.inputs_max {
            let fresh = low.split(|file| file.tags.level != LEVEL_FRESH).map(|run| self.fitting(run));
            if let Some(run) = fresh.into_iter().find(|run| run.len() >= 2) {
                return Some(self.job(run, LEVEL_HOUR));
            }
        }
        let low = self.fitting(&low);
        if low.is_empty() {
            return None;
        }
        let overlapping = files.iter().filter(|file| {
            file.tags.level >= LEVEL_DAY && low.iter().any(|low| keys_overlap(low, file))
        });
        let mut inputs: Vec<&Arc<DataFile>> = low.iter().chain(overlapping).copied().collect();
        inputs.sort_by_key(|file| file_name(file));
        // With too much beside them, late files make files of the last level of their own.
        let inputs = if self.fitting(&inputs).len() == inputs.len() { &inputs } else { low };
        Some(self.job(inputs, LEVEL_DAY))
    }

    fn late_are_due(&self, late: &[&Arc<DataFile>]) -> bool {
        let oldest = late.iter().map(|file| self.age(file)).max();
        late.len() >= self.policy.late_files || oldest.is_some_and(|age| age > ms(self.policy.late_wait))
    }

    /// The first of `files` that can be merged at once.
    fn fitting<'f>(&self, files: &'f [&'f Arc<DataFile>]) -> &'f [&'f Arc<DataFile>] {
        let mut bytes = 0;
        let fits = |file: &&&Arc<DataFile>| {
            bytes += file.size;
            bytes <= self.policy.job_bytes_max
        };
        let count = files.iter().take(self.policy.inputs_max).take_while(fits).count();
        &files[..count.max(1).min(files.len())]
    }

    fn job(&self, inputs: &[&Arc<DataFile>], level: u8) -> Job {
        let inputs = inputs.iter().map(|file| Arc::clone(file)).collect();
        Job { table: self.table, day: self.day, inputs, level }
    }

    /// Whether the file's rows have left memory; merged ones have.
    fn is_cold(&self, file: &DataFile) -> bool {
        self.all || file.tags.level > LEVEL_FRESH || self.age(file) > ms(self.policy.hot_window)
    }

    fn fresh_wait_ms(&self) -> i64 {
        ms(self.policy.hot_window.saturating_add(self.policy.fresh_wait))
    }

    fn age(&self, file: &DataFile) -> i64 {
        self.now_ms.saturating_sub(file.written_ms)
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn keys_overlap(a: &DataFile, b: &DataFile) -> bool {
    let begins_before_end = |a: &DataFile, b: &DataFile| {
        let borders = a.stats.min_key.as_ref().zip(b.stats.max_key.as_ref());
        borders.is_none_or(|(min, max)| min <= max)
    };
    begins_before_end(a, b) && begins_before_end(b, a)
}

fn times_overlap(a: &DataFile, b: &DataFile) -> bool {
    a.may_hold_time(b.stats.min_ts_us, b.stats.max_ts_us)
}

/// Whether rows of the merged `inputs` may stand in a file of the day that is not merged with them.
///
/// Of two files that share a row one says so. An input that says so may share rows with a file that does not;
/// files that say so themselves need no mention. Rows of tables that keep repetitions say what they said.
pub(crate) fn may_repeat(inputs: &[Arc<DataFile>], day: &[Arc<DataFile>]) -> bool {
    let mut said_so = inputs.iter().filter(|file| file.tags.may_repeat);
    let resolved = inputs.first().is_some_and(|file| !matches!(file.table, Table::Logs | Table::Probes));
    if !resolved {
        return said_so.next().is_some();
    }
    let is_input = |file: &DataFile| inputs.iter().any(|input| input.path == file.path);
    let silent: Vec<&Arc<DataFile>> =
        day.iter().filter(|file| !file.tags.may_repeat && !is_input(file)).collect();
    said_so.any(|input| silent.iter().any(|file| keys_overlap(input, file) && times_overlap(input, file)))
}

#[cfg(test)]
mod tests;
