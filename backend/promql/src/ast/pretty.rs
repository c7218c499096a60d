//! The tree as text over several lines, for people: what fits on a line stays on one, the rest is broken up and
//! indented. Parsing what is printed gives the same tree. Form: Prometheus `promql/parser/prettier.go`.

use super::print::{AggregateHead, BinaryOperator, SubquerySuffix};
use super::{Expr, ExprKind};

/// Longest line, in bytes, that is not broken up.
const LINE_MAX: usize = 100;
/// One level of indentation.
const INDENT: &str = "  ";

impl Expr {
    /// The expression over as many lines as it needs.
    pub fn pretty(&self) -> String {
        pretty(self, 0)
    }
}

fn pretty(expr: &Expr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let line = expr.to_string();
    if line.len() <= LINE_MAX {
        return indent + &line;
    }
    match &expr.kind {
        ExprKind::Aggregate(aggregate) => {
            let parameter = aggregate.parameter.as_ref();
            let parts = parameter.into_iter().chain([&aggregate.expr]);
            enclosed(&indent, &AggregateHead(aggregate).to_string(), parts, level)
        }
        ExprKind::Call { function, args } if !args.is_empty() => {
            enclosed(&indent, function.name, args, level)
        }
        ExprKind::Paren(inner) => enclosed(&indent, "", [inner.as_ref()], level),
        ExprKind::Binary(binary) => {
            let (lhs, rhs) = (pretty(&binary.lhs, level + 1), pretty(&binary.rhs, level + 1));
            format!("{lhs}\n{indent}{}\n{rhs}", BinaryOperator(binary))
        }
        ExprKind::Subquery(subquery) => {
            format!("{}{}", pretty(&subquery.expr, level), SubquerySuffix(subquery))
        }
        ExprKind::Unary { negative, operand } => {
            let operand = pretty(operand, level);
            format!("{indent}{}{}", if *negative { '-' } else { '+' }, operand.trim_start())
        }
        _ => indent + &line,
    }
}

fn enclosed<'a>(indent: &str, head: &str, parts: impl IntoIterator<Item = &'a Expr>, level: usize) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| pretty(part, level + 1)).collect();
    format!("{indent}{head}(\n{}\n{indent})", parts.join(",\n"))
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn short_expressions_stay_on_a_line() {
        let pretty = |query: &str| parse(query).expect("valid").pretty();
        assert_eq!(
            pretty("sum(rate( http_requests_total [5m]))by(job)"),
            "sum by (job) (rate(http_requests_total[5m]))"
        );
    }

    #[test]
    fn long_expressions_are_broken_up_and_stay_the_same() {
        let query = "sum by (job) (rate(http_requests_total{code=~\"5..\", handler=\"/api/v1/query_range\"}[5m])) \
                     / on (job) group_left () topk(3, sum without (instance) (rate(http_requests_total[5m])) > bool 1)";
        let tree = parse(query).expect("valid");
        let pretty = tree.pretty();
        assert_eq!(
            pretty,
            "  sum by (job) (rate(http_requests_total{code=~\"5..\",handler=\"/api/v1/query_range\"}[5m]))\n\
             / on (job) group_left ()\n  \
             topk(3, sum without (instance) (rate(http_requests_total[5m])) > bool 1)"
        );
        assert_eq!(parse(&pretty).expect("valid").to_string(), tree.to_string());
        let nested = format!("(-histogram_quantile(0.9, ({query})))[1h:5m]");
        let nested = parse(&format!("max_over_time({nested})")).map(|tree| tree.pretty());
        assert!(nested.is_ok_and(|text| text.lines().count() > 5));
    }
}
