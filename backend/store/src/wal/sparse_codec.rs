//! The last sections of a log record: histograms, start times, exemplars.
//!
//! Each is a count and its rows, a row beginning with the number of its label set. Floats are their eight bytes.
//! A record with none of the three has none of the sections.

use std::sync::Arc;

use model::{
    Batch, BucketSpan, Buckets, Exemplar, HistogramPoint, Labels, NativeHistogram, ResetHint, StartTime,
};

use super::definitions::Dictionary;
use super::wire::{Reader, WireError, put_f64, put_i64, put_str, put_u64};

/// Fewest bytes of a histogram, a start time and an exemplar.
const HISTOGRAM_BYTES_MIN: usize = 42;
const START_BYTES_MIN: usize = 3;
const EXEMPLAR_BYTES_MIN: usize = 11;

/// Appends the sections. `series`: dictionary numbers of the histograms', start times' and exemplars' series.
pub(super) fn encode(batch: &Batch, series: &[u32], out: &mut Vec<u8>) {
    let Batch { histograms, starts, exemplars, .. } = batch;
    if histograms.is_empty() && starts.is_empty() && exemplars.is_empty() {
        return;
    }
    let mut numbers = series.iter().map(|number| u64::from(*number));
    // There is a number for every row; see `Batch::series`.
    let mut number = move || numbers.next().unwrap_or(u64::MAX);
    put_u64(out, histograms.len() as u64);
    for point in histograms {
        put_u64(out, number());
        put_i64(out, point.timestamp_ms);
        put_i64(out, point.start_ms);
        put_histogram(out, &point.histogram);
    }
    put_u64(out, starts.len() as u64);
    for start in starts {
        put_u64(out, number());
        put_i64(out, start.timestamp_ms);
        put_i64(out, start.start_ms);
    }
    put_u64(out, exemplars.len() as u64);
    for exemplar in exemplars {
        put_u64(out, number());
        put_i64(out, exemplar.timestamp_ms);
        put_f64(out, exemplar.value);
        put_labels(out, &exemplar.exemplar_labels);
    }
}

/// Reads the sections into `batch`, where there are any left.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    dictionary: &Dictionary,
    batch: &mut Batch,
) -> Result<(), WireError> {
    if reader.is_empty() {
        return Ok(());
    }
    let histograms = reader.count(HISTOGRAM_BYTES_MIN)?;
    for _ in 0..histograms {
        batch.histograms.push(HistogramPoint {
            labels: Labels::clone(dictionary.get(reader.u64()?)?),
            timestamp_ms: reader.i64()?,
            start_ms: reader.i64()?,
            histogram: Arc::new(histogram(reader)?),
        });
    }
    let starts = reader.count(START_BYTES_MIN)?;
    for _ in 0..starts {
        batch.starts.push(StartTime {
            labels: Labels::clone(dictionary.get(reader.u64()?)?),
            timestamp_ms: reader.i64()?,
            start_ms: reader.i64()?,
        });
    }
    let exemplars = reader.count(EXEMPLAR_BYTES_MIN)?;
    for _ in 0..exemplars {
        batch.exemplars.push(Exemplar {
            labels: Labels::clone(dictionary.get(reader.u64()?)?),
            timestamp_ms: reader.i64()?,
            value: reader.f64()?,
            exemplar_labels: Labels::from_pairs(reader.pairs()?),
        });
    }
    Ok(())
}

fn put_histogram(out: &mut Vec<u8>, histogram: &NativeHistogram) {
    out.push(histogram.reset_hint.number().cast_unsigned());
    put_i64(out, i64::from(histogram.schema));
    for number in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        put_f64(out, number);
    }
    put_buckets(out, &histogram.positive);
    put_buckets(out, &histogram.negative);
    put_floats(out, &histogram.custom_bounds);
}

fn histogram(reader: &mut Reader<'_>) -> Result<NativeHistogram, WireError> {
    Ok(NativeHistogram {
        reset_hint: ResetHint::from_number(reader.u8()?.cast_signed()),
        schema: i32::try_from(reader.i64()?).map_err(|_| WireError::Tag)?,
        zero_threshold: reader.f64()?,
        zero_count: reader.f64()?,
        count: reader.f64()?,
        sum: reader.f64()?,
        positive: buckets(reader)?,
        negative: buckets(reader)?,
        custom_bounds: floats(reader)?,
    })
}

fn put_buckets(out: &mut Vec<u8>, buckets: &Buckets) {
    put_u64(out, buckets.spans.len() as u64);
    for span in &buckets.spans {
        put_i64(out, i64::from(span.offset));
        put_u64(out, u64::from(span.length));
    }
    put_floats(out, &buckets.counts);
}

fn buckets(reader: &mut Reader<'_>) -> Result<Buckets, WireError> {
    let count = reader.count(2)?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        spans.push(BucketSpan {
            offset: i32::try_from(reader.i64()?).map_err(|_| WireError::Tag)?,
            length: u32::try_from(reader.u64()?).map_err(|_| WireError::Tag)?,
        });
    }
    Ok(Buckets { spans, counts: floats(reader)? })
}

fn put_floats(out: &mut Vec<u8>, floats: &[f64]) {
    put_u64(out, floats.len() as u64);
    floats.iter().for_each(|float| put_f64(out, *float));
}

fn floats(reader: &mut Reader<'_>) -> Result<Vec<f64>, WireError> {
    let count = reader.count(8)?;
    (0..count).map(|_| reader.f64()).collect()
}

fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_u64(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_str(out, name);
        put_str(out, value);
    }
}
