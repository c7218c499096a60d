//! The cron event: what waits is sent again, then the probes that are due run, then one batch tells of them.

use std::cell::RefCell;

use futures_util::{StreamExt, stream};
use probes::plan::{Budget, due};
use probes::wire::{Level, LogRecord, Push};
use probes::{ProbeOutcome, ProbeSpec};
use worker::{Env, ScheduledEvent};

use crate::clock::{self, Stopwatch};
use crate::config::{self, Loaded};
use crate::settings::Settings;
use crate::state::TickReport;
use crate::{WORKER, probe, push, state};

/// Probes that run at the same time. Cloudflare allows six connections; one stays free.
const PROBES_AT_ONCE: usize = 5;

/// Requests of a run that are not for probes: the probe list, this batch, and batches that waited.
const SUBREQUESTS_RESERVED: u32 = config::SUBREQUESTS + 1 + push::RETRIES_MAX;

/// What one run did.
struct Tick {
    scheduled_ms: i64,
    loaded: Loaded,
    due: usize,
    /// Names of the probes that had to be left out.
    skipped: Vec<String>,
    outcomes: Vec<ProbeOutcome>,
    resent: usize,
    requests_left: u32,
}

/// Handles one cron event.
pub(crate) async fn run(event: &ScheduledEvent, env: &Env) {
    let settings = match Settings::from_env(env) {
        Ok(settings) => settings,
        Err(error) => return worker::console_error!("{WORKER}: nothing is probed: {error}"),
    };
    let stopwatch = Stopwatch::start();
    let scheduled_ms = clock::whole_ms(event.schedule());
    let resent = push::send_waiting(&settings).await;
    let loaded = config::load(&settings).await;
    let tick = run_probes(&settings, loaded, scheduled_ms, resent).await;

    let report = tick.log_record(stopwatch);
    worker::console_log!("{}", serde_json::to_string(&report).unwrap_or_default());
    let mut logs = state::with(state::State::take_notes);
    logs.extend(tick.failures());
    logs.push(report);

    let batch_id = settings.batch_id(&[&scheduled_ms.to_string()]);
    let sent_at_ms = clock::now_ms();
    let mut summary = tick.summary();
    let push = Push {
        worker: WORKER.to_owned(),
        location: settings.location.clone(),
        sent_at_ms,
        results: tick.outcomes,
        logs,
    };
    summary.delivered = push::send(&settings, batch_id, &push).await;
    state::with(|state| state.last_tick = Some(summary));
}

async fn run_probes(settings: &Settings, loaded: Loaded, scheduled_ms: i64, resent: usize) -> Tick {
    let due = due(&loaded.list.probes, scheduled_ms);
    let mut budget = Budget::new(settings.subrequests_max, SUBREQUESTS_RESERVED);
    let admitted = budget.admit(due.len());
    let budget = RefCell::new(budget);
    let run_one = |spec: &ProbeSpec| {
        let (spec, budget) = (spec.clone(), &budget);
        async move {
            let outcome = probe::run(&spec, &settings.location, scheduled_ms, budget).await;
            outcome.ok_or(spec.name)
        }
    };
    let results: Vec<Result<ProbeOutcome, String>> =
        stream::iter(due[..admitted].iter().map(|spec| run_one(spec)))
            .buffer_unordered(PROBES_AT_ONCE)
            .collect()
            .await;

    let mut skipped: Vec<String> = due[admitted..].iter().map(|spec| spec.name.clone()).collect();
    let mut outcomes = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(outcome) => outcomes.push(outcome),
            Err(name) => skipped.push(name),
        }
    }
    // The order in which they ended says nothing; the batch is the same for the same results.
    outcomes.sort_by(|a, b| a.probe.cmp(&b.probe));
    let (due, requests_left) = (due.len(), budget.borrow().left());
    Tick { scheduled_ms, loaded, due, skipped, outcomes, resent, requests_left }
}

impl Tick {
    fn summary(&self) -> TickReport {
        TickReport {
            scheduled_ms: self.scheduled_ms,
            probes_run: self.outcomes.len(),
            probes_failed: self.failed(),
            probes_skipped: self.skipped.len(),
            delivered: false,
        }
    }

    fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !outcome.success).count()
    }

    /// The record of the tick itself; a warning where probes had to be left out.
    fn log_record(&self, stopwatch: Stopwatch) -> LogRecord {
        let (level, message) = match self.skipped.len() {
            0 => (Level::Info, "tick".to_owned()),
            skipped => {
                (Level::Warn, format!("tick: {skipped} probes skipped, the requests of this run are used up"))
            }
        };
        LogRecord::new(clock::now_ms(), level, WORKER, &message)
            .with("scheduled_ms", self.scheduled_ms)
            .with("config_source", self.loaded.source)
            .with("config_version", &self.loaded.list.version)
            .with("probes_known", self.loaded.list.probes.len())
            .with("probes_due", self.due)
            .with("probes_run", self.outcomes.len())
            .with("probes_failed", self.failed())
            .with("probes_skipped", self.skipped.len())
            .with("skipped", self.skipped.join(","))
            .with("batches_resent", self.resent)
            .with("batches_waiting", state::with(|state| state.outbox.len()))
            .with("requests_left", self.requests_left)
            .with("duration_ms", stopwatch.elapsed().as_millis())
            .with("version", env!("CARGO_PKG_VERSION"))
    }

    /// One record for each probe that failed.
    fn failures(&self) -> impl Iterator<Item = LogRecord> {
        self.outcomes.iter().filter(|outcome| !outcome.success).map(|outcome| {
            let reason = outcome.reason.map_or("other", probes::Reason::as_str);
            LogRecord::new(
                outcome.started_ms,
                Level::Warn,
                WORKER,
                &format!("probe failed: {}", outcome.probe),
            )
            .with("probe", &outcome.probe)
            .with("target", &outcome.target)
            .with("reason", reason)
            .with("error", outcome.attributes.get("error").map_or("", String::as_str))
            .with("status_code", outcome.status_code.map(|code| code.to_string()).unwrap_or_default())
            .with("duration_seconds", outcome.duration_seconds)
            .with("result_id", &outcome.result_id)
        })
    }
}
