//! Resolves a syntax tree for given times: durations become milliseconds, `start()` and `end()` numbers, and
//! every selector an entry in the list of [`Selection`]s. Comes in: a tree and the query's times; goes out: a
//! [`Plan`]. Reads no data.

use std::sync::Arc;

use model::Matcher;

use crate::ast::{AggregateOp, BinaryOp, Grouping, Matching, RangeMode, ValueType};
use crate::error::Span;
use crate::functions::FunctionDef;
use crate::grid::{Grid, TimeShift};
use crate::source::Selection;

mod build;
mod duration;
mod repeats;
mod work;

pub(crate) use build::{PlanOptions, plan};
pub(crate) use repeats::children;

/// A resolved query.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: Node,
    pub(crate) selections: Vec<Selection>,
    pub(crate) grid: Grid,
}

/// A resolved node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) span: Span,
    /// True where the value is the same at all steps: it is computed once.
    pub(crate) step_invariant: bool,
    /// Set where the query says the same thing more than once.
    pub(crate) shared: Option<SharedId>,
}

/// Equal nodes have equal ids; `uses` is how often the query says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedId {
    pub(crate) id: usize,
    pub(crate) uses: usize,
}

#[derive(Debug)]
pub(crate) enum NodeKind {
    Number(f64),
    Text(String),
    Selector(SelectorNode),
    Range(Box<RangeNode>),
    Call { function: &'static FunctionDef, args: Vec<Node> },
    Info(Box<InfoNode>),
    Aggregate(Box<AggregateNode>),
    Binary(Box<BinaryNode>),
    Negate(Box<Node>),
}

/// An instant selector.
#[derive(Debug)]
pub(crate) struct SelectorNode {
    pub(crate) selection: usize,
    pub(crate) matchers: Arc<[Matcher]>,
    pub(crate) shift: TimeShift,
    pub(crate) smoothed: bool,
    /// See [`ResetHints`].
    pub(crate) hints: ResetHints,
}

/// Whether histograms get a reset hint from their predecessors where storage gives none. So it is under
/// `histogram_count` and its like, for which Prometheus reads no buckets and has to find resets while reading
/// (`HistogramStatsIterator`); it shows in warnings about hints that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetHints {
    AsStored,
    Derived,
}

/// A range selector or a subquery.
#[derive(Debug)]
pub(crate) struct RangeNode {
    pub(crate) range_ms: i64,
    pub(crate) shift: TimeShift,
    pub(crate) mode: RangeMode,
    pub(crate) source: RangeSource,
}

#[derive(Debug)]
pub(crate) enum RangeSource {
    Selector { selection: usize, matchers: Arc<[Matcher]>, hints: ResetHints },
    Subquery { expr: Node, step_ms: i64 },
}

/// A call of `info`.
#[derive(Debug)]
pub(crate) struct InfoNode {
    pub(crate) base: Node,
    /// Candidates for info series.
    pub(crate) selection: usize,
    /// Conditions on the info metric's name, as the user wrote them.
    pub(crate) name_matchers: Vec<Matcher>,
    /// Conditions on its other labels; these labels, and no others, are taken over. Empty: all are.
    pub(crate) data_matchers: Vec<Matcher>,
    /// From the evaluation time to the time of the base samples, outermost first.
    pub(crate) shifts: Vec<TimeShift>,
}

#[derive(Debug)]
pub(crate) struct AggregateNode {
    pub(crate) op: AggregateOp,
    pub(crate) parameter: Option<Node>,
    pub(crate) expr: Node,
    pub(crate) grouping: Grouping,
}

#[derive(Debug)]
pub(crate) struct BinaryNode {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    pub(crate) matching: Matching,
    pub(crate) return_bool: bool,
    pub(crate) returns: ValueType,
}

impl Node {
    /// What this node evaluates to.
    pub(crate) fn value_type(&self) -> ValueType {
        match &self.kind {
            NodeKind::Number(_) => ValueType::Scalar,
            NodeKind::Text(_) => ValueType::String,
            NodeKind::Selector(_) | NodeKind::Aggregate(_) | NodeKind::Info(_) => ValueType::Vector,
            NodeKind::Range(_) => ValueType::Matrix,
            NodeKind::Call { function, .. } => function.returns,
            NodeKind::Binary(binary) => binary.returns,
            NodeKind::Negate(inner) => inner.value_type(),
        }
    }

    /// The literal text of a string argument; empty for anything else, which the parser rules out.
    pub(crate) fn text(&self) -> &str {
        match &self.kind {
            NodeKind::Text(text) => text,
            _ => "",
        }
    }
}
