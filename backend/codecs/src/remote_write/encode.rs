//! Bodies of remote write, for senders and tests: one series for every label set, its samples by time.
//!
//! Histograms go out as float histograms. In 2.0 the metadata of a family goes with its series; families
//! without a series in the batch are not told of.

use std::collections::HashMap;

use model::{Batch, Buckets, Exemplar, HistogramPoint, Labels, MetricMetadata, NativeHistogram, Point};

use super::{family_of, kind_number};
use crate::protobuf::write::{
    put_bytes, put_double, put_double_always, put_element, put_int, put_message, put_nested,
    put_packed_doubles, put_packed_varints, put_sint, put_uint,
};
use crate::snappy::{SnappyError, pack};

/// What a batch holds of one series.
#[derive(Debug, Default)]
struct Series<'a> {
    points: Vec<&'a Point>,
    histograms: Vec<&'a HistogramPoint>,
    exemplars: Vec<&'a Exemplar>,
}

/// A body of remote write 1.0.
pub fn encode_v1(batch: &Batch) -> Result<Vec<u8>, SnappyError> {
    let mut out = Vec::new();
    for (labels, series) in by_series(batch) {
        put_message(&mut out, 1, |out| {
            labels.iter().for_each(|pair| put_label(out, 1, pair));
            for point in &series.points {
                put_message(out, 2, |out| put_sample(out, point));
            }
            for exemplar in &series.exemplars {
                put_message(out, 3, |out| {
                    exemplar.exemplar_labels.iter().for_each(|pair| put_label(out, 1, pair));
                    put_exemplar_value(out, exemplar);
                });
            }
            for point in &series.histograms {
                put_message(out, 4, |out| put_histogram(out, point.timestamp_ms, &point.histogram));
            }
        });
    }
    for metadata in &batch.metadata {
        put_message(&mut out, 3, |out| {
            put_uint(out, 1, kind_number(metadata.kind));
            put_bytes(out, 2, metadata.family.as_bytes());
            put_bytes(out, 4, metadata.help.as_bytes());
            put_bytes(out, 5, metadata.unit.as_bytes());
        });
    }
    pack(&out)
}

/// A body of remote write 2.0.
pub fn encode_v2(batch: &Batch) -> Result<Vec<u8>, SnappyError> {
    let families: HashMap<&str, &MetricMetadata> =
        batch.metadata.iter().map(|metadata| (metadata.family.as_str(), metadata)).collect();
    let starts: HashMap<(&Labels, i64), i64> =
        batch.starts.iter().map(|start| ((&start.labels, start.timestamp_ms), start.start_ms)).collect();
    let mut symbols = SymbolTable::default();
    symbols.reference("");
    let mut all_series = Vec::new();
    for (labels, series) in by_series(batch) {
        put_message(&mut all_series, 5, |out| {
            put_packed_varints(out, 1, symbols.references(labels));
            for point in &series.points {
                let start_ms = starts.get(&(labels, point.timestamp_ms)).copied().unwrap_or(0);
                put_message(out, 2, |out| {
                    put_sample(out, point);
                    put_int(out, 3, start_ms);
                });
            }
            for point in &series.histograms {
                put_message(out, 3, |out| {
                    put_histogram(out, point.timestamp_ms, &point.histogram);
                    put_int(out, 17, point.start_ms);
                });
            }
            for exemplar in &series.exemplars {
                put_message(out, 4, |out| {
                    put_packed_varints(out, 1, symbols.references(&exemplar.exemplar_labels));
                    put_exemplar_value(out, exemplar);
                });
            }
            if let Some(metadata) = metadata_of(labels.name(), &families) {
                put_nested(out, 5, |out| {
                    put_uint(out, 1, kind_number(metadata.kind));
                    put_uint(out, 3, symbols.reference(&metadata.help));
                    put_uint(out, 4, symbols.reference(&metadata.unit));
                });
            }
        });
    }
    let mut out = Vec::new();
    symbols.texts.iter().for_each(|text| put_element(&mut out, 4, text.as_bytes()));
    out.append(&mut all_series);
    pack(&out)
}

/// Series in order of first appearance, what they hold in order of time.
fn by_series(batch: &Batch) -> Vec<(&Labels, Series<'_>)> {
    let mut all: Vec<(&Labels, Series<'_>)> = Vec::new();
    let mut places: HashMap<&Labels, usize> = HashMap::new();
    let mut place = |labels| {
        *places.entry(labels).or_insert_with(|| {
            all.push((labels, Series::default()));
            all.len() - 1
        })
    };
    let points: Vec<usize> = batch.points.iter().map(|point| place(&point.labels)).collect();
    let histograms: Vec<usize> = batch.histograms.iter().map(|point| place(&point.labels)).collect();
    let exemplars: Vec<usize> = batch.exemplars.iter().map(|exemplar| place(&exemplar.labels)).collect();
    points.into_iter().zip(&batch.points).for_each(|(at, point)| all[at].1.points.push(point));
    histograms.into_iter().zip(&batch.histograms).for_each(|(at, point)| all[at].1.histograms.push(point));
    exemplars.into_iter().zip(&batch.exemplars).for_each(|(at, one)| all[at].1.exemplars.push(one));
    for (_, series) in &mut all {
        series.points.sort_by_key(|point| point.timestamp_ms);
        series.histograms.sort_by_key(|point| point.timestamp_ms);
        series.exemplars.sort_by_key(|exemplar| exemplar.timestamp_ms);
    }
    all
}

fn metadata_of<'a>(metric: &str, families: &HashMap<&str, &'a MetricMetadata>) -> Option<&'a MetricMetadata> {
    families.get(metric).copied().or_else(|| {
        let family = metric.rsplit_once('_')?.0;
        let metadata = families.get(family)?;
        (family_of(metric, metadata.kind) == family).then_some(*metadata)
    })
}

fn put_sample(out: &mut Vec<u8>, point: &Point) {
    put_double(out, 1, point.value);
    put_int(out, 2, point.timestamp_ms);
}

fn put_exemplar_value(out: &mut Vec<u8>, exemplar: &Exemplar) {
    put_double(out, 2, exemplar.value);
    put_int(out, 3, exemplar.timestamp_ms);
}

/// Appends a message `Label`.
pub(crate) fn put_label(out: &mut Vec<u8>, number: u32, (name, value): (&str, &str)) {
    put_message(out, number, |out| {
        put_bytes(out, 1, name.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    });
}

/// Appends the fields of a message `Histogram`, but for the start time, which only 2.0 has.
pub(crate) fn put_histogram(out: &mut Vec<u8>, timestamp_ms: i64, histogram: &NativeHistogram) {
    put_double_always(out, 2, histogram.count);
    put_double(out, 3, histogram.sum);
    put_sint(out, 4, i64::from(histogram.schema));
    put_double(out, 5, histogram.zero_threshold);
    put_double_always(out, 7, histogram.zero_count);
    put_buckets(out, 8, 10, &histogram.negative);
    put_buckets(out, 11, 13, &histogram.positive);
    put_uint(out, 14, u64::from(histogram.reset_hint.number().unsigned_abs()));
    put_int(out, 15, timestamp_ms);
    put_packed_doubles(out, 16, &histogram.custom_bounds);
}

fn put_buckets(out: &mut Vec<u8>, spans: u32, counts: u32, buckets: &Buckets) {
    for span in &buckets.spans {
        put_message(out, spans, |out| {
            put_sint(out, 1, i64::from(span.offset));
            put_uint(out, 2, u64::from(span.length));
        });
    }
    put_packed_doubles(out, counts, &buckets.counts);
}

/// Texts by reference.
#[derive(Debug, Default)]
struct SymbolTable<'a> {
    texts: Vec<&'a str>,
    references: HashMap<&'a str, u64>,
}

impl<'a> SymbolTable<'a> {
    fn reference(&mut self, text: &'a str) -> u64 {
        let next = self.texts.len() as u64;
        *self.references.entry(text).or_insert_with(|| {
            self.texts.push(text);
            next
        })
    }

    fn references(&mut self, labels: &'a Labels) -> Vec<u64> {
        labels.iter().flat_map(|(name, value)| [name, value]).map(|text| self.reference(text)).collect()
    }
}
