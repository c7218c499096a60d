//! `status/*`, and the lists of rules, alerts and Alertmanagers: what clients ask to learn whom they talk to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use model::METRIC_NAME;
use serde::Serialize;
use serde_json::json;

use super::super::time::rfc3339;
use super::envelope::{PromError, success};
use super::parameters::Parameters;
use crate::app::App;
use crate::config::redacted;

/// The version of the API this program speaks, which clients choose features by.
const PROMETHEUS_VERSION: &str = "3.14.0";
/// Entries of each list of `status/tsdb`, as in Prometheus.
const TOP: usize = 10;

/// Who answers. Without `features`, so that Grafana takes rules for read-only.
pub(super) async fn build() -> Response {
    success(&json!({
        "version": PROMETHEUS_VERSION,
        "revision": concat!("atl-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "atl",
        "applicationVersion": env!("CARGO_PKG_VERSION"),
    }))
}

/// The configuration file, secrets struck out.
pub(super) async fn config(State(app): State<Arc<App>>) -> Response {
    let text = app.facts.config_path.as_ref().map_or_else(String::new, |path| redacted::read(path));
    success(&json!({ "yaml": text }))
}

/// The settings a Prometheus has as flags.
pub(super) async fn flags(State(app): State<Arc<App>>) -> Response {
    let limits = app.prom().config();
    let duration = |duration: std::time::Duration| {
        promql::format_duration(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    };
    success(&json!({
        "config.file": app.facts.config_path.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        "query.lookback-delta": duration(limits.lookback_delta),
        "query.max-concurrency": limits.concurrent_max.to_string(),
        "query.max-samples": limits.samples_max.to_string(),
        "query.timeout": duration(limits.timeout),
        "web.enable-admin-api": "false",
        "web.enable-lifecycle": "true",
        "web.enable-remote-write-receiver": "true",
        "web.listen-address": app.facts.listen.to_string(),
    }))
}

/// How the process fares.
pub(super) async fn runtime(State(app): State<Arc<App>>) -> Response {
    let stats = app.store().stats();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    success(&json!({
        "startTime": rfc3339(app.started_ms),
        "CWD": "",
        "hostname": app.facts.hostname,
        "serverTime": rfc3339(app.now_ms()),
        "reloadConfigSuccess": true,
        "lastConfigTime": rfc3339(app.started_ms),
        "corruptionCount": stats.replay.damaged_ranges,
        "goroutineCount": 0,
        "GOMAXPROCS": threads,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "",
    }))
}

/// Asked while the log is being read, the gate before this router answers.
pub(super) async fn wal_replay(State(app): State<Arc<App>>) -> Response {
    let segments = app.store().stats().replay.segments;
    success(&json!({ "min": 0, "max": segments, "current": segments, "state": "done" }))
}

/// Alerting is not part of the program; there are no rules.
pub(super) async fn rules() -> Response {
    success(&json!({ "groups": [] }))
}

/// Nor alerts.
pub(super) async fn alerts() -> Response {
    success(&json!({ "alerts": [] }))
}

/// Nor Alertmanagers.
pub(super) async fn alertmanagers() -> Response {
    success(&json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))
}

#[derive(Debug, Serialize)]
struct NamedValue {
    name: String,
    value: u64,
}

/// Where the series come from: of those in memory, the metrics, labels and pairs with the most.
pub(super) async fn tsdb(State(app): State<Arc<App>>, parameters: Parameters) -> Result<Response, PromError> {
    let top = match parameters.limit()? {
        0 => TOP,
        limit => limit.min(10_000),
    };
    let snapshot = app.store().snapshot();
    let series = snapshot.head_series(None);
    let mut metrics: HashMap<&str, u64> = HashMap::new();
    let mut pairs: HashMap<(&str, &str), u64> = HashMap::new();
    let mut values: HashMap<&str, HashSet<&str>> = HashMap::new();
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for entry in &series {
        (first, last) = (first.min(entry.first_ts_us), last.max(entry.last_ts_us));
        for (name, value) in entry.labels.iter() {
            if name == METRIC_NAME {
                *metrics.entry(value).or_default() += 1;
            }
            *pairs.entry((name, value)).or_default() += 1;
            values.entry(name).or_default().insert(value);
        }
    }
    let bytes = |values: &HashSet<&str>| values.iter().map(|value| value.len() as u64).sum();
    let label_pairs = pairs.len();
    Ok(success(&json!({
        "headStats": {
            "numSeries": series.len(),
            "numLabelPairs": label_pairs,
            "chunkCount": series.len(),
            "minTime": if series.is_empty() { 0 } else { first.div_euclid(1_000) },
            "maxTime": if series.is_empty() { 0 } else { last.div_euclid(1_000) },
        },
        "seriesCountByMetricName": largest(metrics, top),
        "labelValueCountByLabelName": largest(values.iter().map(|(n, v)| (*n, v.len() as u64)), top),
        "memoryInBytesByLabelName": largest(values.iter().map(|(n, v)| (*n, bytes(v))), top),
        "seriesCountByLabelValuePair":
            largest(pairs.into_iter().map(|((name, value), count)| (format!("{name}={value}"), count)), top),
    })))
}

fn largest<N: Into<String>>(counts: impl IntoIterator<Item = (N, u64)>, top: usize) -> Vec<NamedValue> {
    let by_name: BTreeMap<String, u64> =
        counts.into_iter().map(|(name, count)| (name.into(), count)).collect();
    let mut list: Vec<NamedValue> =
        by_name.into_iter().map(|(name, value)| NamedValue { name, value }).collect();
    list.sort_by_key(|entry| std::cmp::Reverse(entry.value));
    list.truncate(top);
    list
}
