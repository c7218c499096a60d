//! Durations in brackets and after `offset`: literals, or expressions over them with `step()` and `range()`.
//! Prometheus `duration_expr`.

use super::Parser;
use crate::ast::{DurationExpr, DurationKind, DurationOp};
use crate::error::ParseError;
use crate::lexer::TokenKind;

const EXPECTED: &str = "number, duration, step(), range(), min_of() or max_of()";

impl Parser<'_> {
    /// A whole duration expression, as in brackets.
    pub(super) fn duration_expression(&mut self, power: u8) -> Result<DurationExpr, ParseError> {
        let mut lhs = self.duration_operand()?;
        while let Some((op, own)) = self.duration_operator() {
            if own < power {
                break;
            }
            self.require_experimental(self.span(), "a duration expression")?;
            self.advance();
            let right = if op == DurationOp::Pow { own } else { own + 1 };
            let rhs = self.nested(|parser| parser.duration_expression(right))?;
            lhs = duration_binary(op, lhs, rhs);
        }
        Ok(lhs)
    }

    /// What `offset` takes: signs and one operand; anything after it belongs to the outer expression.
    pub(super) fn duration_operand(&mut self) -> Result<DurationExpr, ParseError> {
        let start = self.span();
        let negative = match self.peek() {
            TokenKind::Symbol("-") => true,
            TokenKind::Symbol("+") => false,
            _ => return self.duration_primary(),
        };
        self.advance();
        // In brackets, as everywhere, powers bind tighter than signs; offsets stop before them.
        let operand = self.nested(Parser::duration_operand)?;
        let span = start.to(operand.span);
        let kind = match operand.kind {
            DurationKind::Literal { seconds, duration } => {
                DurationKind::Literal { seconds: if negative { -seconds } else { seconds }, duration }
            }
            _ => DurationKind::Unary { negative, operand: Box::new(operand) },
        };
        Ok(DurationExpr { kind, span })
    }

    fn duration_primary(&mut self) -> Result<DurationExpr, ParseError> {
        let start = self.span();
        let kind = match self.peek().clone() {
            TokenKind::Number(seconds) => {
                self.advance();
                DurationKind::Literal { seconds, duration: false }
            }
            TokenKind::Duration(ms) => {
                self.advance();
                #[expect(clippy::cast_precision_loss, reason = "durations count as float seconds")]
                let seconds = ms as f64 / 1000.0;
                DurationKind::Literal { seconds, duration: true }
            }
            TokenKind::Symbol("(") => {
                self.advance();
                let inner = self.nested(|parser| parser.duration_expression(0))?;
                self.expect_symbol(")", "duration expression")?;
                DurationKind::Paren(Box::new(inner))
            }
            TokenKind::Identifier(name) if self.second_is("(") => {
                self.require_experimental(start, "a duration expression")?;
                return self.duration_call(&name.to_ascii_lowercase());
            }
            _ => return Err(self.unexpected("duration expression", EXPECTED)),
        };
        Ok(DurationExpr { kind, span: start.to(self.last_span()) })
    }

    fn duration_call(&mut self, name: &str) -> Result<DurationExpr, ParseError> {
        let start = self.span();
        let known = ["step", "range", "min_of", "max_of"].contains(&name);
        if !known {
            return Err(self.unexpected("duration expression", EXPECTED));
        }
        self.advance();
        self.expect_symbol("(", "duration expression")?;
        let kind = match name {
            "step" => DurationKind::Step,
            "range" => DurationKind::Range,
            _ => {
                let lhs = self.nested(|parser| parser.duration_expression(0))?;
                self.expect_symbol(",", "duration expression")?;
                let rhs = self.nested(|parser| parser.duration_expression(0))?;
                let op = if name == "min_of" { DurationOp::Min } else { DurationOp::Max };
                DurationKind::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) }
            }
        };
        self.expect_symbol(")", "duration expression")?;
        Ok(DurationExpr { kind, span: start.to(self.last_span()) })
    }

    fn duration_operator(&self) -> Option<(DurationOp, u8)> {
        let TokenKind::Symbol(symbol) = self.peek() else { return None };
        Some(match *symbol {
            "+" => (DurationOp::Add, 1),
            "-" => (DurationOp::Sub, 1),
            "*" => (DurationOp::Mul, 2),
            "/" => (DurationOp::Div, 2),
            "%" => (DurationOp::Mod, 2),
            "^" => (DurationOp::Pow, 4),
            _ => return None,
        })
    }
}

/// `lhs op rhs`; a sign in front of a power applies to the power: `-2^2` is `-(2^2)`.
fn duration_binary(op: DurationOp, lhs: DurationExpr, rhs: DurationExpr) -> DurationExpr {
    let span = lhs.span.to(rhs.span);
    let negate = |inner: DurationExpr| DurationKind::Unary { negative: true, operand: Box::new(inner) };
    let kind = match lhs.kind {
        DurationKind::Literal { seconds, duration } if op == DurationOp::Pow && seconds < 0.0 => {
            let kind = DurationKind::Literal { seconds: -seconds, duration };
            negate(duration_binary(op, DurationExpr { kind, span: lhs.span }, rhs))
        }
        DurationKind::Unary { negative: true, operand } if op == DurationOp::Pow => {
            negate(duration_binary(op, *operand, rhs))
        }
        kind => {
            let lhs = DurationExpr { kind, span: lhs.span };
            DurationKind::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) }
        }
    };
    DurationExpr { kind, span }
}
