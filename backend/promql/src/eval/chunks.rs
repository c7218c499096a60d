//! Vectors handed on some series at a time. What makes of each series another one by itself (selectors, functions
//! over ranges, arithmetic with scalars, and chains of these) needs no other series; where the source streams a
//! selection, such a node is evaluated for the series that are there, and their samples are let go before the
//! next ones come. Comes in: a node; goes out: its series in pieces, in the order they would have as a whole.

use model::is_stale;

use super::call::arg;
use super::{Evaluated, Evaluator, negate};
use crate::ast::ValueType;
use crate::error::{Error, Result};
use crate::functions::{Body, FunctionDef};
use crate::plan::{BinaryNode, Node, NodeKind, RangeSource};
use crate::series::StepSeries;

/// Takes some series of a vector.
pub(super) type TakeChunk<'t> = dyn FnMut(Vec<StepSeries>) -> Result<()> + 't;

impl Evaluator<'_> {
    /// Hands the series of a vector node to `take`: in pieces where [`Evaluator::streams`] says so, otherwise at
    /// once. What `take` keeps it has to count itself.
    pub(super) fn each_chunk(self, node: &Node, take: &mut TakeChunk<'_>) -> Result<()> {
        if !self.streams(node) || self.is_kept(node) {
            return take(self.vector(node)?);
        }
        self.context.check_interrupt()?;
        match &node.kind {
            NodeKind::Selector(selector) => self.selector(selector, node.span, take),
            NodeKind::Negate(inner) => self.each_chunk(inner, &mut |mut series| {
                negate(&mut series);
                take(series)
            }),
            NodeKind::Binary(binary) => {
                let (vector, number, swapped) = vector_and_scalar(binary)
                    .ok_or_else(|| Error::evaluation("expected a vector and a scalar"))?;
                let number = self.scalar(number)?;
                self.each_chunk(vector, &mut |series| {
                    take(self.with_scalar(binary, node.span, series, &number, swapped))
                })
            }
            NodeKind::Call { function, args } => self.call_chunks(function, args, take),
            _ => match self.eval_node(node)? {
                Evaluated::Vector(series) => take(series),
                Evaluated::Scalar(_) | Evaluated::Text(_) => {
                    Err(Error::evaluation("expected an instant vector"))
                }
            },
        }
    }

    fn call_chunks(self, function: &FunctionDef, args: &[Node], take: &mut TakeChunk<'_>) -> Result<()> {
        if let Body::Window(window) = function.body {
            return self.window_call(function, window, args, take);
        }
        if let Some((selector, taken)) = self.sample_times(function, args) {
            return self.select(selector, taken, &mut |mut series| {
                series.iter_mut().for_each(|series| series.drop_name = true);
                take(series)
            });
        }
        let mapping = self
            .mapping(function, args)?
            .ok_or_else(|| Error::evaluation("expected a function of single series"))?;
        self.each_chunk(arg(args, 0)?, &mut |series| take(mapping.apply(self.grid, series)))
    }

    /// All of what `run` hands to the closure it is given, counted as held while more is to come.
    pub(super) fn collected(
        self,
        run: impl FnOnce(&mut TakeChunk<'_>) -> Result<()>,
    ) -> Result<Vec<StepSeries>> {
        let before = self.context.samples.load(std::sync::atomic::Ordering::Relaxed);
        let mut out: Vec<StepSeries> = Vec::new();
        let (mut counted, mut samples) = (0, 0);
        run(&mut |series| {
            if out.is_empty() {
                out = series;
                return Ok(());
            }
            samples += out[counted..].iter().map(StepSeries::samples).sum::<usize>();
            counted = out.len();
            out.extend(series);
            self.context.set_held(before.saturating_add(samples))
        })?;
        Ok(out)
    }

    /// Whether a node's series come in pieces: it takes series one by one, and the source streams them.
    pub(super) fn streams(self, node: &Node) -> bool {
        // Names dropped at once make series meet that came apart.
        self.context.settings.delayed_name_removal
            && self.grid.steps > 0
            && !(node.step_invariant && self.grid.steps > 1)
            && self.leads_to_stream(node)
    }

    fn leads_to_stream(self, node: &Node) -> bool {
        match &node.kind {
            NodeKind::Selector(selector) => self.context.is_streamed(selector.selection),
            NodeKind::Negate(inner) => self.leads_to_stream(inner),
            NodeKind::Binary(binary) => {
                vector_and_scalar(binary).is_some_and(|(vector, ..)| self.leads_to_stream(vector))
            }
            NodeKind::Call { function, args } => match function.body {
                Body::Window(_) => args.iter().any(|arg| match &arg.kind {
                    NodeKind::Range(range) => match &range.source {
                        RangeSource::Selector { selection, .. } => self.context.is_streamed(*selection),
                        RangeSource::Subquery { expr, .. } => self.leads_to_stream(expr),
                    },
                    _ => false,
                }),
                _ if is_mapping(function) || self.sample_times(function, args).is_some() => {
                    args.first().is_some_and(|arg| self.leads_to_stream(arg))
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether a function makes of each series at most one other, whatever the others are.
fn is_mapping(function: &FunctionDef) -> bool {
    matches!(
        function.body,
        Body::Math(_)
            | Body::Date(_)
            | Body::HistogramStat(_)
            | Body::Clamp(_)
            | Body::Round
            | Body::Timestamp
    )
}

/// The operands by type, and whether the scalar stands on the left.
pub(super) fn vector_and_scalar(binary: &BinaryNode) -> Option<(&Node, &Node, bool)> {
    match (binary.lhs.value_type(), binary.rhs.value_type()) {
        (ValueType::Vector, ValueType::Scalar) => Some((&binary.lhs, &binary.rhs, false)),
        (ValueType::Scalar, ValueType::Vector) => Some((&binary.rhs, &binary.lhs, true)),
        _ => None,
    }
}

/// Marks the steps at which one of the series has a value.
pub(super) fn mark_present(series: &[StepSeries], present: &mut [bool]) {
    for series in series {
        let slots = series.floats.slots().iter().enumerate().filter(|(_, value)| !is_stale(**value));
        slots.for_each(|(i, _)| present[series.floats.first() + i] = true);
        series.histograms.iter().for_each(|(step, _)| present[*step] = true);
    }
}
