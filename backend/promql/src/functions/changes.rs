//! `changes` and `resets`: how often a series changed or fell. Prometheus `funcChanges`, `funcResets`.

use super::window::{Window, count, starts_anew};
use crate::annotations::Annotations;
use crate::ast::RangeMode;
use crate::error::Error;
use crate::histogram::Histogram;
use crate::value::Cell;

pub(crate) fn changes(window: &Window<'_>, _: &mut Annotations) -> Result<Option<Cell>, Error> {
    Ok(count_pairs(window, |before, after| match (before.histogram, after.histogram) {
        (None, None) => after.value != before.value && !(after.value.is_nan() && before.value.is_nan()),
        (Some(before), Some(after)) => !after.same_data(before),
        _ => true,
    }))
}

pub(crate) fn resets(window: &Window<'_>, _: &mut Annotations) -> Result<Option<Cell>, Error> {
    Ok(count_pairs(window, |before, after| {
        let anew = || starts_anew(before.start, before.time, after.start, after.time);
        match (before.histogram, after.histogram) {
            (None, None) => after.value < before.value || anew(),
            (Some(earlier), Some(later)) => anew() || later.is_reset_after(earlier),
            _ => true,
        }
    }))
}

struct Point<'a> {
    time: i64,
    start: i64,
    value: f64,
    histogram: Option<&'a Histogram>,
}

/// How many neighbours, floats and histograms in order of time, satisfy `differ`.
fn count_pairs(window: &Window<'_>, differ: impl Fn(&Point<'_>, &Point<'_>) -> bool) -> Option<Cell> {
    let (mut float, mut histogram) = first_samples(window)?;
    let mut previous: Option<Point<'_>> = None;
    let mut found = 0;
    loop {
        let next_float = window.timestamps.get(float);
        let next_histogram = window.histograms.get(histogram);
        let point = match (next_float, next_histogram) {
            (None, None) => break,
            (Some(time), other) if other.is_none_or(|sample| *time < sample.timestamp_ms) => {
                float += 1;
                let i = float - 1;
                Point { time: *time, start: window.float_start(i), value: window.values[i], histogram: None }
            }
            (_, Some(sample)) => {
                histogram += 1;
                Point {
                    time: sample.timestamp_ms,
                    start: window.histogram_start(histogram - 1),
                    value: 0.0,
                    histogram: Some(&sample.histogram),
                }
            }
            (Some(_), None) => break,
        };
        if previous.as_ref().is_some_and(|previous| differ(previous, &point)) {
            found += 1;
        }
        previous = Some(point);
    }
    Some(Cell::Float(count(found)))
}

/// Where counting begins: at the first samples, or, if anchored, with the one sample last before the window.
fn first_samples(window: &Window<'_>) -> Option<(usize, usize)> {
    if window.mode != RangeMode::Anchored {
        return (!window.is_empty()).then_some((0, 0));
    }
    let floats = window.timestamps.partition_point(|time| *time <= window.start_ms);
    let histograms = window.histograms.partition_point(|sample| sample.timestamp_ms <= window.start_ms);
    if floats == window.timestamps.len() && histograms == window.histograms.len() {
        return None;
    }
    let float_time = floats.checked_sub(1).map(|i| window.timestamps[i]);
    let histogram_time = histograms.checked_sub(1).map(|i| window.histograms[i].timestamp_ms);
    Some(match (float_time, histogram_time) {
        (None, None) => (0, 0),
        (float, histogram) if float >= histogram => (floats - 1, histograms),
        _ => (floats, histograms - 1),
    })
}
