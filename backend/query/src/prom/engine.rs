//! The way in: lets a query in, reads what it needs, evaluates it, all on threads of its own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use promql::{Engine, EngineOptions, Interrupt, QueryTime};
use store::Snapshot;
use store::samples::{SampleBudget, SampleOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::answer::{PromAnswer, PromStats};
use super::config::{PromConfig, PromOptions};
use super::error::{IN_EXECUTION, IN_QUEUE, PromError};
use super::fetch::{FetchLimits, fetch, milliseconds};
use crate::workers::Workers;

/// Answers PromQL over snapshots. Cheap to clone.
#[derive(Clone)]
pub struct PromEngine(Arc<Inner>);

struct Inner {
    config: PromConfig,
    workers: Workers,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
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
        PromEngine(Arc::new(Inner { config, workers, running, waiting }))
    }

    /// The limits.
    pub fn config(&self) -> &PromConfig {
        &self.0.config
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
        let timeout = options.timeout.map_or(self.0.config.timeout, |t| t.min(self.0.config.timeout));
        let stop = Arc::new(Stop { deadline: Instant::now() + timeout, canceled: AtomicBool::new(false) });
        let guard = CancelOnDrop(Arc::clone(&stop));
        let run = Run {
            engine: self.clone(),
            language: self.language(options),
            snapshot,
            query: query.to_owned(),
            time,
            stop,
        };
        let answer = self.on_workers(run.run()).await;
        drop(guard);
        answer
    }

    /// Fails where `query` could not be evaluated at this time whatever the data.
    pub fn check(&self, query: &str, time: QueryTime, options: &PromOptions) -> Result<(), PromError> {
        check_time(time)?;
        Ok(self.language(options).prepare(query, time).map(|_| ())?)
    }

    /// The language with the settings of one query.
    fn language(&self, options: &PromOptions) -> Engine {
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
    async fn enter(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PromError> {
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
struct Run {
    engine: PromEngine,
    language: Engine,
    snapshot: Arc<Snapshot>,
    query: String,
    time: QueryTime,
    stop: Arc<Stop>,
}

impl Run {
    async fn run(self) -> Result<PromAnswer, PromError> {
        let prepared = self.language.prepare(&self.query, self.time)?;
        let asked = Instant::now();
        let permit = self.engine.enter(self.stop.deadline).await?;
        let queue_ms = milliseconds(asked.elapsed());
        let limits = self.limits();
        let fetching = fetch(&self.snapshot, prepared.selections(), &limits);
        let (data, stats) = match tokio::time::timeout_at(self.stop.deadline.into(), fetching).await {
            Ok(fetched) => fetched.map_err(|error| self.stop.explain(error))?,
            Err(_) => return Err(PromError::Timeout(IN_EXECUTION)),
        };
        let stop = self.stop;
        let evaluated = tokio::task::spawn_blocking(move || {
            // The place is free again when the work has ended, whoever waits for it.
            let _permit = permit;
            let started = Instant::now();
            let answer = prepared.evaluate(&data, &|| stop.interrupt())?;
            Ok::<_, PromError>((answer, milliseconds(started.elapsed())))
        });
        let failed = || PromError::Internal("the query failed; the log of the server says why".to_owned());
        let (answer, eval_ms) = evaluated.await.map_err(|_| failed())??;
        let stats = PromStats { queue_ms, eval_ms, ..stats };
        Ok(PromAnswer { value: answer.value, annotations: answer.annotations, stats })
    }

    fn limits(&self) -> FetchLimits {
        let config = self.engine.config();
        let stop = Arc::clone(&self.stop);
        FetchLimits {
            series_max: config.series_max,
            samples: SampleOptions {
                budget: Arc::new(SampleBudget::new(config.samples_read_max())),
                parallel: config.threads.max(1),
                stopped: Arc::new(move || stop.interrupt().is_some()),
            },
        }
    }
}

/// Why a query has to end before its answer.
#[derive(Debug)]
struct Stop {
    deadline: Instant,
    canceled: AtomicBool,
}

impl Stop {
    fn interrupt(&self) -> Option<Interrupt> {
        if self.canceled.load(Relaxed) {
            Some(Interrupt::Canceled)
        } else if Instant::now() >= self.deadline {
            Some(Interrupt::Timeout)
        } else {
            None
        }
    }

    /// A reading that was called off tells not why.
    fn explain(&self, error: PromError) -> PromError {
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

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
