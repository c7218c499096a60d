//! What the tables beside `metrics` add to series that were read: native histograms, and when counting began.
//! Comes in: series with their floats; goes out: the same with histograms and start times. Also the two ways
//! between stored histograms and those the language computes with.

use std::sync::Arc;

use model::{BucketSpan, Buckets, NativeHistogram};
use promql::{Bucket, Histogram, HistogramSample, ResetHint, SeriesData};
use store::samples::SampleOptions;
use store::sparse::{HistogramRow, StartRow};
use store::{SeriesEntry, Snapshot};

use super::error::PromError;

/// Bytes of a sample, as the limit on samples counts them.
const SAMPLE_BYTES: usize = super::config::SAMPLE_BYTES;

/// Fills `histograms` and `starts` of `data`, which has the floats of `series` from `start_ms` to `end_ms` in the
/// same order. Where a series has a float and a histogram at one time the float counts. Gives how many samples the
/// histograms count as. Takes next to nothing where the store holds neither for that time.
pub(super) async fn attach_histograms(
    snapshot: &Snapshot,
    series: &[SeriesEntry],
    data: &mut [SeriesData],
    (start_ms, end_ms): (i64, i64),
    options: &SampleOptions,
) -> Result<usize, PromError> {
    let mut histograms = snapshot.read_histograms(series, start_ms, end_ms, options).await?;
    let mut starts = snapshot.read_starts(series, start_ms, end_ms, options).await?;
    if histograms.is_empty() && starts.is_empty() {
        return Ok(0);
    }
    let mut samples = 0;
    for (entry, data) in series.iter().zip(data) {
        if let Some(rows) = histograms.remove(&entry.tsid) {
            data.histograms = beside_floats(rows, &data.timestamps);
            samples += data.histograms.iter().map(|sample| size(&sample.histogram)).sum::<usize>();
        }
        if let Some(rows) = starts.remove(&entry.tsid) {
            data.starts = in_line(&rows, &data.timestamps);
        }
    }
    Ok(samples)
}

/// The histograms at times without a float.
fn beside_floats(rows: Vec<HistogramRow>, floats: &[i64]) -> Vec<HistogramSample> {
    let free = rows.into_iter().filter(|row| floats.binary_search(&row.timestamp_ms).is_err());
    let sample = |row: HistogramRow| HistogramSample {
        timestamp_ms: row.timestamp_ms,
        start_ms: row.start_ms,
        histogram: Arc::new(computable(&row.histogram)),
    };
    free.map(sample).collect()
}

/// A start for every float, 0 where none is known; nothing where none is known at all.
fn in_line(rows: &[StartRow], floats: &[i64]) -> Vec<i64> {
    let mut starts = vec![0; floats.len()];
    let mut known = false;
    for row in rows {
        if let Ok(place) = floats.binary_search(&row.timestamp_ms) {
            starts[place] = row.start_ms;
            known |= row.start_ms != 0;
        }
    }
    if known { starts } else { Vec::new() }
}

/// How many samples take as many bytes.
fn size(histogram: &Histogram) -> usize {
    let buckets = (histogram.positive.len() + histogram.negative.len()) * size_of::<Bucket>();
    let bounds = histogram.custom_bounds.len() * size_of::<f64>();
    (size_of::<HistogramSample>() + size_of::<Histogram>() + buckets + bounds).div_ceil(SAMPLE_BYTES)
}

/// A stored histogram as the language computes with it.
pub(super) fn computable(stored: &NativeHistogram) -> Histogram {
    let buckets = |buckets: &Buckets| -> Vec<Bucket> {
        buckets.iter().map(|(index, count)| Bucket { index, count }).collect()
    };
    Histogram {
        reset_hint: match stored.reset_hint {
            model::ResetHint::Unknown => ResetHint::Unknown,
            model::ResetHint::Reset => ResetHint::Reset,
            model::ResetHint::NotReset => ResetHint::NotReset,
            model::ResetHint::Gauge => ResetHint::Gauge,
        },
        schema: stored.schema,
        zero_threshold: stored.zero_threshold,
        zero_count: stored.zero_count,
        count: stored.count,
        sum: stored.sum,
        positive: buckets(&stored.positive),
        negative: buckets(&stored.negative),
        custom_bounds: stored.custom_bounds.as_slice().into(),
    }
}

/// A histogram of the language as it is stored.
pub fn storable(histogram: &Histogram) -> NativeHistogram {
    NativeHistogram {
        reset_hint: match histogram.reset_hint {
            ResetHint::Unknown => model::ResetHint::Unknown,
            ResetHint::Reset => model::ResetHint::Reset,
            ResetHint::NotReset => model::ResetHint::NotReset,
            ResetHint::Gauge => model::ResetHint::Gauge,
        },
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: histogram.zero_count,
        count: histogram.count,
        sum: histogram.sum,
        positive: with_spans(&histogram.positive),
        negative: with_spans(&histogram.negative),
        custom_bounds: histogram.custom_bounds.to_vec(),
    }
}

fn with_spans(buckets: &[Bucket]) -> Buckets {
    let mut out = Buckets::default();
    let mut next = 0i32;
    for bucket in buckets {
        let gap = bucket.index.wrapping_sub(next);
        match out.spans.last_mut() {
            Some(span) if gap == 0 => span.length += 1,
            _ => out.spans.push(BucketSpan { offset: gap, length: 1 }),
        }
        out.counts.push(bucket.count);
        next = bucket.index.wrapping_add(1);
    }
    out
}

#[cfg(test)]
mod tests;
