//! `load` blocks: series with their values at multiples of an interval, start timestamps in lines of their own,
//! and native histograms with custom buckets made of classic ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, METRIC_NAME};

use super::parse::time_ms;
use super::sequence::{self, SequenceValue};
use crate::histogram::{Bucket, CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint};
use crate::memory::MemorySource;
use crate::source::{HistogramSample, SeriesData};
use crate::value::Cell;

/// What marks a line of start timestamps.
const START_SUFFIX: &str = "@st";

/// Adds samples to a source.
pub(super) fn merge(source: &mut MemorySource, series: &SeriesData) {
    for (i, (time, value)) in series.timestamps.iter().zip(&series.values).enumerate() {
        let start = series.starts.get(i).copied().unwrap_or(0);
        source.push(&series.labels, *time, start, Cell::Float(*value));
    }
    for sample in &series.histograms {
        let cell = Cell::Histogram(Arc::clone(&sample.histogram));
        source.push(&series.labels, sample.timestamp_ms, sample.start_ms, cell);
    }
}

/// Sets reset hints as a storage would that keeps histograms in chunks: known not to be a reset within a chunk,
/// nothing known at its start. A chunk ends with a reset, a float, a change of layout or from counter to gauge.
/// Prometheus `tsdb/chunkenc`, `counterResetHint`.
fn set_stored_hints(data: &mut SeriesData) {
    let mut previous: Option<HistogramSample> = None;
    let timestamps = &data.timestamps;
    for sample in &mut data.histograms {
        let stored = sample.clone();
        let gauge = stored.histogram.reset_hint == ResetHint::Gauge;
        let continues = previous.as_ref().is_some_and(|previous| {
            let first_after = timestamps.partition_point(|time| *time <= previous.timestamp_ms);
            let float_between = timestamps.get(first_after).is_some_and(|t| *t < stored.timestamp_ms);
            let (before, now) = (&previous.histogram, &stored.histogram);
            !float_between
                && (before.reset_hint == ResetHint::Gauge) == gauge
                && now.reset_hint != ResetHint::Reset
                && now.schema == before.schema
                && now.zero_threshold == before.zero_threshold
                && now.custom_bounds == before.custom_bounds
                && !before.is_stale()
                && !Histogram { reset_hint: ResetHint::Unknown, ..(**now).clone() }.is_reset_after(before)
        });
        if !gauge {
            let hint = if continues { ResetHint::NotReset } else { ResetHint::Unknown };
            Arc::make_mut(&mut sample.histogram).reset_hint = hint;
        }
        previous = Some(stored);
    }
}

/// The series of a block.
pub(super) fn parse(first: &str, block: &[&str]) -> Result<Vec<SeriesData>, String> {
    let (command, interval) = first.split_once(char::is_whitespace).ok_or("an interval is missing")?;
    let with_custom_buckets = match command {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(format!("unknown command {command:?}")),
    };
    let interval = time_ms(interval.trim())?;
    let mut starts: Vec<(Labels, Vec<Option<i64>>)> = Vec::new();
    let mut out = Vec::new();
    for line in block {
        let (labels, rest) = sequence::split_labels(line)?;
        if let Some(offsets) = rest.strip_prefix(START_SUFFIX) {
            starts.push((labels, start_offsets(offsets)?));
            continue;
        }
        let (labels, values) = sequence::series(line)?;
        let offsets = starts.iter().find(|(known, _)| *known == labels).map(|(_, offsets)| &offsets[..]);
        out.push(samples(labels, &values, interval, offsets.unwrap_or(&[])));
    }
    if with_custom_buckets {
        let made = custom_bucket_histograms(&out)?;
        out.extend(made);
    }
    out.iter_mut().for_each(set_stored_hints);
    Ok(out)
}

fn samples(labels: Labels, values: &[SequenceValue], interval: i64, starts: &[Option<i64>]) -> SeriesData {
    let mut out = SeriesData { labels, ..SeriesData::default() };
    let known = starts.iter().any(Option::is_some);
    for (i, (value, time)) in values.iter().zip((0..).map(|i| i * interval)).enumerate() {
        let start = starts.get(i).copied().flatten().map_or(0, |offset| time + offset);
        match value {
            SequenceValue::Omitted => {}
            SequenceValue::Float(value) => {
                Arc::make_mut(&mut out.timestamps).push(time);
                out.values.push(*value);
                if known {
                    out.starts.push(start);
                }
            }
            SequenceValue::Histogram(histogram, _) => out.histograms.push(HistogramSample {
                timestamp_ms: time,
                start_ms: start,
                histogram: Arc::clone(histogram),
            }),
        }
    }
    out
}

/// `-30s-1mx2 _ 0`: start times relative to the samples' times.
fn start_offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        if let Some(rest) = item.strip_prefix('_') {
            let times = rest.strip_prefix('x').map_or(Ok(1), str::parse);
            let times: usize = times.map_err(|_| format!("not a start time: {item:?}"))?;
            out.extend(std::iter::repeat_n(None, times));
            continue;
        }
        let (body, times) = match item.rsplit_once('x') {
            Some((body, times)) => (body, times.parse().map_err(|_| format!("not a start time: {item:?}"))?),
            None => (item, 0_i64),
        };
        let split = body.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-'));
        let (first, increment) = split.map_or((body, "0"), |(i, _)| body.split_at(i));
        let [first, increment] = [first, increment].map(|part| time_ms(part.trim_start_matches('+')));
        let (first, increment) = (first?, increment?);
        out.extend((0..=times).map(|i| Some(first + i * increment)));
    }
    Ok(out)
}

/// A classic histogram's parts at one time.
#[derive(Default)]
struct Parts {
    /// Upper bounds with counts up to them.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Native histograms with custom buckets of all classic histograms among `series`.
fn custom_bucket_histograms(series: &[SeriesData]) -> Result<Vec<SeriesData>, String> {
    let mut parts: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for data in series {
        let name = data.labels.name();
        let Some((base, suffix)) =
            ["_bucket", "_count", "_sum"].iter().find_map(|s| Some((name.strip_suffix(s)?, *s)))
        else {
            continue;
        };
        let bound: Option<f64> = data.labels.get("le").and_then(|bound| bound.parse().ok());
        if suffix == "_bucket" && bound.is_none() {
            continue;
        }
        let mut builder = data.labels.to_builder();
        builder.set(METRIC_NAME, base).remove("le");
        let by_time = parts.entry(builder.build()).or_default();
        for (time, value) in data.timestamps.iter().zip(&data.values) {
            let parts = by_time.entry(*time).or_default();
            match (suffix, bound) {
                ("_bucket", Some(bound)) => parts.buckets.push((bound, *value)),
                ("_count", _) => parts.count = Some(*value),
                _ => parts.sum = *value,
            }
        }
    }
    parts
        .into_iter()
        .map(|(labels, by_time)| {
            let histograms = by_time.into_iter().map(|(timestamp_ms, parts)| {
                let histogram = Arc::new(converted(parts)?);
                Ok(HistogramSample { timestamp_ms, start_ms: 0, histogram })
            });
            let histograms = histograms.collect::<Result<_, String>>()?;
            Ok(SeriesData { labels, histograms, ..SeriesData::default() })
        })
        .collect()
}

fn converted(mut parts: Parts) -> Result<Histogram, String> {
    parts.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let highest = parts.buckets.last().map_or(0.0, |(_, count)| *count);
    let count = parts.count.unwrap_or(highest);
    if parts.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        parts.buckets.push((f64::INFINITY, count));
    }
    let mut histogram =
        Histogram { schema: CUSTOM_BUCKETS_SCHEMA, count, sum: parts.sum, ..Histogram::default() };
    let mut below = 0.0;
    for ((_, up_to), index) in parts.buckets.iter().zip(0..) {
        if *up_to < below {
            return Err("counts of a classic histogram fall".to_owned());
        }
        histogram.positive.push(Bucket { index, count: up_to - below });
        below = *up_to;
    }
    let bounds = parts.buckets.iter().map(|(bound, _)| *bound).filter(|bound| *bound != f64::INFINITY);
    histogram.custom_bounds = bounds.collect();
    histogram.compact();
    Ok(histogram)
}
