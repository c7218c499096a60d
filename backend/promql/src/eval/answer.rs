//! The last step: from series on the grid to what the user sees.

use super::labels::without_metadata;
use super::range::RangeSeries;
use super::windows::{Moving, WindowSettings};
use super::{Context, Evaluated, Evaluator, labels};
use crate::ast::RangeMode;
use crate::error::{Error, Result};
use crate::functions::extended;
use crate::grid::Grid;
use crate::plan::{NodeKind, RangeNode};
use crate::series::{CellRef, StepSeries};
use crate::value::{Sample, Series, Value};

/// Evaluates the plan's root.
pub(crate) fn answer(context: &Context<'_>) -> Result<Value> {
    let evaluator = Evaluator { context, grid: context.plan.grid };
    let root = &context.plan.root;
    if let NodeKind::Range(range) = &root.kind {
        if context.range_query {
            let message =
                "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
            return Err(Error::evaluation(message));
        }
        return evaluator.samples(range).map(Value::Matrix);
    }
    let time = context.plan.grid.start_ms;
    match evaluator.eval(root)? {
        Evaluated::Text(_) if context.range_query => {
            let message =
                "invalid expression type \"string\" for range query, must be Scalar or instant Vector";
            Err(Error::evaluation(message))
        }
        Evaluated::Text(text) => Ok(Value::String(time, text)),
        Evaluated::Scalar(values) if context.range_query => {
            let floats = context.plan.grid.times().zip(values).collect();
            Ok(Value::Matrix(vec![Series { floats, ..Series::default() }]))
        }
        Evaluated::Scalar(values) => Ok(Value::Scalar(time, values.first().copied().unwrap_or(f64::NAN))),
        Evaluated::Vector(series) => {
            let series = labels::drop_names(series)?;
            if context.range_query {
                Ok(Value::Matrix(matrix(series, context.plan.grid)))
            } else {
                Ok(Value::Vector(vector(&series, time)))
            }
        }
    }
}

fn vector(series: &[StepSeries], timestamp_ms: i64) -> Vec<Sample> {
    let sample = |series: &StepSeries| {
        let value = series.cell(0).map(CellRef::to_cell)?;
        Some(Sample { labels: series.labels.clone(), timestamp_ms, value })
    };
    series.iter().filter_map(sample).collect()
}

fn matrix(mut series: Vec<StepSeries>, grid: Grid) -> Vec<Series> {
    series.retain(|series| !series.is_empty());
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
        .into_iter()
        .map(|series| Series {
            floats: series.floats.iter().map(|(step, value)| (grid.time(step), value)).collect(),
            histograms: series.histograms.into_iter().map(|(step, h)| (grid.time(step), h)).collect(),
            labels: series.labels,
        })
        .collect()
}

impl Evaluator<'_> {
    /// The samples of a range selector or subquery that is the whole query.
    fn samples(self, range: &RangeNode) -> Result<Vec<Series>> {
        let moving = Moving { grid: self.grid, range, lookback_ms: self.context.settings.lookback_ms };
        let settings = WindowSettings::default();
        let mut out = Vec::new();
        let mut held = 0;
        self.range_series(range, &mut |chunk| {
            for RangeSeries { data, drop_name } in chunk {
                let labels = if drop_name { without_metadata(&data.labels) } else { data.labels.clone() };
                let mut series = Series { labels, ..Series::default() };
                let ends = moving.ends(&data.timestamps);
                moving.each_window(&data, &ends, settings, |_, window| {
                    series.floats = match range.mode {
                        RangeMode::Plain => {
                            window.timestamps.iter().copied().zip(window.values.iter().copied()).collect()
                        }
                        RangeMode::Anchored | RangeMode::Smoothed => extended::samples_with_ends(&window),
                    };
                    let within = |time: i64| time > window.start_ms && time <= window.end_ms;
                    series.histograms = window
                        .histograms
                        .iter()
                        .filter(|sample| within(sample.timestamp_ms))
                        .map(|sample| (sample.timestamp_ms, std::sync::Arc::clone(&sample.histogram)))
                        .collect();
                    Ok(())
                })?;
                held += series.floats.len() + series.histograms.len();
                if held > self.context.settings.samples_max {
                    return Err(Error::TooManySamples);
                }
                if !series.floats.is_empty() || !series.histograms.is_empty() {
                    out.push(series);
                }
            }
            Ok(())
        })?;
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        if out.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
            return Err(Error::evaluation(super::SAME_LABELSET));
        }
        Ok(out)
    }
}
