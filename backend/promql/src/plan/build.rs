//! The walk from syntax to plan.

use std::sync::Arc;

use model::{METRIC_NAME, MatchOp, Matcher};

use super::duration::{Known, positive_ms, signed_ms};
use super::{
    AggregateNode, BinaryNode, InfoNode, Node, NodeKind, Plan, RangeNode, RangeSource, ResetHints,
    SelectorNode,
};
use crate::ast::{At, BinaryOp, DurationExpr, Expr, ExprKind, RangeMode, Subquery, VectorSelector};
use crate::error::{ParseError, Span};
use crate::functions::{Body, FunctionDef, QueryTimeFunction};
use crate::grid::{Grid, TimeShift};
use crate::source::{Hints, Selection};

/// The name of the info metric where none is said.
const TARGET_INFO: &str = "target_info";

/// Pattern of info metrics where the query only says which ones it does not want.
const ANY_INFO: &str = ".+_info";

/// What planning depends on besides the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanOptions {
    pub(crate) lookback_ms: i64,
    pub(crate) default_subquery_step_ms: i64,
}

/// Plans `expr` over `grid`; `step_ms` is what `step()` means (0 for instant queries).
pub(crate) fn plan(
    query: &str,
    expr: &Expr,
    grid: Grid,
    step_ms: i64,
    options: PlanOptions,
) -> Result<Plan, ParseError> {
    #[expect(clippy::cast_precision_loss, reason = "the language's numbers are floats")]
    let known =
        Known { step: step_ms as f64 / 1000.0, range: (grid.until_ms - grid.start_ms) as f64 / 1000.0 };
    let mut builder = Builder { options, known, grid, step_ms, selections: Vec::new() };
    let times = Times { start_ms: grid.start_ms, end_ms: grid.end_ms() };
    let mut root = builder
        .node(expr, times, Around::default())
        .map_err(|(span, message)| ParseError::new(query, span, message))?;
    super::repeats::mark(&mut root);
    Ok(Plan { root, selections: builder.selections, grid })
}

/// First and last evaluation time of a node.
#[derive(Clone, Copy)]
struct Times {
    start_ms: i64,
    end_ms: i64,
}

impl Times {
    fn shifted(self, shift: TimeShift) -> Times {
        Times { start_ms: shift.apply(self.start_ms), end_ms: shift.apply(self.end_ms) }
    }
}

/// What is around a node.
#[derive(Clone, Copy, Default)]
struct Around {
    /// Function or aggregation it is an argument of.
    function: Option<&'static str>,
    /// True below `histogram_count` and the like.
    statistics: bool,
    /// True below what needs whole histograms.
    buckets: bool,
}

impl Around {
    fn function(self, name: &'static str) -> Around {
        Around {
            function: Some(name),
            statistics: self.statistics
                || matches!(name, "histogram_count" | "histogram_sum" | "histogram_avg"),
            buckets: self.buckets
                || matches!(name, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction"),
        }
    }

    fn hints(self) -> ResetHints {
        if self.statistics && !self.buckets { ResetHints::Derived } else { ResetHints::AsStored }
    }
}

type Problem = (Span, String);

struct Builder {
    options: PlanOptions,
    known: Known,
    grid: Grid,
    step_ms: i64,
    selections: Vec<Selection>,
}

impl Builder {
    fn node(&mut self, expr: &Expr, times: Times, around: Around) -> Result<Node, Problem> {
        let span = expr.span;
        let (kind, step_invariant) = match &expr.kind {
            ExprKind::Paren(inner) => return self.node(inner, times, around),
            ExprKind::Unary { negative: false, operand } => return self.node(operand, times, around),
            ExprKind::Unary { negative: true, operand } => {
                let operand = self.node(operand, times, around)?;
                let invariant = operand.step_invariant;
                (NodeKind::Negate(Box::new(operand)), invariant)
            }
            ExprKind::Number { value, .. } => (NodeKind::Number(*value), true),
            ExprKind::String(text) => (NodeKind::Text(text.clone()), true),
            ExprKind::VectorSelector(selector) => {
                let node = self.selector(selector, times, around)?;
                let invariant = node.shift.at_ms.is_some();
                (NodeKind::Selector(node), invariant)
            }
            ExprKind::MatrixSelector { selector, range } => {
                let node = self.range_selector(selector, range, times, around)?;
                let invariant = node.shift.at_ms.is_some();
                (NodeKind::Range(Box::new(node)), invariant)
            }
            ExprKind::Subquery(subquery) => {
                let node = self.subquery(subquery, times, around)?;
                let invariant = node.shift.at_ms.is_some();
                (NodeKind::Range(Box::new(node)), invariant)
            }
            ExprKind::Call { function, args } => return self.call(span, function, args, times, around),
            ExprKind::Aggregate(aggregate) => {
                let around = around.function(aggregate.op.name());
                let parameter =
                    aggregate.parameter.as_ref().map(|expr| self.node(expr, times, around)).transpose()?;
                let expr = self.node(&aggregate.expr, times, around)?;
                let invariant =
                    expr.step_invariant && parameter.as_ref().is_none_or(|node| node.step_invariant);
                let mut grouping = aggregate.grouping.clone();
                grouping.labels.sort_unstable();
                grouping.labels.dedup();
                let node = AggregateNode { op: aggregate.op, parameter, expr, grouping };
                (NodeKind::Aggregate(Box::new(node)), invariant)
            }
            ExprKind::Binary(binary) => {
                // Trimming looks at buckets.
                let trims = matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
                let around = Around { function: None, buckets: around.buckets || trims, ..around };
                let lhs = self.node(&binary.lhs, times, around)?;
                let rhs = self.node(&binary.rhs, times, around)?;
                let invariant = lhs.step_invariant && rhs.step_invariant;
                let node = BinaryNode {
                    op: binary.op,
                    lhs,
                    rhs,
                    matching: binary.matching.clone(),
                    return_bool: binary.return_bool,
                    returns: binary.returns,
                };
                (NodeKind::Binary(Box::new(node)), invariant)
            }
        };
        Ok(Node { kind, span, step_invariant, shared: None })
    }

    fn call(
        &mut self,
        span: Span,
        function: &'static FunctionDef,
        args: &[Expr],
        times: Times,
        around: Around,
    ) -> Result<Node, Problem> {
        if let Body::QueryTime(which) = function.body {
            return Ok(Node {
                kind: NodeKind::Number(self.query_time(which)),
                span,
                step_invariant: true,
                shared: None,
            });
        }
        if matches!(function.body, Body::Info) {
            return self.info(span, args, times, around);
        }
        let around = around.function(function.name);
        let args: Vec<Node> =
            args.iter().map(|arg| self.node(arg, times, around)).collect::<Result<_, _>>()?;
        let step_invariant = !function.reads_evaluation_time && args.iter().all(|arg| arg.step_invariant);
        Ok(Node { kind: NodeKind::Call { function, args }, span, step_invariant, shared: None })
    }

    fn query_time(&self, which: QueryTimeFunction) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "the language's numbers are floats")]
        let seconds = |ms: i64| ms as f64 / 1000.0;
        match which {
            QueryTimeFunction::Start => seconds(self.grid.start_ms),
            QueryTimeFunction::End => seconds(self.grid.until_ms),
            QueryTimeFunction::Step => self.known.step,
            QueryTimeFunction::Range => self.known.range,
        }
    }

    fn shift(&self, at: Option<At>, offset: Option<&DurationExpr>) -> Result<TimeShift, Problem> {
        let at_ms = at.map(|at| match at {
            At::Timestamp(ms) => ms,
            At::Start => self.grid.start_ms,
            At::End => self.grid.until_ms,
        });
        let offset_ms = offset.map(|expr| signed_ms(expr, self.known)).transpose()?.unwrap_or(0);
        Ok(TimeShift { at_ms, offset_ms })
    }

    fn selector(
        &mut self,
        selector: &VectorSelector,
        times: Times,
        around: Around,
    ) -> Result<SelectorNode, Problem> {
        let shift = self.shift(selector.at, selector.offset.as_ref())?;
        let smoothed = selector.mode == RangeMode::Smoothed;
        let lookback = self.options.lookback_ms;
        let times = times.shifted(shift);
        let after = if smoothed { lookback } else { 0 };
        let times = Times {
            start_ms: times.start_ms.saturating_sub(lookback - 1),
            end_ms: times.end_ms.saturating_add(after),
        };
        let selection = self.selection(&selector.matchers, times, 0, around.function);
        let matchers = Arc::clone(&selector.matchers);
        Ok(SelectorNode { selection, matchers, shift, smoothed, hints: around.hints() })
    }

    fn range_selector(
        &mut self,
        selector: &VectorSelector,
        range: &DurationExpr,
        times: Times,
        around: Around,
    ) -> Result<RangeNode, Problem> {
        let range_ms = positive_ms(range, self.known)?;
        let shift = self.shift(selector.at, selector.offset.as_ref())?;
        let lookback = self.options.lookback_ms;
        let (before, after) = match selector.mode {
            RangeMode::Plain => (0, 0),
            RangeMode::Anchored => (lookback, 0),
            RangeMode::Smoothed => (lookback, lookback),
        };
        let shifted = times.shifted(shift);
        let times = Times {
            start_ms: shifted.start_ms.saturating_sub(range_ms + before - 1),
            end_ms: shifted.end_ms.saturating_add(after),
        };
        let selection = self.selection(&selector.matchers, times, range_ms, around.function);
        let matchers = Arc::clone(&selector.matchers);
        let source = RangeSource::Selector { selection, matchers, hints: around.hints() };
        Ok(RangeNode { range_ms, shift, mode: selector.mode, source })
    }

    fn subquery(&mut self, subquery: &Subquery, times: Times, around: Around) -> Result<RangeNode, Problem> {
        let range_ms = positive_ms(&subquery.range, self.known)?;
        let step_ms = match &subquery.step {
            Some(step) => positive_ms(step, self.known)?.max(1),
            None => self.options.default_subquery_step_ms,
        };
        let shift = self.shift(subquery.at, subquery.offset.as_ref())?;
        let shifted = times.shifted(shift);
        let times = Times { start_ms: shifted.start_ms.saturating_sub(range_ms), end_ms: shifted.end_ms };
        let around = Around { function: None, buckets: true, ..around };
        let expr = self.node(&subquery.expr, times, around)?;
        let source = RangeSource::Subquery { expr, step_ms };
        Ok(RangeNode { range_ms, shift, mode: RangeMode::Plain, source })
    }

    /// The number of the selection; equal ones are shared.
    fn selection(
        &mut self,
        matchers: &Arc<[Matcher]>,
        times: Times,
        range_ms: i64,
        function: Option<&'static str>,
    ) -> usize {
        let id = self.selections.len();
        let hints = Hints { step_ms: self.step_ms, range_ms, function };
        let Times { start_ms, end_ms } = times;
        let wanted = Selection { id, matchers: Arc::clone(matchers), start_ms, end_ms, hints };
        let same = |known: &Selection| {
            known.matchers == wanted.matchers && known.start_ms == start_ms && known.end_ms == end_ms
        };
        if let Some(known) = self.selections.iter_mut().find(|known| same(known)) {
            // Shared by different uses: no hint holds for both.
            if known.hints != wanted.hints {
                known.hints = Hints { step_ms: self.step_ms, ..Hints::default() };
            }
            return known.id;
        }
        self.selections.push(wanted);
        id
    }

    fn info(&mut self, span: Span, args: &[Expr], times: Times, around: Around) -> Result<Node, Problem> {
        let base = self.node(&args[0], times, around.function("info"))?;
        let matchers: &[Matcher] = match args.get(1).map(|arg| &arg.kind) {
            Some(ExprKind::VectorSelector(selector)) => &selector.matchers,
            _ => &[],
        };
        let (mut name_matchers, data_matchers): (Vec<Matcher>, Vec<Matcher>) =
            matchers.iter().cloned().partition(|matcher| matcher.name() == METRIC_NAME);
        let positive = |m: &Matcher| matches!(m.op(), MatchOp::Equal | MatchOp::Regex);
        let mut wanted = name_matchers.clone();
        if args.len() < 2 {
            name_matchers = vec![Matcher::equal(METRIC_NAME, TARGET_INFO)];
            wanted.clone_from(&name_matchers);
        } else if name_matchers.is_empty() {
            wanted.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
        } else if !name_matchers.iter().any(positive) {
            let any_info = Matcher::new(METRIC_NAME, MatchOp::Regex, ANY_INFO)
                .map_err(|error| (span, error.to_string()))?;
            wanted.push(any_info);
        }
        wanted.extend(data_matchers.iter().cloned());

        let mut shifts = Vec::new();
        first_selector_shifts(&base, &mut shifts);
        let shifted = shifts.iter().fold(times, |times, shift| times.shifted(*shift));
        let lookback = self.options.lookback_ms;
        let info_times =
            Times { start_ms: shifted.start_ms.saturating_sub(lookback - 1), end_ms: shifted.end_ms };
        let selection = self.selection(&wanted.into(), info_times, 0, Some("info"));
        let step_invariant = base.step_invariant;
        let node = InfoNode { base, selection, name_matchers, data_matchers, shifts };
        Ok(Node { kind: NodeKind::Info(Box::new(node)), span, step_invariant, shared: None })
    }
}

/// Shifts on the way to the first selector below `node`, outermost first; true once it is found.
fn first_selector_shifts(node: &Node, out: &mut Vec<TimeShift>) -> bool {
    match &node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) => false,
        NodeKind::Selector(selector) => {
            out.push(selector.shift);
            true
        }
        NodeKind::Range(range) => {
            out.push(range.shift);
            let found = match &range.source {
                RangeSource::Selector { .. } => true,
                RangeSource::Subquery { expr, .. } => first_selector_shifts(expr, out),
            };
            if !found {
                out.pop();
            }
            found
        }
        NodeKind::Call { args, .. } => args.iter().any(|arg| first_selector_shifts(arg, out)),
        NodeKind::Info(info) => first_selector_shifts(&info.base, out),
        NodeKind::Aggregate(aggregate) => first_selector_shifts(&aggregate.expr, out),
        NodeKind::Binary(binary) => {
            first_selector_shifts(&binary.lhs, out) || first_selector_shifts(&binary.rhs, out)
        }
        NodeKind::Negate(inner) => first_selector_shifts(inner, out),
    }
}
