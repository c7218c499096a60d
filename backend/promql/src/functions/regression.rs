//! Trends: `deriv`, `predict_linear`, `double_exponential_smoothing`. Prometheus `linearRegression`,
//! `funcDoubleExponentialSmoothing`.

use super::window::{Window, seconds};
use crate::annotations::{self, Annotations};
use crate::error::Error;
use crate::histogram::kahan_add;
use crate::value::Cell;

/// Slope and value at `time_ms` of the least-squares line, per second.
fn linear_regression(timestamps: &[i64], values: &[f64], time_ms: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|value| *value == first) {
        // Exact, where rounding would make a slope out of nothing.
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let mut n = 0.0;
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [(0.0, 0.0); 4];
    for (time, y) in timestamps.iter().zip(values) {
        n += 1.0;
        let x = seconds(time - time_ms);
        x_sum = kahan_add(x, x_sum.0, x_sum.1);
        y_sum = kahan_add(*y, y_sum.0, y_sum.1);
        xy_sum = kahan_add(x * y, xy_sum.0, xy_sum.1);
        xx_sum = kahan_add(x * x, xx_sum.0, xx_sum.1);
    }
    let [x, y, xy, xx] = [x_sum, y_sum, xy_sum, xx_sum].map(|(sum, lost)| sum + lost);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// True where there are two floats; notes histograms beside floats.
fn enough(window: &Window<'_>, notes: &mut Annotations) -> bool {
    if !window.values.is_empty() && !window.histograms.is_empty() {
        notes.add(annotations::histogram_ignored_in_range(window.metric), window.span);
    }
    window.values.len() >= 2
}

pub(crate) fn deriv(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    if !enough(window, notes) {
        return Ok(None);
    }
    // A time near the samples keeps the numbers small.
    let (slope, _) = linear_regression(window.timestamps, window.values, window.timestamps[0]);
    Ok(Some(Cell::Float(slope)))
}

pub(crate) fn predict_linear(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    if !enough(window, notes) {
        return Ok(None);
    }
    let (slope, intercept) = linear_regression(window.timestamps, window.values, window.time_ms);
    Ok(Some(Cell::Float(slope * window.parameters[0] + intercept)))
}

pub(crate) fn double_exponential_smoothing(
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Result<Option<Cell>, Error> {
    let [smoothing, trend_factor] = window.parameters;
    for (name, factor, letter) in [("smoothing", smoothing, "sf"), ("trend", trend_factor, "tf")] {
        if factor <= 0.0 || factor >= 1.0 {
            let message = format!("invalid {name} factor. Expected: 0 < {letter} < 1, got: {factor:.6}");
            return Err(Error::evaluation(message));
        }
    }
    if !enough(window, notes) {
        return Ok(None);
    }
    let values = window.values;
    let mut previous = 0.0;
    let mut smoothed = values[0];
    let mut trend = values[1] - values[0];
    for (i, value) in values.iter().enumerate().skip(1) {
        if i > 1 {
            trend = trend_factor * (smoothed - previous) + (1.0 - trend_factor) * trend;
        }
        previous = smoothed;
        smoothed = smoothing * value + (1.0 - smoothing) * (smoothed + trend);
    }
    Ok(Some(Cell::Float(smoothed)))
}
