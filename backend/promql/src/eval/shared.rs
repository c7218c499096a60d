//! Results that a query needs more than once: evaluated the first time, kept until the last.

use super::{Evaluated, Evaluator};
use crate::annotations::Annotations;
use crate::error::Result;
use crate::grid::Grid;
use crate::plan::{Node, SharedId};

/// What is kept.
#[derive(Default)]
pub(super) struct Shared {
    results: Vec<Kept>,
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

impl Evaluator<'_> {
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
        let others = std::mem::take(&mut *self.context.notes.borrow_mut());
        let outcome = self.eval_unshared(node);
        let notes = self.context.notes.replace(others);
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
}
