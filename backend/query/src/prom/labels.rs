//! Series and labels, without samples: what the metadata APIs of Prometheus ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Labels, Matcher};
use store::Snapshot;

use super::engine::PromEngine;
use super::error::PromError;

impl PromEngine {
    /// Label sets of all series that satisfy all matchers of one of the sets and may have samples from
    /// `start_ms` to `end_ms` (inclusive, milliseconds since the Unix epoch); sorted. No set at all stands for
    /// every series. At most `limit` of them; ask for one more than you want, to know whether there are more.
    pub async fn series(
        &self,
        snapshot: Arc<Snapshot>,
        matcher_sets: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<Vec<Labels>, PromError> {
        let mut sets = matcher_sets.to_vec();
        if sets.is_empty() {
            sets.push(Vec::new());
        }
        let limit = limit.unwrap_or(usize::MAX);
        self.on_workers(async move {
            let mut found: BTreeSet<Labels> = BTreeSet::new();
            for matchers in &sets {
                let entries = snapshot.select_series(matchers, start_ms, end_ms).await?;
                found.extend(entries.into_iter().map(|entry| entry.labels));
            }
            Ok(found.into_iter().take(limit).collect())
        })
        .await
    }

    /// Names of the labels such series have, sorted.
    pub async fn label_names(
        &self,
        snapshot: Arc<Snapshot>,
        matcher_sets: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<Vec<String>, PromError> {
        let sets = matcher_sets.to_vec();
        self.on_workers(async move { Ok(snapshot.label_names(&sets, start_ms, end_ms, limit).await?.texts) })
            .await
    }

    /// Values the label `name` has among such series, sorted.
    pub async fn label_values(
        &self,
        snapshot: Arc<Snapshot>,
        name: &str,
        matcher_sets: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<Vec<String>, PromError> {
        let (sets, name) = (matcher_sets.to_vec(), name.to_owned());
        self.on_workers(async move {
            Ok(snapshot.label_values(&name, &sets, start_ms, end_ms, limit).await?.texts)
        })
        .await
    }
}
