//! Aggregations over the samples of a window: `avg_over_time`, `max_over_time` and the like. Prometheus
//! `promql/functions.go`.

use std::sync::Arc;

use super::quantile::quantile;
use super::window::{Window, count as as_float, seconds};
use crate::annotations::{self, Annotations};
use crate::error::Error;
use crate::histogram::{Histogram, Incompatible, Total, kahan_add};
use crate::value::Cell;

type Output = Result<Option<Cell>, Error>;

#[expect(clippy::unnecessary_wraps, reason = "all window functions return the same")]
fn float(value: f64) -> Output {
    Ok(Some(Cell::Float(value)))
}

pub(crate) fn count(window: &Window<'_>, _: &mut Annotations) -> Output {
    float(as_float(window.values.len() + window.histograms.len()))
}

pub(crate) fn present(_: &Window<'_>, _: &mut Annotations) -> Output {
    float(1.0)
}

pub(crate) fn first(window: &Window<'_>, _: &mut Annotations) -> Output {
    let cell = match (window.timestamps.first(), window.histograms.first()) {
        (Some(time), Some(sample)) if sample.timestamp_ms <= *time => {
            Some(Cell::Histogram(Arc::clone(&sample.histogram)))
        }
        (None, Some(sample)) => Some(Cell::Histogram(Arc::clone(&sample.histogram))),
        (Some(_), _) => window.values.first().copied().map(Cell::Float),
        (None, None) => None,
    };
    Ok(cell)
}

pub(crate) fn last(window: &Window<'_>, _: &mut Annotations) -> Output {
    let cell = match (window.timestamps.last(), window.histograms.last()) {
        (Some(time), Some(sample)) if sample.timestamp_ms >= *time => {
            Some(Cell::Histogram(Arc::clone(&sample.histogram)))
        }
        (None, Some(sample)) => Some(Cell::Histogram(Arc::clone(&sample.histogram))),
        (Some(_), _) => window.values.last().copied().map(Cell::Float),
        (None, None) => None,
    };
    Ok(cell)
}

pub(crate) fn time_of_first(window: &Window<'_>, _: &mut Annotations) -> Output {
    let times = [window.timestamps.first().copied(), window.histograms.first().map(|h| h.timestamp_ms)];
    Ok(times.into_iter().flatten().min().map(|time| Cell::Float(seconds(time))))
}

pub(crate) fn time_of_last(window: &Window<'_>, _: &mut Annotations) -> Output {
    let times = [window.timestamps.last().copied(), window.histograms.last().map(|h| h.timestamp_ms)];
    Ok(times.into_iter().flatten().max().map(|time| Cell::Float(seconds(time))))
}

/// Runs `f` over the floats, noting histograms beside them; nothing where there are none.
fn over_floats(window: &Window<'_>, notes: &mut Annotations, f: impl FnOnce(&Window<'_>) -> f64) -> Output {
    if window.values.is_empty() {
        return Ok(None);
    }
    if !window.histograms.is_empty() {
        notes.add(annotations::histogram_ignored_in_range(window.metric), window.span);
    }
    float(f(window))
}

/// Position of the value that wins by `beats`; NaN loses to everything.
fn winner(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if beats(*value, values[best]) || values[best].is_nan() {
            best = i;
        }
    }
    best
}

pub(crate) fn max(window: &Window<'_>, notes: &mut Annotations) -> Output {
    over_floats(window, notes, |window| extreme(window.values, f64::NEG_INFINITY, |value, max| value > max))
}

pub(crate) fn min(window: &Window<'_>, notes: &mut Annotations) -> Output {
    over_floats(window, notes, |window| extreme(window.values, f64::INFINITY, |value, min| value < min))
}

/// Values looked at side by side; as many as vector registers hold.
const LANES: usize = 8;

/// The value that beats all others; NaN only where there is nothing else. `worst` is beaten by everything.
fn extreme(values: &[f64], worst: f64, beats: impl Fn(f64, f64) -> bool) -> f64 {
    let keep = |best: f64, value: f64| if beats(value, best) { value } else { best };
    let mut lanes = [worst; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = keep(*lane, *value);
        }
    }
    let best = lanes.into_iter().chain(rest.iter().copied()).fold(worst, keep);
    // Nothing has beaten the worst: it is among the values, or they are all NaN.
    if best == worst && !values.contains(&worst) { f64::NAN } else { best }
}

pub(crate) fn time_of_max(window: &Window<'_>, notes: &mut Annotations) -> Output {
    over_floats(window, notes, |w| seconds(w.timestamps[winner(w.values, |value, max| value >= max)]))
}

pub(crate) fn time_of_min(window: &Window<'_>, notes: &mut Annotations) -> Output {
    over_floats(window, notes, |w| seconds(w.timestamps[winner(w.values, |value, min| value <= min)]))
}

pub(crate) fn mad(window: &Window<'_>, notes: &mut Annotations) -> Output {
    over_floats(window, notes, |window| {
        if window.values.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        let mut values = window.values.to_vec();
        let median = quantile(0.5, &mut values);
        for value in &mut values {
            *value = (*value - median).abs();
        }
        quantile(0.5, &mut values)
    })
}

pub(crate) fn stddev(window: &Window<'_>, notes: &mut Annotations) -> Output {
    over_floats(window, notes, |window| variance(window.values).sqrt())
}

pub(crate) fn stdvar(window: &Window<'_>, notes: &mut Annotations) -> Output {
    over_floats(window, notes, |window| variance(window.values))
}

/// Population variance by Welford's method with compensated sums.
fn variance(values: &[f64]) -> f64 {
    let (mut n, mut mean, mut mean_lost, mut sum, mut sum_lost) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for value in values {
        n += 1.0;
        let delta = value - (mean + mean_lost);
        (mean, mean_lost) = kahan_add(delta / n, mean, mean_lost);
        (sum, sum_lost) = kahan_add(delta * (value - (mean + mean_lost)), sum, sum_lost);
    }
    (sum + sum_lost) / n
}

/// Runs one of two functions, by the kind of samples; a mix is noted and yields nothing.
fn by_kind(
    window: &Window<'_>,
    notes: &mut Annotations,
    floats: impl FnOnce(&Window<'_>) -> f64,
    histograms: impl FnOnce(&[&Histogram]) -> Result<Option<Total>, Incompatible>,
) -> Output {
    match (window.values.is_empty(), window.histograms.is_empty()) {
        (true, true) => Ok(None),
        (false, true) => float(floats(window)),
        (false, false) => {
            notes.add(annotations::mixed_floats_histograms(window.metric), window.span);
            Ok(None)
        }
        (true, false) => {
            let all: Vec<&Histogram> = window.histograms.iter().map(|sample| &*sample.histogram).collect();
            let Ok(total) = histograms(&all) else {
                notes.add(annotations::mixed_exponential_custom(window.metric), window.span);
                return Ok(None);
            };
            Ok(total.map(|total| {
                annotations::note_total(&total, window.span, notes);
                Cell::Histogram(Arc::new(total.histogram))
            }))
        }
    }
}

pub(crate) fn sum(window: &Window<'_>, notes: &mut Annotations) -> Output {
    by_kind(window, notes, float_sum, |all| Total::sum(all.iter().copied()))
}

pub(crate) fn avg(window: &Window<'_>, notes: &mut Annotations) -> Output {
    by_kind(window, notes, float_mean, |all| Total::mean(all.iter().copied()))
}

/// The compensated sum and what it is short of. Rounding errors are found without branches (Knuth's two-sum),
/// which gives the same bits as [`kahan_add`] as long as nothing overflows; a sum that does is never finite.
fn two_sum(values: &[f64]) -> (f64, f64) {
    values.iter().fold((0.0, 0.0), |(sum, lost), value| {
        let total = sum + value;
        let added = total - sum;
        (total, lost + ((sum - (total - added)) + (value - added)))
    })
}

fn float_sum(window: &Window<'_>) -> f64 {
    if let Some(sum) = window.exact_sum() {
        return sum;
    }
    let (sum, lost) = two_sum(window.values);
    if sum.is_finite() { sum + lost } else { sum }
}

/// A mean that is a sum until that would overflow, and from then on kept up to date value by value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    n: f64,
    /// The sum, or the mean once `incremental`.
    value: f64,
    lost: f64,
    incremental: bool,
}

impl Mean {
    /// The mean of one value.
    pub(crate) fn new(first: f64) -> Mean {
        Mean { n: 1.0, value: first, lost: 0.0, incremental: false }
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        self.n += 1.0;
        if !self.incremental {
            let (sum, lost) = kahan_add(value, self.value, self.lost);
            if !sum.is_infinite() {
                (self.value, self.lost) = (sum, lost);
                return;
            }
            self.incremental = true;
            self.value /= self.n - 1.0;
            self.lost /= self.n - 1.0;
        }
        let share = (self.n - 1.0) / self.n;
        (self.value, self.lost) = kahan_add(value / self.n, share * self.value, share * self.lost);
    }

    /// The mean of the values so far.
    pub(crate) fn value(&self) -> f64 {
        if self.incremental { self.value + self.lost } else { self.value / self.n + self.lost / self.n }
    }
}

fn float_mean(window: &Window<'_>) -> f64 {
    let n = as_float(window.values.len());
    if let Some(sum) = window.exact_sum() {
        return sum / n;
    }
    let (sum, lost) = two_sum(window.values);
    if sum.is_finite() {
        return sum / n + lost / n;
    }
    let [first, rest @ ..] = window.values else { return f64::NAN };
    let mut mean = Mean::new(*first);
    rest.iter().for_each(|value| mean.add(*value));
    mean.value()
}

#[cfg(test)]
mod tests;
