//! `rate`, `increase` and `delta` over `anchored` and `smoothed` ranges: no extrapolation, but a value at each
//! end of the window, taken from the last sample before or interpolated. Prometheus `extendedRate`,
//! `extendedHistogramRate`.

use std::sync::Arc;

use super::rate::{Kind, combine};
use super::window::{Window, seconds};
use crate::annotations::{self, Annotations, HistogramOperation};
use crate::ast::RangeMode;
use crate::histogram::{Histogram, IncompatibleSchema, ResetHint};
use crate::source::HistogramSample;
use crate::value::Cell;

/// Positions of the samples that give the values at the window's ends.
struct Ends {
    first: usize,
    last: usize,
}

/// `None` where the samples do not reach into the window.
fn ends(window: &Window<'_>, len: usize, time: impl Fn(usize) -> i64) -> Option<Ends> {
    let mut last = len.checked_sub(1)?;
    let position =
        |limit: usize, beyond: &dyn Fn(i64) -> bool| (0..limit).find(|i| beyond(time(*i))).unwrap_or(limit);
    let first = position(last, &|t| t > window.start_ms).saturating_sub(1);
    let smoothed = window.mode == RangeMode::Smoothed;
    if smoothed {
        last = position(last, &|t| t >= window.end_ms);
    }
    let outside = time(last) <= window.start_ms || (smoothed && time(first) > window.end_ms);
    (!outside).then_some(Ends { first, last })
}

pub(super) fn float_change(window: &Window<'_>, kind: Kind) -> Option<f64> {
    let Window { timestamps, values, .. } = *window;
    let Ends { mut first, mut last } = ends(window, timestamps.len(), |i| timestamps[i])?;
    let (left, right) = end_values(window, first, last, kind.counter);
    let mut change = right - left;
    if kind.counter {
        // The values at the ends know of resets next to them; what remains are the samples within.
        first += usize::from(timestamps[first] <= window.start_ms);
        let end = last + usize::from(timestamps[last] < window.end_ms);
        last = end.max(first);
        let mut previous = left;
        for value in values[first..last].iter().copied().chain([right]) {
            if value < previous {
                change += previous;
            }
            previous = value;
        }
    }
    Some(if kind.per_second { change / window.seconds() } else { change })
}

/// The floats within the window, with the values at its ends as samples.
pub(crate) fn samples_with_ends(window: &Window<'_>) -> Vec<(i64, f64)> {
    let Window { timestamps, values, start_ms, end_ms, .. } = *window;
    let Some(Ends { first, last }) = ends(window, timestamps.len(), |i| timestamps[i]) else {
        return Vec::new();
    };
    let (left, right) = end_values(window, first, last, false);
    let within = timestamps.iter().copied().zip(values.iter().copied());
    let within = within.filter(|(time, _)| *time > start_ms && *time < end_ms);
    [(start_ms, left)].into_iter().chain(within).chain([(end_ms, right)]).collect()
}

/// The values at the window's ends.
fn end_values(window: &Window<'_>, first: usize, last: usize, counter: bool) -> (f64, f64) {
    let Window { timestamps, values, start_ms, end_ms, .. } = *window;
    let smoothed = window.mode == RangeMode::Smoothed;
    let between = |i: usize, time: i64| {
        interpolate((timestamps[i], values[i]), (timestamps[i + 1], values[i + 1]), time, counter)
    };
    let left_between = smoothed && timestamps[first] < start_ms && first + 1 < values.len();
    let right_between = smoothed && last > 0 && timestamps[last] > end_ms;
    let left = if left_between { between(first, start_ms) } else { values[first] };
    let right = if right_between { between(last - 1, end_ms) } else { values[last] };
    (left, right)
}

/// The value at `time` on the line between two samples; with a counter that fell, on the line from zero.
pub(crate) fn interpolate(from: (i64, f64), to: (i64, f64), time: i64, counter: bool) -> f64 {
    let base = if counter && to.1 < from.1 { 0.0 } else { from.1 };
    base + (to.1 - base) * seconds(time - from.0) / seconds(to.0 - from.0)
}

/// As [`interpolate`]; the second result is true where custom bounds were reconciled.
pub(crate) fn interpolate_histograms(
    from: &HistogramSample,
    to: &HistogramSample,
    time: i64,
    counter: bool,
) -> Result<(Histogram, bool), IncompatibleSchema> {
    if time == from.timestamp_ms {
        return Ok(((*from.histogram).clone(), false));
    }
    let mut result = (*to.histogram).clone();
    if time == to.timestamp_ms {
        return Ok((result, false));
    }
    let fraction = seconds(time - from.timestamp_ms) / seconds(to.timestamp_ms - from.timestamp_ms);
    if counter && to.histogram.is_reset_after(&from.histogram) {
        result.multiply(fraction);
        return Ok((result, false));
    }
    let mut reconciled = result.subtract(&from.histogram)?.bounds_reconciled;
    result.multiply(fraction);
    reconciled |= result.add(&from.histogram)?.bounds_reconciled;
    Ok((result, reconciled))
}

pub(super) fn histogram_change(window: &Window<'_>, kind: Kind, notes: &mut Annotations) -> Option<Cell> {
    let samples = window.histograms;
    let Ends { first, last } = ends(window, samples.len(), |i| samples[i].timestamp_ms)?;
    let used = &samples[first..=last];
    let custom = used[0].histogram.has_custom_buckets();
    for sample in used {
        if sample.histogram.has_custom_buckets() != custom {
            notes.add(annotations::mixed_exponential_custom(window.metric), window.span);
            return None;
        }
        if kind.counter && sample.histogram.reset_hint == ResetHint::Gauge {
            notes.add(annotations::histogram_not_counter(window.metric), window.span);
        }
    }
    let smoothed = window.mode == RangeMode::Smoothed;
    let left_between = smoothed && samples[first].timestamp_ms < window.start_ms && first + 1 < samples.len();
    let left = if left_between {
        value_between(window, first, window.start_ms, kind, notes)?
    } else {
        (*samples[first].histogram).clone()
    };
    let right = if smoothed && last > 0 && samples[last].timestamp_ms > window.end_ms {
        value_between(window, last - 1, window.end_ms, kind, notes)?
    } else {
        (*samples[last].histogram).clone()
    };
    let gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    if !kind.counter && (!gauge(&left) || !gauge(&right)) {
        notes.add(annotations::histogram_not_gauge(window.metric), window.span);
    }
    let mut change = right.clone();
    if !combine(&mut change, &left, HistogramOperation::Subtraction, window, notes) {
        return None;
    }
    if kind.counter {
        add_resets(window, &mut change, (first, &left, left_between), (last, &right), notes)?;
    }
    if kind.per_second {
        change.divide(window.seconds());
    }
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    Some(Cell::Histogram(Arc::new(change)))
}

fn value_between(
    window: &Window<'_>,
    index: usize,
    time: i64,
    kind: Kind,
    notes: &mut Annotations,
) -> Option<Histogram> {
    let samples = window.histograms;
    match interpolate_histograms(&samples[index], &samples[index + 1], time, kind.counter) {
        Ok((histogram, reconciled)) => {
            if reconciled {
                let note = annotations::reconciled_bounds(HistogramOperation::Subtraction);
                notes.add(note, window.span);
            }
            Some(histogram)
        }
        Err(_) => {
            notes.add(annotations::mixed_exponential_custom(window.metric), window.span);
            None
        }
    }
}

/// Adds what was lost at resets between the ends. A left value interpolated across a reset has that reset in it
/// already, so that counting goes on from the sample after it; the right value stands for the last sample.
fn add_resets(
    window: &Window<'_>,
    change: &mut Histogram,
    (first, left, left_between): (usize, &Histogram, bool),
    (last, right): (usize, &Histogram),
    notes: &mut Annotations,
) -> Option<()> {
    let samples = window.histograms;
    let mut previous = left;
    let mut next = first + 1;
    if left_between && samples[first + 1].histogram.is_reset_after(&samples[first].histogram) {
        previous = &samples[first + 1].histogram;
        next += 1;
    }
    if next > last {
        return Some(());
    }
    let within = samples[next..last].iter().map(|sample| &*sample.histogram);
    for current in within.chain([right]) {
        if current.is_reset_after(previous)
            && !combine(change, previous, HistogramOperation::Addition, window, notes)
        {
            return None;
        }
        previous = current;
    }
    Some(())
}
