//! Aggregations that make one series of each group, folded series by series: floats column by column;
//! histograms, which are rare, are added up at the end, step by step.

use std::sync::Arc;

use model::Labels;

use crate::annotations::{self, Annotations, HistogramOperation};
use crate::ast::AggregateOp;
use crate::error::Span;
use crate::functions::over_time::Mean;
use crate::functions::quantile::quantile;
use crate::histogram::{Histogram, Incompatible, Total, kahan_add};
use crate::series::{Column, StepSeries};
use crate::value::Cell;

/// What the members of a group so far come to, at all steps.
pub(super) struct Fold {
    op: AggregateOp,
    steps: usize,
    span: Span,
    floats: Floats,
    /// Members with histograms, where these add up; their floats are in `floats`.
    histograms: Vec<StepSeries>,
}

/// A state for every step that has one.
type States<A> = Vec<Option<A>>;

/// The floats, by what is asked of them.
enum Floats {
    /// Sum and what was lost in adding up.
    Sum(States<(f64, f64)>),
    Avg(States<Mean>),
    Min(States<f64>),
    Max(States<f64>),
    Count(States<f64>),
    Spread(States<Spread>),
    Group(States<()>),
    /// All of them.
    Quantile(Vec<Column>),
}

impl Fold {
    /// A group without members.
    pub(super) fn new(op: AggregateOp, steps: usize, span: Span) -> Fold {
        let floats = match op {
            AggregateOp::Sum => Floats::Sum(vec![None; steps]),
            AggregateOp::Avg => Floats::Avg(vec![None; steps]),
            AggregateOp::Min => Floats::Min(vec![None; steps]),
            AggregateOp::Max => Floats::Max(vec![None; steps]),
            AggregateOp::Count => Floats::Count(vec![None; steps]),
            AggregateOp::Stdvar | AggregateOp::Stddev => Floats::Spread(vec![None; steps]),
            AggregateOp::Quantile => Floats::Quantile(Vec::new()),
            // What is left is `group`; the others are not folded.
            _ => Floats::Group(vec![None; steps]),
        };
        Fold { op, steps, span, floats, histograms: Vec::new() }
    }

    /// Adds the next member.
    pub(super) fn add(&mut self, series: &StepSeries, notes: &mut Annotations) {
        let column = &series.floats;
        match &mut self.floats {
            Floats::Sum(states) => add_column(
                states,
                column,
                |value| (value, 0.0),
                |(sum, lost), value| (*sum, *lost) = kahan_add(value, *sum, *lost),
            ),
            Floats::Avg(states) => add_column(states, column, Mean::new, Mean::add),
            Floats::Min(states) => add_column(states, column, |value| value, keep_min),
            Floats::Max(states) => add_column(states, column, |value| value, keep_max),
            Floats::Count(states) => add_column(states, column, |_| 1.0, |n, _| *n += 1.0),
            Floats::Spread(states) => add_column(states, column, Spread::new, Spread::add),
            Floats::Group(states) => add_column(states, column, |_| (), |(), _| ()),
            Floats::Quantile(columns) if !column.is_empty() => columns.push(column.clone()),
            Floats::Quantile(_) => {}
        }
        if !series.histograms.is_empty() {
            self.add_histograms(series, notes);
        }
    }

    fn add_histograms(&mut self, series: &StepSeries, notes: &mut Annotations) {
        match &mut self.floats {
            Floats::Count(states) => {
                for (step, _) in &series.histograms {
                    states[*step] = Some(states[*step].unwrap_or(0.0) + 1.0);
                }
            }
            Floats::Group(states) => series.histograms.iter().for_each(|(step, _)| states[*step] = Some(())),
            Floats::Sum(_) | Floats::Avg(_) => self.histograms.push(StepSeries {
                labels: series.labels.clone(),
                histograms: series.histograms.clone(),
                ..StepSeries::default()
            }),
            _ => notes.add(annotations::histogram_ignored_in_aggregation(self.op.name()), self.span),
        }
    }

    /// What it counts as against the sample limit.
    pub(super) fn samples(&self) -> usize {
        let floats = match &self.floats {
            Floats::Quantile(columns) => columns.iter().map(Column::len).sum(),
            _ => self.steps,
        };
        floats + self.histograms.iter().map(StepSeries::samples).sum::<usize>()
    }

    /// The aggregate; `parameters` are those of the aggregation, one a step. Histograms are added up in the order of
    /// their labels, as Prometheus reads them from blocks: where they differ in resolution or in the width of the
    /// zero bucket, the order shows.
    pub(super) fn finish(
        mut self,
        labels: Labels,
        drop_name: bool,
        parameters: &[f64],
        notes: &mut Annotations,
    ) -> StepSeries {
        let floats = match &self.floats {
            Floats::Sum(states) => column(states, |(sum, lost)| sum + lost),
            Floats::Avg(states) => column(states, Mean::value),
            Floats::Min(states) | Floats::Max(states) | Floats::Count(states) => column(states, |v| *v),
            Floats::Spread(states) if self.op == AggregateOp::Stddev => {
                column(states, |spread| spread.variance().sqrt())
            }
            Floats::Spread(states) => column(states, Spread::variance),
            Floats::Group(states) => column(states, |()| 1.0),
            Floats::Quantile(columns) => quantiles(columns, parameters, self.steps),
        };
        let mut out = StepSeries { floats, ..StepSeries::new(labels, drop_name) };
        if !self.histograms.is_empty() {
            self.histograms.sort_by(|a, b| a.labels.cmp(&b.labels));
            self.add_totals(&mut out, notes);
        }
        out
    }

    /// Adds the histograms' sums or means; steps with floats as well have no result.
    fn add_totals(&self, out: &mut StepSeries, notes: &mut Annotations) {
        let floats = std::mem::take(&mut out.floats);
        for step in 0..self.steps {
            let members = || {
                let of_step = |series| StepSeries::histogram(series, step).map(|h| (series, &**h));
                self.histograms.iter().filter_map(of_step)
            };
            let float = floats.get(step);
            if members().next().is_none() {
                if let Some(value) = float {
                    out.floats.push(step, value);
                }
                continue;
            }
            if float.is_some() {
                notes.add(annotations::mixed_floats_histograms_aggregation(), self.span);
                continue;
            }
            if let Some(total) = self.total(members, notes) {
                out.push(step, total);
            }
        }
    }

    fn total<'s, M: Iterator<Item = (&'s StepSeries, &'s Histogram)>>(
        &self,
        members: impl Fn() -> M,
        notes: &mut Annotations,
    ) -> Option<Cell> {
        let all = members().map(|(_, histogram)| histogram);
        let total = if self.op == AggregateOp::Sum { Total::sum(all) } else { Total::mean(all) };
        match total {
            Ok(total) => total.map(|mut total| {
                annotations::note_total(&total, self.span, notes);
                total.histogram.compact();
                Cell::Histogram(Arc::new(total.histogram))
            }),
            Err(Incompatible { at, bounds_reconciled }) => {
                if bounds_reconciled {
                    notes.add(annotations::reconciled_bounds(HistogramOperation::Aggregation), self.span);
                }
                let name = members().nth(at).map_or("", |(series, _)| series.labels.name());
                notes.add(annotations::mixed_exponential_custom(name), self.span);
                None
            }
        }
    }
}

/// Adds a column: `begin` with the first value of a step, `add` the others.
fn add_column<A>(
    states: &mut States<A>,
    column: &Column,
    begin: impl Fn(f64) -> A,
    add: impl Fn(&mut A, f64),
) {
    for (state, value) in states[column.first()..].iter_mut().zip(column.slots()) {
        if model::is_stale(*value) {
            continue;
        }
        match state {
            Some(state) => add(state, *value),
            None => *state = Some(begin(*value)),
        }
    }
}

fn column<A>(states: &States<A>, finish: impl Fn(&A) -> f64) -> Column {
    let slots = states.iter().map(|state| state.as_ref().map_or(model::stale_nan(), &finish)).collect();
    Column::from_slots(0, slots)
}

fn quantiles(columns: &[Column], parameters: &[f64], steps: usize) -> Column {
    let mut out = Column::default();
    let mut values = Vec::with_capacity(columns.len());
    for step in 0..steps {
        values.clear();
        values.extend(columns.iter().filter_map(|column| column.get(step)));
        if !values.is_empty() {
            out.push(step, quantile(parameters.get(step).copied().unwrap_or(f64::NAN), &mut values));
        }
    }
    out
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
