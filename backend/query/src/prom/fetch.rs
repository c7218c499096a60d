//! Gets everything a query will ask for, before it is evaluated: all selectors at once.

use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use model::{Labels, Matcher};
use promql::{Prefetched, Selection, SeriesData};
use store::Snapshot;
use store::samples::SampleOptions;

use super::answer::PromStats;
use super::error::PromError;
use super::histograms::attach_histograms;

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
    let groups = groups(selections);
    let fetched = try_join_all(groups.iter().map(|group| read(snapshot, group, limits))).await?;
    let mut stats = PromStats::default();
    let mut series = vec![Vec::new(); selections.len()];
    for (group, (data, took)) in groups.iter().zip(fetched) {
        stats.add(&took);
        for place in &group.places {
            let Selection { start_ms, end_ms, .. } = selections[*place];
            let within = data.iter().filter(|data| has_samples_within(data, start_ms, end_ms));
            series[*place] = within.map(Arc::clone).collect();
        }
    }
    Ok((Prefetched(series), stats))
}

/// Selections that are read as one: the same matchers, times that overlap.
#[derive(Debug, PartialEq)]
struct Group {
    matchers: Arc<[Matcher]>,
    start_ms: i64,
    end_ms: i64,
    /// Positions in the list of selections.
    places: Vec<usize>,
}

fn groups(selections: &[Selection]) -> Vec<Group> {
    let mut order: Vec<usize> = (0..selections.len()).collect();
    order.sort_by_key(|place| selections[*place].start_ms);
    let mut groups: Vec<Group> = Vec::new();
    for place in order {
        let selection = &selections[place];
        let same =
            |group: &&mut Group| group.end_ms >= selection.start_ms && group.matchers == selection.matchers;
        match groups.iter_mut().find(same) {
            Some(group) => {
                group.end_ms = group.end_ms.max(selection.end_ms);
                group.places.push(place);
            }
            None => groups.push(Group {
                matchers: Arc::clone(&selection.matchers),
                start_ms: selection.start_ms,
                end_ms: selection.end_ms,
                places: vec![place],
            }),
        }
    }
    groups
}

fn has_samples_within(data: &SeriesData, start_ms: i64, end_ms: i64) -> bool {
    let float = data.timestamps.partition_point(|time| *time < start_ms);
    let histogram = data.histograms.partition_point(|sample| sample.timestamp_ms < start_ms);
    data.timestamps.get(float).is_some_and(|time| *time <= end_ms)
        || data.histograms.get(histogram).is_some_and(|sample| sample.timestamp_ms <= end_ms)
}

async fn read(
    snapshot: &Snapshot,
    group: &Group,
    limits: &FetchLimits,
) -> Result<(Vec<Arc<SeriesData>>, PromStats), PromError> {
    let (start_ms, end_ms) = (group.start_ms, group.end_ms);
    let started = Instant::now();
    let entries = snapshot.select_series(&group.matchers, start_ms, end_ms).await?;
    if entries.len() > limits.series_max {
        return Err(PromError::TooManySeries { limit: limits.series_max });
    }
    let selected = Instant::now();
    let read = snapshot.read_samples(&entries, start_ms, end_ms, &limits.samples).await?;
    let mut data: Vec<SeriesData> = entries
        .iter()
        .zip(read.series)
        .map(|(entry, samples)| SeriesData {
            labels: Labels::clone(&entry.labels),
            timestamps: samples.timestamps,
            values: samples.values,
            ..SeriesData::default()
        })
        .collect();
    let range = (start_ms, end_ms);
    let histograms = attach_histograms(snapshot, &entries, &mut data, range, &limits.samples).await?;
    let stats = PromStats {
        series: entries.len(),
        samples: read.stats.samples + histograms,
        bytes_read: read.stats.bytes,
        files: read.stats.files,
        files_pruned: read.stats.files_pruned,
        select_ms: milliseconds(selected - started),
        read_ms: milliseconds(selected.elapsed()),
        ..PromStats::default()
    };
    let series = data.into_iter().filter(|data| !data.timestamps.is_empty() || !data.histograms.is_empty());
    Ok((series.map(Arc::new).collect(), stats))
}

/// For people.
pub(super) fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use promql::{Engine, QueryTime};

    #[test]
    fn selections_of_the_same_series_are_read_once() {
        let query = "a + rate(a[7m]) + a offset 2m + a offset 1d + a{b=\"c\"} + a offset 4m";
        let time = QueryTime::Range { start_ms: 0, end_ms: 600_000, step_ms: 60_000 };
        let prepared = Engine::default().prepare(query, time).unwrap();
        let groups = groups(prepared.selections());
        let mut places: Vec<Vec<usize>> = groups
            .iter()
            .map(|group| {
                let mut places = group.places.clone();
                places.sort_unstable();
                places
            })
            .collect();
        places.sort();
        assert_eq!(places, [vec![0, 1, 2, 5], vec![3], vec![4]]);
        for group in &groups {
            for place in &group.places {
                let selection = &prepared.selections()[*place];
                assert!(group.start_ms <= selection.start_ms && selection.end_ms <= group.end_ms);
            }
        }
    }
}
