//! Samples of one generation: a compressed chunk a series, in shards, so that a reader holds up the writer
//! only for the copy of one shard's chunks.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Labels, Point};

use super::chunk::Chunk;
use super::registry::{Registry, RegistryIndex};

const SHARDS: usize = 16;
/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The samples.
#[derive(Debug, Default)]
pub(crate) struct MetricsHead {
    shards: [RwLock<Shard>; SHARDS],
    days: RwLock<BTreeSet<i32>>,
    rows: AtomicU64,
    series: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    series: Vec<Series>,
    by_metric: HashMap<Box<str>, Vec<u32>>,
}

/// One series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Its labels, metric name included.
    pub(crate) labels: Labels,
    /// Its id.
    pub(crate) tsid: i64,
    /// Its samples, in order of writing.
    pub(crate) chunk: Chunk,
    /// Earliest sample.
    pub(crate) min_ms: i64,
    /// Latest sample.
    pub(crate) max_ms: i64,
    /// Whether every sample is later than the one before.
    pub(crate) in_order: bool,
}

impl Series {
    fn new(labels: Labels, tsid: i64) -> Series {
        let (min_ms, max_ms) = (i64::MAX, i64::MIN);
        Series { labels, tsid, chunk: Chunk::default(), min_ms, max_ms, in_order: true }
    }

    fn push(&mut self, timestamp_ms: i64, value: f64) {
        self.in_order &= timestamp_ms > self.max_ms || self.chunk.len() == 0;
        self.min_ms = self.min_ms.min(timestamp_ms);
        self.max_ms = self.max_ms.max(timestamp_ms);
        self.chunk.push(timestamp_ms, value);
    }

    /// Whether it has a sample between `start_ms` and `end_ms`, as far as its span tells.
    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.min_ms <= end_ms && self.max_ms >= start_ms
    }
}

impl MetricsHead {
    /// Adds points; `indexes` are their series in `registry`. Called by one thread only.
    pub(crate) fn append(
        &self,
        points: &[Point],
        indexes: &[RegistryIndex],
        registry: &mut Registry,
        generation: u32,
    ) {
        let mut guards: [Option<RwLockWriteGuard<'_, Shard>>; SHARDS] = [const { None }; SHARDS];
        let (mut grown, mut added, mut last_day) = (0, 0, None);
        for (point, index) in points.iter().zip(indexes) {
            let entry = registry.entry_mut(*index);
            let number = entry.id as usize % SHARDS;
            let shard = guards[number].get_or_insert_with(|| write(&self.shards[number]));
            if entry.place.0 != generation {
                entry.place = (generation, shard.add(Labels::clone(&entry.labels), entry.id));
                grown += size_of::<Series>() + entry.labels.heap_bytes() + 8;
                added += 1;
            }
            let series = &mut shard.series[entry.place.1 as usize];
            let before = series.chunk.heap_bytes();
            series.push(point.timestamp_ms, point.value);
            grown += series.chunk.heap_bytes() - before;
            let day = point.timestamp_ms.div_euclid(DAY_MS) as i32;
            if last_day != Some(day) {
                write(&self.days).insert(day);
                last_day = Some(day);
            }
        }
        self.rows.fetch_add(points.len() as u64, Relaxed);
        self.bytes.fetch_add(grown as u64, Relaxed);
        self.series.fetch_add(added, Relaxed);
    }

    /// Days that have samples.
    pub(crate) fn days(&self) -> BTreeSet<i32> {
        read(&self.days).clone()
    }

    /// Samples written, repeated ones included.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Series with samples.
    pub(crate) fn series_count(&self) -> u64 {
        self.series.load(Relaxed)
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Names of all metrics.
    pub(crate) fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for shard in &self.shards {
            names.extend(read(shard).by_metric.keys().map(|name| name.to_string()));
        }
        names
    }

    /// Copies of the series of `metric` for which `keep` holds, in no order.
    pub(crate) fn series_of(&self, metric: &str, keep: impl Fn(&Series) -> bool) -> Vec<Series> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = read(shard);
            let indexes = shard.by_metric.get(metric).map_or(&[][..], Vec::as_slice);
            let series = indexes.iter().map(|index| &shard.series[*index as usize]);
            found.extend(series.filter(|series| keep(series)).cloned());
        }
        found
    }
}

impl Shard {
    fn add(&mut self, labels: Labels, tsid: i64) -> u32 {
        let place = self.series.len() as u32;
        match self.by_metric.get_mut(labels.name()) {
            Some(places) => places.push(place),
            None => {
                self.by_metric.insert(labels.name().into(), vec![place]);
            }
        }
        self.series.push(Series::new(labels, tsid));
        place
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
