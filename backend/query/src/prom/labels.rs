//! Series and labels, without samples: what the metadata APIs of Prometheus ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Labels, Matcher};
use store::Snapshot;

use super::engine::PromEngine;
use super::error::PromError;
use super::select::select_series;

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
        self.over_series(snapshot, matcher_sets, start_ms, end_ms, limit, |labels, found| {
            found.insert(labels.clone());
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
        self.over_series(snapshot, matcher_sets, start_ms, end_ms, limit, |labels, found| {
            for (name, _) in labels.iter() {
                insert(found, name);
            }
        })
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
        let name = name.to_owned();
        self.over_series(snapshot, matcher_sets, start_ms, end_ms, limit, move |labels, found| {
            if let Some(value) = labels.get(&name) {
                insert(found, value);
            }
        })
        .await
    }

    async fn over_series<T: Ord + Send + 'static>(
        &self,
        snapshot: Arc<Snapshot>,
        matcher_sets: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
        collect: impl Fn(&Labels, &mut BTreeSet<T>) + Send + 'static,
    ) -> Result<Vec<T>, PromError> {
        let mut sets = matcher_sets.to_vec();
        if sets.is_empty() {
            sets.push(Vec::new());
        }
        let limit = limit.unwrap_or(usize::MAX);
        self.on_workers(async move {
            let mut found = BTreeSet::new();
            for matchers in &sets {
                for entry in select_series(&snapshot, matchers, start_ms, end_ms).await? {
                    collect(&entry.labels, &mut found);
                }
            }
            Ok(found.into_iter().take(limit).collect())
        })
        .await
    }
}

fn insert(found: &mut BTreeSet<String>, text: &str) {
    if !found.contains(text) {
        found.insert(text.to_owned());
    }
}
