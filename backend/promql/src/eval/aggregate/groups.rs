//! Aggregations that make one series of each group: groups are found, series folded into them as they come.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Labels;

use super::fold::Fold;
use super::{Evaluator, Group, groups};
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

impl Evaluator<'_> {
    /// The aggregate of every group. Series that come in pieces are folded piece by piece, in the same order.
    pub(super) fn fold(self, aggregate: &AggregateNode, parameters: &[f64]) -> Result<Vec<StepSeries>> {
        let AggregateNode { op, expr, grouping, .. } = aggregate;
        let (steps, span) = (self.grid.steps, expr.span);
        let begin = || Fold::new(*op, steps, span);
        if self.streams(expr) {
            return self.fold_chunks(aggregate, parameters, begin);
        }
        let series = self.vector(expr)?;
        let groups = groups(&series, grouping);
        let members = series.len().div_ceil(groups.len().max(1));
        let folded = self.map_series(&groups, steps.saturating_mul(members), |group, notes| {
            let mut fold = begin();
            group.members.iter().for_each(|series| fold.add(series, notes));
            Ok(Some(fold.finish(group.labels.clone(), group.drops_name(), parameters, notes)))
        })?;
        merge_same_labels(folded)
    }

    fn fold_chunks(
        self,
        aggregate: &AggregateNode,
        parameters: &[f64],
        begin: impl Fn() -> Fold + Sync,
    ) -> Result<Vec<StepSeries>> {
        let before = self.context.samples.load(Ordering::Relaxed);
        let mut positions: HashMap<Labels, usize> = HashMap::new();
        let mut growing: Vec<Growing> = Vec::new();
        self.each_chunk(&aggregate.expr, &mut |series| {
            let grown = grown(&series, &aggregate.grouping, &mut positions, &mut growing, &begin);
            let members = series.len().div_ceil(grown.len().max(1));
            self.map_series(&grown, self.grid.steps.saturating_mul(members), |(at, group), notes| {
                let mut fold = locked(&growing[*at].fold);
                group.members.iter().for_each(|series| fold.add(series, notes));
                Ok(None)
            })?;
            let held: usize = growing.iter().map(|group| locked(&group.fold).samples()).sum();
            self.context.set_held(before.saturating_add(held))
        })?;
        self.context.set_held(before)?;
        let folded = self.map_series(&growing, self.grid.steps, |group, notes| {
            let fold = std::mem::replace(&mut *locked(&group.fold), begin());
            Ok(Some(fold.finish(group.labels.clone(), group.drop_name, parameters, notes)))
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
    begin: &impl Fn() -> Fold,
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
