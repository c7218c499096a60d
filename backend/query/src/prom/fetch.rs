//! Gets what a query will ask for: looks up the series of all selectors and estimates how many samples they have.
//! What is small is read before the query is evaluated, all selectors at once; what is not is left to be streamed
//! while it is.

use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use model::Matcher;
use promql::{Selection, SeriesData};
use store::samples::{SampleOptions, SamplePlan};
use store::{SeriesEntry, Snapshot};

use super::answer::PromStats;
use super::error::PromError;
use super::slices::series_data;

/// What reading for a query may use up.
#[derive(Clone, Debug)]
pub(super) struct FetchLimits {
    pub(super) series_max: usize,
    /// Samples read before evaluation, about; selectors with more are streamed.
    pub(super) prefetch_max: usize,
    pub(super) samples: SampleOptions,
}

/// What there is for one selection.
#[derive(Clone, Debug)]
pub(super) enum Fetched {
    /// Its series.
    Read(Vec<Arc<SeriesData>>),
    /// The series to be streamed, by (metric, tsid); not all of them need have samples.
    ToStream(Arc<[SeriesEntry]>),
}

/// The series of a query's selections.
#[derive(Debug)]
pub(super) struct Selected {
    groups: Vec<Group>,
    /// One list for every group, by (metric, tsid).
    entries: Vec<Arc<[SeriesEntry]>>,
    select_ms: f64,
}

impl Selected {
    /// How many series there are, those of several selections counted more than once.
    pub(super) fn series(&self) -> usize {
        self.entries.iter().map(|entries| entries.len()).sum()
    }
}

/// Finds the series of every selection. Fails where one has more than allowed.
pub(super) async fn select(
    snapshot: &Snapshot,
    selections: &[Selection],
    limits: &FetchLimits,
) -> Result<Selected, PromError> {
    let started = Instant::now();
    let groups = groups(selections);
    let selecting = groups.iter().map(async |group| -> Result<Arc<[SeriesEntry]>, PromError> {
        let entries = snapshot.select_series(&group.matchers, group.start_ms, group.end_ms).await?;
        if entries.len() > limits.series_max {
            return Err(PromError::TooManySeries { limit: limits.series_max });
        }
        Ok(entries.into())
    });
    let entries = try_join_all(selecting).await?;
    Ok(Selected { groups, entries, select_ms: milliseconds(started.elapsed()) })
}

/// What there is for every selection, with what it took.
pub(super) async fn fetch(
    snapshot: &Snapshot,
    selections: &[Selection],
    selected: Selected,
    limits: &FetchLimits,
) -> Result<(Vec<Fetched>, PromStats), PromError> {
    let mut stats =
        PromStats { series: selected.series(), select_ms: selected.select_ms, ..PromStats::default() };
    let Selected { groups, entries, .. } = selected;
    let planning = groups.iter().zip(entries).map(|(group, entries)| plan(snapshot, group, entries, limits));
    let planned = try_join_all(planning).await?;
    planned.iter().for_each(|(_, took)| stats.add(took));
    let is_small = small(&planned.iter().map(|(plan, _)| plan.samples()).collect::<Vec<_>>(), limits);
    let planned = groups.iter().zip(planned).zip(is_small);
    let reads = planned.map(async |((group, (plan, _)), is_small)| {
        if is_small {
            return read(snapshot, group, plan, limits).await;
        }
        Ok((Fetched::ToStream(Arc::clone(plan.series())), PromStats::default()))
    });
    let mut fetched = vec![Fetched::Read(Vec::new()); selections.len()];
    for (group, (of_group, took)) in groups.iter().zip(try_join_all(reads).await?) {
        stats.add(&took);
        for place in &group.places {
            let Selection { start_ms, end_ms, .. } = selections[*place];
            fetched[*place] = match &of_group {
                Fetched::Read(data) => {
                    let within = data.iter().filter(|data| has_samples_within(data, start_ms, end_ms));
                    Fetched::Read(within.map(Arc::clone).collect())
                }
                Fetched::ToStream(series) => Fetched::ToStream(Arc::clone(series)),
            };
        }
    }
    Ok((fetched, stats))
}

/// Which readings together have few enough samples to be read at once; those with fewest are.
fn small(samples: &[usize], limits: &FetchLimits) -> Vec<bool> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|place| samples[*place]);
    let mut is_small = vec![false; samples.len()];
    let mut sum = 0_usize;
    for place in order {
        sum = sum.saturating_add(samples[place]);
        is_small[place] = sum <= limits.prefetch_max;
    }
    is_small
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

/// Finds out what is to be read of the series of a group.
async fn plan(
    snapshot: &Snapshot,
    group: &Group,
    entries: Arc<[SeriesEntry]>,
    limits: &FetchLimits,
) -> Result<(SamplePlan, PromStats), PromError> {
    let started = Instant::now();
    let plan = snapshot.plan_samples(entries, group.start_ms, group.end_ms, &limits.samples).await?;
    Ok((plan, PromStats { read_ms: milliseconds(started.elapsed()), ..PromStats::default() }))
}

async fn read(
    snapshot: &Snapshot,
    group: &Group,
    plan: SamplePlan,
    limits: &FetchLimits,
) -> Result<(Fetched, PromStats), PromError> {
    let started = Instant::now();
    let entries = Arc::clone(plan.series());
    let read = plan.read().await?;
    let range = (group.start_ms, group.end_ms);
    let (series, histograms) = series_data(snapshot, &entries, read.series, range, &limits.samples).await?;
    let samples = read.stats.samples + histograms;
    let stats = PromStats {
        samples,
        samples_held_max: samples,
        bytes_read: read.stats.bytes,
        files: read.stats.files,
        files_pruned: read.stats.files_pruned,
        read_ms: milliseconds(started.elapsed()),
        ..PromStats::default()
    };
    Ok((Fetched::Read(series), stats))
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
