//! What follows an expression: ranges and subqueries in brackets, `offset`, `@`, `anchored`, `smoothed`.

use super::Parser;
use crate::ast::{At, DurationExpr, DurationKind, Expr, ExprKind, RangeMode, Subquery, VectorSelector};
use crate::error::{ParseError, Span};
use crate::format::float_decimal;
use crate::lexer::TokenKind;

impl Parser<'_> {
    pub(super) fn modifiers(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        loop {
            let start = self.span();
            if self.take_symbol("[") {
                expr = self.brackets(expr, start)?;
            } else if self.take_symbol("@") {
                self.at(&mut expr)?;
            } else if self.take_keyword("offset") {
                self.offset(&mut expr)?;
            } else if self.at_keyword("anchored") || self.at_keyword("smoothed") {
                let mode =
                    if self.at_keyword("anchored") { RangeMode::Anchored } else { RangeMode::Smoothed };
                self.advance();
                self.range_mode(&mut expr, mode, start)?;
            } else {
                return Ok(expr);
            }
            expr.span = expr.span.to(self.last_span());
        }
    }

    /// `[5m]` or `[1h:5m]`, the bracket being taken.
    fn brackets(&mut self, expr: Expr, bracket: Span) -> Result<Expr, ParseError> {
        let range = self.duration_expression(0)?;
        let subquery = self.take_symbol(":");
        let mut step = None;
        if subquery && !matches!(self.peek(), TokenKind::Symbol("]")) {
            step = Some(self.duration_expression(0)?);
        }
        self.expect_symbol("]", if subquery { "subquery selector" } else { "subquery or range" })?;
        self.positive(&range)?;
        if let Some(step) = &step {
            self.positive(step)?;
        }
        let span = expr.span.to(self.last_span());
        if subquery {
            let subquery = Subquery { expr, range, step, offset: None, at: None };
            return self.node(ExprKind::Subquery(Box::new(subquery)), span);
        }
        let brackets = bracket.to(self.last_span());
        let ExprKind::VectorSelector(selector) = expr.kind else {
            return Err(self.error(brackets, "ranges only allowed for vector selectors"));
        };
        if selector.offset.is_some() {
            return Err(self.error(brackets, "no offset modifiers allowed before range"));
        }
        if selector.at.is_some() {
            return Err(self.error(brackets, "no @ modifiers allowed before range"));
        }
        if selector.mode != RangeMode::Plain {
            return Err(self.error(brackets, "no anchored or smoothed modifiers allowed before range"));
        }
        self.node(ExprKind::MatrixSelector { selector, range }, span)
    }

    /// A literal must be positive; expressions are checked when their value is known.
    fn positive(&self, duration: &DurationExpr) -> Result<(), ParseError> {
        match duration.kind {
            DurationKind::Literal { seconds, .. } if seconds <= 0.0 || seconds.is_nan() => {
                Err(self.error(duration.span, "duration must be greater than 0"))
            }
            _ => Ok(()),
        }
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let offset = self.duration_operand()?;
        let span = expr.span;
        let Some((slot, _)) = modifiable(expr) else {
            let message = "offset modifier must be preceded by an instant vector selector or range vector \
                           selector or a subquery";
            return Err(self.error(span, message));
        };
        if slot.replace(offset).is_some() {
            return Err(self.error(span, "offset may not be set multiple times"));
        }
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let at = self.instant()?;
        let span = expr.span;
        let Some((_, slot)) = modifiable(expr) else {
            let message = "@ modifier must be preceded by an instant vector selector or range vector \
                           selector or a subquery";
            return Err(self.error(span, message));
        };
        if slot.replace(at).is_some() {
            return Err(self.error(span, "@ <timestamp> may not be set multiple times"));
        }
        Ok(())
    }

    /// `1609746000`, `-1.5`, `1m40s`, `start()`, `end()`
    fn instant(&mut self) -> Result<At, ParseError> {
        for (keyword, at) in [("start", At::Start), ("end", At::End)] {
            if self.at_keyword(keyword) && self.second_is("(") {
                self.advance();
                self.advance();
                self.expect_symbol(")", "@")?;
                return Ok(at);
            }
        }
        let start = self.span();
        let negative = self.take_symbol("-");
        if !negative {
            self.take_symbol("+");
        }
        #[expect(clippy::cast_precision_loss, reason = "instants are float seconds in the language")]
        let seconds = match *self.peek() {
            TokenKind::Number(seconds) => seconds,
            TokenKind::Duration(ms) => ms as f64 / 1000.0,
            _ => return Err(self.unexpected("@", "timestamp")),
        };
        self.advance();
        let seconds = if negative { -seconds } else { seconds };
        let ms = (seconds * 1000.0).round();
        #[expect(clippy::cast_precision_loss, reason = "only the order of magnitude matters")]
        let fits = ms.abs() < i64::MAX as f64;
        if !fits {
            let span = start.to(self.last_span());
            let message = format!("timestamp out of bounds for @ modifier: {}", float_decimal(seconds));
            return Err(self.error(span, message));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
        Ok(At::Timestamp(ms as i64))
    }

    fn range_mode(&mut self, expr: &mut Expr, mode: RangeMode, keyword: Span) -> Result<(), ParseError> {
        let name = if mode == RangeMode::Anchored { "anchored" } else { "smoothed" };
        self.require_experimental(keyword, &format!("the {name} modifier"))?;
        let selector = match &mut expr.kind {
            ExprKind::MatrixSelector { selector, .. } => selector,
            ExprKind::VectorSelector(selector) if mode == RangeMode::Smoothed => selector,
            ExprKind::VectorSelector(_) => {
                let message = "anchored modifier must be preceded by a range vector selector";
                return Err(self.error(expr.span, message));
            }
            _ => {
                let message = format!("{name} modifier must be preceded by a vector or range selector");
                return Err(self.error(expr.span, message));
            }
        };
        if selector.mode != RangeMode::Plain {
            let message = "anchored and smoothed modifiers cannot be used together or repeated";
            return Err(self.error(keyword, message));
        }
        selector.mode = mode;
        Ok(())
    }
}

/// The places of offset and instant, where the expression has them.
fn modifiable(expr: &mut Expr) -> Option<(&mut Option<DurationExpr>, &mut Option<At>)> {
    match &mut expr.kind {
        ExprKind::VectorSelector(VectorSelector { offset, at, .. })
        | ExprKind::MatrixSelector { selector: VectorSelector { offset, at, .. }, .. } => Some((offset, at)),
        ExprKind::Subquery(subquery) => {
            let Subquery { offset, at, .. } = &mut **subquery;
            Some((offset, at))
        }
        _ => None,
    }
}
