//! Steps of range queries that were answered before, kept by query. Comes in: the steps of an answer with a
//! marks of the files they follow from; goes out: the same, as long as there is room. Knows neither snapshots
//! nor the language.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use promql::{Bucket, Histogram, Series};

/// Bytes an entry takes besides its samples and labels.
const ENTRY_BYTES: usize = 256;
/// Bytes of a float with its time.
const FLOAT_BYTES: usize = 16;
/// Bytes a native histogram takes with its time, without its buckets.
const HISTOGRAM_BYTES: usize = size_of::<Histogram>() + 32;

/// What the steps of a query depend on besides the data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    /// The text.
    pub(super) query: String,
    /// Distance of steps, milliseconds.
    pub(super) step_ms: i64,
    /// Where the steps stand: their remainder by the distance.
    pub(super) phase_ms: i64,
    /// How long a sample counts as current, milliseconds.
    pub(super) lookback_ms: u128,
}

/// The values of consecutive steps.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    /// First step, milliseconds.
    pub(super) start_ms: i64,
    /// Last step.
    pub(super) end_ms: i64,
    /// The files that hold all samples in reach of the steps, by name.
    pub(super) files: Vec<FileMark>,
    /// The values.
    pub(super) series: Vec<Series>,
}

/// A file the steps follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileMark {
    /// Hash of its name; files never change.
    pub(super) name: u64,
    /// No sample of it is earlier, milliseconds.
    pub(super) start_ms: i64,
}

impl Extent {
    fn bytes(&self) -> usize {
        let series = |series: &Series| {
            series.labels.heap_bytes()
                + series.floats.len() * FLOAT_BYTES
                + series.histograms.iter().map(|(_, histogram)| histogram_bytes(histogram)).sum::<usize>()
        };
        ENTRY_BYTES + self.files.len() * size_of::<FileMark>() + self.series.iter().map(series).sum::<usize>()
    }
}

fn histogram_bytes(histogram: &Histogram) -> usize {
    let buckets = (histogram.positive.len() + histogram.negative.len()) * size_of::<Bucket>();
    HISTOGRAM_BYTES + buckets + histogram.custom_bounds.len() * size_of::<f64>()
}

/// Extents by query, those used longest ago given up first.
#[derive(Debug)]
pub(super) struct ResultCache {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<CacheKey, Entry>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
struct Entry {
    extent: Arc<Extent>,
    bytes: usize,
    used: u64,
}

impl ResultCache {
    /// Room for `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> ResultCache {
        ResultCache { inner: Mutex::default(), bytes_max }
    }

    /// Whether anything is kept at all.
    pub(super) fn is_enabled(&self) -> bool {
        self.bytes_max > 0
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<Extent>> {
        let mut inner = self.lock();
        inner.tick += 1;
        let now = inner.tick;
        let entry = inner.entries.get_mut(key)?;
        entry.used = now;
        Some(Arc::clone(&entry.extent))
    }

    /// Keeps `extent` in the place of what was known of `key`, unless it takes more than a quarter of the room.
    pub(super) fn put(&self, key: CacheKey, extent: Extent) {
        let bytes = extent.bytes() + key.query.len();
        let mut inner = self.lock();
        inner.remove(&key);
        if bytes > self.bytes_max / 4 {
            return;
        }
        inner.tick += 1;
        inner.bytes += bytes;
        let used = inner.tick;
        inner.entries.insert(key, Entry { extent: Arc::new(extent), bytes, used });
        while inner.bytes > self.bytes_max {
            let oldest = inner.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            inner.remove(&oldest);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, key: &CacheKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(query: &str) -> CacheKey {
        CacheKey { query: query.to_owned(), step_ms: 1, phase_ms: 0, lookback_ms: 0 }
    }

    fn extent(floats: usize) -> Extent {
        let series = Series { floats: vec![(0, 0.0); floats], ..Series::default() };
        Extent { start_ms: 0, end_ms: 1, files: Vec::new(), series: vec![series] }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = ResultCache::new(7_000);
        for query in ["a", "b", "c", "d"] {
            cache.put(key(query), extent(80));
        }
        assert!(cache.get(&key("a")).is_some());
        cache.put(key("e"), extent(80));
        assert!(cache.get(&key("b")).is_none());
        assert!(cache.get(&key("a")).is_some() && cache.get(&key("e")).is_some());
        assert!(cache.bytes() <= 7_000);
        cache.put(key("a"), extent(8_000));
        assert!(cache.get(&key("a")).is_none(), "too large to be kept, and the old one is out of date");
    }
}
