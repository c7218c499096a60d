//! Samples of one generation: what grows, by shards ([`super::growing`]), and what was sealed
//! ([`super::sealed`]). A generation that takes rows only has the former, a hot block only the latter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Labels, Point};

use super::chunk::{Encoded, Sample};
use super::growing::Growing;
use super::registry::{Arrivals, Registry, RegistryIndex};
use super::sealed::Sealed;

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The samples.
#[derive(Debug, Default)]
pub(crate) struct MetricsHead {
    growing: Growing,
    sealed: Sealed,
}

/// One series as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Its labels, metric name included.
    pub(crate) labels: Labels,
    /// Its id.
    pub(crate) tsid: i64,
    /// Its samples, in order of writing.
    pub(crate) chunk: Encoded,
    /// Earliest sample.
    pub(crate) min_ms: i64,
    /// Latest sample.
    pub(crate) max_ms: i64,
    /// Whether every sample is later than the one before.
    pub(crate) in_order: bool,
}

impl Series {
    /// Whether it has a sample between `start_ms` and `end_ms`, as far as its span tells.
    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.min_ms <= end_ms && self.max_ms >= start_ms
    }

    /// The samples between `start_ms` and `end_ms`, both inclusive, in order of writing; decodes no further
    /// than it must.
    pub(crate) fn samples(&self, start_ms: i64, end_ms: i64) -> impl Iterator<Item = Sample> + '_ {
        let in_order = self.in_order;
        self.chunk
            .iter()
            .take_while(move |sample| !in_order || sample.0 <= end_ms)
            .filter(move |sample| (start_ms..=end_ms).contains(&sample.0))
    }
}

impl MetricsHead {
    /// No samples yet; room for about `series` series is made when the first ones come.
    pub(crate) fn with_room_for(series: u64) -> MetricsHead {
        MetricsHead { growing: Growing::with_room_for(series), sealed: Sealed::default() }
    }

    /// Samples that do not change any more.
    pub(crate) fn of_sealed(sealed: Sealed) -> MetricsHead {
        MetricsHead { growing: Growing::default(), sealed }
    }

    /// Adds points; `indexes` are their series in `registry`. Called by one thread only.
    pub(crate) fn append(
        &self,
        points: &[Point],
        indexes: &[RegistryIndex],
        registry: &mut Registry,
        generation: u32,
        received_ms: i64,
    ) -> Arrivals {
        self.growing.append(points, indexes, registry, generation, received_ms)
    }

    /// Days that have samples, with how many.
    pub(crate) fn days(&self) -> BTreeMap<i32, u64> {
        let mut days = self.growing.days();
        for (day, rows) in self.sealed.days() {
            *days.entry(*day).or_default() += rows;
        }
        days
    }

    /// Samples written; repeated ones count until they are sealed.
    pub(crate) fn rows(&self) -> u64 {
        self.growing.rows() + self.sealed.rows()
    }

    /// Series with samples.
    pub(crate) fn series_count(&self) -> u64 {
        self.growing.series_count() + self.sealed.series_count()
    }

    /// Bytes on the heap, without the label sets, which the registry counts.
    pub(crate) fn heap_bytes(&self) -> u64 {
        self.growing.heap_bytes() + self.sealed.heap_bytes()
    }

    /// Earliest of the samples that came in one by one, milliseconds; `None` where there is none.
    pub(crate) fn min_growing_ms(&self) -> Option<i64> {
        self.growing.min_ms()
    }

    /// Latest sample, milliseconds; `None` where there is none.
    pub(crate) fn max_ms(&self) -> Option<i64> {
        self.growing.max_ms().max(self.sealed.max_ms())
    }

    /// Names of all metrics.
    pub(crate) fn metric_names(&self) -> BTreeSet<String> {
        let mut names = self.growing.metric_names();
        names.extend(self.sealed.metric_names().map(str::to_owned));
        names
    }

    /// Copies of the series of `metric` for which `keep` holds, in no order. `keep` sees no samples.
    pub(crate) fn series_of(&self, metric: &str, keep: impl Fn(&Series) -> bool) -> Vec<Series> {
        let mut found = Vec::new();
        self.growing.series_of(metric, &keep, &mut found);
        self.sealed.series_of(metric, &keep, &mut found);
        found
    }

    /// The series with these ids, in no order; ids that are not here are left out.
    pub(crate) fn series_by_ids(&self, tsids: &[i64]) -> Vec<Series> {
        let mut found = Vec::new();
        self.growing.series_by_ids(tsids, &mut found);
        self.sealed.series_by_ids(tsids, &mut found);
        found
    }
}

/// Reads; a writer that panicked leaves rows behind that are whole, so poison is no reason to stop.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Writes, as [`read`] reads.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes a hash map of this capacity has on the heap, with `entry` bytes an entry.
pub(crate) fn map_bytes(capacity: usize, entry: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity * 8).div_ceil(7).next_power_of_two() * (entry + 1) + 16 }
}

#[cfg(test)]
mod tests;
