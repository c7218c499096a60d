//! The series asked for, in the shapes that pruning and reading need.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;

use crate::ids::IdHasher;
use crate::series_files::SeriesEntry;

/// Series asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Position in the caller's list by id.
    positions: HashMap<i64, u32, BuildHasherDefault<IdHasher>>,
    /// Ids, by (metric, tsid).
    tsids: Vec<i64>,
    /// Metrics in order, with their places in `tsids`.
    metrics: Vec<(String, Range<usize>)>,
}

impl Wanted {
    /// Of `series` in any order; of a repeated id the last position counts.
    pub(super) fn new(series: &[SeriesEntry]) -> Wanted {
        let positions = series.iter().zip(0..).map(|(entry, position)| (entry.tsid, position)).collect();
        let mut order: Vec<&SeriesEntry> = series.iter().collect();
        order.sort_by(|a, b| (a.labels.name(), a.tsid).cmp(&(b.labels.name(), b.tsid)));
        let mut metrics: Vec<(String, Range<usize>)> = Vec::new();
        for (i, entry) in order.iter().enumerate() {
            match metrics.last_mut() {
                Some((metric, range)) if metric == entry.labels.name() => range.end = i + 1,
                _ => metrics.push((entry.labels.name().to_owned(), i..i + 1)),
            }
        }
        Wanted { positions, tsids: order.iter().map(|entry| entry.tsid).collect(), metrics }
    }

    /// Where the series stands in the caller's list, if it is asked for.
    pub(super) fn position(&self, tsid: i64) -> Option<usize> {
        self.positions.get(&tsid).map(|position| *position as usize)
    }

    /// The ids, by (metric, tsid).
    pub(super) fn tsids(&self) -> &[i64] {
        &self.tsids
    }

    /// Whether a series is asked for whose metric and id lie in these ranges, `None` being no bound.
    pub(super) fn any_within(
        &self,
        metrics: (Option<&[u8]>, Option<&[u8]>),
        tsids: (Option<i64>, Option<i64>),
    ) -> bool {
        self.within(metrics, tsids).next().is_some()
    }

    /// The first, by (metric, tsid), of the series with metric and id in these ranges, and how many there are.
    pub(super) fn first_within(
        &self,
        metrics: (Option<&[u8]>, Option<&[u8]>),
        tsids: (Option<i64>, Option<i64>),
    ) -> (usize, usize) {
        let mut ranges = self.within(metrics, tsids);
        let Some(first) = ranges.next() else { return (self.tsids.len(), 0) };
        (first.start, first.len() + ranges.map(|range| range.len()).sum::<usize>())
    }

    /// Ids of the series with metric and id in these ranges, in order, each once; `None` for more than `max`.
    pub(super) fn few_within(
        &self,
        metrics: (Option<&[u8]>, Option<&[u8]>),
        tsids: (Option<i64>, Option<i64>),
        max: usize,
    ) -> Option<Vec<i64>> {
        let mut few = Vec::new();
        for range in self.within(metrics, tsids) {
            if few.len() + range.len() > max {
                return None;
            }
            few.extend_from_slice(&self.tsids[range]);
        }
        few.sort_unstable();
        few.dedup();
        Some(few)
    }

    /// Places of the ids with metric and id in these ranges, none of them empty.
    fn within(
        &self,
        metrics: (Option<&[u8]>, Option<&[u8]>),
        tsids: (Option<i64>, Option<i64>),
    ) -> impl Iterator<Item = Range<usize>> {
        let first = metrics.0.map_or(0, |min| self.metrics.partition_point(|(m, _)| m.as_bytes() < min));
        let within = self.metrics[first..]
            .iter()
            .take_while(move |(metric, _)| metrics.1.is_none_or(|max| metric.as_bytes() <= max));
        let (min, max) = (tsids.0.unwrap_or(i64::MIN), tsids.1.unwrap_or(i64::MAX));
        within.filter_map(move |(_, range)| {
            let ids = &self.tsids[range.clone()];
            let (from, to) = (ids.partition_point(|id| *id < min), ids.partition_point(|id| *id <= max));
            (from < to).then_some(range.start + from..range.start + to)
        })
    }
}
