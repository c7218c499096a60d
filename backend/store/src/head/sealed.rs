//! Samples that do not change any more, packed: all chunks in one buffer, 44 bytes beside them a series.
//!
//! Comes in: series, metric by metric. Goes out: the same series, found by metric or by id; each one's
//! samples rise in time, one a timestamp.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use model::Labels;

use super::chunk::{Chunk, Encoded, PADDING, Sample};
use super::metric_rows::keep_one;
use super::metrics::{DAY_MS, MetricsHead, Series};

/// The samples.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    /// Ids, ascending.
    tsids: Box<[i64]>,
    /// What is known of them, in the same order.
    series: Box<[Packed]>,
    /// Metrics, ascending, each with the end of its places in `members`.
    metrics: Box<[(Box<str>, u32)]>,
    /// Places in `series`, metric by metric.
    members: Box<[u32]>,
    /// Chunks, metric by metric, then [`PADDING`].
    chunks: Bytes,
    days: BTreeMap<i32, u64>,
    rows: u64,
    bytes: u64,
    max_ms: Option<i64>,
}

#[derive(Debug)]
struct Packed {
    labels: Labels,
    min_ms: i64,
    max_ms: i64,
    offset: u32,
    count: u32,
}

impl Sealed {
    pub(crate) fn days(&self) -> &BTreeMap<i32, u64> {
        &self.days
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn series_count(&self) -> u64 {
        self.series.len() as u64
    }

    pub(crate) fn heap_bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn max_ms(&self) -> Option<i64> {
        self.max_ms
    }

    pub(crate) fn metric_names(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|(name, _)| &**name)
    }

    /// Adds the series of `metric` for which `keep` holds to `found`.
    pub(crate) fn series_of(&self, metric: &str, keep: &impl Fn(&Series) -> bool, found: &mut Vec<Series>) {
        for place in &self.members[self.members_of(metric)] {
            let place = *place as usize;
            let series = self.without_samples(place);
            if keep(&series) {
                found.push(Series { chunk: self.chunk(place), ..series });
            }
        }
    }

    /// Adds the series with these ids to `found`.
    pub(crate) fn series_by_ids(&self, tsids: &[i64], found: &mut Vec<Series>) {
        for tsid in tsids {
            if let Ok(place) = self.tsids.binary_search(tsid) {
                found.push(Series { chunk: self.chunk(place), ..self.without_samples(place) });
            }
        }
    }

    fn members_of(&self, metric: &str) -> Range<usize> {
        let Ok(found) = self.metrics.binary_search_by(|(name, _)| (**name).cmp(metric)) else { return 0..0 };
        let start = found.checked_sub(1).map_or(0, |before| self.metrics[before].1);
        start as usize..self.metrics[found].1 as usize
    }

    fn without_samples(&self, place: usize) -> Series {
        let Packed { labels, min_ms, max_ms, .. } = &self.series[place];
        Series {
            labels: Labels::clone(labels),
            tsid: self.tsids[place],
            chunk: Encoded::default(),
            min_ms: *min_ms,
            max_ms: *max_ms,
            in_order: true,
        }
    }

    fn chunk(&self, place: usize) -> Encoded {
        let Packed { offset, count, .. } = self.series[place];
        Encoded::new(self.chunks.slice(offset as usize..), count)
    }
}

/// The samples of several heads as one, one a series and timestamp. `None` where they are too many for one
/// buffer. Takes about 20 ns a sample.
pub(crate) fn merge(parts: &[&MetricsHead]) -> Option<Sealed> {
    let mut names = std::collections::BTreeSet::new();
    parts.iter().for_each(|part| names.append(&mut part.metric_names()));
    let mut builder = Builder::default();
    for name in names {
        let mut series: Vec<Series> = Vec::new();
        parts.iter().for_each(|part| series.append(&mut part.series_of(&name, |_| true)));
        // Stable, so of one id the part that comes first stays first.
        series.sort_by_key(|series| series.tsid);
        for same in series.chunk_by(|a, b| a.tsid == b.tsid) {
            builder.push(same)?;
        }
        builder.end_metric(&name);
    }
    Some(builder.finish())
}

#[derive(Default)]
struct Builder {
    series: Vec<(i64, Packed)>,
    metrics: Vec<(Box<str>, u32)>,
    chunks: Vec<u8>,
    days: BTreeMap<i32, u64>,
    rows: u64,
    max_ms: Option<i64>,
    chunk: Chunk,
    samples: Vec<Sample>,
}

impl Builder {
    /// Adds the parts of one series, by rising time where they do not overlap.
    fn push(&mut self, parts: &[Series]) -> Option<()> {
        let Some(last) = parts.last() else { return Some(()) };
        let offset = u32::try_from(self.chunks.len()).ok()?;
        let rising = parts.windows(2).all(|pair| pair[0].max_ms < pair[1].min_ms);
        self.chunk.clear();
        if rising && parts.iter().all(|part| part.in_order) {
            for (ms, value) in parts.iter().flat_map(|part| part.chunk.iter()) {
                self.chunk.push(ms, value);
            }
        } else {
            self.samples.clear();
            self.samples.extend(parts.iter().flat_map(|part| part.chunk.iter()));
            keep_one(&mut self.samples);
            self.samples.iter().for_each(|(ms, value)| self.chunk.push(*ms, *value));
        }
        self.chunks.extend_from_slice(self.chunk.bits());
        let min_ms = parts.iter().map(|part| part.min_ms).min()?;
        let max_ms = parts.iter().map(|part| part.max_ms).max()?;
        let count = self.chunk.len() as u32;
        self.count_days(min_ms, max_ms, count);
        self.rows += u64::from(count);
        self.max_ms = self.max_ms.max(Some(max_ms));
        let labels = Labels::clone(&last.labels);
        self.series.push((last.tsid, Packed { labels, min_ms, max_ms, offset, count }));
        Some(())
    }

    fn count_days(&mut self, min_ms: i64, max_ms: i64, count: u32) {
        let day = |ms: i64| ms.div_euclid(DAY_MS) as i32;
        if day(min_ms) == day(max_ms) {
            *self.days.entry(day(min_ms)).or_default() += u64::from(count);
            return;
        }
        for (ms, _) in self.chunk.encoded().iter() {
            *self.days.entry(day(ms)).or_default() += 1;
        }
    }

    fn end_metric(&mut self, name: &str) {
        self.metrics.push((name.into(), self.series.len() as u32));
    }

    fn finish(mut self) -> Sealed {
        self.chunks.resize(self.chunks.len() + PADDING, 0);
        self.chunks.shrink_to_fit();
        let mut order: Vec<u32> = (0..self.series.len() as u32).collect();
        order.sort_unstable_by_key(|place| self.series[*place as usize].0);
        let mut members = vec![0u32; order.len()];
        for (place, pushed) in order.iter().enumerate() {
            members[*pushed as usize] = place as u32;
        }
        self.series.sort_unstable_by_key(|series| series.0);
        let (tsids, series): (Vec<i64>, Vec<Packed>) = self.series.into_iter().unzip();
        let names: usize = self.metrics.iter().map(|(name, _)| name.len()).sum();
        let bytes = self.chunks.capacity()
            + series.len() * (size_of::<Packed>() + size_of::<i64>() + size_of::<u32>())
            + self.metrics.len() * size_of::<(Box<str>, u32)>()
            + names;
        Sealed {
            tsids: tsids.into(),
            series: series.into(),
            metrics: self.metrics.into(),
            members: members.into(),
            chunks: self.chunks.into(),
            days: self.days,
            rows: self.rows,
            bytes: bytes as u64,
            max_ms: self.max_ms,
        }
    }
}
