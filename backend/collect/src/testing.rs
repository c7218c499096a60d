//! What the tests of this crate share: jobs from JSON, labels from text, a sink that keeps batches, a clock
//! that follows tokio's.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use model::{Batch, Clock, Labels, METRIC_NAME};
use serde_json::{Value, json};

use crate::scrape::{Global, Job, ScrapeConfig, jobs};
use crate::{Sink, SinkError};

/// A job named `test` with the fields of `config`.
pub(crate) fn job(config: Value) -> Job {
    let mut whole = json!({"job_name": "test"});
    for (field, value) in config.as_object().expect("a map") {
        whole[field] = value.clone();
    }
    let config: ScrapeConfig = serde_json::from_value(whole).expect("configuration is readable");
    jobs(&Global::default(), &[config], std::path::Path::new("/")).expect("configuration is valid").remove(0)
}

/// Labels from `a=1 b=2`.
pub(crate) fn labels(text: &str) -> Labels {
    Labels::from_pairs(text.split_whitespace().map(|pair| pair.split_once('=').expect("name=value")))
}

/// Keeps every batch.
#[derive(Debug, Default)]
pub(crate) struct MemorySink(pub(crate) Mutex<Vec<Batch>>);

#[async_trait]
impl Sink for MemorySink {
    async fn send(&self, batch: Batch) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(batch);
        Ok(())
    }
}

impl MemorySink {
    /// Points of series whose name satisfies `wanted`, as `name{labels} value @ms`, staleness markers as
    /// `stale`.
    pub(crate) fn points(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let batches = self.0.lock().unwrap();
        let points =
            batches.iter().flat_map(|batch| &batch.points).filter(|point| wanted(point.labels.name()));
        points
            .map(|point| {
                let value =
                    if model::is_stale(point.value) { "stale".to_owned() } else { point.value.to_string() };
                format!("{} {value} @{}", show(&point.labels), point.timestamp_ms)
            })
            .collect()
    }

    /// Values of the series named `name`, in order of writing.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        let batches = self.0.lock().unwrap();
        let points = batches.iter().flat_map(|batch| &batch.points);
        points.filter(|point| point.labels.name() == name).map(|point| point.value).collect()
    }
}

/// `name{…}` without `job` and `instance`.
fn show(labels: &Labels) -> String {
    let rest: Vec<String> = labels
        .iter()
        .filter(|(name, _)| !matches!(*name, METRIC_NAME | "job" | "instance"))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if rest.is_empty() {
        labels.name().to_owned()
    } else {
        format!("{}{{{}}}", labels.name(), rest.join(","))
    }
}

/// Tokio's clock, which tests may pause, as the wall clock.
#[derive(Debug)]
pub(crate) struct TokioClock {
    start: tokio::time::Instant,
    start_ms: i64,
}

impl TokioClock {
    pub(crate) fn at_ms(start_ms: i64) -> Arc<TokioClock> {
        Arc::new(TokioClock { start: tokio::time::Instant::now(), start_ms })
    }
}

impl Clock for TokioClock {
    fn now_ns(&self) -> i64 {
        let elapsed = i64::try_from(self.start.elapsed().as_nanos()).expect("tests are short");
        self.start_ms * 1_000_000 + elapsed
    }
}
