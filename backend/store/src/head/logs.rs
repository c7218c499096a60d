//! Log entries of one generation, by stream, in the order they were written.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use model::{Labels, LogEntry};

use super::metrics::{read, write};
use super::registry::{Registry, RegistryIndex};
use crate::paths::DAY_US;

/// Entries in a sealed run; readers share runs and copy what is not sealed yet.
const RUN_ENTRIES: usize = 512;

/// The entries.
#[derive(Debug, Default)]
pub(crate) struct LogsHead {
    streams: RwLock<Vec<Stream>>,
    /// Entries by day.
    days: RwLock<BTreeMap<i32, u64>>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Stream {
    labels: Labels,
    stream_id: i64,
    sealed: Vec<Arc<Vec<LogEntry>>>,
    open: Vec<LogEntry>,
    min_ns: i64,
    max_ns: i64,
}

/// A stream as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct StreamRows {
    /// Its labels.
    pub(crate) labels: Labels,
    /// Its id.
    pub(crate) stream_id: i64,
    /// Its entries, in order of writing.
    pub(crate) runs: Vec<Arc<Vec<LogEntry>>>,
    /// Earliest entry.
    pub(crate) min_ns: i64,
    /// Latest entry.
    pub(crate) max_ns: i64,
}

/// The day a nanosecond time lies in.
pub(crate) fn day_of_ns(ns: i64) -> i32 {
    ns.div_euclid(DAY_US * 1_000) as i32
}

impl LogsHead {
    /// Adds entries of one stream. Called by one thread only.
    pub(crate) fn append(
        &self,
        entries: Vec<LogEntry>,
        index: RegistryIndex,
        registry: &mut Registry,
        generation: u32,
    ) {
        if entries.is_empty() {
            return;
        }
        let mut streams = write(&self.streams);
        let entry = registry.entry_mut(index);
        if entry.place.0 != generation {
            entry.place = (generation, streams.len() as u32);
            streams.push(Stream::new(Labels::clone(&entry.labels), entry.id));
            self.bytes.fetch_add(size_of::<Stream>() as u64, Relaxed);
        }
        let stream = &mut streams[entry.place.1 as usize];
        self.rows.fetch_add(entries.len() as u64, Relaxed);
        self.bytes.fetch_add(entries.iter().map(entry_bytes).sum(), Relaxed);
        let mut days = write(&self.days);
        for entry in entries {
            *days.entry(day_of_ns(entry.timestamp_ns)).or_default() += 1;
            stream.push(entry);
        }
    }

    /// The entries of several heads, oldest first, as one. Full runs are shared, not copied.
    pub(crate) fn merged<'a>(parts: impl Iterator<Item = &'a LogsHead>) -> LogsHead {
        let merged = LogsHead::default();
        let mut places: HashMap<i64, usize> = HashMap::new();
        for part in parts {
            let mut streams = write(&merged.streams);
            for rows in part.streams(i64::MIN, i64::MAX, |_| true) {
                let place = *places.entry(rows.stream_id).or_insert(streams.len());
                if place == streams.len() {
                    streams.push(Stream::new(Labels::clone(&rows.labels), rows.stream_id));
                    merged.bytes.fetch_add(size_of::<Stream>() as u64, Relaxed);
                }
                streams[place].take(rows);
            }
            let entries = part.heap_bytes() - part.stream_count() * size_of::<Stream>() as u64;
            merged.bytes.fetch_add(entries, Relaxed);
            merged.rows.fetch_add(part.rows(), Relaxed);
            for (day, rows) in part.days() {
                *write(&merged.days).entry(day).or_default() += rows;
            }
        }
        merged
    }

    /// Time of the latest entry, nanoseconds.
    pub(crate) fn max_ns(&self) -> Option<i64> {
        read(&self.streams).iter().map(|stream| stream.max_ns).max()
    }

    /// Days that have entries, with how many.
    pub(crate) fn days(&self) -> BTreeMap<i32, u64> {
        read(&self.days).clone()
    }

    /// Entries held.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Streams with entries.
    pub(crate) fn stream_count(&self) -> u64 {
        read(&self.streams).len() as u64
    }

    /// Bytes on the heap, without the label sets, which the registry counts.
    pub(crate) fn heap_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Streams with an entry between `start_ns` and `end_ns` for which `keep` holds, in no order.
    pub(crate) fn streams(&self, start_ns: i64, end_ns: i64, keep: impl Fn(i64) -> bool) -> Vec<StreamRows> {
        read(&self.streams)
            .iter()
            .filter(|stream| stream.min_ns <= end_ns && stream.max_ns >= start_ns && keep(stream.stream_id))
            .map(Stream::rows)
            .collect()
    }
}

impl Stream {
    fn new(labels: Labels, stream_id: i64) -> Stream {
        let (min_ns, max_ns) = (i64::MAX, i64::MIN);
        Stream { labels, stream_id, sealed: Vec::new(), open: Vec::new(), min_ns, max_ns }
    }

    fn push(&mut self, entry: LogEntry) {
        self.min_ns = self.min_ns.min(entry.timestamp_ns);
        self.max_ns = self.max_ns.max(entry.timestamp_ns);
        self.open.push(entry);
        if self.open.len() == RUN_ENTRIES {
            self.sealed.push(Arc::new(std::mem::take(&mut self.open)));
        }
    }

    /// Adds what another head has of the stream.
    fn take(&mut self, mut rows: StreamRows) {
        self.min_ns = self.min_ns.min(rows.min_ns);
        self.max_ns = self.max_ns.max(rows.max_ns);
        self.sealed.append(&mut rows.runs);
    }

    fn rows(&self) -> StreamRows {
        let mut runs = self.sealed.clone();
        if !self.open.is_empty() {
            runs.push(Arc::new(self.open.clone()));
        }
        let labels = Labels::clone(&self.labels);
        StreamRows { labels, stream_id: self.stream_id, runs, min_ns: self.min_ns, max_ns: self.max_ns }
    }
}

fn entry_bytes(entry: &LogEntry) -> u64 {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
    let attributes: usize = entry
        .attributes
        .iter()
        .map(|(name, value)| name.capacity() + value.capacity() + size_of::<(String, String)>())
        .sum();
    let strings = entry.body.capacity() + text(&entry.trace_id) + text(&entry.span_id);
    (size_of::<LogEntry>() + strings + attributes) as u64
}
