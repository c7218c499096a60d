//! Rows of `histograms`, `start_times` and `exemplars`: few beside the samples, so they are kept and written as
//! they are, without packing.
//!
//! Comes in: what a batch says of a series. Goes out: row types, and the rule which of repeated rows count. The
//! rule is commutative, associative and idempotent, as [`crate::duplicates`] is for samples, so that head, flush,
//! merge and readers agree. Knows nothing of where rows lie.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use model::{Buckets, Exemplar, HistogramPoint, Labels, NativeHistogram, StartTime};

use crate::error::Result;
use crate::tables::Table;

pub(crate) mod columns;
pub mod repeats;

/// One row of `histograms`, without its series.
#[derive(Clone, Debug)]
pub struct HistogramRow {
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// When counting began, milliseconds since the Unix epoch; 0 where not told.
    pub start_ms: i64,
    /// The histogram, bit for bit.
    pub histogram: Arc<NativeHistogram>,
}

/// One row of `start_times`, without its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartRow {
    /// Time of the float sample, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// When counting began, milliseconds since the Unix epoch.
    pub start_ms: i64,
}

/// One row of `exemplars`, without its series.
#[derive(Clone, Debug)]
pub struct ExemplarRow {
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The value observed, bit for bit.
    pub value: f64,
    /// The exemplar's own labels.
    pub labels: Labels,
}

/// How rows of one series and time relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The greatest counts.
    Greatest,
    /// All count, identical ones once.
    Distinct,
}

/// A row of one of the three tables.
pub(crate) trait SparseRow: Clone + Debug + Send + Sync + 'static {
    /// Its table.
    const TABLE: Table;
    /// Which rows of one series and time count.
    const RULE: Rule;

    /// Milliseconds since the Unix epoch.
    fn timestamp_ms(&self) -> i64;

    /// Bytes of the row and what it alone holds on the heap.
    fn bytes(&self) -> usize;

    /// The order of rows with the same series and time: total, and equal for identical rows only.
    fn order(&self, other: &Self) -> Ordering;

    /// The columns between `ts` and the labels of the series that every table repeats.
    fn encode(rows: &[&Self]) -> Result<Vec<ArrayRef>>;

    /// Rows of a batch that has the table's columns, whatever others it has.
    fn decode(batch: &RecordBatch) -> Result<Vec<Self>>;
}

impl From<&HistogramPoint> for HistogramRow {
    fn from(point: &HistogramPoint) -> HistogramRow {
        let HistogramPoint { timestamp_ms, start_ms, histogram, .. } = point;
        HistogramRow { timestamp_ms: *timestamp_ms, start_ms: *start_ms, histogram: Arc::clone(histogram) }
    }
}

impl From<&StartTime> for StartRow {
    fn from(start: &StartTime) -> StartRow {
        StartRow { timestamp_ms: start.timestamp_ms, start_ms: start.start_ms }
    }
}

impl From<&Exemplar> for ExemplarRow {
    fn from(exemplar: &Exemplar) -> ExemplarRow {
        let Exemplar { exemplar_labels, timestamp_ms, value, .. } = exemplar;
        ExemplarRow { timestamp_ms: *timestamp_ms, value: *value, labels: Labels::clone(exemplar_labels) }
    }
}

impl SparseRow for HistogramRow {
    const TABLE: Table = Table::Histograms;
    const RULE: Rule = Rule::Greatest;

    fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    fn bytes(&self) -> usize {
        size_of::<HistogramRow>() + size_of::<NativeHistogram>() + 16 + self.histogram.heap_bytes()
    }

    fn order(&self, other: &HistogramRow) -> Ordering {
        let (a, b) = (&*self.histogram, &*other.histogram);
        let numbers = |h: &NativeHistogram| [h.count, h.sum, h.zero_count, h.zero_threshold];
        let kind = |h: &NativeHistogram| (h.schema, h.reset_hint.number());
        (!a.is_stale())
            .cmp(&!b.is_stale())
            .then_with(|| compare_floats(&numbers(a), &numbers(b)))
            .then_with(|| kind(a).cmp(&kind(b)))
            .then_with(|| compare_buckets(&a.positive, &b.positive))
            .then_with(|| compare_buckets(&a.negative, &b.negative))
            .then_with(|| compare_floats(&a.custom_bounds, &b.custom_bounds))
            .then_with(|| self.start_ms.cmp(&other.start_ms))
    }

    fn encode(rows: &[&HistogramRow]) -> Result<Vec<ArrayRef>> {
        Ok(columns::histogram_columns(rows))
    }

    fn decode(batch: &RecordBatch) -> Result<Vec<HistogramRow>> {
        columns::histograms(batch)
    }
}

impl SparseRow for StartRow {
    const TABLE: Table = Table::StartTimes;
    const RULE: Rule = Rule::Greatest;

    fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    fn bytes(&self) -> usize {
        size_of::<StartRow>()
    }

    fn order(&self, other: &StartRow) -> Ordering {
        self.start_ms.cmp(&other.start_ms)
    }

    fn encode(rows: &[&StartRow]) -> Result<Vec<ArrayRef>> {
        Ok(vec![columns::times(rows.iter().map(|row| Some(row.start_ms)))])
    }

    fn decode(batch: &RecordBatch) -> Result<Vec<StartRow>> {
        columns::starts(batch)
    }
}

impl SparseRow for ExemplarRow {
    const TABLE: Table = Table::Exemplars;
    const RULE: Rule = Rule::Distinct;

    fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    fn bytes(&self) -> usize {
        size_of::<ExemplarRow>() + self.labels.heap_bytes()
    }

    fn order(&self, other: &ExemplarRow) -> Ordering {
        self.value.total_cmp(&other.value).then_with(|| self.labels.cmp(&other.labels))
    }

    fn encode(rows: &[&ExemplarRow]) -> Result<Vec<ArrayRef>> {
        columns::exemplar_columns(rows)
    }

    fn decode(batch: &RecordBatch) -> Result<Vec<ExemplarRow>> {
        columns::exemplars(batch)
    }
}

fn compare_floats(a: &[f64], b: &[f64]) -> Ordering {
    let unequal = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
    unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn compare_buckets(a: &Buckets, b: &Buckets) -> Ordering {
    let spans = |buckets: &Buckets| -> Vec<(i32, u32)> {
        buckets.spans.iter().map(|span| (span.offset, span.length)).collect()
    };
    spans(a).cmp(&spans(b)).then_with(|| compare_floats(&a.counts, &b.counts))
}

/// Sorts the rows of one series by time; of repeated ones those stay that count.
pub(crate) fn keep_counting<R: SparseRow>(rows: &mut Vec<R>) {
    // The greatest first, so that it is the one that stays.
    rows.sort_by(|a, b| a.timestamp_ms().cmp(&b.timestamp_ms()).then_with(|| b.order(a)));
    rows.dedup_by(|other, kept| {
        other.timestamp_ms() == kept.timestamp_ms()
            && (R::RULE == Rule::Greatest || other.order(kept).is_eq())
    });
}

#[cfg(test)]
mod tests;
