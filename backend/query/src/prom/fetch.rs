//! Gets everything a query will ask for, before it is evaluated: all selectors at once.

use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use promql::{Prefetched, Selection, SeriesData};
use store::Snapshot;
use store::samples::SampleOptions;

use super::answer::PromStats;
use super::error::PromError;
use super::select::select_series;

/// What reading for a query may use up.
#[derive(Clone, Debug)]
pub(super) struct FetchLimits {
    pub(super) series_max: usize,
    pub(super) samples: SampleOptions,
}

/// The series of all selections, with what it took.
pub(super) async fn fetch(
    snapshot: &Snapshot,
    selections: &[Selection],
    limits: &FetchLimits,
) -> Result<(Prefetched, PromStats), PromError> {
    let fetched = try_join_all(selections.iter().map(|selection| one(snapshot, selection, limits))).await?;
    let mut stats = PromStats::default();
    let mut series = Vec::with_capacity(fetched.len());
    for (data, took) in fetched {
        stats.add(&took);
        series.push(data);
    }
    Ok((Prefetched(series), stats))
}

async fn one(
    snapshot: &Snapshot,
    selection: &Selection,
    limits: &FetchLimits,
) -> Result<(Vec<Arc<SeriesData>>, PromStats), PromError> {
    let (start_ms, end_ms) = (selection.start_ms, selection.end_ms);
    let started = Instant::now();
    let entries = select_series(snapshot, &selection.matchers, start_ms, end_ms).await?;
    if entries.len() > limits.series_max {
        return Err(PromError::TooManySeries { limit: limits.series_max });
    }
    let selected = Instant::now();
    let read = snapshot.read_samples(&entries, start_ms, end_ms, &limits.samples).await?;
    let stats = PromStats {
        series: entries.len(),
        samples: read.stats.samples,
        bytes_read: read.stats.bytes,
        files: read.stats.files,
        files_pruned: read.stats.files_pruned,
        select_ms: milliseconds(selected - started),
        read_ms: milliseconds(selected.elapsed()),
        ..PromStats::default()
    };
    let series = entries.into_iter().zip(read.series).filter(|(_, samples)| !samples.timestamps.is_empty());
    let series = series.map(|(entry, samples)| {
        Arc::new(SeriesData {
            labels: entry.labels,
            timestamps: samples.timestamps,
            values: samples.values,
            ..SeriesData::default()
        })
    });
    Ok((series.collect(), stats))
}

/// For people.
pub(super) fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
