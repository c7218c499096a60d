//! `rate`, `increase` and `delta`. Prometheus `extrapolatedRate`, `histogramRate`.

use std::sync::Arc;

use model::stale_nan;

use super::extended;
use super::window::{FloatSeries, Window, count, seconds, start_overlaps, starts_anew};
use crate::annotations::{self, Annotations, HistogramOperation};
use crate::ast::RangeMode;
use crate::error::Error;
use crate::histogram::{Histogram, ResetHint};
use crate::value::Cell;

/// What kind of change is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Falls are resets.
    pub(crate) counter: bool,
    /// Per second instead of over the window.
    pub(crate) per_second: bool,
}

pub(crate) fn rate(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    Ok(change(window, Kind { counter: true, per_second: true }, notes))
}

pub(crate) fn increase(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    Ok(change(window, Kind { counter: true, per_second: false }, notes))
}

pub(crate) fn delta(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    Ok(change(window, Kind { counter: false, per_second: false }, notes))
}

fn change(window: &Window<'_>, kind: Kind, notes: &mut Annotations) -> Option<Cell> {
    if !window.histograms.is_empty() && !window.timestamps.is_empty() {
        notes.add(annotations::mixed_floats_histograms(window.metric), window.span);
        return None;
    }
    match (window.mode, window.histograms.is_empty()) {
        (RangeMode::Plain, true) => float_change(window, kind, notes).map(Cell::Float),
        (RangeMode::Plain, false) => histogram_change(window, kind, notes),
        (_, true) => extended::float_change(window, kind).map(Cell::Float),
        (_, false) => extended::histogram_change(window, kind, notes),
    }
}

/// `rate` of all windows of a series of floats.
pub(crate) fn rates(series: &FloatSeries<'_>) -> Vec<f64> {
    changes(series, Kind { counter: true, per_second: true })
}

/// `increase` of all windows of a series of floats.
pub(crate) fn increases(series: &FloatSeries<'_>) -> Vec<f64> {
    changes(series, Kind { counter: true, per_second: false })
}

/// `delta` of all windows of a series of floats.
pub(crate) fn deltas(series: &FloatSeries<'_>) -> Vec<f64> {
    changes(series, Kind { counter: false, per_second: false })
}

/// What [`change`] says of each window, step by step, of floats whose start is not known.
#[inline]
fn changes(series: &FloatSeries<'_>, kind: Kind) -> Vec<f64> {
    let of_window = |(&(low, high), &within): (&(usize, usize), &(i64, i64))| -> Option<f64> {
        if high - low < 2 {
            return None;
        }
        let (first, last) = (series.values[low], series.values[high - 1]);
        let mut change = last - first;
        if kind.counter && !series.resets.within(low..high).are_none() {
            for pair in series.values[low..high].windows(2) {
                if pair[1] < pair[0] {
                    change += pair[0];
                }
            }
        }
        let (first_time, last_time) = (series.timestamps[low], series.timestamps[high - 1]);
        let edges = Edges { first_time, last_time, samples: high - low, start: None };
        Some(change * extrapolation(within, kind, edges, share_to_zero(kind, change, first))?)
    };
    series.ends.iter().zip(series.windows).map(|window| of_window(window).unwrap_or(stale_nan())).collect()
}

fn float_change(window: &Window<'_>, kind: Kind, notes: &mut Annotations) -> Option<f64> {
    let (first, last) = (*window.values.first()?, *window.values.last()?);
    let mut change = last - first;
    if kind.counter {
        change = add_resets(window, change, notes);
    }
    let (first_time, last_time) = (*window.timestamps.first()?, *window.timestamps.last()?);
    let start = zero_start(window.float_start(0), first_time, window, kind);
    if start.is_some() {
        change += first;
    }
    let edges = Edges { first_time, last_time, samples: window.values.len(), start };
    let within = (window.start_ms, window.end_ms);
    Some(change * extrapolation(within, kind, edges, share_to_zero(kind, change, first))?)
}

/// The value of the first sample over the change, for counters: one cannot have been negative, and began no earlier
/// than the line through it meets zero.
#[inline]
fn share_to_zero(kind: Kind, change: f64, first: f64) -> Option<f64> {
    (kind.counter && change > 0.0 && first >= 0.0).then(|| first / change)
}

/// `change` with what was lost at counter resets.
fn add_resets(window: &Window<'_>, mut change: f64, notes: &mut Annotations) -> f64 {
    let Window { timestamps, values, starts, resets, .. } = *window;
    if starts.is_empty() && resets.are_none() {
        return change;
    }
    let mut overlap = false;
    for i in 1..values.len() {
        let mut reset = values[i] < values[i - 1];
        if !starts.is_empty() {
            overlap |= start_overlaps(starts[i - 1], timestamps[i - 1], starts[i]);
            reset |= starts_anew(starts[i - 1], timestamps[i - 1], starts[i], timestamps[i]);
        }
        if reset {
            change += values[i - 1];
        }
    }
    if overlap {
        notes.add(annotations::start_time_overlap(window.metric), window.span);
    }
    change
}

/// The time of the zero that the first sample counts from, if that is known and within the window.
fn zero_start(start: i64, first_time: i64, window: &Window<'_>, kind: Kind) -> Option<i64> {
    (kind.counter && start != 0 && start > window.start_ms && start < first_time).then_some(start)
}

/// What extrapolation goes by.
#[derive(Clone, Copy)]
struct Edges {
    first_time: i64,
    last_time: i64,
    samples: usize,
    /// A known zero before the first sample.
    start: Option<i64>,
}

/// The factor from the change between samples to that over the window. Samples are taken to go on to an end of
/// the window if that is no further away than 1.1 times their average distance, else half that distance.
/// `share_to_zero`: value of the first sample over the change. `None` where one sample is all there is.
#[inline]
fn extrapolation(
    (start_ms, end_ms): (i64, i64),
    kind: Kind,
    edges: Edges,
    share_to_zero: Option<f64>,
) -> Option<f64> {
    let sampled = seconds(edges.last_time - edges.first_time);
    let gaps = count(edges.samples - 1);
    let average = if edges.samples > 1 { sampled / gaps } else { 0.0 };
    let threshold = average * 1.1;
    let (interval, to_start) = match edges.start {
        Some(start) => (seconds(edges.last_time - start), 0.0),
        None if edges.samples == 1 => return None,
        None => {
            let mut to_start = seconds(edges.first_time - start_ms);
            if to_start >= threshold {
                to_start = average / 2.0;
            }
            let to_zero = share_to_zero.map_or(to_start, |share| sampled * share);
            (sampled, if to_zero < to_start { to_zero } else { to_start })
        }
    };
    let mut to_end = seconds(end_ms - edges.last_time);
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if interval == 0.0 { 1.0 } else { (interval + to_start + to_end) / interval };
    if kind.per_second {
        factor /= seconds(end_ms - start_ms);
    }
    Some(factor)
}

fn histogram_change(window: &Window<'_>, kind: Kind, notes: &mut Annotations) -> Option<Cell> {
    let samples = window.histograms;
    let (first, last) = (samples.first()?, samples.last()?);
    let start = zero_start(window.histogram_start(0), first.timestamp_ms, window, kind);
    let mut change = if samples.len() > 1 { Some(histogram_difference(window, kind, notes)?) } else { None };
    if start.is_some() {
        match &mut change {
            Some(change) => {
                if !combine(change, &first.histogram, HistogramOperation::Addition, window, notes) {
                    return None;
                }
            }
            None => change = Some((*first.histogram).clone()),
        }
    }
    let edges =
        Edges { first_time: first.timestamp_ms, last_time: last.timestamp_ms, samples: samples.len(), start };
    let mut change = change?;
    let share_to_zero = share_to_zero(kind, change.count, first.histogram.count);
    change.multiply(extrapolation((window.start_ms, window.end_ms), kind, edges, share_to_zero)?);
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    Some(Cell::Histogram(Arc::new(change)))
}

/// Last minus first, plus what was lost at resets. `None`, with a note, where the layouts do not go together.
fn histogram_difference(window: &Window<'_>, kind: Kind, notes: &mut Annotations) -> Option<Histogram> {
    let samples = window.histograms;
    let (first, last) = (&samples[0].histogram, &samples[samples.len() - 1].histogram);
    let gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    if kind.counter && samples.iter().any(|sample| gauge(&sample.histogram)) {
        notes.add(annotations::histogram_not_counter(window.metric), window.span);
    }
    let reset_before = |i: usize, previous: &Histogram| {
        let (before, at) = (&samples[i - 1], &samples[i]);
        let (start_before, start) = (window.histogram_start(i - 1), window.histogram_start(i));
        starts_anew(start_before, before.timestamp_ms, start, at.timestamp_ms)
            || at.histogram.is_reset_after(previous)
    };

    // After a reset the first sample does not count, so that its layout need not fit either.
    let mut empty_first = None;
    if kind.counter && reset_before(1, first) {
        let second = &samples[1].histogram;
        empty_first = Some(Histogram {
            schema: second.schema,
            custom_bounds: Arc::clone(&second.custom_bounds),
            ..Histogram::default()
        });
    }
    let base: &Histogram = empty_first.as_ref().unwrap_or(first);
    let custom = base.has_custom_buckets();
    let middle = &samples[1..samples.len() - 1];
    let mixed = last.has_custom_buckets() != custom
        || (kind.counter && middle.iter().any(|sample| sample.histogram.has_custom_buckets() != custom));
    if mixed {
        notes.add(annotations::mixed_exponential_custom(window.metric), window.span);
        return None;
    }

    let mut change = (**last).clone();
    if !custom {
        let coarsest =
            if kind.counter { middle.iter().map(|sample| sample.histogram.schema).min() } else { None };
        change.reduce_resolution(coarsest.map_or(base.schema, |schema| schema.min(base.schema)));
    }
    if !combine(&mut change, base, HistogramOperation::Subtraction, window, notes) {
        return None;
    }
    if kind.counter {
        let mut previous: &Histogram = base;
        let mut overlap = false;
        for (i, sample) in samples.iter().enumerate().skip(1) {
            overlap |= start_overlaps(
                window.histogram_start(i - 1),
                samples[i - 1].timestamp_ms,
                window.histogram_start(i),
            );
            if reset_before(i, previous)
                && !combine(&mut change, previous, HistogramOperation::Addition, window, notes)
            {
                return None;
            }
            previous = &sample.histogram;
        }
        if overlap {
            notes.add(annotations::start_time_overlap(window.metric), window.span);
        }
    } else if !gauge(first) || !gauge(last) {
        notes.add(annotations::histogram_not_gauge(window.metric), window.span);
    }
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    Some(change)
}

/// Adds or subtracts in place; false, with a note, where the layouts do not go together. Colliding reset hints
/// do not matter here, for resets are looked at one by one.
pub(crate) fn combine(
    base: &mut Histogram,
    other: &Histogram,
    operation: HistogramOperation,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> bool {
    let combined = match operation {
        HistogramOperation::Subtraction => base.subtract(other),
        HistogramOperation::Addition | HistogramOperation::Aggregation => base.add(other),
    };
    match combined {
        Ok(combined) => {
            if combined.bounds_reconciled {
                notes.add(annotations::reconciled_bounds(operation), window.span);
            }
            true
        }
        Err(_) => {
            notes.add(annotations::mixed_exponential_custom(window.metric), window.span);
            false
        }
    }
}
