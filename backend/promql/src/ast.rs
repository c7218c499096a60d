//! The syntax tree: what the parser makes, what the planner, the printer and the UI read. Every node knows its
//! place in the text. Durations are still expressions here, for they may depend on the query's step and range.

use std::sync::Arc;

use model::Matcher;

use crate::error::Span;
use crate::functions::FunctionDef;

mod operators;
mod pretty;
mod print;

pub use operators::{AggregateOp, BinaryOp, DurationOp};

/// One node.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands, in bytes.
    pub span: Span,
    /// Levels below and including this one; the parser bounds it, so that recursion is safe.
    pub(crate) height: usize,
}

/// The kinds of nodes.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `1.5`, `5m` (as seconds), `Inf`. `duration` keeps how it was written, for printing.
    Number {
        /// The value; seconds for durations.
        value: f64,
        /// True if written as a duration.
        duration: bool,
    },
    /// `"text"`
    String(String),
    /// `metric{label="value"} @ 0 offset 5m`
    VectorSelector(VectorSelector),
    /// `metric[5m]`
    MatrixSelector {
        /// What is selected, with its modifiers.
        selector: VectorSelector,
        /// How far back.
        range: DurationExpr,
    },
    /// `expr[1h:5m]`
    Subquery(Box<Subquery>),
    /// `rate(x[5m])`
    Call {
        /// The function.
        function: &'static FunctionDef,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// `sum by (job) (x)`
    Aggregate(Box<Aggregate>),
    /// `a + b`
    Binary(Box<Binary>),
    /// `-a`
    Unary {
        /// True for `-`, false for `+`.
        negative: bool,
        /// The operand.
        operand: Box<Expr>,
    },
    /// `(a)`
    Paren(Box<Expr>),
}

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One float a step.
    Scalar,
    /// A text.
    String,
    /// At most one sample a series and step.
    Vector,
    /// Samples of a window of time a series.
    Matrix,
}

impl ValueType {
    /// The name users know: `instant vector`, `range vector` …
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }
}

/// The instant a modifier `@` names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// `@ 1609746000`: milliseconds since the epoch.
    Timestamp(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// How a selector treats the edges of its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RangeMode {
    /// Only samples within.
    #[default]
    Plain,
    /// `anchored`: the last sample before counts as the one at the edge.
    Anchored,
    /// `smoothed`: values at the edges are interpolated.
    Smoothed,
}

/// A set of matchers with modifiers.
#[derive(Clone, Debug, Default)]
pub struct VectorSelector {
    /// The metric name written in front of the braces, if any; also among the matchers.
    pub name: Option<String>,
    /// All conditions.
    pub matchers: Arc<[Matcher]>,
    /// `offset`
    pub offset: Option<DurationExpr>,
    /// `@`
    pub at: Option<At>,
    /// `anchored` or `smoothed`
    pub mode: RangeMode,
}

/// `expr[range:step]`
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What is evaluated at every inner step.
    pub expr: Expr,
    /// How far back.
    pub range: DurationExpr,
    /// Inner step; the engine's default where absent.
    pub step: Option<DurationExpr>,
    /// `offset`
    pub offset: Option<DurationExpr>,
    /// `@`
    pub at: Option<At>,
}

/// A duration that may need the query's step and range to be known.
#[derive(Clone, Debug)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of duration expressions; values are seconds.
#[derive(Clone, Debug)]
pub enum DurationKind {
    /// `5m` or `300`; `duration` tells which.
    Literal {
        /// Seconds.
        seconds: f64,
        /// True if written with units.
        duration: bool,
    },
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `-d`, `+d`
    Unary {
        /// True for `-`.
        negative: bool,
        /// The operand.
        operand: Box<DurationExpr>,
    },
    /// `a * b`
    Binary {
        /// The operator.
        op: DurationOp,
        /// Left operand.
        lhs: Box<DurationExpr>,
        /// Right operand.
        rhs: Box<DurationExpr>,
    },
    /// `(d)`
    Paren(Box<DurationExpr>),
}

/// Which labels an aggregation or a matching looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// True for `without`.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// What is computed.
    pub op: AggregateOp,
    /// k of `topk`, φ of `quantile`, label of `count_values`.
    pub parameter: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// `by` or `without`; `by ()` where nothing is said.
    pub grouping: Grouping,
}

/// How many series of one side may match one of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One each.
    #[default]
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How the series of two vectors find each other.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// How many of each side.
    pub cardinality: Cardinality,
    /// True for `on`, false for `ignoring` (also where neither is said).
    pub on: bool,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Labels taken over from the one side.
    pub include: Vec<String>,
    /// Value for a missing left series.
    pub fill_left: Option<f64>,
    /// Value for a missing right series.
    pub fill_right: Option<f64>,
}

/// A binary operation.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
    /// How vectors match; default for scalars.
    pub matching: Matching,
    /// `bool`
    pub return_bool: bool,
    /// Scalar for two scalars, vector otherwise; kept here so that long chains need no walk.
    pub returns: ValueType,
}

impl Expr {
    /// A node over `kind`.
    pub(crate) fn new(kind: ExprKind, span: Span) -> Expr {
        let below = match &kind {
            ExprKind::Number { .. }
            | ExprKind::String(_)
            | ExprKind::VectorSelector(_)
            | ExprKind::MatrixSelector { .. } => 0,
            ExprKind::Subquery(subquery) => subquery.expr.height,
            ExprKind::Call { args, .. } => args.iter().map(|arg| arg.height).max().unwrap_or(0),
            ExprKind::Aggregate(aggregate) => {
                aggregate.expr.height.max(aggregate.parameter.as_ref().map_or(0, |expr| expr.height))
            }
            ExprKind::Binary(binary) => binary.lhs.height.max(binary.rhs.height),
            ExprKind::Unary { operand, .. } | ExprKind::Paren(operand) => operand.height,
        };
        Expr { kind, span, height: below + 1 }
    }

    /// What this expression evaluates to.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::VectorSelector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::MatrixSelector { .. } | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Call { function, .. } => function.returns,
            ExprKind::Binary(binary) => binary.returns,
            ExprKind::Unary { operand, .. } => operand.value_type(),
            ExprKind::Paren(inner) => inner.value_type(),
        }
    }

    /// The expression within any parentheses.
    pub fn without_parens(&self) -> &Expr {
        match &self.kind {
            ExprKind::Paren(inner) => inner.without_parens(),
            _ => self,
        }
    }
}
