//! Exemplars of the series a query selects. Comes in: a query and a range of time; goes out: series with their
//! exemplars. The query is not evaluated: its selectors say which series are meant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use model::{Labels, Matcher};
use promql::QueryTime;
use store::Snapshot;
use store::samples::{SampleBudget, SampleOptions};
use store::sparse::ExemplarRow;

use super::config::PromOptions;
use super::engine::PromEngine;
use super::error::{IN_EXECUTION, PromError};

/// Exemplars of one series, by time.
#[derive(Clone, Debug)]
pub struct SeriesExemplars {
    /// The series, metric name included.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<ExemplarRow>,
}

impl PromEngine {
    /// Exemplars from `start_ms` to `end_ms` (inclusive, milliseconds since the Unix epoch) of the series that
    /// selectors of `query` select; series by their labels, those without exemplars left out. Fails where the
    /// query is not valid and where a limit of queries bites.
    pub async fn exemplars(
        &self,
        snapshot: Arc<Snapshot>,
        query: &str,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesExemplars>, PromError> {
        let selectors = self.selectors(query, end_ms)?;
        let (engine, config) = (self.clone(), self.config());
        let options = SampleOptions {
            budget: Arc::new(SampleBudget::new(config.samples_read_max())),
            parallel: config.threads.max(1),
            ..SampleOptions::default()
        };
        let (deadline, series_max) = (Instant::now() + config.timeout, config.series_max);
        let reading = async move {
            let _permit = engine.enter(deadline).await?;
            let mut found: BTreeMap<Labels, Vec<ExemplarRow>> = BTreeMap::new();
            for matchers in &selectors {
                let series = snapshot.select_series(matchers, start_ms, end_ms).await?;
                if series.len() > series_max {
                    return Err(PromError::TooManySeries { limit: series_max });
                }
                let mut rows = snapshot.read_exemplars(&series, start_ms, end_ms, &options).await?;
                for entry in series {
                    // A series that several selectors select has the same exemplars every time.
                    if let Some(rows) = rows.remove(&entry.tsid) {
                        found.insert(entry.labels, rows);
                    }
                }
            }
            let series = found.into_iter().map(|(labels, exemplars)| SeriesExemplars { labels, exemplars });
            Ok(series.collect())
        };
        let within = async move {
            match tokio::time::timeout_at(deadline.into(), reading).await {
                Ok(outcome) => outcome,
                Err(_) => Err(PromError::Timeout(IN_EXECUTION)),
            }
        };
        self.on_workers(within).await
    }

    /// The different selectors of a query.
    fn selectors(&self, query: &str, time_ms: i64) -> Result<Vec<Arc<[Matcher]>>, PromError> {
        let prepared =
            self.language(&PromOptions::default()).prepare(query, QueryTime::Instant { time_ms })?;
        let mut selectors: Vec<Arc<[Matcher]>> = Vec::new();
        for selection in prepared.selections() {
            if !selectors.contains(&selection.matchers) {
                selectors.push(Arc::clone(&selection.matchers));
            }
        }
        Ok(selectors)
    }
}
