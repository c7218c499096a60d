//! `metadata`: what sources told of metric families.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use model::MetricMetadata;
use serde::Serialize;

use super::envelope::{PromError, success};
use super::parameters::Parameters;
use crate::app::App;

/// One family.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: &'static str,
    unit: String,
    help: String,
}

impl Entry {
    pub(super) fn of(metadata: &MetricMetadata) -> Entry {
        Entry {
            kind: codecs::kind_name(metadata.kind),
            unit: metadata.unit.clone(),
            help: metadata.help.clone(),
        }
    }
}

/// By family name.
pub(super) async fn metadata(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let limit = parameters.limit()?;
    let wanted = parameters.get("metric");
    let known = app.store().metadata();
    let families: BTreeMap<&str, [Entry; 1]> = known
        .iter()
        .filter(|(family, _)| wanted.is_none_or(|wanted| wanted == family.as_str()))
        .take(if limit == 0 { usize::MAX } else { limit })
        .map(|(family, metadata)| (family.as_str(), [Entry::of(metadata)]))
        .collect();
    Ok(success(&families))
}
