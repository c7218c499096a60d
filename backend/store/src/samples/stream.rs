//! Samples some series at a time. Files are sorted by (metric, tsid, ts), as the series asked for are: each row
//! group is opened when the first of its series comes, read forward, and let go after the last, so that nothing
//! is fetched or decoded twice however many slices a row group has a part in. Comes in: a plan; goes out: slices of
//! the series, in order, each of about as many samples as asked for.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};

use crate::error::Result;
use crate::head::generation::Generation;

use super::files::{OpenUnit, Unit};
use super::merge::{Gathered, Strip};
use super::{Job, SampleBudget, SamplePlan, SampleStats, SeriesSamples, Wanted, batches, head};

/// A reading under way.
pub struct SampleStream {
    plan: SamplePlan,
    generations: Arc<[Arc<Generation>]>,
    /// Row groups not opened yet, by the first series they may hold.
    waiting: VecDeque<Unit>,
    open: Vec<OpenUnit>,
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
        SampleStream {
            generations: head::generations(&self.snapshot, &self.job),
            waiting: units.into(),
            open: Vec::new(),
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
        self.open_until(end, &job).await?;
        let end = first + self.fitting(first, end);
        let mut gathered = Gathered::default();
        let tsids = &self.plan.job.wanted.tsids()[first..end];
        let in_memory =
            head::read(&self.generations, &job, tsids, self.plan.in_memory * tsids.len() as f64).await?;
        let in_files = self.read_until(end, &job).await?;
        in_memory.into_iter().chain(in_files).for_each(|strip| gathered.add_strip(strip));
        read_foreign(&self.plan, first..end, &job, &mut gathered).await?;
        let series = Arc::clone(&self.plan.series);
        let assembling = tokio::task::spawn_blocking(move || gathered.assemble(&series[first..end], first));
        let series = assembling.await?;
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

    /// Opens the row groups that may hold a series before position `end`.
    async fn open_until(&mut self, end: usize, job: &Job) -> Result<()> {
        let count = self.waiting.partition_point(|unit| unit.first < end);
        let units: Vec<Unit> = self.waiting.drain(..count).collect();
        let snapshot = &self.plan.snapshot;
        let opening: Vec<_> = units.into_iter().map(|unit| unit.open(snapshot, job)).collect();
        let mut opening = futures::stream::iter(opening).buffer_unordered(job.options.parallel.max(1));
        while let Some((unit, bytes)) = opening.try_next().await? {
            self.stats.bytes += bytes;
            self.open.push(unit);
        }
        Ok(())
    }

    /// How many series from `first` on, but not from `end` on, have about as many samples as a slice is to have;
    /// at least one.
    fn fitting(&self, first: usize, end: usize) -> usize {
        let mut samples = vec![self.plan.in_memory; end - first];
        self.open.iter().for_each(|unit| unit.count(first, &mut samples));
        let mut sum = 0.0;
        let fits = |samples: &&f64| {
            sum += **samples;
            sum <= self.slice_samples as f64
        };
        samples.iter().take_while(fits).count().max(1)
    }

    /// Samples of the series before position `end` that are in open row groups.
    async fn read_until(&mut self, end: usize, job: &Job) -> Result<Vec<Strip>> {
        // A thread takes every so manieth, one task each: handing over every single one takes longer than reading it.
        let threads = job.options.parallel.clamp(1, self.open.len().max(1));
        let mut shares: Vec<Vec<OpenUnit>> = (0..threads).map(|_| Vec::new()).collect();
        for (number, unit) in std::mem::take(&mut self.open).into_iter().enumerate() {
            shares[number % threads].push(unit);
        }
        let reading = shares.into_iter().map(|share| {
            let job = job.clone();
            async move { tokio::task::spawn_blocking(move || read_share(share, end, &job)).await? }
        });
        let mut strips = Vec::new();
        for (units, found) in try_join_all(reading).await? {
            strips.extend(found);
            self.open.extend(units);
        }
        Ok(strips)
    }
}

/// Reads row groups until position `end`; gives back those that have more.
fn read_share(units: Vec<OpenUnit>, end: usize, job: &Job) -> Result<(Vec<OpenUnit>, Vec<Strip>)> {
    let (mut open, mut strips) = (Vec::with_capacity(units.len()), Vec::with_capacity(units.len()));
    for mut unit in units {
        strips.push(unit.read(end, job)?);
        if !unit.is_done() {
            open.push(unit);
        }
    }
    Ok((open, strips))
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
