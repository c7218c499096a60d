//! The value of duration expressions. Prometheus `promql/durations.go`.

use crate::ast::{DurationExpr, DurationKind, DurationOp};
use crate::error::Span;

/// What `step()` and `range()` stand for, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) step: f64,
    pub(super) range: f64,
}

/// Milliseconds of an expression that must be positive, such as a range.
pub(super) fn positive_ms(expr: &DurationExpr, known: Known) -> Result<i64, (Span, String)> {
    let seconds = seconds(expr, known)?;
    if seconds <= 0.0 || seconds.is_nan() {
        return Err((expr.span, "duration must be greater than 0".to_owned()));
    }
    milliseconds(expr, seconds)
}

/// Milliseconds of an expression of either sign, such as an offset.
pub(super) fn signed_ms(expr: &DurationExpr, known: Known) -> Result<i64, (Span, String)> {
    let seconds = seconds(expr, known)?;
    milliseconds(expr, seconds)
}

fn milliseconds(expr: &DurationExpr, seconds: f64) -> Result<i64, (Span, String)> {
    let ms = (seconds * 1000.0).round();
    // Nanoseconds must fit 64 bits, as they do in Prometheus: about 292 years.
    if ms.is_nan() || ms.abs() >= 9.2e12 {
        return Err((expr.span, "duration is out of range".to_owned()));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    Ok(ms as i64)
}

fn seconds(expr: &DurationExpr, known: Known) -> Result<f64, (Span, String)> {
    Ok(match &expr.kind {
        DurationKind::Literal { seconds, .. } => *seconds,
        DurationKind::Step => known.step,
        DurationKind::Range => known.range,
        DurationKind::Paren(inner) => seconds(inner, known)?,
        DurationKind::Unary { negative, operand } => {
            let value = seconds(operand, known)?;
            if *negative { -value } else { value }
        }
        DurationKind::Binary { op, lhs, rhs } => {
            let (lhs, rhs) = (seconds(lhs, known)?, seconds(rhs, known)?);
            match op {
                DurationOp::Add => lhs + rhs,
                DurationOp::Sub => lhs - rhs,
                DurationOp::Mul => lhs * rhs,
                DurationOp::Div if rhs == 0.0 => return Err((expr.span, "division by zero".to_owned())),
                DurationOp::Div => lhs / rhs,
                DurationOp::Mod if rhs == 0.0 => return Err((expr.span, "modulo by zero".to_owned())),
                DurationOp::Mod => lhs % rhs,
                DurationOp::Pow => lhs.powf(rhs),
                DurationOp::Min => lhs.min(rhs),
                DurationOp::Max => lhs.max(rhs),
            }
        }
    })
}
