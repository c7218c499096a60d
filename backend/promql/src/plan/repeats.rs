//! Finds what a query says more than once, so that it is evaluated once. Comes in: a plan's tree; goes out: the
//! same with equal nodes marked. Two nodes are equal if they read the same selections, compute the same and are
//! written with the same spacing, so that notes about the one can be moved to the other.

use std::collections::HashMap;
use std::fmt::Write;

use super::{Node, NodeKind, RangeNode, RangeSource, SharedId};
use crate::ast::ValueType;

/// Marks the vectors below `root` that come more than once.
pub(super) fn mark(root: &mut Node) {
    let mut ids = Ids::default();
    ids.of(root);
    let mut uses = HashMap::new();
    count(root, &ids, &mut uses);
    if uses.values().all(|uses| *uses < 2) {
        return;
    }
    ids.next = 0;
    set(root, &mut ids, &uses);
}

/// Numbers of nodes, equal for equal ones; a node's are listed in the order of the walk.
#[derive(Default)]
struct Ids {
    known: HashMap<String, usize>,
    walked: Vec<usize>,
    /// The place in `walked` of the next node of a second walk.
    next: usize,
}

impl Ids {
    /// The number of a node; numbers of all nodes below are noted, too.
    fn of(&mut self, node: &Node) -> usize {
        let place = self.walked.len();
        self.walked.push(0);
        let mut key = String::new();
        // Without the nodes below, which are told by their numbers.
        describe(&node.kind, &mut key);
        let _ = write!(key, "|{}|{}", node.span.end - node.span.start, node.step_invariant);
        for child in children(node) {
            let id = self.of(child);
            let _ = write!(key, "|{id}@{}", child.span.start.wrapping_sub(node.span.start));
        }
        let next = self.known.len();
        let id = *self.known.entry(key).or_insert(next);
        self.walked[place] = id;
        id
    }
}

fn describe(kind: &NodeKind, key: &mut String) {
    let range = |range: &RangeNode, key: &mut String| {
        let _ = write!(key, "range {} {:?} {:?} ", range.range_ms, range.shift, range.mode);
        let _ = match &range.source {
            RangeSource::Selector { selection, hints, .. } => write!(key, "{selection} {hints:?}"),
            RangeSource::Subquery { step_ms, .. } => write!(key, "every {step_ms}"),
        };
    };
    let _ = match kind {
        NodeKind::Number(value) => write!(key, "number {:x}", value.to_bits()),
        NodeKind::Text(text) => write!(key, "text {text:?}"),
        NodeKind::Selector(s) => {
            write!(key, "selector {} {:?} {} {:?}", s.selection, s.shift, s.smoothed, s.hints)
        }
        NodeKind::Range(node) => {
            range(node, key);
            Ok(())
        }
        NodeKind::Call { function, .. } => write!(key, "call {}", function.name),
        NodeKind::Info(info) => write!(
            key,
            "info {} {:?} {:?} {:?}",
            info.selection, info.name_matchers, info.data_matchers, info.shifts
        ),
        NodeKind::Aggregate(a) => write!(key, "aggregate {:?} {:?}", a.op, a.grouping),
        NodeKind::Binary(b) => write!(key, "binary {:?} {:?} {}", b.op, b.matching, b.return_bool),
        NodeKind::Negate(_) => write!(key, "negate"),
    };
}

/// The nodes a node is made of, in the order of the query.
pub(crate) fn children(node: &Node) -> Vec<&Node> {
    match &node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Selector(_) => Vec::new(),
        NodeKind::Range(range) => match &range.source {
            RangeSource::Selector { .. } => Vec::new(),
            RangeSource::Subquery { expr, .. } => vec![expr],
        },
        NodeKind::Call { args, .. } => args.iter().collect(),
        NodeKind::Info(info) => vec![&info.base],
        NodeKind::Aggregate(aggregate) => aggregate.parameter.iter().chain([&aggregate.expr]).collect(),
        NodeKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        NodeKind::Negate(inner) => vec![inner],
    }
}

fn children_mut(node: &mut Node) -> Vec<&mut Node> {
    match &mut node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Selector(_) => Vec::new(),
        NodeKind::Range(range) => match &mut range.source {
            RangeSource::Selector { .. } => Vec::new(),
            RangeSource::Subquery { expr, .. } => vec![expr],
        },
        NodeKind::Call { args, .. } => args.iter_mut().collect(),
        NodeKind::Info(info) => vec![&mut info.base],
        NodeKind::Aggregate(aggregate) => {
            aggregate.parameter.iter_mut().chain([&mut aggregate.expr]).collect()
        }
        NodeKind::Binary(binary) => vec![&mut binary.lhs, &mut binary.rhs],
        NodeKind::Negate(inner) => vec![inner],
    }
}

/// How often each node would be evaluated if equal ones were not evaluated again: what is below a node seen
/// before does not count.
fn count(root: &Node, ids: &Ids, uses: &mut HashMap<usize, usize>) {
    fn walk(node: &Node, ids: &Ids, place: &mut usize, counted: bool, uses: &mut HashMap<usize, usize>) {
        let id = ids.walked[*place];
        *place += 1;
        let mut first = counted;
        if counted && is_shareable(node) {
            let uses = uses.entry(id).or_default();
            *uses += 1;
            first = *uses == 1;
        }
        for child in children(node) {
            walk(child, ids, place, first, uses);
        }
    }
    walk(root, ids, &mut 0, true, uses);
}

fn set(node: &mut Node, ids: &mut Ids, uses: &HashMap<usize, usize>) {
    let id = ids.walked[ids.next];
    ids.next += 1;
    if is_shareable(node) {
        node.shared = uses.get(&id).filter(|uses| **uses > 1).map(|uses| SharedId { id, uses: *uses });
    }
    for child in children_mut(node) {
        set(child, ids, uses);
    }
}

/// Vectors are; scalars cost next to nothing, and ranges are no results of their own.
fn is_shareable(node: &Node) -> bool {
    node.value_type() == ValueType::Vector
}
