//! Native histograms, start times and exemplars as lines of text, beside those of [`super`]. Which of repeated rows
//! count is worked out here by what the store's README says, not by the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, Float64Type, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use model::{Batch, BucketSpan, Buckets, Labels, NativeHistogram, ResetHint};
use store::samples::SampleOptions;
use store::{Error, SeriesEntry, Snapshot, Table};

use super::{number, pairs, text};

/// Rows of the three tables; of repeated ones those that count.
#[derive(Debug, Default)]
pub(crate) struct SparseRows {
    /// By label set and millisecond, with the start, 0 where not told.
    histograms: BTreeMap<(String, i64), (Arc<NativeHistogram>, i64)>,
    starts: BTreeMap<(String, i64), i64>,
    exemplars: BTreeSet<String>,
}

impl SparseRows {
    /// Adds what a batch holds, and the series to `label_sets`.
    pub(crate) fn add_batch(&mut self, batch: &Batch, label_sets: &mut BTreeSet<String>) {
        for point in &batch.histograms {
            label_sets.insert(format!("series {}", point.labels));
            self.add_histogram(&point.labels, point.timestamp_ms, &point.histogram, point.start_ms);
        }
        for start in &batch.starts {
            label_sets.insert(format!("series {}", start.labels));
            self.add_start(&start.labels, start.timestamp_ms, start.start_ms);
        }
        for exemplar in &batch.exemplars {
            label_sets.insert(format!("series {}", exemplar.labels));
            let own = &exemplar.exemplar_labels;
            self.add_exemplar(&exemplar.labels, exemplar.timestamp_ms, exemplar.value, own);
        }
    }

    /// Adds rows of `table`, and checks the columns that follow from others.
    pub(crate) fn add_table(&mut self, table: Table, batch: &RecordBatch, labels: &BTreeMap<i64, Labels>) {
        for row in 0..batch.num_rows() {
            let labels = &labels[&number::<Int64Type>(batch, "tsid", row).unwrap()];
            assert_eq!(text(batch, "metric", row).as_deref(), Some(labels.name()), "metric of {labels}");
            if table != Table::StartTimes {
                for name in ["job", "instance"] {
                    assert_eq!(text(batch, name, row).as_deref(), labels.get(name), "`{name}` of {labels}");
                }
            }
            let time_ms = time_ms(batch, "ts", row).unwrap();
            match table {
                Table::Histograms => {
                    let start_ms = self::time_ms(batch, "start_ts", row);
                    assert_ne!(start_ms, Some(0), "a start that is not told is null");
                    let histogram = Arc::new(histogram(batch, row));
                    self.add_histogram(labels, time_ms, &histogram, start_ms.unwrap_or(0));
                }
                Table::StartTimes => {
                    let start_ms = self::time_ms(batch, "start_ts", row).unwrap();
                    self.add_start(labels, time_ms, start_ms);
                }
                _ => {
                    let own = Labels::from_pairs(pairs(batch["labels"].as_map(), row));
                    let trace = own.get("trace_id").or(own.get("traceID"));
                    assert_eq!(text(batch, "trace_id", row).as_deref(), trace, "trace of {own}");
                    let value = number::<Float64Type>(batch, "value", row).unwrap();
                    self.add_exemplar(labels, time_ms, value, &own);
                }
            }
        }
    }

    /// What the reader behind PromQL gives of these series, which is to hold every row once.
    pub(crate) async fn of_series(snapshot: &Snapshot, series: &[SeriesEntry]) -> Result<SparseRows, Error> {
        let (start_ms, end_ms, options) = (i64::MIN / 1_000, i64::MAX / 1_001, SampleOptions::default());
        let labels: BTreeMap<i64, &Labels> = series.iter().map(|entry| (entry.tsid, &entry.labels)).collect();
        let (mut found, mut rows_read) = (SparseRows::default(), 0);
        for (tsid, rows) in snapshot.read_histograms(series, start_ms, end_ms, &options).await? {
            rows_read += rows.len();
            for row in rows {
                found.add_histogram(labels[&tsid], row.timestamp_ms, &row.histogram, row.start_ms);
            }
        }
        for (tsid, rows) in snapshot.read_starts(series, start_ms, end_ms, &options).await? {
            rows_read += rows.len();
            rows.iter().for_each(|row| found.add_start(labels[&tsid], row.timestamp_ms, row.start_ms));
        }
        for (tsid, rows) in snapshot.read_exemplars(series, start_ms, end_ms, &options).await? {
            rows_read += rows.len();
            for row in rows {
                found.add_exemplar(labels[&tsid], row.timestamp_ms, row.value, &row.labels);
            }
        }
        assert_eq!(found.lines().count(), rows_read, "some rows came twice");
        Ok(found)
    }

    /// Adds the rows of another reading.
    pub(crate) fn append(&mut self, mut other: SparseRows) {
        self.histograms.append(&mut other.histograms);
        self.starts.append(&mut other.starts);
        self.exemplars.append(&mut other.exemplars);
    }

    /// One row a line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let histograms = self.histograms.iter().map(|((labels, time_ms), (histogram, start_ms))| {
            format!("histograms {labels} {time_ms} {start_ms} {}", histogram_text(histogram))
        });
        let starts = self
            .starts
            .iter()
            .map(|((labels, time_ms), start_ms)| format!("start_times {labels} {time_ms} {start_ms}"));
        histograms.chain(starts).chain(self.exemplars.iter().cloned())
    }

    fn add_histogram(
        &mut self,
        labels: &Labels,
        time_ms: i64,
        histogram: &Arc<NativeHistogram>,
        start_ms: i64,
    ) {
        let new = (Arc::clone(histogram), start_ms);
        let known = self.histograms.entry((labels.to_string(), time_ms)).or_insert_with(|| new.clone());
        if rank(&new) > rank(known) {
            *known = new;
        }
    }

    fn add_start(&mut self, labels: &Labels, time_ms: i64, start_ms: i64) {
        let known = self.starts.entry((labels.to_string(), time_ms)).or_insert(start_ms);
        *known = start_ms.max(*known);
    }

    fn add_exemplar(&mut self, labels: &Labels, time_ms: i64, value: f64, own: &Labels) {
        self.exemplars.insert(format!("exemplars {labels} {time_ms} {:016x} {own}", value.to_bits()));
    }
}

fn time_ms(batch: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let time_us = number::<TimestampMicrosecondType>(batch, name, row)?;
    assert_eq!(time_us % 1_000, 0);
    Some(time_us / 1_000)
}

fn histogram(batch: &RecordBatch, row: usize) -> NativeHistogram {
    let float = |name: &str| number::<Float64Type>(batch, name, row).unwrap();
    let floats = |name: &str| list::<Float64Type>(batch, name, row);
    let side = |sign: &str| {
        let offsets = list::<Int32Type>(batch, &format!("{sign}_offsets"), row);
        let lengths = list::<Int32Type>(batch, &format!("{sign}_lengths"), row);
        assert_eq!(offsets.len(), lengths.len());
        let spans = offsets.into_iter().zip(lengths);
        Buckets {
            spans: spans
                .map(|(offset, length)| BucketSpan { offset, length: length.cast_unsigned() })
                .collect(),
            counts: floats(&format!("{sign}_counts")),
        }
    };
    NativeHistogram {
        reset_hint: ResetHint::from_number(number::<Int8Type>(batch, "reset_hint", row).unwrap()),
        schema: number::<Int32Type>(batch, "schema", row).unwrap(),
        zero_threshold: float("zero_threshold"),
        zero_count: float("zero_count"),
        count: float("count"),
        sum: float("sum"),
        positive: side("positive"),
        negative: side("negative"),
        custom_bounds: floats("custom_bounds"),
    }
}

fn list<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str, row: usize) -> Vec<T::Native> {
    batch[name].as_list::<i32>().value(row).as_primitive::<T>().values().to_vec()
}

fn histogram_text(histogram: &NativeHistogram) -> String {
    let NativeHistogram { reset_hint, schema, zero_threshold, zero_count, count, sum, .. } = histogram;
    let numbers = hex(&[*zero_threshold, *zero_count, *count, *sum]);
    let side = |side: &Buckets| {
        let spans: Vec<String> =
            side.spans.iter().map(|span| format!("{}+{}", span.offset, span.length)).collect();
        format!("[{}: {}]", spans.join(" "), hex(&side.counts))
    };
    let (positive, negative) = (side(&histogram.positive), side(&histogram.negative));
    let bounds = hex(&histogram.custom_bounds);
    format!("{} {schema} {numbers} {positive} {negative} [{bounds}]", reset_hint.number())
}

/// Floats as their bits; zero, which is most of them, as just that.
fn hex(floats: &[f64]) -> String {
    let bits = floats.iter().map(|float| match float.to_bits() {
        0 => "0".to_owned(),
        bits => format!("{bits:016x}"),
    });
    bits.collect::<Vec<_>>().join(" ")
}

/// Of histograms with the same series and time the one with the greatest rank counts.
fn rank((histogram, start_ms): &(Arc<NativeHistogram>, i64)) -> impl Ord + use<> {
    let NativeHistogram { schema, reset_hint, zero_threshold, zero_count, count, sum, .. } = **histogram;
    let side = |side: &Buckets| {
        let spans: Vec<(i32, u32)> = side.spans.iter().map(|span| (span.offset, span.length)).collect();
        (spans, in_order(&side.counts))
    };
    (
        sum.to_bits() != model::STALE_NAN_BITS,
        in_order(&[count, sum, zero_count, zero_threshold]),
        (schema, reset_hint.number()),
        side(&histogram.positive),
        side(&histogram.negative),
        in_order(&histogram.custom_bounds),
        *start_ms,
    )
}

/// Whole numbers that are ordered as IEEE 754-2019 totalOrder orders the floats.
fn in_order(floats: &[f64]) -> Vec<i64> {
    let place = |bits: i64| if bits < 0 { bits ^ i64::MAX } else { bits };
    floats.iter().map(|float| place(float.to_bits().cast_signed())).collect()
}
