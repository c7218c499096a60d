//! How much there is to evaluate, told before any data is read. Comes in: a plan; goes out: evaluations of a node at
//! a step, subqueries' own steps included.

use super::repeats::children;
use super::{Node, NodeKind, Plan, RangeSource};

impl Plan {
    /// Number of nodes.
    pub(crate) fn nodes(&self) -> usize {
        nodes(&self.root)
    }

    /// Sum over all nodes of the steps they are evaluated at; what a vector's series multiply is not known here.
    pub(crate) fn node_steps(&self) -> usize {
        node_steps(&self.root, self.grid.steps, self.grid.step_ms)
    }
}

fn nodes(node: &Node) -> usize {
    children(node).into_iter().map(nodes).sum::<usize>() + 1
}

fn node_steps(node: &Node, steps: usize, step_ms: i64) -> usize {
    let steps = if node.step_invariant { steps.min(1) } else { steps };
    let below = children(node).into_iter().map(|child| match &node.kind {
        NodeKind::Range(range) => match &range.source {
            RangeSource::Subquery { step_ms: own_ms, .. } => {
                let covered = steps_of_ms(steps, step_ms).saturating_add(range.range_ms);
                let inner =
                    usize::try_from(covered / (*own_ms).max(1)).unwrap_or(usize::MAX).saturating_add(1);
                node_steps(child, inner, *own_ms)
            }
            RangeSource::Selector { .. } => node_steps(child, steps, step_ms),
        },
        _ => node_steps(child, steps, step_ms),
    });
    below.fold(steps, usize::saturating_add)
}

/// From the first to the last of so many steps.
fn steps_of_ms(steps: usize, step_ms: i64) -> i64 {
    i64::try_from(steps.saturating_sub(1)).unwrap_or(i64::MAX).saturating_mul(step_ms)
}

#[cfg(test)]
mod tests {
    use crate::{Engine, QueryTime};

    fn node_steps(query: &str) -> usize {
        let time = QueryTime::Range { start_ms: 0, end_ms: 60_000, step_ms: 10_000 };
        Engine::default().prepare(query, time).unwrap().node_steps()
    }

    #[test]
    fn every_node_counts_its_steps() {
        assert_eq!(node_steps("a"), 7);
        assert_eq!(node_steps("a + b"), 21);
        assert_eq!(node_steps("rate(a[5m])"), 14);
        assert_eq!(node_steps("a @ 5"), 1);
        // 60 s and 30 s before are 91 evaluations every second, beside the call and the range.
        assert_eq!(node_steps("sum_over_time(a[30s:1s])"), 7 + 7 + 91);
        assert_eq!(node_steps("max_over_time(sum_over_time(a[30s:1s])[30s:1s])"), 7 + 7 + 91 + 91 + 121);
    }
}
