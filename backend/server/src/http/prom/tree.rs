//! The syntax tree as JSON. Form: Prometheus `web/api/v1/translate_ast.go`.

use model::{MatchOp, Matcher};
use promql::Variadic;
use promql::ast::{
    At, Binary, Cardinality, DurationExpr, DurationKind, Expr, ExprKind, Matching, RangeMode, ValueType,
    VectorSelector,
};
use serde_json::{Map, Value, json};

/// The tree below `expr`.
pub(super) fn of(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => {
            let mut text = String::new();
            super::values::write_float(&mut text, *value);
            json!({ "type": "numberLiteral", "val": text })
        }
        ExprKind::String(text) => json!({ "type": "stringLiteral", "val": text }),
        ExprKind::Paren(inner) => json!({ "type": "parenExpr", "expr": of(inner) }),
        ExprKind::Unary { negative, operand } => {
            json!({ "type": "unaryExpr", "op": if *negative { "-" } else { "+" }, "expr": of(operand) })
        }
        ExprKind::VectorSelector(selector) => Value::Object(with_selector("vectorSelector", selector)),
        ExprKind::MatrixSelector { selector, range } => {
            let mut node = with_selector("matrixSelector", selector);
            put_duration(&mut node, "range", Some(range));
            Value::Object(node)
        }
        ExprKind::Subquery(subquery) => {
            let mut node = object("subquery");
            node.insert("expr".to_owned(), of(&subquery.expr));
            put_duration(&mut node, "range", Some(&subquery.range));
            put_duration(&mut node, "step", subquery.step.as_ref());
            put_duration(&mut node, "offset", subquery.offset.as_ref());
            put_at(&mut node, subquery.at);
            Value::Object(node)
        }
        ExprKind::Call { function, args } => json!({
            "type": "call",
            "func": {
                "name": function.name,
                "argTypes": function.args.iter().map(|kind| type_name(*kind)).collect::<Vec<_>>(),
                "variadic": match function.variadic {
                    Variadic::Exact => 0,
                    Variadic::Optional(count) => i64::try_from(count).unwrap_or(i64::MAX),
                    Variadic::Any => -1,
                },
                "returnType": type_name(function.returns),
            },
            "args": args.iter().map(of).collect::<Vec<_>>(),
        }),
        ExprKind::Aggregate(aggregate) => json!({
            "type": "aggregation",
            "op": aggregate.op.name(),
            "expr": of(&aggregate.expr),
            "param": aggregate.parameter.as_ref().map(of),
            "grouping": aggregate.grouping.labels,
            "without": aggregate.grouping.without,
        }),
        ExprKind::Binary(binary) => binary_node(binary),
    }
}

fn binary_node(binary: &Binary) -> Value {
    let scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
    let matched = !scalar(&binary.lhs) && !scalar(&binary.rhs);
    json!({
        "type": "binaryExpr",
        "op": binary.op.symbol(),
        "lhs": of(&binary.lhs),
        "rhs": of(&binary.rhs),
        "matching": matched.then(|| matching(&binary.matching)),
        "bool": binary.return_bool,
    })
}

fn matching(matching: &Matching) -> Value {
    json!({
        "card": match matching.cardinality {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        },
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

fn object(kind: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), kind.into())])
}

fn with_selector(kind: &str, selector: &VectorSelector) -> Map<String, Value> {
    let mut node = object(kind);
    node.insert("name".to_owned(), selector.name.clone().unwrap_or_default().into());
    let matchers: Vec<Value> = selector.matchers.iter().map(matcher).collect();
    node.insert("matchers".to_owned(), matchers.into());
    put_duration(&mut node, "offset", selector.offset.as_ref());
    put_at(&mut node, selector.at);
    node.insert("anchored".to_owned(), (selector.mode == RangeMode::Anchored).into());
    node.insert("smoothed".to_owned(), (selector.mode == RangeMode::Smoothed).into());
    node
}

fn matcher(matcher: &Matcher) -> Value {
    let kind = match matcher.op() {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    };
    json!({ "name": matcher.name(), "value": matcher.value(), "type": kind })
}

/// Milliseconds, 0 where absent; an expression that depends on the query stands beside it as text.
fn put_duration(node: &mut Map<String, Value>, name: &str, duration: Option<&DurationExpr>) {
    let ms = match duration.map(constant) {
        None => 0,
        #[expect(clippy::cast_possible_truncation, reason = "the parser bounds durations")]
        Some(Some(seconds)) => (seconds * 1000.0).round() as i64,
        Some(None) => {
            let text = duration.map(ToString::to_string).unwrap_or_default();
            node.insert(format!("{name}Expr"), text.into());
            0
        }
    };
    node.insert(name.to_owned(), ms.into());
}

fn constant(duration: &DurationExpr) -> Option<f64> {
    match &duration.kind {
        DurationKind::Literal { seconds, .. } => Some(*seconds),
        DurationKind::Unary { negative, operand } => {
            constant(operand).map(|seconds| if *negative { -seconds } else { seconds })
        }
        DurationKind::Paren(inner) => constant(inner),
        DurationKind::Step | DurationKind::Range | DurationKind::Binary { .. } => None,
    }
}

fn put_at(node: &mut Map<String, Value>, at: Option<At>) {
    let (timestamp, edge) = match at {
        None => (Value::Null, Value::Null),
        Some(At::Timestamp(ms)) => (ms.into(), Value::Null),
        Some(At::Start) => (Value::Null, "start".into()),
        Some(At::End) => (Value::Null, "end".into()),
    };
    node.insert("timestamp".to_owned(), timestamp);
    node.insert("startOrEnd".to_owned(), edge);
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(query: &str) -> Value {
        of(&promql::parse(query).expect("valid"))
    }

    #[test]
    fn selectors() {
        assert_eq!(
            tree("up{job!=\"a\"}[5m] @ start() offset -1m"),
            json!({
                "type": "matrixSelector", "name": "up", "range": 300_000, "offset": -60_000,
                "matchers": [
                    { "name": "job", "value": "a", "type": "!=" },
                    { "name": "__name__", "value": "up", "type": "=" },
                ],
                "timestamp": null, "startOrEnd": "start", "anchored": false, "smoothed": false,
            })
        );
    }

    #[test]
    fn operators_and_calls() {
        let node = tree("1 + rate(a[5m]) > bool on (x) group_left (y) b");
        assert_eq!(node["op"], ">");
        assert_eq!(node["matching"]["card"], "many-to-one");
        assert_eq!(node["bool"], true);
        assert_eq!(node["lhs"]["matching"], Value::Null);
        assert_eq!(node["lhs"]["rhs"]["func"]["argTypes"], json!(["matrix"]));
        assert_eq!(tree("topk(3, x)")["param"]["val"], "3");
    }
}
