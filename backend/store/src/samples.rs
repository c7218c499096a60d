//! Reads the samples of chosen series. Comes in: a snapshot, series, a time range, limits; goes out: for every
//! series its samples as two columns, by strictly increasing time, each sample once. Knows the head and the
//! Parquet files of `metrics`; knows nothing of labels, matchers or PromQL.
//!
//! ```text
//! files of the days → may hold one of the metrics, the time → row groups → pages by (metric, tsid, ts)
//!   → bytes of the pages of tsid, ts, value → runs of equal tsid → one part a series and row group
//! head → one part a series and generation                            → parts put together by time
//! ```
//!
//! Where parts of a series overlap in time, two samples of one millisecond become one by
//! [`crate::duplicates::wins`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::error::{Error, Result};
use crate::series_files::SeriesEntry;
use crate::snapshot::Snapshot;

mod batches;
mod columns;
mod files;
mod head;
mod merge;
mod pages;
mod pieces;
pub mod sparse;
mod values;
mod wanted;

use merge::Part;
use wanted::Wanted;

/// Samples of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesSamples {
    /// Its id.
    pub tsid: i64,
    /// Times in milliseconds since the Unix epoch, strictly increasing.
    pub timestamps: Vec<i64>,
    /// A value for every time; stale markers are kept bit for bit.
    pub values: Vec<f64>,
}

/// What a reading may use up, and who may call it off.
#[derive(Clone)]
pub struct SampleOptions {
    /// Samples that may be held. Readings that share a budget share its limit.
    pub budget: Arc<SampleBudget>,
    /// Row groups read and decoded at once.
    pub parallel: usize,
    /// Asked between pieces of work, from several threads; true ends the reading with [`Error::Stopped`].
    pub stopped: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Default for SampleOptions {
    fn default() -> SampleOptions {
        let parallel = std::thread::available_parallelism().map_or(2, usize::from);
        SampleOptions {
            budget: Arc::new(SampleBudget::new(50_000_000)),
            parallel,
            stopped: Arc::new(|| false),
        }
    }
}

impl fmt::Debug for SampleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleOptions")
            .field("budget", &self.budget)
            .field("parallel", &self.parallel)
            .finish_non_exhaustive()
    }
}

/// Counts samples before they are held, up to a limit.
#[derive(Debug)]
pub struct SampleBudget {
    limit: usize,
    used: AtomicUsize,
}

impl SampleBudget {
    /// Room for `limit` samples.
    pub fn new(limit: usize) -> SampleBudget {
        SampleBudget { limit, used: AtomicUsize::new(0) }
    }

    /// Takes room for `samples`, or fails with [`Error::TooManySamples`].
    fn take(&self, samples: usize) -> Result<()> {
        let used = self.used.fetch_add(samples, Relaxed).saturating_add(samples);
        if used > self.limit { Err(Error::TooManySamples { limit: self.limit }) } else { Ok(()) }
    }
}

/// How much a reading took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleStats {
    /// Samples given.
    pub samples: usize,
    /// Files read from.
    pub files: usize,
    /// Files left out by what the catalog knows of them.
    pub files_pruned: usize,
    /// Row groups read from.
    pub row_groups: usize,
    /// Row groups of the files read that were left out.
    pub row_groups_pruned: usize,
    /// Rows of the pages that were looked at.
    pub rows: usize,
    /// Bytes read of files.
    pub bytes: u64,
}

/// What a reading gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplesRead {
    /// One for every series asked for, in the same order; without samples where the time has none.
    pub series: Vec<SeriesSamples>,
    /// How much it took.
    pub stats: SampleStats,
}

impl Snapshot {
    /// Samples of `series` from `start_ms` to `end_ms`, both inclusive, milliseconds since the Unix epoch.
    ///
    /// Needs a tokio runtime; decoding runs on its blocking threads, `options.parallel` at a time. Fails where
    /// a file cannot be read, with [`Error::TooManySamples`] before more than the limit is held, and with
    /// [`Error::Stopped`] soon after `options.stopped` says so. Dropping the future ends the reading.
    pub async fn read_samples(
        &self,
        series: &[SeriesEntry],
        start_ms: i64,
        end_ms: i64,
        options: &SampleOptions,
    ) -> Result<SamplesRead> {
        let job = Job { wanted: Arc::new(Wanted::new(series)), start_ms, end_ms, options: options.clone() };
        let mut parts: Vec<Vec<Part>> = Vec::new();
        parts.resize_with(series.len(), Vec::new);
        let mut stats = SampleStats::default();
        if start_ms > end_ms || series.is_empty() {
            return Ok(SamplesRead { series: merge::assemble(series, parts), stats });
        }
        head::read(self, &job, &mut parts).await?;
        files::read(self, &job, &mut parts, &mut stats).await?;
        let ids: Vec<SeriesEntry> = series.to_vec();
        let series = tokio::task::spawn_blocking(move || merge::assemble(&ids, parts)).await?;
        stats.samples = series.iter().map(|series| series.timestamps.len()).sum();
        Ok(SamplesRead { series, stats })
    }
}

/// One reading.
#[derive(Clone, Debug)]
struct Job {
    wanted: Arc<Wanted>,
    start_ms: i64,
    end_ms: i64,
    options: SampleOptions,
}

impl Job {
    /// Fails where the reading was called off.
    fn check(&self) -> Result<()> {
        if (self.options.stopped)() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// First and last microsecond.
    fn range_us(&self) -> (i64, i64) {
        (self.start_ms.saturating_mul(1_000), self.end_ms.saturating_mul(1_000).saturating_add(999))
    }
}

#[cfg(test)]
mod tests;
