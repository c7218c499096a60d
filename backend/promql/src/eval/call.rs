//! Calls: what each kind of function does with its arguments.

use std::f64::consts::PI;

use model::{Labels, METRIC_NAME, MatchOp, Matcher, is_stale, stale_nan};

use super::selector::Take;
use super::{Evaluated, Evaluator, map_floats};
use crate::error::{Error, Result};
use crate::functions::date::Date;
use crate::functions::math::round_to;
use crate::functions::window::seconds;
use crate::functions::{Body, Clamp, FunctionDef};
use crate::histogram::Histogram;
use crate::plan::{Node, NodeKind};
use crate::series::{Column, StepSeries};

impl Evaluator<'_> {
    pub(super) fn call(self, node: &Node, function: &FunctionDef, args: &[Node]) -> Result<Evaluated> {
        match function.body {
            Body::Math(f) => self.map_values(arg(args, 0)?, f),
            Body::Date(f) => self.date(args, f),
            Body::HistogramStat(f) => self.histogram_stat(arg(args, 0)?, f),
            Body::Window(window) => self.window_call(function, window, args),
            Body::Absent => self.absent(arg(args, 0)?),
            Body::AbsentOverTime => self.absent_over_time(args),
            Body::Clamp(which) => self.clamp(which, args),
            Body::HistogramFraction => self.histogram_fraction(args),
            Body::HistogramQuantile => self.histogram_quantile(args),
            Body::HistogramQuantiles => self.histogram_quantiles(args),
            Body::LabelJoin => self.label_join(args),
            Body::LabelReplace => self.label_replace(args),
            Body::MaxOf => self.combine_scalars(args, f64::max),
            Body::MinOf => self.combine_scalars(args, f64::min),
            Body::Pi => Ok(Evaluated::Scalar(vec![PI; self.grid.steps])),
            Body::Round => self.round(args),
            Body::Scalar => self.to_scalar(arg(args, 0)?),
            Body::Sort(by) => self.sort(by, args, node.span),
            Body::StartTimestamp => self.sample_time(arg(args, 0)?, Take::Start),
            Body::Time => Ok(Evaluated::Scalar(self.grid.times().map(seconds).collect())),
            Body::Timestamp => self.sample_time(arg(args, 0)?, Take::Time),
            Body::Vector => self.to_vector(arg(args, 0)?),
            // The planner has resolved these.
            Body::QueryTime(_) | Body::Info => Err(Error::evaluation("function cannot be called here")),
        }
    }

    fn map_values(self, arg: &Node, f: fn(f64) -> f64) -> Result<Evaluated> {
        let mut series = self.vector(arg)?;
        series.retain(|series| !series.floats.is_empty());
        for series in &mut series {
            series.drop_name = true;
            series.histograms.clear();
            map_floats(&mut series.floats, f);
        }
        Ok(Evaluated::Vector(series))
    }

    fn date(self, args: &[Node], f: fn(&Date) -> f64) -> Result<Evaluated> {
        if args.is_empty() {
            let mut series = StepSeries::new(Labels::empty(), false);
            for (step, time) in self.grid.times().enumerate() {
                series.floats.push(step, f(&Date::from_seconds(time.div_euclid(1000))));
            }
            return Ok(Evaluated::Vector(vec![series]));
        }
        let mut series = self.vector(arg(args, 0)?)?;
        series.retain(|series| !series.floats.is_empty());
        for series in &mut series {
            series.drop_name = true;
            series.histograms.clear();
            map_floats(&mut series.floats, |value| {
                if value.is_nan() {
                    return f64::NAN;
                }
                #[expect(clippy::cast_possible_truncation, reason = "saturates, as far dates may")]
                f(&Date::from_seconds(value as i64))
            });
        }
        Ok(Evaluated::Vector(series))
    }

    fn histogram_stat(self, arg: &Node, f: fn(&Histogram) -> f64) -> Result<Evaluated> {
        let mut series = self.vector(arg)?;
        series.retain(|series| !series.histograms.is_empty());
        for series in &mut series {
            series.drop_name = true;
            series.floats = Column::default();
            for (step, histogram) in std::mem::take(&mut series.histograms) {
                series.floats.push(step, f(&histogram));
            }
        }
        Ok(Evaluated::Vector(series))
    }

    fn absent(self, arg: &Node) -> Result<Evaluated> {
        let series = self.vector(arg)?;
        let mut present = vec![false; self.grid.steps];
        for series in &series {
            series.floats.iter().for_each(|(step, _)| present[step] = true);
            series.histograms.iter().for_each(|(step, _)| present[*step] = true);
        }
        let matchers = match &arg.kind {
            NodeKind::Selector(selector) => &selector.matchers[..],
            _ => &[],
        };
        Ok(ones_where_absent(&present, matchers))
    }

    fn clamp(self, which: Clamp, args: &[Node]) -> Result<Evaluated> {
        let mut series = self.vector(arg(args, 0)?)?;
        let steps = self.grid.steps;
        let (lowest, highest) = match which {
            Clamp::Both => (self.scalar(arg(args, 1)?)?, self.scalar(arg(args, 2)?)?),
            Clamp::Min => (self.scalar(arg(args, 1)?)?, vec![f64::INFINITY; steps]),
            Clamp::Max => (vec![f64::NEG_INFINITY; steps], self.scalar(arg(args, 1)?)?),
        };
        for series in &mut series {
            let first = series.floats.first();
            let mut slots = series.floats.slots().to_vec();
            for (i, slot) in slots.iter_mut().enumerate().filter(|(_, slot)| !is_stale(**slot)) {
                let (min, max) = (lowest[first + i], highest[first + i]);
                *slot = if max < min { stale_nan() } else { clamp_to(*slot, min, max) };
            }
            series.drop_name = true;
            series.histograms.clear();
            series.floats = Column::from_slots(first, slots);
        }
        series.retain(|series| !series.floats.is_empty());
        Ok(Evaluated::Vector(series))
    }

    fn round(self, args: &[Node]) -> Result<Evaluated> {
        let mut series = self.vector(arg(args, 0)?)?;
        let nearest = match args.get(1) {
            Some(arg) => self.scalar(arg)?,
            None => vec![1.0; self.grid.steps],
        };
        series.retain(|series| !series.floats.is_empty());
        for series in &mut series {
            series.drop_name = true;
            series.histograms.clear();
            let first = series.floats.first();
            for (i, slot) in series.floats.slots_mut().iter_mut().enumerate() {
                if !is_stale(*slot) {
                    *slot = round_to(*slot, nearest[first + i]);
                }
            }
        }
        Ok(Evaluated::Vector(series))
    }

    /// The one float of each step; NaN where there is none, or more than one.
    fn to_scalar(self, arg: &Node) -> Result<Evaluated> {
        let series = self.vector(arg)?;
        let mut values = vec![f64::NAN; self.grid.steps];
        let mut seen = vec![false; self.grid.steps];
        for (step, value) in series.iter().flat_map(|series| series.floats.iter()) {
            values[step] = if seen[step] { f64::NAN } else { value };
            seen[step] = true;
        }
        Ok(Evaluated::Scalar(values))
    }

    fn to_vector(self, arg: &Node) -> Result<Evaluated> {
        let mut series = StepSeries::new(Labels::empty(), false);
        series.floats = Column::from_slots(0, self.scalar(arg)?);
        Ok(Evaluated::Vector(vec![series]))
    }

    fn combine_scalars(self, args: &[Node], f: fn(f64, f64) -> f64) -> Result<Evaluated> {
        let (a, b) = (self.scalar(arg(args, 0)?)?, self.scalar(arg(args, 1)?)?);
        let nan_wins = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { f(a, b) };
        Ok(Evaluated::Scalar(a.into_iter().zip(b).map(|(a, b)| nan_wins(a, b)).collect()))
    }

    /// `timestamp` and `start_timestamp`: of the samples themselves under a plain selector; of any other
    /// expression the evaluation time, and no start at all.
    fn sample_time(self, arg: &Node, take: Take) -> Result<Evaluated> {
        let mut series = match (&arg.kind, take) {
            (NodeKind::Selector(selector), _) if !selector.smoothed => self.select(selector, take)?,
            (_, Take::Start) => Vec::new(),
            _ => {
                let mut series = self.vector(arg)?;
                for series in &mut series {
                    let mut floats = Column::default();
                    for step in series.bounds().filter(|step| series.has(*step)) {
                        floats.push(step, seconds(self.grid.time(step)));
                    }
                    series.floats = floats;
                    series.histograms.clear();
                }
                series
            }
        };
        series.iter_mut().for_each(|series| series.drop_name = true);
        Ok(Evaluated::Vector(series))
    }
}

/// An argument the parser has made sure of.
pub(super) fn arg(args: &[Node], index: usize) -> Result<&Node> {
    args.get(index).ok_or_else(|| Error::evaluation("an argument is missing"))
}

/// Go's `math.Max(min, math.Min(max, value))`: NaN anywhere gives NaN.
fn clamp_to(value: f64, min: f64, max: f64) -> f64 {
    if value.is_nan() || min.is_nan() || max.is_nan() { f64::NAN } else { min.max(max.min(value)) }
}

/// A series of ones where nothing is present, with the labels that the matchers fix.
pub(super) fn ones_where_absent(present: &[bool], matchers: &[Matcher]) -> Evaluated {
    let mut series = StepSeries::new(fixed_labels(matchers), false);
    for (step, _) in present.iter().enumerate().filter(|(_, present)| !**present) {
        series.floats.push(step, 1.0);
    }
    if series.is_empty() { Evaluated::Vector(Vec::new()) } else { Evaluated::Vector(vec![series]) }
}

/// The labels that only one value satisfies. Prometheus `createLabelsForAbsentFunction`.
fn fixed_labels(matchers: &[Matcher]) -> Labels {
    let mut builder = Labels::empty().to_builder();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && !seen.contains(&matcher.name()) {
            builder.set(matcher.name(), matcher.value());
            seen.push(matcher.name());
        } else {
            builder.remove(matcher.name());
        }
    }
    builder.build()
}
