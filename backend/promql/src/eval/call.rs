//! Calls: what each kind of function does with its arguments.

use std::f64::consts::PI;

use model::{Labels, METRIC_NAME, MatchOp, Matcher};

use super::chunks::mark_present;
use super::{Evaluated, Evaluator};
use crate::error::{Error, Result};
use crate::functions::date::Date;
use crate::functions::window::seconds;
use crate::functions::{Body, FunctionDef};
use crate::plan::{Node, NodeKind};
use crate::series::{Column, StepSeries};

impl Evaluator<'_> {
    pub(super) fn call(self, node: &Node, function: &FunctionDef, args: &[Node]) -> Result<Evaluated> {
        if let Some((selector, taken)) = self.sample_times(function, args) {
            let mut series = self.collected(|chunk| self.select(selector, taken, chunk))?;
            series.iter_mut().for_each(|series| series.drop_name = true);
            return Ok(Evaluated::Vector(series));
        }
        if let Some(mapping) = self.mapping(function, args)? {
            return Ok(Evaluated::Vector(mapping.apply(self.grid, self.vector(arg(args, 0)?)?)));
        }
        match function.body {
            Body::Date(f) => Ok(self.date(f)),
            Body::Window(window) => {
                self.collected(|take| self.window_call(function, window, args, take)).map(Evaluated::Vector)
            }
            Body::Absent => self.absent(arg(args, 0)?),
            Body::AbsentOverTime => self.absent_over_time(args),
            Body::HistogramFraction => self.histogram_fraction(args),
            Body::HistogramQuantile => self.histogram_quantile(args),
            Body::HistogramQuantiles => self.histogram_quantiles(args),
            Body::LabelJoin => self.label_join(args),
            Body::LabelReplace => self.label_replace(args),
            Body::MaxOf => self.combine_scalars(args, f64::max),
            Body::MinOf => self.combine_scalars(args, f64::min),
            Body::Pi => Ok(Evaluated::Scalar(vec![PI; self.grid.steps])),
            Body::Scalar => self.to_scalar(arg(args, 0)?),
            // Other expressions than plain selectors have no start.
            Body::StartTimestamp => Ok(Evaluated::Vector(Vec::new())),
            Body::Sort(by) => self.sort(by, args, node.span),
            Body::Time => Ok(Evaluated::Scalar(self.grid.times().map(seconds).collect())),
            Body::Vector => self.to_vector(arg(args, 0)?),
            // The planner has resolved some of these, the others are mappings.
            Body::QueryTime(_)
            | Body::Info
            | Body::Math(_)
            | Body::HistogramStat(_)
            | Body::Clamp(_)
            | Body::Round
            | Body::Timestamp => Err(Error::evaluation("function cannot be called here")),
        }
    }

    /// A function of dates without an argument: of the evaluation time.
    fn date(self, f: fn(&Date) -> f64) -> Evaluated {
        let mut series = StepSeries::new(Labels::empty(), false);
        for (step, time) in self.grid.times().enumerate() {
            series.floats.push(step, f(&Date::from_seconds(time.div_euclid(1000))));
        }
        Evaluated::Vector(vec![series])
    }

    fn absent(self, arg: &Node) -> Result<Evaluated> {
        let mut present = vec![false; self.grid.steps];
        self.each_chunk(arg, &mut |series| {
            mark_present(&series, &mut present);
            Ok(())
        })?;
        let matchers = match &arg.kind {
            NodeKind::Selector(selector) => &selector.matchers[..],
            _ => &[],
        };
        Ok(ones_where_absent(&present, matchers))
    }

    /// The one float of each step; NaN where there is none, or more than one.
    fn to_scalar(self, arg: &Node) -> Result<Evaluated> {
        let mut values = vec![f64::NAN; self.grid.steps];
        let mut seen = vec![false; self.grid.steps];
        self.each_chunk(arg, &mut |series| {
            for (step, value) in series.iter().flat_map(|series| series.floats.iter()) {
                values[step] = if seen[step] { f64::NAN } else { value };
                seen[step] = true;
            }
            Ok(())
        })?;
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
}

/// An argument the parser has made sure of.
pub(super) fn arg(args: &[Node], index: usize) -> Result<&Node> {
    args.get(index).ok_or_else(|| Error::evaluation("an argument is missing"))
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
