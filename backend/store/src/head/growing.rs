//! Samples that come in: a growing chunk a series, in shards, so that a reader holds up the writer only for
//! the copy of one shard's chunks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use model::{Labels, Point};

use super::chunk::{Chunk, Encoded};
use super::metrics::{DAY_MS, Series, map_bytes, read, write};
use super::registry::{Arrivals, Registry, RegistryIndex};
use crate::ids::IdHasher;

const SHARDS: usize = 16;

/// The samples.
#[derive(Debug)]
pub(crate) struct Growing {
    shards: [RwLock<Shard>; SHARDS],
    /// Rows by day.
    days: RwLock<BTreeMap<i32, u64>>,
    /// Series a shard makes room for at its first one.
    room: usize,
    rows: AtomicU64,
    series: AtomicU64,
    bytes: AtomicU64,
    /// No sample is earlier; lowered before the samples can be read.
    min_ms: AtomicI64,
    max_ms: AtomicI64,
}

#[derive(Debug, Default)]
struct Shard {
    series: Vec<OpenSeries>,
    by_metric: HashMap<Box<str>, Vec<u32>>,
    by_id: HashMap<i64, u32, BuildHasherDefault<IdHasher>>,
    /// Bytes of names and lists in `by_metric`.
    metric_bytes: usize,
}

/// A series that takes samples.
#[derive(Debug)]
struct OpenSeries {
    labels: Labels,
    tsid: i64,
    chunk: Chunk,
    min_ms: i64,
    max_ms: i64,
    in_order: bool,
}

impl Default for Growing {
    fn default() -> Growing {
        Growing::with_room_for(0)
    }
}

impl Growing {
    /// No samples yet, and an idea of how many series there will be.
    pub(crate) fn with_room_for(series: u64) -> Growing {
        Growing {
            shards: Default::default(),
            days: RwLock::default(),
            // Ids are hashes: shards differ by little.
            room: usize::try_from(series).unwrap_or(0).div_ceil(SHARDS) * 17 / 16,
            rows: AtomicU64::new(0),
            series: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            min_ms: AtomicI64::new(i64::MAX),
            max_ms: AtomicI64::new(i64::MIN),
        }
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
        let min_ms = points.iter().map(|point| point.timestamp_ms).min();
        self.min_ms.fetch_min(min_ms.unwrap_or(i64::MAX), SeqCst);
        let mut guards = [const { None }; SHARDS];
        let (mut grown, mut added, mut max_ms) = (0, 0, i64::MIN);
        let mut days: Vec<(i32, u64)> = Vec::new();
        let mut arrivals = Arrivals::default();
        for (point, index) in points.iter().zip(indexes) {
            registry.arrive(*index, point.timestamp_ms, received_ms, &mut arrivals);
            let entry = registry.entry_mut(*index);
            let number = shard_of(entry.id);
            let shard = guards[number].get_or_insert_with(|| write(&self.shards[number]));
            if entry.place.0 != generation {
                let before = shard.index_bytes();
                entry.place = (generation, shard.add(Labels::clone(&entry.labels), entry.id, self.room));
                grown += shard.index_bytes() - before;
                added += 1;
            }
            let series = &mut shard.series[entry.place.1 as usize];
            let before = series.chunk.heap_bytes();
            series.push(point.timestamp_ms, point.value);
            grown += series.chunk.heap_bytes() - before;
            max_ms = max_ms.max(point.timestamp_ms);
            let day = point.timestamp_ms.div_euclid(DAY_MS) as i32;
            match days.last_mut() {
                Some(last) if last.0 == day => last.1 += 1,
                _ => days.push((day, 1)),
            }
        }
        if !days.is_empty() {
            let mut known = write(&self.days);
            days.into_iter().for_each(|(day, rows)| *known.entry(day).or_default() += rows);
        }
        self.max_ms.fetch_max(max_ms, Relaxed);
        self.rows.fetch_add(points.len() as u64, Relaxed);
        self.bytes.fetch_add(grown as u64, Relaxed);
        self.series.fetch_add(added, Relaxed);
        arrivals
    }

    pub(crate) fn days(&self) -> BTreeMap<i32, u64> {
        read(&self.days).clone()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    pub(crate) fn series_count(&self) -> u64 {
        self.series.load(Relaxed)
    }

    pub(crate) fn heap_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Earliest sample; `None` where there is none.
    pub(crate) fn min_ms(&self) -> Option<i64> {
        Some(self.min_ms.load(SeqCst)).filter(|min_ms| *min_ms < i64::MAX)
    }

    pub(crate) fn max_ms(&self) -> Option<i64> {
        (self.rows() > 0).then(|| self.max_ms.load(Relaxed))
    }

    pub(crate) fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for shard in &self.shards {
            names.extend(read(shard).by_metric.keys().map(|name| name.to_string()));
        }
        names
    }

    /// Adds copies of the series of `metric` for which `keep` holds to `found`.
    pub(crate) fn series_of(&self, metric: &str, keep: &impl Fn(&Series) -> bool, found: &mut Vec<Series>) {
        for shard in &self.shards {
            let shard = read(shard);
            for place in shard.by_metric.get(metric).map_or(&[][..], Vec::as_slice) {
                let open = &shard.series[*place as usize];
                let series = open.without_samples();
                if keep(&series) {
                    found.push(Series { chunk: open.chunk.encoded(), ..series });
                }
            }
        }
    }

    /// Adds copies of the series with these ids to `found`.
    pub(crate) fn series_by_ids(&self, tsids: &[i64], found: &mut Vec<Series>) {
        for tsid in tsids {
            let shard = read(&self.shards[shard_of(*tsid)]);
            if let Some(place) = shard.by_id.get(tsid) {
                let open = &shard.series[*place as usize];
                found.push(Series { chunk: open.chunk.encoded(), ..open.without_samples() });
            }
        }
    }
}

/// The shard of a series: bits of the id that a map by id neither picks its place nor its tag from.
fn shard_of(tsid: i64) -> usize {
    (tsid.cast_unsigned() >> 40) as usize % SHARDS
}

impl Shard {
    fn add(&mut self, labels: Labels, tsid: i64, room: usize) -> u32 {
        let place = self.series.len() as u32;
        match self.by_metric.get_mut(labels.name()) {
            Some(places) => {
                let before = places.capacity();
                places.push(place);
                self.metric_bytes += (places.capacity() - before) * size_of::<u32>();
            }
            None => {
                let name: Box<str> = labels.name().into();
                self.metric_bytes += name.len() + size_of::<u32>();
                self.by_metric.insert(name, vec![place]);
            }
        }
        if self.series.len() == self.series.capacity() {
            // A quarter more: doubling would leave half of it unused in every other generation.
            self.series.reserve_exact(if place == 0 { room.max(4) } else { (place as usize / 4).max(4) });
        }
        if place == 0 {
            self.by_id.reserve(room);
        }
        self.by_id.insert(tsid, place);
        self.series.push(OpenSeries::new(labels, tsid));
        place
    }

    /// Bytes of everything but chunks and label sets.
    fn index_bytes(&self) -> usize {
        self.series.capacity() * size_of::<OpenSeries>()
            + map_bytes(self.by_id.capacity(), size_of::<(i64, u32)>())
            + map_bytes(self.by_metric.capacity(), size_of::<(Box<str>, Vec<u32>)>())
            + self.metric_bytes
    }
}

impl OpenSeries {
    fn new(labels: Labels, tsid: i64) -> OpenSeries {
        let (min_ms, max_ms) = (i64::MAX, i64::MIN);
        OpenSeries { labels, tsid, chunk: Chunk::default(), min_ms, max_ms, in_order: true }
    }

    fn push(&mut self, timestamp_ms: i64, value: f64) {
        self.in_order &= timestamp_ms > self.max_ms || self.chunk.len() == 0;
        self.min_ms = self.min_ms.min(timestamp_ms);
        self.max_ms = self.max_ms.max(timestamp_ms);
        self.chunk.push(timestamp_ms, value);
    }

    fn without_samples(&self) -> Series {
        Series {
            labels: Labels::clone(&self.labels),
            tsid: self.tsid,
            chunk: Encoded::default(),
            min_ms: self.min_ms,
            max_ms: self.max_ms,
            in_order: self.in_order,
        }
    }
}
