//! Results that a query needs more than once: evaluated the first time, kept until the last. And aggregates of
//! series that come in pieces, which are found for several aggregations at once.

use super::{Evaluated, Evaluator};
use crate::annotations::Annotations;
use crate::ast::{AggregateOp, Grouping};
use crate::error::Result;
use crate::grid::Grid;
use crate::plan::{AggregateNode, Node, NodeKind, SharedId, children};
use crate::series::StepSeries;

/// What is kept.
#[derive(Default)]
pub(super) struct Shared {
    results: Vec<Kept>,
    folded: Vec<Folded>,
    samples: usize,
}

struct Kept {
    id: usize,
    grid: Grid,
    evaluated: Evaluated,
    samples: usize,
    notes: Annotations,
    /// Where the node stood that was evaluated.
    start: usize,
    uses_left: usize,
}

/// An aggregate that is needed later.
struct Folded {
    op: AggregateOp,
    grouping: Grouping,
    /// Of what is aggregated.
    id: usize,
    grid: Grid,
    series: Vec<StepSeries>,
    samples: usize,
    notes: Annotations,
    /// Where that stands in the aggregation the notes are about.
    start: usize,
}

impl Shared {
    /// Samples of the results kept.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// A result with the notes made about it; given away at its last use.
    fn take(&mut self, id: usize, grid: Grid) -> Option<(Evaluated, Annotations, usize)> {
        let at = self.results.iter().position(|kept| kept.id == id && kept.grid == grid)?;
        let kept = &mut self.results[at];
        kept.uses_left -= 1;
        if kept.uses_left > 0 {
            return Some((kept.evaluated.clone(), kept.notes.clone(), kept.start));
        }
        let kept = self.results.swap_remove(at);
        self.samples -= kept.samples;
        Some((kept.evaluated, kept.notes, kept.start))
    }
}

impl<'a> Evaluator<'a> {
    /// Evaluates a node that the query names more than once, or gives what it came to before. Notes are made at
    /// every place where it stands.
    pub(super) fn eval_shared(self, node: &Node, SharedId { id, uses }: SharedId) -> Result<Evaluated> {
        let known = self.context.shared.borrow_mut().take(id, self.grid);
        if let Some((evaluated, notes, start)) = known {
            self.note(|all| all.merge(notes.moved(start, node.span.start)));
            let before = self.context.samples.load(std::sync::atomic::Ordering::Relaxed);
            self.hold(before, &evaluated)?;
            return Ok(evaluated);
        }
        let mut notes = Annotations::default();
        let outcome = self.noting(&mut notes, || self.eval_unshared(node));
        self.note(|all| all.merge(notes.clone()));
        let evaluated = outcome?;
        let samples = evaluated.samples();
        let mut shared = self.context.shared.borrow_mut();
        shared.samples += samples;
        let (start, uses_left) = (node.span.start, uses - 1);
        let kept =
            Kept { id, grid: self.grid, evaluated: evaluated.clone(), samples, notes, start, uses_left };
        shared.results.push(kept);
        Ok(evaluated)
    }

    /// Whether the result of a node is there already.
    pub(super) fn is_kept(self, node: &Node) -> bool {
        let kept = |id: usize| {
            let shared = self.context.shared.borrow();
            shared.results.iter().any(|kept| kept.id == id && kept.grid == self.grid)
        };
        node.shared.is_some_and(|shared| kept(shared.id))
    }

    /// Other aggregations of the query that fold the same series at the same steps, each kind once.
    pub(super) fn folded_with(self, aggregate: &AggregateNode) -> Vec<&'a AggregateNode> {
        let mut found = Vec::new();
        if let Some(SharedId { id, .. }) = aggregate.expr.shared
            && self.grid == self.context.plan.grid
        {
            self.add_folded(&self.context.plan.root, id, &mut found);
        }
        let mut kinds = vec![kind(aggregate)];
        found.retain(|other| {
            let is_new = !kinds.contains(&kind(other));
            kinds.push(kind(other));
            is_new
        });
        found
    }

    fn add_folded(self, node: &'a Node, id: usize, found: &mut Vec<&'a AggregateNode>) {
        // What is the same at all steps, or below a subquery, is evaluated at others.
        if node.step_invariant && self.grid.steps > 1 || matches!(node.kind, NodeKind::Range(_)) {
            return;
        }
        // Those without a parameter make one series of each group.
        if let NodeKind::Aggregate(aggregate) = &node.kind
            && aggregate.parameter.is_none()
            && aggregate.expr.shared.is_some_and(|shared| shared.id == id)
        {
            found.push(aggregate);
        }
        children(node).into_iter().for_each(|child| self.add_folded(child, id, found));
    }

    /// Keeps what an aggregation came to while another was evaluated. `notes` are those it would have made.
    pub(super) fn keep_folded(self, aggregate: &AggregateNode, series: Vec<StepSeries>, notes: Annotations) {
        let Some(SharedId { id, .. }) = aggregate.expr.shared else { return };
        let (op, grouping) = (aggregate.op, aggregate.grouping.clone());
        let (grid, start) = (self.grid, aggregate.expr.span.start);
        let samples = series.iter().map(StepSeries::samples).sum();
        let mut shared = self.context.shared.borrow_mut();
        shared.samples += samples;
        shared.folded.push(Folded { op, grouping, id, grid, series, samples, notes, start });
    }

    /// What was kept for an aggregation, with its notes made.
    pub(super) fn take_folded(self, aggregate: &AggregateNode) -> Option<Vec<StepSeries>> {
        let SharedId { id, .. } = aggregate.expr.shared?;
        let mut shared = self.context.shared.borrow_mut();
        let at = shared.folded.iter().position(|folded| {
            folded.id == id
                && folded.grid == self.grid
                && (folded.op, &folded.grouping) == (aggregate.op, &aggregate.grouping)
                && aggregate.parameter.is_none()
        })?;
        let Folded { series, samples, notes, start, .. } = shared.folded.swap_remove(at);
        shared.samples -= samples;
        drop(shared);
        self.note(|all| all.merge(notes.moved(start, aggregate.expr.span.start)));
        Some(series)
    }

    /// Runs `work` so that the notes made meanwhile go to `notes`, not to the query's.
    pub(super) fn noting<T>(self, notes: &mut Annotations, work: impl FnOnce() -> T) -> T {
        let others = std::mem::take(&mut *self.context.notes.borrow_mut());
        let done = work();
        notes.merge(self.context.notes.replace(others));
        done
    }
}

/// What two aggregations of the same series must have in common to come to the same.
fn kind(aggregate: &AggregateNode) -> (AggregateOp, &Grouping, bool) {
    (aggregate.op, &aggregate.grouping, aggregate.parameter.is_some())
}
