//! `metric{label="value"}` and what may stand in braces.

use model::{METRIC_NAME, MatchOp, Matcher};

use super::{Parser, ParserOptions};
use crate::ast::{Expr, ExprKind, VectorSelector};
use crate::error::ParseError;
use crate::format::quoted;
use crate::lexer::TokenKind;

/// Parses a bare selector such as the `match[]` parameter of the series API: no modifiers, no operators.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text, ParserOptions::default())?;
    let expr = match parser.peek().clone() {
        TokenKind::Identifier(name) => parser.vector_selector(Some(&name))?,
        TokenKind::Symbol("{") => parser.vector_selector(None)?,
        _ => return Err(parser.unexpected("", "metric selector")),
    };
    match (parser.peek(), expr.kind) {
        (TokenKind::End, ExprKind::VectorSelector(selector)) => Ok(selector.matchers.to_vec()),
        _ => Err(parser.unexpected("", "end of input")),
    }
}

impl Parser<'_> {
    /// A selector; `name` is the identifier that comes next, if one does.
    pub(super) fn vector_selector(&mut self, name: Option<&str>) -> Result<Expr, ParseError> {
        let start = self.span();
        let mut matchers = Vec::new();
        if name.is_some() {
            self.advance();
        }
        let braces = self.take_symbol("{");
        if braces {
            self.matchers(name, &mut matchers)?;
        }
        if let Some(name) = name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        let span = start.to(self.last_span());
        if !self.info_selector && matchers.iter().all(|matcher| matcher.matches("")) {
            let message = "vector selector must contain at least one non-empty matcher";
            return Err(self.error(span, message));
        }
        let selector = VectorSelector {
            name: name.map(str::to_owned),
            matchers: matchers.into(),
            ..VectorSelector::default()
        };
        self.node(ExprKind::VectorSelector(selector), span)
    }

    /// Matchers up to the closing brace, the opening one being taken.
    fn matchers(&mut self, name: Option<&str>, out: &mut Vec<Matcher>) -> Result<(), ParseError> {
        while !self.take_symbol("}") {
            let start = self.span();
            let (label, quoted_name) = match self.peek().clone() {
                TokenKind::Identifier(label) if !label.contains(':') => (label, false),
                TokenKind::String(label) => (label, true),
                TokenKind::Number(_) if self.text().chars().all(|c| c.is_ascii_alphabetic()) => {
                    (self.text().to_owned(), false)
                }
                _ => return Err(self.unexpected("label matching", "identifier or \"}\"")),
            };
            self.advance();
            let op = match self.peek() {
                TokenKind::Symbol("=") => MatchOp::Equal,
                TokenKind::Symbol("!=") => MatchOp::NotEqual,
                TokenKind::Symbol("=~") => MatchOp::Regex,
                TokenKind::Symbol("!~") => MatchOp::NotRegex,
                // A quoted string alone is the metric's name.
                TokenKind::Symbol("," | "}") if quoted_name => {
                    self.set_name_once(name, out, &label)?;
                    out.push(Matcher::equal(METRIC_NAME, label));
                    self.matcher_separator()?;
                    continue;
                }
                _ => return Err(self.unexpected("label matching", "label matching operator")),
            };
            self.advance();
            let TokenKind::String(value) = self.peek().clone() else {
                return Err(self.unexpected("label matching", "string"));
            };
            self.advance();
            if label == METRIC_NAME
                && op == MatchOp::Equal
                && let Some(name) = name
            {
                return Err(self.error(start, name_set_twice(name, &value)));
            }
            let matcher = Matcher::new(label, op, value)
                .map_err(|error| self.error(start.to(self.last_span()), error.to_string()))?;
            out.push(matcher);
            self.matcher_separator()?;
        }
        Ok(())
    }

    fn matcher_separator(&mut self) -> Result<(), ParseError> {
        if self.take_symbol(",") || matches!(self.peek(), TokenKind::Symbol("}")) {
            return Ok(());
        }
        Err(self.unexpected("label matching", "\",\" or \"}\""))
    }

    fn set_name_once(&self, name: Option<&str>, out: &[Matcher], new: &str) -> Result<(), ParseError> {
        let earlier = out
            .iter()
            .find(|matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal)
            .map(Matcher::value)
            .or(name);
        match earlier {
            Some(earlier) => Err(self.error(self.last_span(), name_set_twice(earlier, new))),
            None => Ok(()),
        }
    }
}

fn name_set_twice(a: &str, b: &str) -> String {
    format!("metric name must not be set twice: {} or {}", quoted(a), quoted(b))
}
