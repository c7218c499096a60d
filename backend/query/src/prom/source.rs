//! What a query evaluates over: series read before, and series that are read while it is evaluated, slice by
//! slice. A task reads the next slice while the one before is evaluated. Comes in: what was fetched; goes out: a
//! [`SeriesSource`], used on a thread that may block.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use promql::{Interrupt, Selection, SeriesData, SeriesSource, SourceError};
use store::samples::{SampleBudget, SampleOptions, SampleStats};
use store::{SeriesEntry, Snapshot};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::answer::PromStats;
use super::engine::{AbortOnDrop, Run, Stop};
use super::error::{IN_EVALUATION, IN_EXECUTION, PromError};
use super::fetch::{Fetched, milliseconds};
use super::slices::series_data;

/// Slices that wait to be evaluated.
const SLICES_WAITING: usize = 1;
/// How long to wait for a slice between two looks at whether the query is still wanted.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Series by selection.
pub(super) struct Source {
    fetched: Vec<Fetched>,
    reader: Reader,
    runtime: Handle,
    failure: Mutex<Option<PromError>>,
}

/// What slices are read with.
#[derive(Clone)]
struct Reader {
    snapshot: Arc<Snapshot>,
    options: SampleOptions,
    stop: Arc<Stop>,
    slice_samples: usize,
    slice_samples_max: usize,
    held: Arc<HeldSamples>,
    stats: Arc<Mutex<PromStats>>,
}

/// A slice as it is handed over.
struct Slice {
    series: Vec<Arc<SeriesData>>,
    /// Counted as held until the slice is gone.
    _held: Held,
}

impl Source {
    /// A source of what was fetched for the selections of a query. To be made where a tokio runtime is.
    pub(super) fn new(fetched: Vec<Fetched>, run: &Run) -> Source {
        let config = run.engine.config();
        let reader = Reader {
            snapshot: Arc::clone(&run.snapshot),
            options: run.limits().samples,
            stop: Arc::clone(&run.stop),
            slice_samples: config.slice_len(),
            slice_samples_max: config.samples_read_max(),
            held: Arc::default(),
            stats: Arc::default(),
        };
        Source { fetched, reader, runtime: Handle::current(), failure: Mutex::default() }
    }

    /// What streaming took so far.
    pub(super) fn stats(&self) -> PromStats {
        let stats = *locked(&self.reader.stats);
        PromStats { samples_held_max: self.reader.held.most.load(Relaxed), ..stats }
    }

    /// Why reading failed, if it did.
    pub(super) fn failure(&self) -> Option<PromError> {
        locked(&self.failure).take()
    }

    /// Keeps the failure for whoever asked the query; the language only passes on that there was one.
    fn fail(&self, error: PromError) -> SourceError {
        let text = error.to_string();
        *locked(&self.failure) = Some(error);
        text.into()
    }

    fn stream(
        &self,
        series: &Arc<[SeriesEntry]>,
        selection: &Selection,
        take: &mut dyn FnMut(Vec<Arc<SeriesData>>) -> ControlFlow<()>,
    ) -> Result<(), PromError> {
        let (sender, mut slices) = mpsc::channel(SLICES_WAITING);
        let (reader, series) = (self.reader.clone(), Arc::clone(series));
        let (start_ms, end_ms) = (selection.start_ms, selection.end_ms);
        let reading = self.runtime.spawn(async move {
            if let Err(error) = reader.read(series, start_ms, end_ms, &sender).await {
                // Where nobody listens any more, nobody wants to know.
                let _ = sender.send(Err(error)).await;
            }
        });
        let _reading = AbortOnDrop(reading);
        loop {
            let next = async { tokio::time::timeout(WAIT_MAX, slices.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(slice)) => {
                    let Slice { series, _held } = slice?;
                    if take(series).is_break() {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(_) => match self.reader.stop.interrupt() {
                    None => {}
                    Some(Interrupt::Timeout) => return Err(PromError::Timeout(IN_EVALUATION)),
                    Some(Interrupt::Canceled) => return Err(PromError::Canceled(IN_EVALUATION)),
                },
            }
        }
    }
}

impl SeriesSource for Source {
    fn select(&self, selection: &Selection) -> Result<Vec<Arc<SeriesData>>, SourceError> {
        let missing = || SourceError::from(format!("selection {} was not fetched", selection.id));
        let series = match self.fetched.get(selection.id).ok_or_else(missing)? {
            Fetched::Read(series) => return Ok(series.clone()),
            Fetched::ToStream(series) => series,
        };
        // Some expressions need all of it at once, as far as there is room.
        let (mut all, mut samples) = (Vec::new(), 0_usize);
        let read = self.stream(series, selection, &mut |series| {
            samples += series.iter().map(|data| samples_of(data)).sum::<usize>();
            all.extend(series);
            if samples > self.reader.slice_samples_max {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        read.map_err(|error| self.fail(error))?;
        if samples > self.reader.slice_samples_max {
            return Err(self.fail(PromError::TooManySamples));
        }
        self.reader.held.most.fetch_max(samples, Relaxed);
        Ok(all)
    }

    fn is_streamed(&self, selection: &Selection) -> bool {
        matches!(self.fetched.get(selection.id), Some(Fetched::ToStream(_)))
    }

    fn for_each_chunk(
        &self,
        selection: &Selection,
        take: &mut dyn FnMut(Vec<Arc<SeriesData>>) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        match self.fetched.get(selection.id) {
            Some(Fetched::ToStream(series)) => {
                self.stream(series, selection, take).map_err(|error| self.fail(error))
            }
            _ => {
                let _ = take(self.select(selection)?);
                Ok(())
            }
        }
    }
}

impl Reader {
    /// Reads the samples of `series` and hands them over until there are no more, or nobody wants them.
    async fn read(
        self,
        series: Arc<[SeriesEntry]>,
        start_ms: i64,
        end_ms: i64,
        slices: &mpsc::Sender<Result<Slice, PromError>>,
    ) -> Result<(), PromError> {
        let planning = self.snapshot.plan_samples(Arc::clone(&series), start_ms, end_ms, &self.options);
        let mut stream = self.in_time(planning).await?.stream(self.slice_samples, self.slice_samples_max);
        loop {
            let before = stream.stats();
            let started = Instant::now();
            let next = self.in_time(stream.next()).await?;
            self.count(before, stream.stats(), started);
            let Some(slice) = next else { return Ok(()) };
            let samples: usize = slice.series.iter().map(|series| series.timestamps.len()).sum();
            let options = self.slice_options();
            let range = (start_ms, end_ms);
            let reading = series_data(&self.snapshot, &series[slice.range], slice.series, range, &options);
            let (data, histograms) = reading.await?;
            locked(&self.stats).samples += histograms;
            let held = self.held.hold(samples + histograms);
            if slices.send(Ok(Slice { series: data, _held: held })).await.is_err() {
                return Ok(());
            }
        }
    }

    /// The options with a budget for one slice.
    fn slice_options(&self) -> SampleOptions {
        let budget = Arc::new(SampleBudget::new(self.slice_samples_max));
        SampleOptions { budget, ..self.options.clone() }
    }

    async fn in_time<T>(&self, work: impl Future<Output = store::Result<T>>) -> Result<T, PromError> {
        match tokio::time::timeout_at(self.stop.deadline.into(), work).await {
            Ok(done) => done.map_err(|error| self.stop.explain(error.into())),
            Err(_) => Err(PromError::Timeout(IN_EXECUTION)),
        }
    }

    fn count(&self, before: SampleStats, now: SampleStats, started: Instant) {
        locked(&self.stats).add(&PromStats {
            samples: now.samples - before.samples,
            bytes_read: now.bytes - before.bytes,
            read_ms: milliseconds(started.elapsed()),
            ..PromStats::default()
        });
    }
}

/// Samples of slices that are in memory now, and the most there were.
#[derive(Debug, Default)]
struct HeldSamples {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl HeldSamples {
    fn hold(self: &Arc<Self>, samples: usize) -> Held {
        let now = self.now.fetch_add(samples, Relaxed) + samples;
        self.most.fetch_max(now, Relaxed);
        Held { of: Arc::clone(self), samples }
    }
}

/// Samples counted as held.
struct Held {
    of: Arc<HeldSamples>,
    samples: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.now.fetch_sub(self.samples, Relaxed);
    }
}

fn samples_of(data: &SeriesData) -> usize {
    data.timestamps.len() + data.histograms.len()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
