//! Functions that make of each series at most one other, by itself: arithmetic, dates, clamps, rounding,
//! statistics of histograms, times. Comes in: series, and scalar arguments already evaluated; goes out: series.

use model::{is_stale, stale_nan};

use super::call::arg;
use super::selector::Take;
use super::{Evaluator, map_floats};
use crate::error::Result;
use crate::functions::date::Date;
use crate::functions::math::round_to;
use crate::functions::window::seconds;
use crate::functions::{Body, Clamp, FunctionDef};
use crate::grid::Grid;
use crate::histogram::Histogram;
use crate::plan::{Node, NodeKind, SelectorNode};
use crate::series::{Column, StepSeries};

/// A function with what it needs to know of its other arguments.
pub(super) enum Mapping {
    Math(fn(f64) -> f64),
    Date(fn(&Date) -> f64),
    HistogramStat(fn(&Histogram) -> f64),
    /// Least and greatest value of each step.
    Clamp(Vec<f64>, Vec<f64>),
    /// What to round to at each step.
    Round(Vec<f64>),
    /// The time of evaluation.
    Time,
}

impl Evaluator<'_> {
    /// What `function` does with the series of its first argument, if it does it series by series.
    pub(super) fn mapping(self, function: &FunctionDef, args: &[Node]) -> Result<Option<Mapping>> {
        let steps = self.grid.steps;
        Ok(Some(match function.body {
            Body::Math(f) => Mapping::Math(f),
            Body::Date(f) if !args.is_empty() => Mapping::Date(f),
            Body::HistogramStat(f) => Mapping::HistogramStat(f),
            Body::Clamp(Clamp::Both) => {
                Mapping::Clamp(self.scalar(arg(args, 1)?)?, self.scalar(arg(args, 2)?)?)
            }
            Body::Clamp(Clamp::Min) => {
                Mapping::Clamp(self.scalar(arg(args, 1)?)?, vec![f64::INFINITY; steps])
            }
            Body::Clamp(Clamp::Max) => {
                Mapping::Clamp(vec![f64::NEG_INFINITY; steps], self.scalar(arg(args, 1)?)?)
            }
            Body::Round => Mapping::Round(match args.get(1) {
                Some(arg) => self.scalar(arg)?,
                None => vec![1.0; steps],
            }),
            // Of any other expression than a plain selector.
            Body::Timestamp => Mapping::Time,
            _ => return Ok(None),
        }))
    }

    /// The plain selector whose samples `timestamp` and `start_timestamp` tell the times of.
    pub(super) fn sample_times<'n>(
        self,
        function: &FunctionDef,
        args: &'n [Node],
    ) -> Option<(&'n SelectorNode, Take)> {
        let take = match function.body {
            Body::Timestamp => Take::Time,
            Body::StartTimestamp => Take::Start,
            _ => return None,
        };
        match &args.first()?.kind {
            NodeKind::Selector(selector) if !selector.smoothed => Some((selector, take)),
            _ => None,
        }
    }
}

impl Mapping {
    /// The results, in the order of `series`.
    pub(super) fn apply(&self, grid: Grid, mut series: Vec<StepSeries>) -> Vec<StepSeries> {
        match self {
            Mapping::Math(f) => floats_only(&mut series, |column| map_floats(column, f)),
            Mapping::Date(f) => floats_only(&mut series, |column| map_floats(column, |value| date(value, f))),
            Mapping::Round(nearest) => floats_only(&mut series, |column| round(column, nearest)),
            Mapping::HistogramStat(f) => {
                series.retain(|series| !series.histograms.is_empty());
                for series in &mut series {
                    series.drop_name = true;
                    series.floats = Column::default();
                    for (step, histogram) in std::mem::take(&mut series.histograms) {
                        series.floats.push(step, f(&histogram));
                    }
                }
            }
            Mapping::Clamp(lowest, highest) => {
                for series in &mut series {
                    clamp(&mut series.floats, lowest, highest);
                    series.drop_name = true;
                    series.histograms.clear();
                }
                series.retain(|series| !series.floats.is_empty());
            }
            Mapping::Time => {
                for series in &mut series {
                    let mut floats = Column::default();
                    for step in series.bounds().filter(|step| series.has(*step)) {
                        floats.push(step, seconds(grid.time(step)));
                    }
                    series.floats = floats;
                    series.histograms.clear();
                    series.drop_name = true;
                }
            }
        }
        series
    }
}

/// Changes the floats of the series that have some, and drops what else there is.
fn floats_only(series: &mut Vec<StepSeries>, f: impl Fn(&mut Column)) {
    series.retain(|series| !series.floats.is_empty());
    for series in series {
        series.drop_name = true;
        series.histograms.clear();
        f(&mut series.floats);
    }
}

fn date(value: f64, f: &fn(&Date) -> f64) -> f64 {
    if value.is_nan() {
        return f64::NAN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "saturates, as far dates may")]
    f(&Date::from_seconds(value as i64))
}

fn round(column: &mut Column, nearest: &[f64]) {
    let first = column.first();
    for (i, slot) in column.slots_mut().iter_mut().enumerate() {
        if !is_stale(*slot) {
            *slot = round_to(*slot, nearest[first + i]);
        }
    }
}

fn clamp(column: &mut Column, lowest: &[f64], highest: &[f64]) {
    let first = column.first();
    let mut slots = column.slots().to_vec();
    for (i, slot) in slots.iter_mut().enumerate().filter(|(_, slot)| !is_stale(**slot)) {
        let (min, max) = (lowest[first + i], highest[first + i]);
        *slot = if max < min { stale_nan() } else { clamp_to(*slot, min, max) };
    }
    *column = Column::from_slots(first, slots);
}

/// Go's `math.Max(min, math.Min(max, value))`: NaN anywhere gives NaN.
fn clamp_to(value: f64, min: f64, max: f64) -> f64 {
    if value.is_nan() || min.is_nan() || max.is_nan() { f64::NAN } else { min.max(max.min(value)) }
}
