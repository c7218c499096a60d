//! The tree as text: one line, canonical spacing. Parsing what is printed gives the same tree. Form: Prometheus
//! `promql/parser/printer.go`.

use std::fmt::{self, Display, Formatter, Write};

use model::{METRIC_NAME, MatchOp, Matcher};

use super::{
    Aggregate, At, Binary, Cardinality, DurationExpr, DurationKind, DurationOp, Expr, ExprKind, RangeMode,
    Subquery, VectorSelector,
};
use crate::duration::format_duration;
use crate::format::{float_g, quoted};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, duration } => f.write_str(&number(*value, *duration)),
            ExprKind::String(text) => f.write_str(&quoted(text)),
            ExprKind::VectorSelector(selector) => {
                write!(f, "{}", Matchers(selector))?;
                write_modifiers(f, selector.mode, selector.at, selector.offset.as_ref())
            }
            ExprKind::MatrixSelector { selector, range } => {
                write!(f, "{}[{range}]", Matchers(selector))?;
                write_modifiers(f, selector.mode, selector.at, selector.offset.as_ref())
            }
            ExprKind::Subquery(subquery) => write!(f, "{}{}", subquery.expr, SubquerySuffix(subquery)),
            ExprKind::Call { function, args } => {
                write!(f, "{}(", function.name)?;
                write_list(f, args)?;
                f.write_char(')')
            }
            ExprKind::Aggregate(aggregate) => {
                write!(f, "{}(", AggregateHead(aggregate))?;
                if let Some(parameter) = &aggregate.parameter {
                    write!(f, "{parameter}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
            ExprKind::Binary(binary) => {
                write!(f, "{} {} {}", binary.lhs, BinaryOperator(binary), binary.rhs)
            }
            ExprKind::Unary { negative, operand } => {
                write!(f, "{}{operand}", if *negative { '-' } else { '+' })
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn number(value: f64, duration: bool) -> String {
    if !duration {
        return float_g(value);
    }
    #[expect(clippy::cast_possible_truncation, reason = "literals have whole milliseconds")]
    format_duration((value * 1000.0).round() as i64)
}

fn write_list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// A label name, quoted where it is not a plain identifier.
struct LabelName<'a>(&'a str);

impl Display for LabelName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts_well = self.0.starts_with(|c: char| plain(c) && !c.is_ascii_digit());
        if starts_well && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            f.write_str(&quoted(self.0))
        }
    }
}

fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    f.write_char('(')?;
    write_list(f, &labels.iter().map(|label| LabelName(label)).collect::<Vec<_>>())?;
    f.write_char(')')
}

/// A selector without its modifiers.
struct Matchers<'a>(&'a VectorSelector);

impl Display for Matchers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let VectorSelector { name, matchers, .. } = self.0;
        if let Some(name) = name {
            f.write_str(name)?;
        }
        let is_name = |matcher: &&Matcher| {
            matcher.name() == METRIC_NAME
                && matcher.op() == MatchOp::Equal
                && name.as_deref() == Some(matcher.value())
        };
        let rest: Vec<&Matcher> = matchers.iter().filter(|matcher| !is_name(matcher)).collect();
        if rest.is_empty() && name.is_some() {
            return Ok(());
        }
        f.write_char('{')?;
        for (i, matcher) in rest.iter().enumerate() {
            let op = match matcher.op() {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            };
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{}{op}{}", LabelName(matcher.name()), quoted(matcher.value()))?;
        }
        f.write_char('}')
    }
}

fn write_modifiers(
    f: &mut Formatter<'_>,
    mode: RangeMode,
    at: Option<At>,
    offset: Option<&DurationExpr>,
) -> fmt::Result {
    f.write_str(match mode {
        RangeMode::Plain => "",
        RangeMode::Anchored => " anchored",
        RangeMode::Smoothed => " smoothed",
    })?;
    match at {
        None => {}
        #[expect(clippy::cast_precision_loss, reason = "instants are printed as float seconds")]
        Some(At::Timestamp(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0)?,
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
    }
    match offset {
        None => Ok(()),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

/// What follows the expression of a subquery.
pub(super) struct SubquerySuffix<'a>(pub(super) &'a Subquery);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let subquery = self.0;
        write!(f, "[{}:", subquery.range)?;
        if let Some(step) = &subquery.step {
            write!(f, "{step}")?;
        }
        f.write_char(']')?;
        write_modifiers(f, RangeMode::Plain, subquery.at, subquery.offset.as_ref())
    }
}

/// Operator and grouping of an aggregation, up to the parenthesis.
pub(super) struct AggregateHead<'a>(pub(super) &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Aggregate { op, grouping, .. } = self.0;
        f.write_str(op.name())?;
        if grouping.without || !grouping.labels.is_empty() {
            f.write_str(if grouping.without { " without " } else { " by " })?;
            write_labels(f, &grouping.labels)?;
            f.write_char(' ')?;
        }
        Ok(())
    }
}

/// A binary operator with all that stands between the operands.
pub(super) struct BinaryOperator<'a>(pub(super) &'a Binary);

impl Display for BinaryOperator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Binary { op, matching, return_bool, .. } = self.0;
        f.write_str(op.symbol())?;
        if *return_bool {
            f.write_str(" bool")?;
        }
        let grouped = matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
        if matching.on || grouped || !matching.labels.is_empty() {
            f.write_str(if matching.on { " on " } else { " ignoring " })?;
            write_labels(f, &matching.labels)?;
        }
        if grouped {
            let left = matching.cardinality == Cardinality::ManyToOne;
            f.write_str(if left { " group_left " } else { " group_right " })?;
            write_labels(f, &matching.include)?;
        }
        write_fill(f, matching.fill_left, matching.fill_right)
    }
}

fn write_fill(f: &mut Formatter<'_>, left: Option<f64>, right: Option<f64>) -> fmt::Result {
    match (left, right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            write!(f, " fill ({})", float_g(left))
        }
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", float_g(left))?;
            }
            if let Some(right) = right {
                write!(f, " fill_right ({})", float_g(right))?;
            }
            Ok(())
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Literal { seconds, duration } => f.write_str(&number(*seconds, *duration)),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Unary { negative, operand } => {
                write!(f, "{}{operand}", if *negative { '-' } else { '+' })
            }
            DurationKind::Paren(inner) => write!(f, "({inner})"),
            DurationKind::Binary { op, lhs, rhs } => {
                let symbol = match op {
                    DurationOp::Add => "+",
                    DurationOp::Sub => "-",
                    DurationOp::Mul => "*",
                    DurationOp::Div => "/",
                    DurationOp::Mod => "%",
                    DurationOp::Pow => "^",
                    DurationOp::Min => return write!(f, "min_of({lhs}, {rhs})"),
                    DurationOp::Max => return write!(f, "max_of({lhs}, {rhs})"),
                };
                write!(f, "{lhs} {symbol} {rhs}")
            }
        }
    }
}
