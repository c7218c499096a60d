//! Reads the samples of chosen series. Comes in: a snapshot, series, a time range, limits; goes out: for every
//! series its samples as two columns, by strictly increasing time, each sample once. Knows the head and the
//! Parquet files of `metrics`; knows nothing of labels, matchers or PromQL.
//!
//! ```text
//! files of the days → may hold one of the metrics, the time → row groups → pages by (metric, tsid, ts)
//!   → bytes of the pages of tsid, ts, value → runs of equal tsid → rows of a series in each row group
//! head → one part a series and generation                            → parts put together by time
//! ```
//!
//! All at once, or, where that is too much to be held, some series at a time ([`SamplePlan::stream`]).
//!
//! Where parts of a series overlap in time, two samples of one millisecond become one by
//! [`crate::duplicates::wins`].

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::offload::offload;
use crate::series_files::SeriesEntry;
use crate::snapshot::Snapshot;

mod assemble;
mod batches;
pub(crate) mod buffers;
mod columns;
mod deltas;
mod files;
pub(crate) mod footers;
mod head;
mod ids;
mod merge;
mod pages;
pub(crate) mod part_cache;
mod pieces;
pub mod sparse;
mod stream;
mod wanted;
mod wide;

use assemble::{KnownTimes, Places};
use merge::Gathered;
pub use part_cache::PartCacheStats;
pub use stream::{SampleSlice, SampleStream};
use wanted::Wanted;

/// Most samples that are put together without handing them to another thread.
const ASSEMBLED_HERE_MAX: usize = 64 << 10;
/// Most samples that are put together by one thread.
const ASSEMBLED_BY_ONE_MAX: usize = 512 << 10;

/// Samples of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesSamples {
    /// Its id.
    pub tsid: i64,
    /// Times in milliseconds since the Unix epoch, strictly increasing; mostly shared by series that have the same
    /// ones.
    pub timestamps: Arc<Vec<i64>>,
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
        // Finding it out reads files of the system.
        static THREADS: OnceLock<usize> = OnceLock::new();
        let parallel = *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(2, usize::from));
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
    /// Parts, of a series and a row group, that were decoded already; row groups of which all parts were are
    /// neither read nor counted.
    pub parts_cached: usize,
}

/// What a reading gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplesRead {
    /// One for every series asked for, in the same order; without samples where the time has none.
    pub series: Vec<SeriesSamples>,
    /// How much it took.
    pub stats: SampleStats,
}

/// A reading that is yet to begin: what it will read is known, and about how much that is.
#[derive(Debug)]
pub struct SamplePlan {
    snapshot: Snapshot,
    job: Job,
    series: Arc<[SeriesEntry]>,
    files: files::FilesPlan,
    /// Samples a series has in memory, about.
    in_memory: f64,
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
        self.plan_samples(series.into(), start_ms, end_ms, options).await?.read().await
    }

    /// Prepares [`Snapshot::read_samples`], so that the caller can decide by [`SamplePlan::samples`] how to go on.
    /// Reads the footers of files and nothing else.
    pub async fn plan_samples(
        &self,
        series: Arc<[SeriesEntry]>,
        start_ms: i64,
        end_ms: i64,
        options: &SampleOptions,
    ) -> Result<SamplePlan> {
        let job = Job { wanted: Arc::new(Wanted::new(&series)), start_ms, end_ms, options: options.clone() };
        let (mut files, mut in_memory) = (files::FilesPlan::default(), 0.0);
        if start_ms <= end_ms && !series.is_empty() {
            in_memory = head::samples_a_series(&head::generations(self, &job), &job);
            files = files::plan(self, &job).await?;
        }
        Ok(SamplePlan { snapshot: self.clone(), job, series, files, in_memory })
    }
}

impl SamplePlan {
    /// About how many samples there are: by the number of series, the rows of the files and the share of their
    /// time that is asked for.
    pub fn samples(&self) -> usize {
        let in_files: f64 = self.files.units.iter().map(|unit| unit.samples).sum();
        let foreign: u64 = self.files.foreign.iter().map(|file| file.rows).sum();
        let kept: usize = self.files.kept.iter().map(|(_, _, range)| range.len()).sum();
        (in_files + kept as f64 + foreign as f64 + self.in_memory * self.series.len() as f64) as usize
    }

    /// The series asked for.
    pub fn series(&self) -> &Arc<[SeriesEntry]> {
        &self.series
    }

    /// Reads everything at once, as [`Snapshot::read_samples`].
    pub async fn read(self) -> Result<SamplesRead> {
        let SamplePlan { snapshot, job, series, files, in_memory } = self;
        let mut gathered = Gathered::default();
        if job.start_ms > job.end_ms || series.is_empty() {
            let series = assembled(&gathered, &series, &job)?;
            return Ok(SamplesRead { series, stats: SampleStats::default() });
        }
        let generations = head::generations(&snapshot, &job);
        let expected = in_memory * series.len() as f64;
        let in_memory = head::read(&generations, &job, job.wanted.tsids(), expected).await?;
        in_memory.into_iter().for_each(|strip| gathered.add_strip(strip));
        let mut stats = files::read(&snapshot, &job, files, &mut gathered).await?;
        let is_short = gathered.samples() <= ASSEMBLED_HERE_MAX;
        let series = offload(is_short, move || assembled(&gathered, &series, &job)).await??;
        stats.samples = series.iter().map(|series| series.timestamps.len()).sum();
        Ok(SamplesRead { series, stats })
    }
}

/// The series with what was found of them.
fn assembled(gathered: &Gathered, series: &[SeriesEntry], job: &Job) -> Result<Vec<SeriesSamples>> {
    let threads = if gathered.samples() < ASSEMBLED_BY_ONE_MAX { 1 } else { job.options.parallel.max(1) };
    let mut known: Vec<KnownTimes> = (0..threads).map(|_| KnownTimes::default()).collect();
    Places { groups: &[], pieces: &gathered.pieces() }.assemble_on_threads(series, 0, job, &mut known)
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

    /// The same for all time, with a limit of its own: what is read for it is not all given.
    fn of_all_time(&self) -> Job {
        let mut job = Job { start_ms: i64::MIN, end_ms: i64::MAX, ..self.clone() };
        job.options.budget = Arc::new(SampleBudget::new(usize::MAX));
        job
    }

    /// First and last microsecond.
    fn range_us(&self) -> (i64, i64) {
        (self.start_ms.saturating_mul(1_000), self.end_ms.saturating_mul(1_000).saturating_add(999))
    }
}

#[cfg(test)]
mod tests;
