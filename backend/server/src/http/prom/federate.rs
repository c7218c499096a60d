//! `/federate`: the latest samples of selected series as an exposition page, for another Prometheus to scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use codecs::exposition::Format;
use codecs::text_encode::Writer;
use model::{METRIC_NAME, MetricKind};
use promql::{Cell, Value};
use query::prom::PromOptions;

use super::envelope::PromError;
use super::parameters::Parameters;
use crate::app::App;

/// The page: every series that any `match[]` selects, with its latest sample of the last five minutes.
pub(super) async fn federate(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    parameters.matcher_sets()?;
    let mut by_labels = BTreeMap::new();
    for selector in parameters.all("match[]") {
        // The sample's own time is asked for beside its value: a federated sample keeps it.
        let (snapshot, now_ms, options) = (app.store().snapshot(), app.now_ms(), PromOptions::default());
        let answer = app.prom().instant(Arc::clone(&snapshot), selector, now_ms, &options).await?;
        let times = format!("timestamp({selector})");
        let times = app.prom().instant(snapshot, &times, now_ms, &options).await?;
        let (Value::Vector(samples), Value::Vector(times)) = (answer.value, times.value) else { continue };
        let times: BTreeMap<_, _> = times
            .into_iter()
            .filter_map(|sample| match sample.value {
                Cell::Float(seconds) => Some((sample.labels.without_name(), seconds)),
                Cell::Histogram(_) => None,
            })
            .collect();
        for sample in samples {
            if let Cell::Float(value) = sample.value {
                let seconds = times.get(&sample.labels.without_name()).copied();
                by_labels.insert(sample.labels, (value, seconds));
            }
        }
    }
    let mut page = Writer::new(Format::Text);
    let metadata = app.store().metadata();
    let mut family = None;
    for (labels, (value, seconds)) in &by_labels {
        let name = labels.name().to_owned();
        if family.as_ref() != Some(&name) {
            let known = metadata.get(&name);
            let kind = known.map_or(MetricKind::Unknown, |known| known.kind);
            page.family(&name, kind, known.map_or("", |known| known.help.as_str()));
            family = Some(name.clone());
        }
        let pairs = labels.iter().filter(|(label, _)| *label != METRIC_NAME);
        #[expect(clippy::cast_possible_truncation, reason = "a sample's time fits")]
        let timestamp_ms = seconds.map(|seconds| (seconds * 1000.0).round() as i64);
        page.sample_at(&name, pairs, *value, timestamp_ms);
    }
    Ok(([(header::CONTENT_TYPE, page.content_type())], page.finish()).into_response())
}
