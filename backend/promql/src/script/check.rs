//! Compares an answer with what a script expects.

use std::fmt::Display;
use std::sync::Arc;

use model::Labels;

use super::parse::{Eval, ExpectedSeries, Kind, Pattern};
use super::sequence::SequenceValue;
use crate::engine::Answer;
use crate::error::Result as QueryResult;
use crate::format::float_g;
use crate::histogram::{Bucket, Histogram};
use crate::value::{Cell, Sample, Series, Value};

/// Relative difference that still counts as equal, as in Prometheus.
const TOLERANCE: f64 = 1e-6;

type Outcome = Result<(), String>;

/// Compares value and notes.
pub(super) fn check(eval: &Eval, answer: &QueryResult<Answer>) -> Outcome {
    let answer = match (answer, &eval.fail) {
        (Err(error), Some(pattern)) => {
            let text = error.to_string();
            let wrong = || format!("fails with {text:?} instead of {pattern:?}");
            return if pattern.matches(&text) { Ok(()) } else { Err(wrong()) };
        }
        (Err(error), None) => return Err(format!("fails with {:?}", error.to_string())),
        (Ok(_), Some(_)) => return Err("should fail".to_owned()),
        (Ok(answer), None) => answer,
    };
    check_notes("warning", &answer.annotations.warnings(&eval.query), &eval.warnings, eval.no_warnings)?;
    check_notes("info", &answer.annotations.infos(&eval.query), &eval.infos, eval.no_infos)?;
    match (&answer.value, eval.range_vector.unwrap_or(eval.kind)) {
        (Value::String(_, text), _) => match &eval.string {
            Some(expected) if expected == text => Ok(()),
            expected => Err(format!("got string {text:?}, expected {expected:?}")),
        },
        (Value::Scalar(_, value), _) => match eval.scalar {
            Some(expected) => check_float(*value, expected),
            None => Err(format!("got scalar {}, expected something else", float_g(*value))),
        },
        (Value::Vector(samples), _) => check_vector(eval, samples),
        (Value::Matrix(series), Kind::Range { start_ms, step_ms, .. }) => {
            check_matrix(&eval.series, series, start_ms, step_ms)
        }
        (Value::Matrix(_), Kind::Instant { .. }) => Err("got an unexpected range vector".to_owned()),
    }
}

/// Compares the samples at `time_ms` of a range query's answer.
pub(super) fn check_middle(eval: &Eval, time_ms: i64, answer: &QueryResult<Answer>) -> Outcome {
    let answer = answer.as_ref().map_err(|error| format!("fails with {:?}", error.to_string()))?;
    let Value::Matrix(series) = &answer.value else { return Err("gives no matrix".to_owned()) };
    let samples: Vec<Sample> = series
        .iter()
        .filter_map(|series| {
            let float = series.floats.iter().find(|(time, _)| *time == time_ms);
            let histogram = series.histograms.iter().find(|(time, _)| *time == time_ms);
            let value = match (float, histogram) {
                (Some((_, value)), _) => Cell::Float(*value),
                (None, histogram) => Cell::Histogram(Arc::clone(&histogram?.1)),
            };
            Some(Sample { labels: series.labels.clone(), timestamp_ms: time_ms, value })
        })
        .collect();
    match (eval.scalar, &samples[..]) {
        (Some(expected), [Sample { value: Cell::Float(value), .. }]) => check_float(*value, expected),
        (Some(_), _) => Err("gives no single float".to_owned()),
        (None, samples) => check_vector(eval, samples),
    }
}

fn check_notes(level: &str, got: &[String], expected: &[Pattern], none: bool) -> Outcome {
    if none && !got.is_empty() {
        return Err(format!("unexpected {level}: {got:?}"));
    }
    if expected.is_empty() {
        return Ok(());
    }
    if let Some(missing) = expected.iter().find(|pattern| !got.iter().any(|text| pattern.matches(text))) {
        return Err(format!("{level} {missing:?} is missing, got {got:?}"));
    }
    match got.iter().find(|text| !expected.iter().any(|pattern| pattern.matches(text))) {
        Some(surplus) => Err(format!("unexpected {level}: {surplus:?}")),
        None => Ok(()),
    }
}

fn check_vector(eval: &Eval, samples: &[Sample]) -> Outcome {
    if let Some(sample) = samples.iter().find(|sample| !eval.series.iter().any(|e| e.labels == sample.labels))
    {
        return Err(format!("unexpected series {} {}", name(&sample.labels), shown(&sample.value)));
    }
    for (position, expected) in eval.series.iter().enumerate() {
        let context = |message: String| format!("{}: {message}", name(&expected.labels));
        let found = samples.iter().position(|sample| sample.labels == expected.labels);
        let found = found.ok_or_else(|| context("is missing".to_owned()))?;
        if eval.ordered && found != position {
            return Err(context(format!("is at position {found}, expected {position}")));
        }
        let value = expected.values.first().ok_or_else(|| context("expects no value".to_owned()))?;
        check_value(&samples[found].value, value).map_err(context)?;
    }
    Ok(())
}

fn check_matrix(expected: &[ExpectedSeries], got: &[Series], start_ms: i64, step_ms: i64) -> Outcome {
    for series in got {
        let context = |message: String| format!("{}: {message}", name(&series.labels));
        let expected = expected.iter().find(|expected| expected.labels == series.labels);
        let Some(expected) = expected else {
            let first = series.floats.first().map_or("histogram".to_owned(), |(_, value)| float_g(*value));
            return Err(context(format!("is unexpected, begins with {first}")));
        };
        let times = (0..).map(|i| start_ms + i * step_ms);
        let mut floats = series.floats.iter();
        let mut histograms = series.histograms.iter();
        for (value, time) in expected.values.iter().zip(times) {
            let at = |message: String| {
                context(format!("at {} s: {message}", float_g(crate::functions::window::seconds(time))))
            };
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => match floats.next() {
                    Some((t, got)) if *t == time => check_float(*got, *value).map_err(at)?,
                    Some((t, got)) => {
                        return Err(at(format!(
                            "expected {}, next float is {} at {t} ms",
                            float_g(*value),
                            float_g(*got)
                        )));
                    }
                    None => return Err(at(format!("expected {}, got no float", float_g(*value)))),
                },
                SequenceValue::Histogram(expected, hinted) => match histograms.next() {
                    Some((t, got)) if *t == time => check_histogram(got, expected, *hinted).map_err(at)?,
                    Some((t, _)) => return Err(at(format!("expected a histogram, the next is at {t} ms"))),
                    None => return Err(at("expected a histogram, got none".to_owned())),
                },
            }
        }
        if let Some((time, value)) = floats.next() {
            return Err(context(format!("unexpected {} at {time} ms", float_g(*value))));
        }
        if let Some((time, value)) = histograms.next() {
            return Err(context(format!("unexpected {value} at {time} ms")));
        }
    }
    let has_values = |series: &&ExpectedSeries| series.values.iter().any(|v| *v != SequenceValue::Omitted);
    match expected.iter().filter(has_values).find(|e| !got.iter().any(|series| series.labels == e.labels)) {
        Some(missing) => Err(format!("{}: is missing", name(&missing.labels))),
        None => Ok(()),
    }
}

fn check_value(got: &Cell, expected: &SequenceValue) -> Outcome {
    match (got, expected) {
        (Cell::Float(got), SequenceValue::Float(expected)) => check_float(*got, *expected),
        (Cell::Histogram(got), SequenceValue::Histogram(expected, hinted)) => {
            check_histogram(got, expected, *hinted)
        }
        (got, SequenceValue::Float(expected)) => differs(shown(got), float_g(*expected)),
        (got, SequenceValue::Histogram(expected, _)) => differs(shown(got), expected),
        (got, SequenceValue::Omitted) => differs(shown(got), "nothing"),
    }
}

fn differs(got: impl Display, expected: impl Display) -> Outcome {
    Err(format!("got {got}, expected {expected}"))
}

fn check_float(got: f64, expected: f64) -> Outcome {
    if almost_equal(got, expected) { Ok(()) } else { differs(float_g(got), float_g(expected)) }
}

/// Prometheus `almost.Equal`.
fn almost_equal(a: f64, b: f64) -> bool {
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (difference, sum) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

fn check_histogram(got: &Histogram, expected: &Histogram, hinted: bool) -> Outcome {
    let [mut a, mut b] = [got.clone(), expected.clone()];
    a.compact();
    b.compact();
    let same_side = |a: &[Bucket], b: &[Bucket]| {
        let same = |(a, b): (&Bucket, &Bucket)| a.index == b.index && almost_equal(a.count, b.count);
        a.len() == b.len() && a.iter().zip(b).all(same)
    };
    let same = a.schema == b.schema
        && almost_equal(a.count, b.count)
        && almost_equal(a.sum, b.sum)
        && almost_equal(a.zero_threshold, b.zero_threshold)
        && almost_equal(a.zero_count, b.zero_count)
        && a.custom_bounds == b.custom_bounds
        && same_side(&a.positive, &b.positive)
        && same_side(&a.negative, &b.negative)
        && (!hinted || a.reset_hint == b.reset_hint);
    let full = |histogram: &Histogram| format!("{histogram} ({histogram:?})");
    if same { Ok(()) } else { differs(full(&a), full(&b)) }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Float(value) => float_g(*value),
        Cell::Histogram(histogram) => histogram.to_string(),
    }
}

fn name(labels: &Labels) -> String {
    labels.to_string()
}
