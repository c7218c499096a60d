//! The way in: lets a query in, reads what it needs, evaluates it. What takes less time than handing it over is done on
//! the thread it was asked on; all else on threads of its own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use model::Matcher;
use promql::{Engine, EngineOptions, Hints, Interrupt, PreparedQuery, QueryTime, Selection, SeriesData};
use store::memory::Held;
use store::samples::{SampleBudget, SampleOptions};
use store::{Snapshot, Table};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::answer::{PromAnswer, PromStats};
use super::cache::ResultCache;
use super::cached::CachedRange;
use super::config::{PromConfig, PromOptions, SAMPLE_BYTES, SLICES_HELD};
use super::error::{IN_EXECUTION, IN_QUEUE, PromError};
use super::fetch::{FetchLimits, Fetched, Selected, fetch, milliseconds, select};
use super::source::Source;
use crate::workers::Workers;

/// Most samples read, and values computed, of a query that is evaluated without handing it to another thread: about a
/// millisecond's work.
const EVALUATED_HERE_MAX: usize = 100_000;
/// Most nodes of such a query: threads that answer requests have less stack than those of the workers.
const NODES_HERE_MAX: usize = 64;
/// Most series, and most files they may be in, of a query that is planned without handing it to the workers.
const PLANNED_HERE_MAX: usize = 1_024;
const FILES_HERE_MAX: usize = 512;

/// Answers PromQL over snapshots. Cheap to clone.
#[derive(Clone)]
pub struct PromEngine(Arc<Inner>);

struct Inner {
    config: PromConfig,
    workers: Workers,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    cache: ResultCache,
}

impl fmt::Debug for PromEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromEngine").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl PromEngine {
    /// An engine that runs its queries on `workers`.
    pub fn new(config: PromConfig, workers: Workers) -> PromEngine {
        let running = Arc::new(Semaphore::new(config.concurrent_max.max(1)));
        let waiting = Arc::new(Semaphore::new(config.waiting_max));
        let cache = ResultCache::new(config.result_cache);
        PromEngine(Arc::new(Inner { config, workers, running, waiting, cache }))
    }

    /// The limits.
    pub fn config(&self) -> &PromConfig {
        &self.0.config
    }

    /// Bytes of answers kept.
    pub fn result_cache_bytes(&self) -> usize {
        self.0.cache.bytes()
    }

    pub(super) fn cache(&self) -> &ResultCache {
        &self.0.cache
    }

    /// Evaluates `query` once, at `time_ms` (milliseconds since the Unix epoch).
    pub async fn instant(
        &self,
        snapshot: Arc<Snapshot>,
        query: &str,
        time_ms: i64,
        options: &PromOptions,
    ) -> Result<PromAnswer, PromError> {
        self.query(snapshot, query, QueryTime::Instant { time_ms }, options).await
    }

    /// Evaluates `query` at `start_ms` and then every `step_ms` milliseconds, not after `end_ms`.
    pub async fn range(
        &self,
        snapshot: Arc<Snapshot>,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: &PromOptions,
    ) -> Result<PromAnswer, PromError> {
        self.query(snapshot, query, QueryTime::Range { start_ms, end_ms, step_ms }, options).await
    }

    /// Evaluates `query` at a time or over a range.
    pub async fn query(
        &self,
        snapshot: Arc<Snapshot>,
        query: &str,
        time: QueryTime,
        options: &PromOptions,
    ) -> Result<PromAnswer, PromError> {
        check_time(time)?;
        let (run, guard) = self.start(snapshot, query, time, options);
        let answer = run.run().await;
        drop(guard);
        answer
    }

    /// Series that satisfy all `matchers` with their samples from `start_ms` to `end_ms`, both inclusive, as
    /// they are stored: stale markers included.
    pub async fn samples(
        &self,
        snapshot: Arc<Snapshot>,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Arc<SeriesData>>, PromError> {
        let options = PromOptions::default();
        let (run, guard) = self.start(snapshot, "", QueryTime::Instant { time_ms: end_ms }, &options);
        let (matchers, hints) = (matchers.into(), Hints::default());
        let selection = Selection { id: 0, matchers, start_ms, end_ms, hints };
        let series = self.on_workers(async move {
            let _permit = run.engine.enter(run.stop.deadline).await?;
            let limits = FetchLimits { prefetch_max: usize::MAX, ..run.limits() };
            let selections = [selection];
            let selected = run.in_time(select(&run.snapshot, &selections, &limits)).await?;
            let (mut fetched, _) = run.fetch(&selections, selected, &limits).await?;
            match fetched.pop() {
                Some(Fetched::Read(series)) => Ok(series),
                _ => Ok(Vec::new()),
            }
        });
        let series = series.await;
        drop(guard);
        series
    }

    fn start(
        &self,
        snapshot: Arc<Snapshot>,
        query: &str,
        time: QueryTime,
        options: &PromOptions,
    ) -> (Run, CancelOnDrop) {
        let timeout = options.timeout.map_or(self.0.config.timeout, |t| t.min(self.0.config.timeout));
        let stop = Arc::new(Stop { deadline: Instant::now() + timeout, canceled: AtomicBool::new(false) });
        let guard = CancelOnDrop(Arc::clone(&stop));
        let run = Run {
            engine: self.clone(),
            language: self.language(options),
            snapshot,
            query: query.into(),
            time,
            stop,
            on_workers: false,
        };
        (run, guard)
    }

    /// Fails where `query` could not be evaluated at this time whatever the data.
    pub fn check(&self, query: &str, time: QueryTime, options: &PromOptions) -> Result<(), PromError> {
        check_time(time)?;
        Ok(self.language(options).prepare(query, time).map(|_| ())?)
    }

    /// The language with the settings of one query.
    pub(super) fn language(&self, options: &PromOptions) -> Engine {
        let config = &self.0.config;
        Engine::new(EngineOptions {
            lookback_delta: options.lookback_delta.unwrap_or(config.lookback_delta),
            samples_max: config.samples_max,
            threads: config.threads.max(1),
            type_and_unit_labels: config.type_and_unit_labels,
            ..EngineOptions::default()
        })
    }

    /// Runs `work` on the workers; it ends when the returned future is dropped.
    pub(super) async fn on_workers<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, PromError>> + Send + 'static,
    ) -> Result<T, PromError> {
        let mut task = AbortOnDrop(self.0.workers.spawn(work));
        match (&mut task.0).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_cancelled() => Err(PromError::Canceled(IN_EXECUTION)),
            Err(_) => Err(PromError::Internal("the query failed; the log of the server says why".to_owned())),
        }
    }

    /// Waits for a place, no longer than until `deadline`.
    pub(super) async fn enter(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PromError> {
        if let Ok(permit) = Arc::clone(&self.0.running).try_acquire_owned() {
            return Ok(permit);
        }
        let Ok(_waiting) = self.0.waiting.try_acquire() else {
            return Err(PromError::Busy { limit: self.0.config.waiting_max });
        };
        let turn = Arc::clone(&self.0.running).acquire_owned();
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(PromError::Timeout(IN_QUEUE)),
        }
    }
}

fn check_time(time: QueryTime) -> Result<(), PromError> {
    let refuse = |text: &str| Err(PromError::Request(text.to_owned()));
    match time {
        QueryTime::Range { step_ms, .. } if step_ms <= 0 => {
            refuse("zero or negative query resolution step widths are not accepted. Try a positive integer")
        }
        QueryTime::Range { start_ms, end_ms, .. } if end_ms < start_ms => {
            refuse("end timestamp must not be before start time")
        }
        _ => Ok(()),
    }
}

/// One query on its way.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) engine: PromEngine,
    pub(super) language: Engine,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) query: Arc<str>,
    pub(super) time: QueryTime,
    pub(super) stop: Arc<Stop>,
    /// Whether it runs on the workers, rather than on the thread it was asked on.
    on_workers: bool,
}

impl Run {
    /// Answers; what turns out to be long goes on on the workers.
    async fn run(mut self) -> Result<PromAnswer, PromError> {
        match CachedRange::of(&self) {
            Some(cached) if cached.is_short(&self) => cached.answer(&self).await,
            Some(cached) => {
                self.on_workers = true;
                let engine = self.engine.clone();
                engine.on_workers(async move { cached.answer(&self).await }).await
            }
            None => self.evaluate(self.time).await,
        }
    }

    /// Evaluates the query at `time`, from the store.
    pub(super) async fn evaluate(&self, time: QueryTime) -> Result<PromAnswer, PromError> {
        let prepared = self.language.prepare(&self.query, time)?;
        let asked = Instant::now();
        let permit = self.engine.enter(self.stop.deadline).await?;
        let queue_ms = milliseconds(asked.elapsed());
        let selected = self.in_time(select(&self.snapshot, prepared.selections(), &self.limits())).await?;
        let is_short = selected.series() <= PLANNED_HERE_MAX
            && self.snapshot.files(Table::Metrics).len() <= FILES_HERE_MAX;
        let admitted = Admitted { run: self.clone(), prepared, permit, selected, queue_ms };
        if is_short || self.on_workers {
            return admitted.answer().await;
        }
        self.engine.on_workers(admitted.answer()).await
    }

    /// What a reading gives, unless the query's time is over before.
    async fn in_time<T>(&self, reading: impl Future<Output = Result<T, PromError>>) -> Result<T, PromError> {
        match tokio::time::timeout_at(self.stop.deadline.into(), reading).await {
            Ok(read) => read.map_err(|error| self.stop.explain(error)),
            Err(_) => Err(PromError::Timeout(IN_EXECUTION)),
        }
    }

    async fn fetch(
        &self,
        selections: &[Selection],
        selected: Selected,
        limits: &FetchLimits,
    ) -> Result<(Vec<Fetched>, PromStats), PromError> {
        self.in_time(fetch(&self.snapshot, selections, selected, limits)).await
    }

    /// Accounts for samples read in the process's memory, where there is such an account.
    fn hold(&self, samples: usize) -> Result<Option<Held>, PromError> {
        let Some(ledger) = &self.engine.config().ledger else { return Ok(None) };
        ledger.hold((samples * SAMPLE_BYTES) as u64).map(Some).ok_or(PromError::OutOfMemory)
    }

    pub(super) fn limits(&self) -> FetchLimits {
        let config = self.engine.config();
        let stop = Arc::clone(&self.stop);
        FetchLimits {
            series_max: config.series_max,
            prefetch_max: config.prefetch_max(),
            samples: SampleOptions {
                budget: Arc::new(SampleBudget::new(config.samples_read_max())),
                parallel: config.threads.max(1),
                stopped: Arc::new(move || stop.interrupt().is_some()),
            },
        }
    }
}

/// A query that has its place and knows its series.
struct Admitted {
    run: Run,
    prepared: PreparedQuery,
    permit: OwnedSemaphorePermit,
    selected: Selected,
    queue_ms: f64,
}

impl Admitted {
    async fn answer(self) -> Result<PromAnswer, PromError> {
        let Admitted { run, prepared, permit, selected, queue_ms } = self;
        let (fetched, stats) = run.fetch(prepared.selections(), selected, &run.limits()).await?;
        let config = run.engine.config();
        let is_streamed = fetched.iter().any(|f| matches!(f, Fetched::ToStream(_)));
        let slices = if is_streamed { SLICES_HELD * config.slice_len() } else { 0 };
        let held = run.hold(stats.samples + slices)?;
        let source = Source::new(fetched, &run);
        let stop = Arc::clone(&run.stop);
        let work = prepared.node_steps().saturating_mul(stats.series.max(1)).saturating_add(stats.samples);
        let is_short = !is_streamed && work <= EVALUATED_HERE_MAX && prepared.nodes() <= NODES_HERE_MAX;
        let evaluate = move || {
            // The place and the memory are free again when the work has ended, whoever waits for it.
            let (_permit, _held) = (permit, held);
            let started = Instant::now();
            let answer = prepared.evaluate(&source, &|| stop.interrupt());
            let answer = answer.map_err(|error| source.failure().unwrap_or_else(|| error.into()))?;
            Ok::<_, PromError>((answer, source.stats(), milliseconds(started.elapsed())))
        };
        let failed = || PromError::Internal("the query failed; the log of the server says why".to_owned());
        let (answer, streamed, eval_ms) = if is_short {
            evaluate()?
        } else {
            tokio::task::spawn_blocking(evaluate).await.map_err(|_| failed())??
        };
        let mut stats = PromStats { queue_ms, eval_ms, ..stats };
        stats.add(&streamed);
        Ok(PromAnswer { value: answer.value, annotations: answer.annotations, stats })
    }
}

/// Why a query has to end before its answer.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) deadline: Instant,
    canceled: AtomicBool,
}

impl Stop {
    pub(super) fn interrupt(&self) -> Option<Interrupt> {
        if self.canceled.load(Relaxed) {
            Some(Interrupt::Canceled)
        } else if Instant::now() >= self.deadline {
            Some(Interrupt::Timeout)
        } else {
            None
        }
    }

    /// A reading that was called off tells not why.
    pub(super) fn explain(&self, error: PromError) -> PromError {
        match (error, self.interrupt()) {
            (PromError::Canceled(during), Some(Interrupt::Timeout)) => PromError::Timeout(during),
            (error, _) => error,
        }
    }
}

/// Calls a query off when nobody waits for it any more.
struct CancelOnDrop(Arc<Stop>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.canceled.store(true, Relaxed);
    }
}

pub(super) struct AbortOnDrop<T>(pub(super) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
