//! Makes the syntax tree of a query. Comes in: text; goes out: a type-checked [`Expr`] or the first error with
//! its place. A Pratt parser over the tokens; texts of errors and the grammar follow Prometheus 3.14
//! (`promql/parser/generated_parser.y`, `parse.go`). Nesting and height of the tree are bounded, so that no
//! text can exhaust the stack, neither here nor in the evaluator.

use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Cardinality, Expr, ExprKind, Grouping, Matching, ValueType,
};
use crate::error::{ParseError, Span};
use crate::format::quoted;
use crate::functions;
use crate::lexer::{self, Token, TokenKind};

mod check;
mod duration;
mod modifier;
mod selector;

pub use selector::parse_selector;

/// Parentheses, calls, unary signs within each other.
const NESTING_MAX: usize = 100;

/// Height of the tree, which long chains of operators also build up.
const HEIGHT_MAX: usize = 250;

/// Which parts of the language are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParserOptions {
    /// Functions and aggregations that Prometheus calls experimental, duration expressions, `anchored`,
    /// `smoothed`, fill modifiers.
    pub experimental: bool,
}

impl Default for ParserOptions {
    fn default() -> ParserOptions {
        ParserOptions { experimental: true }
    }
}

/// Parses a query with everything allowed.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    parse_with(query, ParserOptions::default())
}

/// Parses a query.
pub fn parse_with(query: &str, options: ParserOptions) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query, options)?;
    if parser.peek() == &TokenKind::End {
        return Err(parser.error(Span::default(), "no expression found in input"));
    }
    let expr = parser.expression(0)?;
    match parser.peek() {
        TokenKind::End => Ok(expr),
        _ => Err(parser.unexpected("", "")),
    }
}

struct Parser<'a> {
    query: &'a str,
    tokens: Vec<Token>,
    position: usize,
    nesting: usize,
    /// True while the second argument of `info` is read, which may match anything.
    info_selector: bool,
    options: ParserOptions,
}

/// Binding power of a binary operator; higher binds tighter.
fn binding_power(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Greater
        | BinaryOp::Less
        | BinaryOp::GreaterEqual
        | BinaryOp::LessEqual
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => 7,
    }
}

/// Unary signs bind between multiplication and power: `-2^2` is `-(2^2)`.
const UNARY_POWER: u8 = 6;

fn binary_operator(token: &TokenKind) -> Option<BinaryOp> {
    Some(match token {
        TokenKind::Symbol(symbol) => match *symbol {
            "+" => BinaryOp::Add,
            "-" => BinaryOp::Sub,
            "*" => BinaryOp::Mul,
            "/" => BinaryOp::Div,
            "%" => BinaryOp::Mod,
            "^" => BinaryOp::Pow,
            "==" => BinaryOp::Equal,
            "!=" => BinaryOp::NotEqual,
            ">" => BinaryOp::Greater,
            "<" => BinaryOp::Less,
            ">=" => BinaryOp::GreaterEqual,
            "<=" => BinaryOp::LessEqual,
            "</" => BinaryOp::TrimUpper,
            ">/" => BinaryOp::TrimLower,
            _ => return None,
        },
        TokenKind::Identifier(name) => match name.to_ascii_lowercase().as_str() {
            "and" => BinaryOp::And,
            "or" => BinaryOp::Or,
            "unless" => BinaryOp::Unless,
            "atan2" => BinaryOp::Atan2,
            _ => return None,
        },
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    fn new(query: &'a str, options: ParserOptions) -> Result<Parser<'a>, ParseError> {
        Ok(Parser {
            query,
            tokens: lexer::tokens(query)?,
            position: 0,
            nesting: 0,
            info_selector: false,
            options,
        })
    }

    fn peek(&self) -> &TokenKind {
        &self.tokens[self.position].kind
    }

    fn peek_second(&self) -> Option<&TokenKind> {
        self.tokens.get(self.position + 1).map(|token| &token.kind)
    }

    /// Span of the token that comes next.
    fn span(&self) -> Span {
        self.tokens[self.position].span
    }

    /// Span of the token taken last.
    fn last_span(&self) -> Span {
        self.tokens[self.position.saturating_sub(1)].span
    }

    fn advance(&mut self) {
        // The last token is the end, which stays.
        self.position = (self.position + 1).min(self.tokens.len() - 1);
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(next) if *next == symbol);
        if found {
            self.advance();
        }
        found
    }

    /// True if the next token is the identifier `keyword`, in any case of letters.
    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), TokenKind::Identifier(name) if name.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn second_is(&self, symbol: &str) -> bool {
        matches!(self.peek_second(), Some(TokenKind::Symbol(next)) if *next == symbol)
    }

    fn expect_symbol(&mut self, symbol: &str, context: &str) -> Result<(), ParseError> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected(context, &quoted(symbol))) }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.query, span, message)
    }

    /// "unexpected X in CONTEXT, expected Y" at the next token.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        let mut message = format!("unexpected {}", self.peek().describe());
        if !context.is_empty() {
            message.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            message.push_str(&format!(", expected {expected}"));
        }
        self.error(self.span(), message)
    }

    fn require_experimental(&self, span: Span, what: &str) -> Result<(), ParseError> {
        if self.options.experimental {
            return Ok(());
        }
        Err(self.error(span, format!("{what} is experimental and is not enabled")))
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Parser<'a>) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.nesting >= NESTING_MAX {
            let message = format!("expression is nested deeper than {NESTING_MAX} levels");
            return Err(self.error(self.span(), message));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// A checked node.
    fn node(&self, kind: ExprKind, span: Span) -> Result<Expr, ParseError> {
        let expr = Expr::new(kind, span);
        if expr.height > HEIGHT_MAX {
            let message = format!("expression has more than {HEIGHT_MAX} levels of operators");
            return Err(self.error(span, message));
        }
        check::check(&expr).map_err(|(span, message)| self.error(span, message))?;
        Ok(expr)
    }

    /// An expression of operators that bind at least as tightly as `power`.
    fn expression(&mut self, power: u8) -> Result<Expr, ParseError> {
        let mut lhs = self.operand()?;
        while let Some(op) = binary_operator(self.peek()) {
            let own = binding_power(op);
            if own < power {
                break;
            }
            self.advance();
            let (matching, return_bool) = self.matching(op)?;
            // Power groups to the right, everything else to the left.
            let right = if op == BinaryOp::Pow { own } else { own + 1 };
            let rhs = self.nested(|parser| parser.expression(right))?;
            let span = lhs.span.to(rhs.span);
            let returns = match (lhs.value_type(), rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            };
            let binary = Binary { op, lhs, rhs, matching, return_bool, returns };
            lhs = self.node(ExprKind::Binary(Box::new(binary)), span)?;
        }
        Ok(lhs)
    }

    /// A sign with its operand, or a primary expression with its modifiers.
    fn operand(&mut self) -> Result<Expr, ParseError> {
        let start = self.span();
        let negative = match self.peek() {
            TokenKind::Symbol("-") => true,
            TokenKind::Symbol("+") => false,
            _ => {
                let primary = self.primary()?;
                return self.modifiers(primary);
            }
        };
        self.advance();
        let operand = self.nested(|parser| parser.expression(UNARY_POWER))?;
        let span = start.to(operand.span);
        if let ExprKind::Number { value, duration } = operand.kind {
            let value = if negative { -value } else { value };
            return self.node(ExprKind::Number { value, duration }, span);
        }
        self.node(ExprKind::Unary { negative, operand: Box::new(operand) }, span)
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        let span = self.span();
        match self.peek().clone() {
            TokenKind::Number(value) => {
                self.advance();
                self.node(ExprKind::Number { value, duration: false }, span)
            }
            TokenKind::Duration(ms) => {
                self.advance();
                #[expect(clippy::cast_precision_loss, reason = "durations count as float seconds")]
                self.node(ExprKind::Number { value: ms as f64 / 1000.0, duration: true }, span)
            }
            TokenKind::String(text) => {
                self.advance();
                self.node(ExprKind::String(text), span)
            }
            TokenKind::Symbol("(") => {
                self.advance();
                let inner = self.nested(|parser| parser.expression(0))?;
                self.expect_symbol(")", "parenthesized expression")?;
                self.node(ExprKind::Paren(Box::new(inner)), span.to(self.last_span()))
            }
            TokenKind::Symbol("{") => self.vector_selector(None),
            TokenKind::Identifier(name) => self.named(&name),
            _ => Err(self.unexpected("", "")),
        }
    }

    /// What begins with a name: aggregation, call or selector.
    fn named(&mut self, name: &str) -> Result<Expr, ParseError> {
        let aggregation = self.second_is("(")
            || matches!(self.peek_second(), Some(TokenKind::Identifier(next))
                if next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without"));
        if let Some(op) = AggregateOp::from_name(name).filter(|_| aggregation) {
            return self.aggregate(op);
        }
        if self.second_is("(") {
            return self.call(name);
        }
        let reserved = ["bool", "on", "ignoring", "group_left", "group_right"];
        if reserved.iter().any(|word| word.eq_ignore_ascii_case(name)) {
            return Err(self.unexpected("", ""));
        }
        self.vector_selector(Some(name))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<Expr, ParseError> {
        let start = self.span();
        if op.experimental() {
            self.require_experimental(start, &format!("{}()", op.name()))?;
        }
        self.advance();
        let mut grouping = self.grouping()?;
        let mut args = self.arguments("aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = start.to(self.last_span());
        let expected = 1 + usize::from(op.parameter().is_some());
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        if args.len() != expected {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {expected}, got {}",
                args.len()
            );
            return Err(self.error(span, message));
        }
        let parameter = if expected == 2 { Some(args.remove(0)) } else { None };
        let expr = args.remove(0);
        let aggregate = Aggregate { op, parameter, expr, grouping: grouping.unwrap_or_default() };
        self.node(ExprKind::Aggregate(Box::new(aggregate)), span)
    }

    /// `by (…)` or `without (…)`, if they come next.
    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = self.at_keyword("without");
        if !without && !self.at_keyword("by") {
            return Ok(None);
        }
        self.advance();
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }

    /// `(a, b, "c")`
    fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect_symbol("(", "grouping opts")?;
        let mut labels = Vec::new();
        while !self.take_symbol(")") {
            match self.peek().clone() {
                TokenKind::Identifier(name) if !name.contains(':') => labels.push(name),
                TokenKind::String(name) if !name.is_empty() => labels.push(name),
                // `inf` and `nan` are numbers to the lexer, but fine labels.
                TokenKind::Number(_) if self.text().chars().all(|c| c.is_ascii_alphabetic()) => {
                    labels.push(self.text().to_owned());
                }
                _ => return Err(self.unexpected("grouping opts", "label")),
            }
            self.advance();
            if !self.take_symbol(",") && !matches!(self.peek(), TokenKind::Symbol(")")) {
                return Err(self.unexpected("grouping opts", "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    /// The next token as written.
    fn text(&self) -> &'a str {
        let span = self.span();
        &self.query[span.start..span.end]
    }

    fn call(&mut self, name: &str) -> Result<Expr, ParseError> {
        let start = self.span();
        let Some(function) = functions::lookup(name) else {
            return Err(self.error(start, format!("unknown function with name {}", quoted(name))));
        };
        if function.experimental && !self.options.experimental {
            let message = format!("function {} is not enabled", quoted(name));
            return Err(self.error(start, message));
        }
        self.advance();
        let args = self.arguments(function.name)?;
        self.node(ExprKind::Call { function, args }, start.to(self.last_span()))
    }

    /// `(a, b)`, of the function or operator `callee`.
    fn arguments(&mut self, callee: &str) -> Result<Vec<Expr>, ParseError> {
        let context = if callee == "aggregation" { callee } else { "function call" };
        self.expect_symbol("(", context)?;
        let mut args = Vec::new();
        if self.take_symbol(")") {
            return Ok(args);
        }
        loop {
            let outer = std::mem::replace(&mut self.info_selector, callee == "info" && args.len() == 1);
            let arg = self.nested(|parser| parser.expression(0));
            self.info_selector = outer;
            args.push(arg?);
            if self.take_symbol(")") {
                return Ok(args);
            }
            if !self.take_symbol(",") {
                return Err(self.unexpected(context, "\",\" or \")\""));
            }
            if matches!(self.peek(), TokenKind::Symbol(")")) {
                let message = "trailing commas not allowed in function call args";
                return Err(self.error(self.last_span(), message));
            }
        }
    }

    /// `bool`, `on (…) group_left (…)`, `fill (…)` after a binary operator.
    fn matching(&mut self, op: BinaryOp) -> Result<(Matching, bool), ParseError> {
        let return_bool = self.take_keyword("bool");
        let mut matching = Matching::default();
        if op.is_set() {
            matching.cardinality = Cardinality::ManyToMany;
        }
        if self.second_is("(") && (self.at_keyword("on") || self.at_keyword("ignoring")) {
            matching.on = self.at_keyword("on");
            self.advance();
            matching.labels = self.label_list()?;
            let left = self.at_keyword("group_left");
            if left || self.at_keyword("group_right") {
                if op.is_set() {
                    let message = format!("no grouping allowed for {} operation", quoted(op.symbol()));
                    return Err(self.error(self.span(), message));
                }
                self.advance();
                matching.cardinality = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if matches!(self.peek(), TokenKind::Symbol("(")) {
                    matching.include = self.label_list()?;
                }
            }
        } else if self.at_keyword("group_left") || self.at_keyword("group_right") {
            return Err(self.unexpected("", "on() or ignoring() before it"));
        }
        self.fill_modifiers(op, &mut matching)?;
        Ok((matching, return_bool))
    }

    fn fill_modifiers(&mut self, op: BinaryOp, matching: &mut Matching) -> Result<(), ParseError> {
        while self.second_is("(") {
            let both = self.at_keyword("fill");
            let left = both || self.at_keyword("fill_left");
            let right = both || self.at_keyword("fill_right");
            if !left && !right {
                break;
            }
            let span = self.span();
            self.require_experimental(span, "the fill modifier")?;
            if op.is_set() {
                return Err(self.error(span, "filling in missing series not allowed for set operators"));
            }
            self.advance();
            self.expect_symbol("(", "fill modifier")?;
            let negative = self.take_symbol("-");
            if !negative {
                self.take_symbol("+");
            }
            let TokenKind::Number(value) = *self.peek() else {
                return Err(self.unexpected("fill modifier", "number"));
            };
            self.advance();
            self.expect_symbol(")", "fill modifier")?;
            let value = if negative { -value } else { value };
            for (wanted, fill) in [(left, &mut matching.fill_left), (right, &mut matching.fill_right)] {
                if wanted && fill.replace(value).is_some() {
                    return Err(self.error(span, "fill value must not be set twice"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
