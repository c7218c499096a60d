//! How many series there are by metric, label and label value; for finding what makes a store large.
//!
//! Comes in: a range of time. Goes out: counts over the series of head and files, each series once, whatever
//! the number of days it lives. Counts what Prometheus shows under `/api/v1/status/tsdb`.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::Labels;
use roaring::RoaringBitmap;
use tokio::task::spawn_blocking;

use super::build::Builder;
use super::files::FileView;
use super::key_label;
use super::live::{IdSet, LiveView};
use super::postings::of_sorted;
use super::query::days;
use super::segment::Segment;
use crate::error::Result;
use crate::snapshot::Snapshot;
use crate::tables::Table;

/// Counts over series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series.
    pub series: u64,
    /// Label names.
    pub label_names: u64,
    /// Pairs of label name and value.
    pub label_pairs: u64,
    /// Series by metric name (of log streams: by service), largest first.
    pub series_by_key: Vec<Count>,
    /// Values by label name.
    pub values_by_label: Vec<Count>,
    /// Bytes of values by label name, each value counted once a series.
    pub bytes_by_label: Vec<Count>,
    /// Series by `name=value`.
    pub series_by_pair: Vec<Count>,
}

/// A number of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// Series of a segment that count.
struct Part {
    segment: Arc<Segment>,
    numbers: RoaringBitmap,
}

impl Snapshot {
    /// Counts over the series of a range of time, with the `top` largest of each list. The range as in
    /// [`Snapshot::select_series`].
    pub async fn cardinality(&self, start_ms: i64, end_ms: i64, top: usize) -> Result<Cardinality> {
        self.cardinality_of(Table::Series, start_ms, end_ms, top).await
    }

    /// Counts over log streams, as [`Snapshot::cardinality`].
    pub async fn stream_cardinality(&self, start_ms: i64, end_ms: i64, top: usize) -> Result<Cardinality> {
        self.cardinality_of(Table::LogStreams, start_ms, end_ms, top).await
    }

    async fn cardinality_of(
        &self,
        table: Table,
        start_ms: i64,
        end_ms: i64,
        top: usize,
    ) -> Result<Cardinality> {
        let days = days(start_ms, end_ms);
        let with_files = self.days_of_files(table, &days);
        let live = self.live_on(table, &days);
        let files = self.file_view(table, &with_files).await?;
        let count = move || {
            let mut parts = Parts::default();
            if let Some((live, _)) = live {
                parts.add_live(table, &live.view());
            }
            parts.add_files(&files, &with_files);
            parts.count(key_label(table), top)
        };
        Ok(spawn_blocking(count).await?)
    }
}

#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    seen: IdSet,
}

impl Parts {
    fn add_live(&mut self, table: Table, view: &LiveView) {
        let mut tail = Builder::shared(key_label(table));
        view.tail
            .iter()
            .flat_map(|run| run.iter())
            .for_each(|(id, labels): &(i64, Labels)| tail.add(*id, labels));
        self.add(Arc::new(tail.finish()), None);
        view.segments.iter().for_each(|segment| self.add(Arc::clone(segment), None));
    }

    fn add_files(&mut self, view: &FileView, days: &[i32]) {
        for (place, segment) in view.segments.iter().enumerate() {
            self.add(Arc::clone(segment), Some(view.on_days(place, days)));
        }
    }

    /// Adds the series not seen before.
    fn add(&mut self, segment: Arc<Segment>, within: Option<RoaringBitmap>) {
        let within = within.unwrap_or_else(|| segment.all());
        let new: Vec<u32> = within.iter().filter(|number| self.seen.insert(segment.id(*number))).collect();
        if !new.is_empty() {
            self.parts.push(Part { segment, numbers: of_sorted(&new) });
        }
    }

    fn count(&self, key: &str, top: usize) -> Cardinality {
        let mut counts = Cardinality { series: self.seen.len() as u64, ..Cardinality::default() };
        let (mut keys, mut values, mut bytes, mut pairs) =
            (Top::new(top), Top::new(top), Top::new(top), Top::new(top));
        let names: BTreeSet<&str> =
            self.parts.iter().flat_map(|part| part.segment.names_in(Some(&part.numbers))).collect();
        counts.label_names = names.len() as u64;
        for name in names {
            let by_value = self.by_value(name);
            counts.label_pairs += by_value.len() as u64;
            values.offer(by_value.len() as u64, || name.to_owned());
            bytes.offer(by_value.iter().map(|(value, count)| value.len() as u64 * count).sum(), || {
                name.to_owned()
            });
            for (value, count) in by_value {
                pairs.offer(count, || format!("{name}={value}"));
                if name == key {
                    keys.offer(count, || value.to_owned());
                }
            }
        }
        Cardinality {
            series_by_key: keys.finish(),
            values_by_label: values.finish(),
            bytes_by_label: bytes.finish(),
            series_by_pair: pairs.finish(),
            ..counts
        }
    }

    /// Series by value of a label, by value.
    fn by_value(&self, name: &str) -> Vec<(&str, u64)> {
        let mut counts: Vec<(&str, u64)> = Vec::new();
        for part in &self.parts {
            let Some(name) = part.segment.name(name) else { continue };
            for pair in name.pairs.clone() {
                let count = part.segment.postings.get(pair).count_in(&part.numbers);
                if count > 0 {
                    counts.push((part.segment.value(pair), count));
                }
            }
        }
        counts.sort();
        counts.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 += later.1;
            }
            same
        });
        counts
    }
}

/// The largest counts, of equal ones those first by name.
struct Top {
    len: usize,
    /// Up to twice as many, in no order.
    counts: Vec<Count>,
    /// A count below this is not among the largest.
    least: u64,
}

impl Top {
    fn new(len: usize) -> Top {
        Top { len, counts: Vec::new(), least: 0 }
    }

    fn offer(&mut self, count: u64, name: impl FnOnce() -> String) {
        if self.len == 0 || count < self.least {
            return;
        }
        self.counts.push(Count { name: name(), count });
        if self.counts.len() >= self.len.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.counts.sort_by(|a, b| (b.count, &a.name).cmp(&(a.count, &b.name)));
        self.counts.truncate(self.len);
        if self.counts.len() == self.len {
            self.least = self.counts.last().map_or(0, |count| count.count);
        }
    }

    fn finish(mut self) -> Vec<Count> {
        self.cut();
        self.counts
    }
}
