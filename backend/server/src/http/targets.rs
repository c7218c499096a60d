//! `GET /api/targets`: what is scraped and how that goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use collect::scrape::TargetStatus;
use model::Labels;
use serde::Serialize;

use super::time::rfc3339;
use crate::app::App;

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Targets {
    targets: Vec<Target>,
}

/// One target. Times are RFC 3339.
#[derive(Debug, Serialize)]
struct Target {
    job: String,
    instance: String,
    url: String,
    health: &'static str,
    last_scrape_at: Option<String>,
    last_duration_seconds: Option<f64>,
    samples: usize,
    error: Option<String>,
    labels: Labels,
    discovered_labels: Labels,
    interval_seconds: f64,
}

/// All targets, in order of job and instance.
pub(super) async fn targets(State(app): State<Arc<App>>) -> Json<Targets> {
    let mut targets: Vec<Target> = app.scrapes().targets().into_iter().map(Target::from).collect();
    targets.sort_by(|a, b| (&a.job, &a.instance, &a.url).cmp(&(&b.job, &b.instance, &b.url)));
    Json(Targets { targets })
}

impl From<TargetStatus> for Target {
    fn from(status: TargetStatus) -> Target {
        Target {
            job: status.job,
            instance: status.instance,
            url: status.url,
            health: status.health.as_str(),
            last_scrape_at: status.last_scrape_ms.map(rfc3339),
            last_duration_seconds: status.last_duration.map(|duration| duration.as_secs_f64()),
            samples: status.samples,
            error: status.error,
            labels: status.labels,
            discovered_labels: status.discovered_labels,
            interval_seconds: status.interval.as_secs_f64(),
        }
    }
}
