//! `targets`, `targets/metadata`, `scrape_pools`: what is scraped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use collect::scrape::TargetStatus;
use model::Labels;
use serde::Serialize;

use super::super::time::rfc3339;
use super::envelope::{PromError, success};
use super::metadata::Entry;
use super::parameters::{Parameters, invalid};
use crate::app::App;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    discovered_labels: Labels,
    labels: Labels,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<Target>,
    dropped_targets: Vec<Target>,
    dropped_target_counts: BTreeMap<String, usize>,
}

/// Active targets; `state=dropped` gives none, `scrapePool` those of one job.
pub(super) async fn targets(State(app): State<Arc<App>>, parameters: Parameters) -> Response {
    let pool = parameters.get("scrapePool");
    let wants_active = parameters.get("state").is_none_or(|state| !state.eq_ignore_ascii_case("dropped"));
    let mut list = Targets::default();
    if wants_active {
        let of_pool = |target: &TargetStatus| pool.is_none_or(|pool| pool == target.job);
        list.active_targets = app.scrapes().targets().into_iter().filter(of_pool).map(target).collect();
    }
    for target in &list.active_targets {
        list.dropped_target_counts.entry(target.scrape_pool.clone()).or_insert(0);
    }
    success(&list)
}

fn target(status: TargetStatus) -> Target {
    let interval = promql::format_duration(i64::try_from(status.interval.as_millis()).unwrap_or(i64::MAX));
    Target {
        discovered_labels: status.discovered_labels,
        labels: status.labels,
        scrape_pool: status.job,
        global_url: status.url.clone(),
        scrape_url: status.url,
        last_error: status.error.unwrap_or_default(),
        last_scrape: status.last_scrape_ms.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339),
        last_scrape_duration: status.last_duration.map_or(0.0, |duration| duration.as_secs_f64()),
        health: status.health.as_str(),
        scrape_timeout: interval.clone(),
        scrape_interval: interval,
    }
}

/// Names of the jobs.
pub(super) async fn pools(State(app): State<Arc<App>>) -> Response {
    let pools: BTreeSet<String> = app.scrapes().targets().into_iter().map(|target| target.job).collect();
    success(&BTreeMap::from([("scrapePools", pools)]))
}

#[derive(Debug, Serialize)]
struct TargetMetadata {
    target: Labels,
    metric: String,
    #[serde(flatten)]
    entry: Entry,
}

/// Metadata of the families that targets expose. Families are remembered by name over all sources, so that
/// every target that matches is listed with all of them.
pub(super) async fn metadata(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let limit = parameters.limit()?;
    let matchers = parameters.get("match_target").map(promql::parse_selector).transpose();
    let matchers = matchers.map_err(|error| invalid("match_target", error.to_string()))?.unwrap_or_default();
    let wanted = parameters.get("metric");
    let known = app.store().metadata();
    let mut list = Vec::new();
    for target in app.scrapes().targets() {
        let matches = |m: &model::Matcher| m.matches(target.labels.get(m.name()).unwrap_or_default());
        if !matchers.iter().all(matches) {
            continue;
        }
        for (family, metadata) in
            known.iter().filter(|(f, _)| wanted.is_none_or(|wanted| wanted == f.as_str()))
        {
            if limit > 0 && list.len() == limit {
                return Ok(success(&list));
            }
            let (labels, metric) = (Labels::clone(&target.labels), family.clone());
            list.push(TargetMetadata { target: labels, metric, entry: Entry::of(metadata) });
        }
    }
    Ok(success(&list))
}
