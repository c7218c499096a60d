//! Operators on single values. Prometheus `vectorElemBinop`, `scalarBinop`.

use std::sync::Arc;

use crate::annotations::{self, Annotations, HistogramOperation};
use crate::ast::BinaryOp;
use crate::error::Span;
use crate::histogram::{Combined, Histogram, IncompatibleSchema, Keep, ResetHint};
use crate::series::CellRef;
use crate::value::Cell;

/// A result, and for comparisons whether they hold.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) cell: Cell,
    pub(super) keep: bool,
}

/// Arithmetic on floats; NaN for operators that have none.
pub(super) fn compute(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        BinaryOp::Atan2 => lhs.atan2(rhs),
        _ => f64::NAN,
    }
}

/// Whether a comparison holds.
pub(super) fn holds(op: BinaryOp, lhs: f64, rhs: f64) -> bool {
    match op {
        BinaryOp::Equal => lhs == rhs,
        BinaryOp::NotEqual => lhs != rhs,
        BinaryOp::Greater => lhs > rhs,
        BinaryOp::Less => lhs < rhs,
        BinaryOp::GreaterEqual => lhs >= rhs,
        BinaryOp::LessEqual => lhs <= rhs,
        _ => false,
    }
}

/// Scalars: comparisons give 0 or 1.
pub(super) fn scalars(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    if op.is_comparison() { f64::from(u8::from(holds(op, lhs, rhs))) } else { compute(op, lhs, rhs) }
}

/// Any two values; `None`, with a note, where they do not go together.
pub(super) fn apply(
    op: BinaryOp,
    lhs: CellRef<'_>,
    rhs: CellRef<'_>,
    span: Span,
    notes: &mut Annotations,
) -> Option<Applied> {
    let types = match (lhs, rhs) {
        (CellRef::Float(lhs), CellRef::Float(rhs)) => match op {
            BinaryOp::TrimUpper | BinaryOp::TrimLower => ("float", "float"),
            op if op.is_comparison() => {
                return Some(Applied { cell: Cell::Float(lhs), keep: holds(op, lhs, rhs) });
            }
            op => return Some(Applied { cell: Cell::Float(compute(op, lhs, rhs)), keep: true }),
        },
        (CellRef::Float(lhs), CellRef::Histogram(rhs)) => match op {
            BinaryOp::Mul => return Some(changed(rhs, |histogram| histogram.multiply(lhs))),
            _ => ("float", "histogram"),
        },
        (CellRef::Histogram(lhs), CellRef::Float(rhs)) => match op {
            BinaryOp::Mul => return Some(changed(lhs, |histogram| histogram.multiply(rhs))),
            BinaryOp::Div => return Some(changed(lhs, |histogram| histogram.divide(rhs))),
            BinaryOp::TrimUpper => return Some(changed(lhs, |histogram| histogram.trim(rhs, Keep::Below))),
            BinaryOp::TrimLower => return Some(changed(lhs, |histogram| histogram.trim(rhs, Keep::Above))),
            _ => ("histogram", "float"),
        },
        (CellRef::Histogram(lhs), CellRef::Histogram(rhs)) => match op {
            BinaryOp::Add | BinaryOp::Sub => return combined(op, lhs, rhs, span, notes),
            BinaryOp::Equal | BinaryOp::NotEqual => {
                let keep = lhs.same_data(rhs) == (op == BinaryOp::Equal);
                return Some(Applied { cell: Cell::Histogram(Arc::clone(lhs)), keep });
            }
            _ => ("histogram", "histogram"),
        },
    };
    notes.add(annotations::incompatible_types(types.0, op.symbol(), types.1), span);
    None
}

fn changed(histogram: &Arc<Histogram>, change: impl FnOnce(&mut Histogram)) -> Applied {
    let mut histogram = (**histogram).clone();
    change(&mut histogram);
    histogram.compact();
    Applied { cell: Cell::Histogram(Arc::new(histogram)), keep: true }
}

fn combined(
    op: BinaryOp,
    lhs: &Histogram,
    rhs: &Histogram,
    span: Span,
    notes: &mut Annotations,
) -> Option<Applied> {
    let mut result = lhs.clone();
    let outcome: Result<Combined, IncompatibleSchema>;
    let operation;
    if op == BinaryOp::Sub {
        operation = HistogramOperation::Subtraction;
        outcome = result.subtract(rhs);
        result.reset_hint = ResetHint::Gauge;
    } else {
        operation = HistogramOperation::Addition;
        outcome = result.add(rhs);
    }
    let Ok(outcome) = outcome else {
        notes.add(annotations::incompatible_layout(op.symbol()), span);
        return None;
    };
    if outcome.hints_collide {
        notes.add(annotations::colliding_resets(operation), span);
    }
    if outcome.bounds_reconciled {
        notes.add(annotations::reconciled_bounds(operation), span);
    }
    result.compact();
    Some(Applied { cell: Cell::Histogram(Arc::new(result)), keep: true })
}
