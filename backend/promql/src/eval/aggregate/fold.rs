//! Aggregations that make one series of each group. Floats alone, the usual case, are folded column by column;
//! groups with histograms step by step.

use std::sync::Arc;

use super::Group;
use crate::annotations::{self, Annotations};
use crate::ast::AggregateOp;
use crate::error::Span;
use crate::functions::over_time::Mean;
use crate::functions::quantile::quantile;
use crate::functions::window::count;
use crate::histogram::{Histogram, IncompatibleAt, Total, kahan_add};
use crate::series::{CellRef, Column, StepSeries};
use crate::value::Cell;

/// The aggregate of a group at all steps.
pub(super) fn fold(
    op: AggregateOp,
    group: &Group<'_>,
    parameters: &[f64],
    steps: usize,
    span: Span,
    notes: &mut Annotations,
) -> StepSeries {
    let mut out = StepSeries::new(group.labels.clone(), group.drops_name());
    if group.members.iter().all(|series| series.histograms.is_empty()) {
        out.floats = fold_floats(op, group, parameters, steps);
        return out;
    }
    for step in 0..steps {
        let parameter = parameters.get(step).copied().unwrap_or(f64::NAN);
        if let Some(cell) = fold_step(op, group, step, parameter, span, notes) {
            out.push(step, cell);
        }
    }
    out
}

fn fold_floats(op: AggregateOp, group: &Group<'_>, parameters: &[f64], steps: usize) -> Column {
    match op {
        AggregateOp::Sum => columns(
            group,
            steps,
            |value| (value, 0.0),
            |(sum, lost), value| (*sum, *lost) = kahan_add(value, *sum, *lost),
            |(sum, lost)| sum + lost,
        ),
        AggregateOp::Avg => columns(group, steps, Mean::new, Mean::add, |mean| mean.value()),
        AggregateOp::Min => columns(group, steps, |value| value, keep_min, |min| *min),
        AggregateOp::Max => columns(group, steps, |value| value, keep_max, |max| *max),
        AggregateOp::Count => columns(group, steps, |_| 1.0, |n, _| *n += 1.0, |n| *n),
        AggregateOp::Stdvar => columns(group, steps, Spread::new, Spread::add, Spread::variance),
        AggregateOp::Stddev => columns(group, steps, Spread::new, Spread::add, |s| s.variance().sqrt()),
        AggregateOp::Quantile => quantiles(group, parameters, steps),
        // What is left is `group`; the others are not folded.
        _ => columns(group, steps, |_| (), |(), _| (), |()| 1.0),
    }
}

/// Folds all columns of a group into one: `begin` with the first value of a step, `add` the others.
fn columns<A: Clone>(
    group: &Group<'_>,
    steps: usize,
    begin: impl Fn(f64) -> A,
    add: impl Fn(&mut A, f64),
    finish: impl Fn(&A) -> f64,
) -> Column {
    let mut states: Vec<Option<A>> = vec![None; steps];
    for series in &group.members {
        let column = &series.floats;
        let first = column.first();
        for (state, value) in states[first..].iter_mut().zip(column.slots()) {
            if model::is_stale(*value) {
                continue;
            }
            match state {
                Some(state) => add(state, *value),
                None => *state = Some(begin(*value)),
            }
        }
    }
    let slots = states.iter().map(|state| state.as_ref().map_or(model::stale_nan(), &finish)).collect();
    Column::from_slots(0, slots)
}

fn keep_min(min: &mut f64, value: f64) {
    if value < *min || min.is_nan() {
        *min = value;
    }
}

fn keep_max(max: &mut f64, value: f64) {
    if value > *max || max.is_nan() {
        *max = value;
    }
}

/// Welford's running variance.
#[derive(Clone, Copy)]
struct Spread {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn new(first: f64) -> Spread {
        let squares = if first.is_finite() { 0.0 } else { f64::NAN };
        Spread { n: 1.0, mean: first, squares }
    }

    fn add(&mut self, value: f64) {
        self.n += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.n;
        self.squares += delta * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / self.n
    }
}

fn quantiles(group: &Group<'_>, parameters: &[f64], steps: usize) -> Column {
    let mut out = Column::default();
    let mut values = Vec::with_capacity(group.members.len());
    for step in 0..steps {
        values.clear();
        values.extend(group.members.iter().filter_map(|series| series.floats.get(step)));
        if !values.is_empty() {
            out.push(step, quantile(parameters.get(step).copied().unwrap_or(f64::NAN), &mut values));
        }
    }
    out
}

/// One step of a group with histograms.
fn fold_step(
    op: AggregateOp,
    group: &Group<'_>,
    step: usize,
    parameter: f64,
    span: Span,
    notes: &mut Annotations,
) -> Option<Cell> {
    let mut floats = Vec::new();
    let mut histograms: Vec<(&StepSeries, &Histogram)> = Vec::new();
    for series in &group.members {
        match series.cell(step) {
            Some(CellRef::Float(value)) => floats.push(value),
            Some(CellRef::Histogram(histogram)) => histograms.push((series, histogram)),
            None => {}
        }
    }
    match op {
        AggregateOp::Count | AggregateOp::Group => {
            let members = floats.len() + histograms.len();
            let value = if op == AggregateOp::Count { count(members) } else { 1.0 };
            (members > 0).then_some(Cell::Float(value))
        }
        AggregateOp::Sum | AggregateOp::Avg if !histograms.is_empty() => {
            if !floats.is_empty() {
                notes.add(annotations::mixed_floats_histograms_aggregation(), span);
                return None;
            }
            let all = histograms.iter().map(|(_, histogram)| *histogram);
            let total = if op == AggregateOp::Sum { Total::sum(all) } else { Total::mean(all) };
            match total {
                Ok(total) => total.map(|mut total| {
                    annotations::note_total(&total, span, notes);
                    total.histogram.compact();
                    Cell::Histogram(Arc::new(total.histogram))
                }),
                Err(IncompatibleAt(at)) => {
                    let name = histograms[at].0.labels.name();
                    notes.add(annotations::mixed_exponential_custom(name), span);
                    None
                }
            }
        }
        _ => {
            if !histograms.is_empty() {
                notes.add(annotations::histogram_ignored_in_aggregation(op.name()), span);
            }
            fold_values(op, &mut floats, parameter).map(Cell::Float)
        }
    }
}

/// The aggregate of plain values.
fn fold_values(op: AggregateOp, values: &mut [f64], parameter: f64) -> Option<f64> {
    let (first, rest) = values.split_first()?;
    let fold = |start: f64, add: fn(&mut f64, f64)| {
        let mut state = start;
        rest.iter().for_each(|value| add(&mut state, *value));
        state
    };
    Some(match op {
        AggregateOp::Min => fold(*first, keep_min),
        AggregateOp::Max => fold(*first, keep_max),
        AggregateOp::Quantile => quantile(parameter, values),
        AggregateOp::Avg => {
            let mut mean = Mean::new(*first);
            rest.iter().for_each(|value| mean.add(*value));
            mean.value()
        }
        AggregateOp::Stdvar | AggregateOp::Stddev => {
            let mut spread = Spread::new(*first);
            rest.iter().for_each(|value| spread.add(*value));
            if op == AggregateOp::Stddev { spread.variance().sqrt() } else { spread.variance() }
        }
        _ => {
            let add = |(sum, lost): (f64, f64), value: &f64| kahan_add(*value, sum, lost);
            let (sum, lost) = rest.iter().fold((*first, 0.0), add);
            sum + lost
        }
    })
}
