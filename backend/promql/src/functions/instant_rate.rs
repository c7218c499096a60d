//! `irate` and `idelta`: the change between the last two samples. Prometheus `instantValue`.

use std::sync::Arc;

use super::rate::combine;
use super::window::{Window, seconds, starts_anew};
use crate::annotations::{self, Annotations, HistogramOperation};
use crate::error::Error;
use crate::histogram::{Histogram, ResetHint};
use crate::value::Cell;

pub(crate) fn irate(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    Ok(last_change(window, true, notes))
}

pub(crate) fn idelta(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    Ok(last_change(window, false, notes))
}

#[derive(Clone, Copy)]
struct Point<'a> {
    time: i64,
    start: i64,
    value: f64,
    histogram: Option<&'a Arc<Histogram>>,
}

/// The last two samples of the window, floats and histograms together.
fn last_two<'a>(window: &Window<'a>) -> Option<[Point<'a>; 2]> {
    let floats = window.timestamps.len();
    let histograms = window.histograms.len();
    let float = |i: usize| Point {
        time: window.timestamps[i],
        start: window.float_start(i),
        value: window.values[i],
        histogram: None,
    };
    let histogram = |i: usize| Point {
        time: window.histograms[i].timestamp_ms,
        start: window.histogram_start(i),
        value: 0.0,
        histogram: Some(&window.histograms[i].histogram),
    };
    let mut points: Vec<Point<'a>> = (floats.saturating_sub(2)..floats).map(float).collect();
    points.extend((histograms.saturating_sub(2)..histograms).map(histogram));
    points.sort_by_key(|point| point.time);
    match points[..] {
        [.., previous, last] if previous.time < last.time => Some([previous, last]),
        _ => None,
    }
}

fn last_change(window: &Window<'_>, counter: bool, notes: &mut Annotations) -> Option<Cell> {
    let [previous, last] = last_two(window)?;
    let starts_anew = starts_anew(previous.start, previous.time, last.start, last.time);
    let interval = seconds(last.time - previous.time);
    match (previous.histogram, last.histogram) {
        (None, None) => {
            let reset = counter && (last.value < previous.value || starts_anew);
            let change = if reset { last.value } else { last.value - previous.value };
            Some(Cell::Float(if counter { change / interval } else { change }))
        }
        (Some(before), Some(now)) => {
            let gauges = [before, now].map(|histogram| histogram.reset_hint == ResetHint::Gauge);
            if counter && gauges.contains(&true) {
                notes.add(annotations::histogram_not_counter(window.metric), window.span);
            }
            if !counter && gauges.contains(&false) {
                notes.add(annotations::histogram_not_gauge(window.metric), window.span);
            }
            let mut change = (**now).clone();
            let reset = counter && (starts_anew || now.is_reset_after(before));
            if !reset && !combine(&mut change, before, HistogramOperation::Subtraction, window, notes) {
                return None;
            }
            change.reset_hint = ResetHint::Gauge;
            change.compact();
            if counter {
                change.divide(interval);
            }
            Some(Cell::Histogram(Arc::new(change)))
        }
        _ => {
            notes.add(annotations::mixed_floats_histograms(window.metric), window.span);
            None
        }
    }
}
