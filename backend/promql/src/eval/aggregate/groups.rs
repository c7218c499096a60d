//! Aggregations that make one series of each group: groups are found, series folded into them as they come. Where
//! the series come in pieces they are read once for all aggregations of the query over them.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Labels;

use super::fold::Fold;
use super::{Evaluator, Group, groups};
use crate::annotations::Annotations;
use crate::ast::Grouping;
use crate::error::Result;
use crate::eval::labels::merge_same_labels;
use crate::plan::AggregateNode;
use crate::series::StepSeries;

/// A group of which not all members need be known yet.
struct Growing {
    labels: Labels,
    drop_name: bool,
    fold: Mutex<Fold>,
}

/// An aggregation whose series come in pieces.
struct Folding<'n> {
    aggregate: &'n AggregateNode,
    parameters: &'n [f64],
    positions: HashMap<Labels, usize>,
    growing: Vec<Growing>,
    /// Those the aggregation makes itself.
    notes: Annotations,
}

impl Evaluator<'_> {
    /// The aggregate of every group. Series that come in pieces are folded piece by piece, in the same order.
    pub(super) fn fold(self, aggregate: &AggregateNode, parameters: &[f64]) -> Result<Vec<StepSeries>> {
        let AggregateNode { op, expr, grouping, .. } = aggregate;
        if self.streams(expr) {
            let kept = self.take_folded(aggregate);
            return kept.map_or_else(|| self.fold_chunks(aggregate, parameters), Ok);
        }
        let series = self.vector(expr)?;
        let groups = groups(&series, grouping);
        let members = series.len().div_ceil(groups.len().max(1));
        let work = self.grid.steps.saturating_mul(members);
        let folded = self.map_series(&groups, work, |group, notes| {
            let mut fold = Fold::new(*op, self.grid.steps, expr.span);
            group.members.iter().for_each(|series| fold.add(series, notes));
            Ok(Some(fold.finish(group.labels.clone(), group.drops_name(), parameters, notes)))
        })?;
        merge_same_labels(folded)
    }

    /// The same for series in pieces. What other aggregations over the same series come to is found as well, and
    /// kept for them.
    fn fold_chunks(self, aggregate: &AggregateNode, parameters: &[f64]) -> Result<Vec<StepSeries>> {
        let before = self.context.samples.load(Ordering::Relaxed);
        let mut all = vec![Folding::new(aggregate, parameters)];
        all.extend(self.folded_with(aggregate).into_iter().map(|other| Folding::new(other, &[])));
        let mut of_expr = Annotations::default();
        let read = self.noting(&mut of_expr, || {
            self.each_chunk(&aggregate.expr, &mut |series| {
                all.iter_mut().try_for_each(|folding| folding.add(self, &series))?;
                let held: usize = all.iter().map(Folding::samples).sum();
                self.context.set_held(before.saturating_add(held))
            })
        });
        self.note(|notes| notes.merge(of_expr.clone()));
        let mut all = all.into_iter();
        let Some(mut own) = all.next() else { return Ok(Vec::new()) };
        let finished = read.and_then(|()| self.context.set_held(before)).and_then(|()| own.finish(self));
        self.note(|notes| notes.merge(own.notes));
        let series = finished?;
        for mut other in all {
            let folded = other.finish(self)?;
            let (from, to) = (aggregate.expr.span.start, other.aggregate.expr.span.start);
            let mut notes = of_expr.clone().moved(from, to);
            notes.merge(other.notes);
            self.keep_folded(other.aggregate, folded, notes);
        }
        Ok(series)
    }
}

impl<'n> Folding<'n> {
    fn new(aggregate: &'n AggregateNode, parameters: &'n [f64]) -> Folding<'n> {
        let (positions, growing, notes) = Default::default();
        Folding { aggregate, parameters, positions, growing, notes }
    }

    /// Folds the next series.
    fn add(&mut self, evaluator: Evaluator<'_>, series: &[StepSeries]) -> Result<()> {
        let Folding { aggregate, positions, growing, .. } = self;
        let begin = || Fold::new(aggregate.op, evaluator.grid.steps, aggregate.expr.span);
        let grown = grown(series, &aggregate.grouping, positions, growing, begin);
        let members = series.len().div_ceil(grown.len().max(1));
        let work = evaluator.grid.steps.saturating_mul(members);
        let growing = &self.growing;
        evaluator.noting(&mut self.notes, || {
            let folded = evaluator.map_series(&grown, work, |(at, group), notes| {
                let mut fold = locked(&growing[*at].fold);
                group.members.iter().for_each(|series| fold.add(series, notes));
                Ok(None)
            });
            folded.map(|_| ())
        })
    }

    /// What it counts as against the sample limit.
    fn samples(&self) -> usize {
        self.growing.iter().map(|group| locked(&group.fold).samples()).sum()
    }

    /// The aggregate of every group.
    fn finish(&mut self, evaluator: Evaluator<'_>) -> Result<Vec<StepSeries>> {
        let Folding { aggregate, parameters, growing, .. } = self;
        let (steps, span) = (evaluator.grid.steps, aggregate.expr.span);
        let folded = evaluator.noting(&mut self.notes, || {
            evaluator.map_series(growing, steps, |group, notes| {
                let nothing = Fold::new(aggregate.op, 0, span);
                let fold = std::mem::replace(&mut *locked(&group.fold), nothing);
                Ok(Some(fold.finish(group.labels.clone(), group.drop_name, parameters, notes)))
            })
        })?;
        merge_same_labels(folded)
    }
}

/// The groups that get members of `series`, with their places in `growing`, which gets those that are new.
fn grown<'s>(
    series: &'s [StepSeries],
    grouping: &Grouping,
    positions: &mut HashMap<Labels, usize>,
    growing: &mut Vec<Growing>,
    begin: impl Fn() -> Fold,
) -> Vec<(usize, Group<'s>)> {
    let place = |group: Group<'s>| {
        let at = *positions.entry(group.labels.clone()).or_insert_with(|| {
            growing.push(Growing {
                labels: group.labels.clone(),
                drop_name: false,
                fold: Mutex::new(begin()),
            });
            growing.len() - 1
        });
        growing[at].drop_name |= group.drops_name();
        (at, group)
    };
    groups(series, grouping).into_iter().map(place).collect()
}

/// Each group is folded by one thread at a time; what a panic left behind is not read any more.
fn locked(fold: &Mutex<Fold>) -> MutexGuard<'_, Fold> {
    fold.lock().unwrap_or_else(PoisonError::into_inner)
}
