//! Samples some series at a time. Files are sorted by (metric, tsid, ts), as the series asked for are: each row
//! group is opened when the first of its series comes, read forward, and let go after the last, so that nothing
//! is fetched or unpacked twice however many slices a row group has a part in. Comes in: a plan; goes out: slices of
//! the series, in order, each of about as many samples as asked for.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt};

use crate::error::Result;
use crate::head::generation::Generation;
use crate::series_files::SeriesEntry;

use super::assemble::{KnownTimes, Places, on_threads};
use super::columns::OpenGroup;
use super::files::{OpenUnit, Unit};
use super::merge::{Cut, Gathered};
use super::{Job, SampleBudget, SamplePlan, SampleStats, SeriesSamples, Wanted, batches, head};

/// A reading under way.
pub struct SampleStream {
    plan: SamplePlan,
    generations: Arc<[Arc<Generation>]>,
    /// Row groups not opened yet, by the first series they may hold.
    waiting: VecDeque<Unit>,
    /// Samples of row groups that need not be read, the last series' first.
    kept: Vec<Cut>,
    open: Vec<OpenUnit>,
    /// A set a thread.
    known: Vec<KnownTimes>,
    /// The next series.
    next: usize,
    /// Samples a series is expected to have.
    expected: f64,
    slice_samples: usize,
    slice_samples_max: usize,
    stats: SampleStats,
}

/// Samples of some of the series, in the order asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleSlice {
    /// Which of the series asked for.
    pub range: Range<usize>,
    /// One for each of them; without samples where the time has none.
    pub series: Vec<SeriesSamples>,
}

impl fmt::Debug for SampleStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleStream")
            .field("next", &self.next)
            .field("waiting", &self.waiting.len())
            .field("open", &self.open.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl SamplePlan {
    /// Reads in slices of about `samples` samples, or of one series. The series must have been given sorted by
    /// (metric, tsid). A slice of more than `samples_max` samples fails with
    /// [`crate::Error::TooManySamples`]; the budget of the plan's options is not used.
    pub fn stream(mut self, samples: usize, samples_max: usize) -> SampleStream {
        let by_key = |a: &crate::SeriesEntry, b: &crate::SeriesEntry| {
            (a.labels.name(), a.tsid) <= (b.labels.name(), b.tsid)
        };
        debug_assert!(self.series.is_sorted_by(by_key), "series are to be sorted by metric and id");
        let expected = self.samples() as f64 / self.series.len().max(1) as f64;
        let mut units = std::mem::take(&mut self.files.units);
        units.sort_by_key(|unit| unit.first);
        let mut kept = std::mem::take(&mut self.files.kept);
        kept.sort_by_key(|(position, _, _)| std::cmp::Reverse(*position));
        SampleStream {
            generations: head::generations(&self.snapshot, &self.job),
            waiting: units.into(),
            kept,
            open: Vec::new(),
            known: Vec::new(),
            next: 0,
            expected,
            slice_samples: samples.max(1),
            slice_samples_max: samples_max,
            stats: self.files.stats,
            plan: self,
        }
    }
}

impl SampleStream {
    /// How much the reading took so far.
    pub fn stats(&self) -> SampleStats {
        self.stats
    }

    /// The next slice; `None` after the last. After a failure there is no next one.
    pub async fn next(&mut self) -> Result<Option<SampleSlice>> {
        let total = self.plan.series.len();
        if self.next >= total {
            return Ok(None);
        }
        let first = self.next;
        let fitting = (self.slice_samples as f64 / self.expected.max(1.0)) as usize;
        let job = self.slice_job();
        let end = total.min(first + fitting.max(1));
        let units = self.units_until(end);
        self.open(units, &job).await?;
        let end = first + self.fitting(first, end);
        let mut gathered = Gathered::default();
        let tsids = &self.plan.job.wanted.tsids()[first..end];
        let expected = self.plan.in_memory * tsids.len() as f64;
        let in_memory = head::read(&self.generations, &job, tsids, expected).await?;
        in_memory.into_iter().for_each(|strip| gathered.add_strip(strip));
        while let Some(cut) = self.kept.pop_if(|(position, _, _)| *position < end) {
            job.options.budget.take(cut.2.len())?;
            gathered.add_kept(cut);
        }
        read_foreign(&self.plan, first..end, &job, &mut gathered).await?;
        let (units, known) = (std::mem::take(&mut self.open), std::mem::take(&mut self.known));
        let slice = Slice { units, gathered, series: Arc::clone(&self.plan.series), range: first..end, job };
        let reading = tokio::task::spawn_blocking(move || slice.read(known));
        // What the next slice needs is opened meanwhile, since neither keeps all threads busy all the time.
        let units = self.units_until(total.min(end + fitting.max(1)));
        self.open(units, &self.slice_job()).await?;
        let (units, known, series) = reading.await??;
        self.known = known;
        self.add_open(units);
        self.stats.samples += series.iter().map(|series| series.timestamps.len()).sum::<usize>();
        self.next = end;
        Ok(Some(SampleSlice { range: first..end, series }))
    }

    /// The job with a budget for one slice.
    fn slice_job(&self) -> Job {
        let mut job = self.plan.job.clone();
        job.options.budget = Arc::new(SampleBudget::new(self.slice_samples_max));
        job
    }

    /// The row groups not opened yet that may hold a series before position `end`.
    fn units_until(&mut self, end: usize) -> Vec<Unit> {
        let count = self.waiting.partition_point(|unit| unit.first < end);
        self.waiting.drain(..count).collect()
    }

    /// Opens row groups.
    async fn open(&mut self, units: Vec<Unit>, job: &Job) -> Result<()> {
        let snapshot = &self.plan.snapshot;
        let opening: Vec<_> = units.into_iter().map(|unit| unit.open(snapshot, job)).collect();
        let mut opening = futures::stream::iter(opening).buffer_unordered(job.options.parallel.max(1));
        let mut opened = Vec::new();
        while let Some((unit, bytes)) = opening.try_next().await? {
            self.stats.bytes += bytes;
            opened.push(unit);
        }
        drop(opening);
        self.add_open(opened);
        Ok(())
    }

    fn add_open(&mut self, units: Vec<OpenUnit>) {
        self.open.extend(units);
        // So that what they have of a series lies in the order of time already.
        self.open.sort_by_key(OpenUnit::starts_us);
    }

    /// How many series from `first` on, but not from `end` on, have about as many samples as a slice is to have;
    /// at least one.
    fn fitting(&self, first: usize, end: usize) -> usize {
        let mut samples = vec![self.plan.in_memory; end - first];
        self.open.iter().for_each(|unit| unit.count(first, &mut samples));
        for (position, _, range) in self.kept.iter().rev().take_while(|(position, _, _)| *position < end) {
            samples[position - first] += range.len() as f64;
        }
        let mut sum = 0.0;
        let fits = |samples: &&f64| {
            sum += **samples;
            sum <= self.slice_samples as f64
        };
        samples.iter().take_while(fits).count().max(1)
    }
}

/// Some series, and where they are.
struct Slice {
    units: Vec<OpenUnit>,
    gathered: Gathered,
    series: Arc<[SeriesEntry]>,
    /// Which of the series.
    range: Range<usize>,
    job: Job,
}

/// Row groups that have more, columns of times to know again, and series.
type SliceRead = (Vec<OpenUnit>, Vec<KnownTimes>, Vec<SeriesSamples>);

impl Slice {
    /// Unpacks the pages, each thread those of some row groups, then puts the samples together, each thread those
    /// of some series.
    fn read(mut self, mut known: Vec<KnownTimes>) -> Result<SliceRead> {
        let threads = self.job.options.parallel.max(1);
        known.resize_with(threads, KnownTimes::default);
        let (end, job) = (self.range.end, &self.job);
        // Few row groups need another page at a time, so that each thread takes whichever is next.
        let busy = threads.min(self.units.len());
        let line = Mutex::new(self.units.iter_mut());
        let next = || line.lock().unwrap_or_else(PoisonError::into_inner).next();
        let hold = || std::iter::from_fn(next).try_for_each(|unit| unit.hold(end, job));
        on_threads((0..busy).map(|_| hold))?;
        for unit in &mut self.units {
            self.gathered.add_strip(unit.group_mut().take_early(end));
        }
        let groups: Vec<&OpenGroup> = self.units.iter().map(OpenUnit::group).collect();
        let pieces = self.gathered.pieces();
        let places = Places { groups: &groups, pieces: &pieces };
        let series = &self.series[self.range.clone()];
        let assembled = places.assemble_on_threads(series, self.range.start, job, &mut known)?;
        for unit in &mut self.units {
            unit.group_mut().pass(end);
        }
        self.units.retain(|unit| !unit.group().is_done());
        Ok((self.units, known, assembled))
    }
}

/// Adds what files of others have of the series in `range`; they are looked through for every slice.
async fn read_foreign(
    plan: &SamplePlan,
    range: Range<usize>,
    job: &Job,
    gathered: &mut Gathered,
) -> Result<()> {
    if plan.files.foreign.is_empty() {
        return Ok(());
    }
    let first = range.start;
    let job = Job { wanted: Arc::new(Wanted::new(&plan.series[range])), ..job.clone() };
    for file in &plan.files.foreign {
        batches::read_file(&plan.snapshot, file, &job, first, gathered).await?;
    }
    Ok(())
}
