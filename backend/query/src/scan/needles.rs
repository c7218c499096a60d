//! The words a query's conditions on log texts demand, to choose files and row groups by. What is not
//! understood demands nothing.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator};
use store::Needle;

/// Columns of `logs` whose words are indexed.
const TEXTS: [&str; 3] = ["body", "trace_id", "span_id"];
/// The map of `logs` whose values are indexed.
const TEXT_MAP: &str = "attributes";
/// What escapes the wildcards of `LIKE` unless another character is named.
const ESCAPE: char = '\\';

/// Needles that hold together for every row of `logs` for which all of `filters` are true.
pub(super) fn needles<'a>(filters: impl IntoIterator<Item = &'a Expr>) -> Vec<Needle> {
    filters.into_iter().flat_map(of).collect()
}

fn of(condition: &Expr) -> Vec<Needle> {
    match condition {
        Expr::Alias(alias) => of(&alias.expr),
        Expr::IsTrue(inner) => of(inner),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => [of(left), of(right)].concat(),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Needle::any([of(left), of(right)]).into_iter().collect()
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compared(left, *op, right),
        Expr::Like(like) => like_needle(like).into_iter().collect(),
        Expr::InList(list) => in_list(list).into_iter().collect(),
        Expr::ScalarFunction(call) => called(call),
        _ => Vec::new(),
    }
}

fn compared(left: &Expr, op: Operator, right: &Expr) -> Vec<Needle> {
    let swapped = || op.swap().and_then(|op| position_found(right, op, left));
    if let Some(call) = position_found(left, op, right).or_else(swapped) {
        return substring_of(call).into_iter().collect();
    }
    match op {
        Operator::Eq => {
            let equal = |a: &Expr, b: &Expr| text(a).zip(literal(b)).and_then(|(text, word)| text.word(word));
            equal(left, right).or_else(|| equal(right, left)).into_iter().collect()
        }
        Operator::RegexMatch => regex(left, right, ""),
        Operator::RegexIMatch => regex(left, right, "i"),
        Operator::LikeMatch | Operator::ILikeMatch => {
            let needle = text(left).zip(literal(right)).and_then(|(text, like)| text.like(like, ESCAPE));
            needle.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The call in `strpos(text, 'part') > 0` and what means the same.
fn position_found<'a>(left: &'a Expr, op: Operator, right: &Expr) -> Option<&'a ScalarFunction> {
    let (Expr::ScalarFunction(call), Expr::Literal(value, _)) = (left, right) else { return None };
    let number = match value {
        ScalarValue::Int32(Some(number)) => i64::from(*number),
        ScalarValue::Int64(Some(number)) => *number,
        _ => return None,
    };
    let found = match op {
        Operator::Gt | Operator::NotEq => number == 0,
        Operator::GtEq => number == 1,
        _ => false,
    };
    (found && call.name() == "strpos").then_some(call)
}

fn like_needle(like: &Like) -> Option<Needle> {
    if like.negated {
        return None;
    }
    text(&like.expr)?.like(literal(&like.pattern)?, like.escape_char.unwrap_or(ESCAPE))
}

fn in_list(list: &InList) -> Option<Needle> {
    let text = text(&list.expr).filter(|_| !list.negated)?;
    let words: Option<Vec<&str>> = list.list.iter().map(literal).collect();
    Needle::any(words?.into_iter().map(|word| text.word(word).into_iter().collect()))
}

fn called(call: &ScalarFunction) -> Vec<Needle> {
    let two = || match call.args.as_slice() {
        [of, part] => text(of).zip(literal(part)),
        _ => None,
    };
    let needle = match call.name() {
        "contains" => substring_of(call),
        "starts_with" => two().and_then(|(text, part)| text.needle(part, Needle::prefix)),
        "ends_with" => two().and_then(|(text, part)| text.needle(part, Needle::suffix)),
        "regexp_like" => {
            return match call.args.as_slice() {
                [of, pattern] => regex(of, pattern, ""),
                [of, pattern, flags] => {
                    literal(flags).map_or_else(Vec::new, |flags| regex(of, pattern, flags))
                }
                _ => Vec::new(),
            };
        }
        _ => None,
    };
    needle.into_iter().collect()
}

/// The needle of a function that looks for its second argument in its first.
fn substring_of(call: &ScalarFunction) -> Option<Needle> {
    let [of, part] = call.args.as_slice() else { return None };
    text(of)?.needle(literal(part)?, Needle::substring)
}

fn regex(of: &Expr, pattern: &Expr, flags: &str) -> Vec<Needle> {
    match (text(of), literal(pattern)) {
        (Some(Text::Plain), Some(pattern)) if flags.is_empty() => Needle::regex(pattern),
        (Some(Text::Plain), Some(pattern)) => Needle::regex(&format!("(?{flags}){pattern}")),
        _ => Vec::new(),
    }
}

/// An expression that gives an indexed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Plain,
    /// In lower case. Outside of ASCII that may change more than the case, so only ASCII is looked for in it.
    Lowered,
}

impl Text {
    fn needle(self, part: &str, needle: impl Fn(&str) -> Option<Needle>) -> Option<Needle> {
        if self == Text::Plain || part.is_ascii() { needle(part) } else { None }
    }

    fn word(self, word: &str) -> Option<Needle> {
        self.needle(word, Needle::word)
    }

    fn like(self, pattern: &str, escape: char) -> Option<Needle> {
        self.needle(pattern, |pattern| Needle::like(pattern, escape))
    }
}

fn text(expr: &Expr) -> Option<Text> {
    match expr {
        Expr::Alias(alias) => text(&alias.expr),
        Expr::Column(column) => TEXTS.contains(&column.name.as_str()).then_some(Text::Plain),
        Expr::Cast(cast) if cast.field.data_type().is_string() => text(&cast.expr),
        Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
            ("lower", [inner]) => text(inner).map(|_| Text::Lowered),
            ("get_field" | "label", [Expr::Column(map), Expr::Literal(..)]) => {
                (map.name == TEXT_MAP).then_some(Text::Plain)
            }
            _ => None,
        },
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<&str> {
    let Expr::Literal(value, _) = expr else { return None };
    value.try_as_str().flatten()
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, ident, in_list, lit};
    use datafusion::prelude::{contains, ends_with, lower, regexp_like, starts_with, strpos};

    use super::*;

    fn check(condition: Expr, expect: impl IntoIterator<Item = Option<Needle>>) {
        let expect: Vec<Needle> = expect.into_iter().flatten().collect();
        assert_eq!(needles([&condition]), expect, "{condition}");
    }

    fn body() -> Expr {
        col("body")
    }

    #[test]
    fn conditions_that_demand_words() {
        let timeout = || [Needle::word("timeout")];
        check(body().like(lit("% Timeout %")), timeout());
        check(body().ilike(lit("% TIMEOUT: %")), timeout());
        check(contains(body(), lit(" timeout ")), timeout());
        check(strpos(body(), lit("(timeout)")).gt(lit(0)), timeout());
        check(lit(1).lt_eq(strpos(body(), lit("(timeout)"))), timeout());
        check(body().eq(lit("timeout")), timeout());
        check(lit("timeout").eq(col("trace_id")), timeout());
        check(starts_with(body(), lit("timeout ")), timeout());
        check(ends_with(body(), lit(" timeout")), timeout());
        check(regexp_like(body(), lit(r"\btimeout\b"), None), timeout());
        check(regexp_like(body(), lit(r"\bTIMEOUT\b"), Some(lit("i"))), timeout());
        check(regexp_like(body(), lit(r" timeout   #x"), Some(lit("x"))), []);
        check(lower(body()).like(lit("% timeout %")), timeout());
        check(ident("body").eq(lit("timeout")), timeout());
        let matches =
            |op| Expr::BinaryExpr(BinaryExpr::new(Box::new(body()), op, Box::new(lit(r"^timeout$"))));
        check(matches(Operator::RegexMatch), timeout());
        check(matches(Operator::RegexIMatch), timeout());
        check(matches(Operator::RegexNotMatch), []);
    }

    #[test]
    fn conditions_together() {
        let (one, two) = (Needle::word("one"), Needle::word("two"));
        let either = Needle::any([one.clone().into_iter().collect(), two.clone().into_iter().collect()]);
        let is = |word: &str| body().eq(lit(word));
        check(is("one").and(is("two")), [one.clone(), two]);
        check(is("one").or(is("two")), [either.clone()]);
        check(in_list(body(), vec![lit("one"), lit("two")], false), [either]);
        check(is("one").or(col("severity").gt(lit(9))), []);
        check(is("one").and(col("severity").gt(lit(9))), [one]);
    }

    #[test]
    fn conditions_that_demand_nothing() {
        check(body().not_like(lit("% timeout %")), []);
        check(body().not_eq(lit("timeout")), []);
        check(strpos(body(), lit(" timeout ")).eq(lit(0)), []);
        check(strpos(body(), lit(" timeout ")).gt_eq(lit(0)), []);
        check(strpos(body(), lit(" timeout ")).gt(lit(-1)), []);
        check(!contains(body(), lit(" timeout ")), []);
        check(in_list(body(), vec![lit("one")], true), []);
        check(in_list(body(), vec![lit("one"), col("host")], false), []);
        check(col("host").eq(lit("timeout")), []);
        check(body().eq(col("host")), []);
        check(body().like(lit("%timeout%")), []);
        check(lower(body()).eq(lit("straße weg")), []);
        check(regexp_like(lower(body()), lit(r"\btimeout\b"), None), []);
        check(body().eq(lit(ScalarValue::Utf8(None))), []);
    }
}
