//! The loop of one target: wait, fetch, append, report; and what happens when it ends.
//!
//! Comes in: a target, its job, orders from the pool. Goes out: one batch a scrape. Follows Prometheus'
//! `scrape/scrape.go`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Batch, Clock, Labels, Point};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::append::{AppendRules, Appended, Counts, append, append_nothing, stale_points};
use super::cache::SeriesCache;
use super::client::{Clients, Page};
use super::config::Job;
use super::error::ScrapeError;
use super::loop_control::{Control, LoopHandle, wait_for_order};
use super::report::{ReportSeries, ScrapeReport};
use super::sample_labels::LabelRules;
use super::schedule::Schedule;
use super::source::{Exporters, Source};
use super::target::{Health, Target, TargetStatus};
use crate::{Sink, SinkError};

/// What all loops share.
pub(crate) struct Shared {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) clients: Clients,
    pub(crate) exporters: Exporters,
    pub(crate) running: RunningTargets,
}

/// How many running loops write series with these target labels. A loop that ends leaves the series to one
/// that still runs.
#[derive(Debug, Default)]
pub(crate) struct RunningTargets(Mutex<HashMap<Labels, usize>>);

impl RunningTargets {
    fn add(&self, labels: &Labels) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(labels.clone()).or_default() += 1;
    }

    fn remove(&self, labels: &Labels) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(labels) {
            *count -= 1;
            if *count == 0 {
                running.remove(labels);
            }
        }
    }

    fn contains(&self, labels: &Labels) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(labels)
    }
}

/// The state of a target, shared with those who look at it.
pub(crate) type SharedStatus = Arc<Mutex<TargetStatus>>;

/// Starts the loop of `target`. It first waits for `predecessor`, which was told to hand over its live
/// series. `targets_in_excess` is the number of the job's targets, where it has more than it may; then every
/// scrape fails.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    job: &Arc<Job>,
    target: Target,
    status: SharedStatus,
    predecessor: Option<LoopHandle>,
    targets_in_excess: watch::Receiver<Option<usize>>,
) -> LoopHandle {
    let (control, orders) = watch::channel(Control::Run);
    shared.running.add(&target.labels);
    let scrape_loop = ScrapeLoop {
        schedule: Schedule::new(target.interval, target.hash, shared.seed),
        report: ReportSeries::new(&target.labels),
        batch_source: format!("scrape/{}", job.name),
        source: None,
        cache: SeriesCache::default(),
        failing: false,
        shared: Arc::clone(shared),
        job: Arc::clone(job),
        target,
        status,
        orders,
        targets_in_excess,
    };
    LoopHandle { control, task: tokio::spawn(scrape_loop.run(predecessor)) }
}

struct ScrapeLoop {
    shared: Arc<Shared>,
    job: Arc<Job>,
    target: Target,
    schedule: Schedule,
    report: ReportSeries,
    batch_source: String,
    /// Made at the first scrape, and again where that failed or certificate files changed.
    source: Option<Source>,
    cache: SeriesCache,
    status: SharedStatus,
    orders: watch::Receiver<Control>,
    /// Number of targets, where the job has more than it may.
    targets_in_excess: watch::Receiver<Option<usize>>,
    /// Whether the last scrape failed; only changes are logged above debug.
    failing: bool,
}

/// Counts its target as running until it is dropped.
struct Running(Arc<Shared>, Labels);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.remove(&self.1);
    }
}

impl ScrapeLoop {
    async fn run(mut self, predecessor: Option<LoopHandle>) -> Vec<Labels> {
        let running = Running(Arc::clone(&self.shared), self.target.labels.clone());
        let mut scraped = match predecessor {
            Some(predecessor) => self.take_over(predecessor).await,
            None => false,
        };
        let mut due_ms = self.schedule.first(self.now_ms());
        loop {
            match self.wait_until(due_ms).await {
                Control::Run => {}
                Control::Stop => return Vec::new(),
                Control::Replace => return self.cache.live(),
                Control::Remove if !scraped => return Vec::new(),
                Control::Remove => {
                    drop(running);
                    return self.end(due_ms).await;
                }
            }
            let started_ms = self.now_ms();
            let timestamp_ms = self.schedule.timestamp(due_ms, started_ms);
            if !self.scrape(timestamp_ms).await {
                return Vec::new();
            }
            scraped = true;
            due_ms = self.schedule.next(started_ms, self.now_ms());
        }
    }

    /// Waits until the loop before this one has finished its scrape; tells whether it left live series.
    async fn take_over(&mut self, mut predecessor: LoopHandle) -> bool {
        let live = tokio::select! {
            live = &mut predecessor.task => live,
            _ = wait_for_order(&mut self.orders, |order| order == Control::Stop) => {
                predecessor.tell(Control::Stop);
                (&mut predecessor.task).await
            }
        };
        // A loop that panicked leaves nothing.
        let live = live.unwrap_or_default();
        let any = !live.is_empty();
        self.cache.adopt(live);
        any
    }

    fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    /// Sleeps until `due_ms`; comes back sooner with any order but `Run`.
    async fn wait_until(&mut self, due_ms: i64) -> Control {
        let sleep = tokio::time::sleep(self.schedule.sleep(due_ms, self.now_ms()));
        tokio::select! {
            order = wait_for_order(&mut self.orders, |order| order != Control::Run) => order,
            () = sleep => Control::Run,
        }
    }

    /// One scrape; `false` where the program stops meanwhile.
    async fn scrape(&mut self, timestamp_ms: i64) -> bool {
        let start = Instant::now();
        let mut orders = self.orders.clone();
        let page = tokio::select! {
            page = self.fetch() => page,
            _ = wait_for_order(&mut orders, |order| order == Control::Stop) => return false,
        };
        let (appended, body_bytes) = match page {
            Ok(page) => (self.append(&page, timestamp_ms), Some(page.body.len())),
            Err(error) => {
                let body_bytes = if matches!(error, ScrapeError::BodyTooLarge(_)) { None } else { Some(0) };
                let points = append_nothing(&mut self.cache, timestamp_ms);
                (Appended { points, failure: Some(error), ..Appended::default() }, body_bytes)
            }
        };
        let report = ScrapeReport {
            up: appended.failure.is_none(),
            duration: start.elapsed(),
            counts: appended.counts,
            timeout: self.target.timeout,
            sample_limit: self.job.limits.samples,
            body_bytes,
        };
        self.log(&appended);
        self.update_status(&appended, &report, timestamp_ms);
        let mut batch = Batch::new(&self.batch_source);
        batch.points = appended.points;
        batch.points.extend(self.report.points(&report, timestamp_ms));
        batch.exemplars = appended.exemplars;
        batch.metadata = appended.metadata;
        self.send(batch).await
    }

    async fn fetch(&mut self) -> Result<Page, ScrapeError> {
        if let (Some(targets), Some(limit)) = (*self.targets_in_excess.borrow(), self.job.limits.targets) {
            return Err(ScrapeError::TargetLimit { targets, limit });
        }
        if self.source.as_ref().is_none_or(Source::is_outdated) {
            self.source = None;
            let Shared { clients, exporters, .. } = &*self.shared;
            self.source = Some(Source::of(&self.target, &self.job, clients, exporters)?);
        }
        match &mut self.source {
            Some(source) => source.fetch(self.target.timeout).await,
            None => Err(ScrapeError::Exporter("no source".to_owned())),
        }
    }

    fn append(&mut self, page: &Page, timestamp_ms: i64) -> Appended {
        let rules = AppendRules {
            labels: LabelRules {
                target: &self.target.labels,
                honor_labels: self.job.honor_labels,
                metric_relabel: &self.job.metric_relabel,
                limits: &self.job.limits,
            },
            honor_timestamps: self.job.honor_timestamps,
            track_timestamps_staleness: self.job.track_timestamps_staleness,
            sample_limit: self.job.limits.samples,
        };
        append(&mut self.cache, &rules, &page.body, page.format, timestamp_ms)
    }

    /// A target that starts to fail is worth a warning; one that goes on failing is not.
    fn log(&mut self, appended: &Appended) {
        let (job, instance) = (self.target.job(), self.target.instance());
        match &appended.failure {
            Some(error) if !self.failing => warn!(job, instance, %error, "scrape failed"),
            Some(error) => debug!(job, instance, %error, "scrape failed again"),
            None if self.failing => tracing::info!(job, instance, "scrape succeeds again"),
            None => {}
        }
        self.failing = appended.failure.is_some();
        let Counts { duplicates, too_far_in_future, .. } = appended.counts;
        if duplicates > 0 {
            warn!(job, instance, duplicates, "page holds series twice, dropped the later samples");
        }
        if too_far_in_future > 0 {
            warn!(
                job,
                instance,
                too_far_in_future,
                "page holds timestamps too far in the future, dropped the samples"
            );
        }
    }

    fn update_status(&self, appended: &Appended, report: &ScrapeReport, timestamp_ms: i64) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.health = if report.up { Health::Up } else { Health::Down };
        status.last_scrape_ms = Some(timestamp_ms);
        status.last_duration = Some(report.duration);
        status.samples = report.counts.kept;
        status.error = appended.failure.as_ref().map(ToString::to_string);
    }

    /// Hands a batch over; `false` where nobody takes batches any more.
    async fn send(&self, batch: Batch) -> bool {
        let (job, instance) = (self.target.job(), self.target.instance());
        match self.shared.sink.send(batch).await {
            Ok(()) => true,
            Err(SinkError::Closed) => false,
            Err(error) => {
                tracing::error!(job, instance, %error, "scraped samples are lost");
                true
            }
        }
    }

    /// The target is gone. Waits until its next scrape would have been, and once more, so that a target which
    /// comes back has been scraped by then; then ends its series at the first of these times.
    async fn end(mut self, due_ms: i64) -> Vec<Labels> {
        let interval_ms = i64::try_from(self.target.interval.as_millis()).unwrap_or(i64::MAX);
        let next_ms = due_ms.saturating_add(interval_ms);
        for wait_ms in [due_ms, next_ms, next_ms.saturating_add(interval_ms / 10)] {
            if let Some(live) = self.wait_while_ending(wait_ms).await {
                return live;
            }
        }
        if !self.shared.running.contains(&self.target.labels) {
            let mut points: Vec<Point> = stale_points(self.cache.fail(), due_ms);
            points.extend(self.report.stale_points(due_ms));
            let mut batch = Batch::new(&self.batch_source);
            batch.points = points;
            self.send(batch).await;
        }
        Vec::new()
    }

    /// Sleeps until `due_ms`; comes back sooner with the live series where another loop takes over, and with
    /// none where the program stops.
    async fn wait_while_ending(&mut self, due_ms: i64) -> Option<Vec<Labels>> {
        let sleep = tokio::time::sleep(self.schedule.sleep(due_ms, self.now_ms()));
        let ends_waiting = |order| !matches!(order, Control::Run | Control::Remove);
        tokio::select! {
            order = wait_for_order(&mut self.orders, ends_waiting) => {
                Some(if order == Control::Replace { self.cache.live() } else { Vec::new() })
            }
            () = sleep => None,
        }
    }
}
