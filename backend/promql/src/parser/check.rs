//! Types and modifiers that grammar alone does not settle. Prometheus `parser.checkAST`.

use crate::ast::{Aggregate, Binary, Cardinality, Expr, ExprKind, Subquery, ValueType};
use crate::error::Span;
use crate::format::quoted;
use crate::functions::{FunctionDef, Variadic};

/// Where and what.
type Problem = (Span, String);

/// Checks a node whose children are checked already.
pub(super) fn check(expr: &Expr) -> Result<(), Problem> {
    match &expr.kind {
        ExprKind::Aggregate(aggregate) => check_aggregate(aggregate),
        ExprKind::Binary(binary) => check_binary(binary, expr.span),
        ExprKind::Call { function, args } => check_call(function, args, expr.span),
        ExprKind::Subquery(subquery) => check_subquery(subquery, expr.span),
        ExprKind::Unary { operand, .. } => match operand.value_type() {
            ValueType::Scalar | ValueType::Vector => Ok(()),
            other => Err((
                expr.span,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                    quoted(other.documented())
                ),
            )),
        },
        ExprKind::Paren(_)
        | ExprKind::Number { .. }
        | ExprKind::String(_)
        | ExprKind::VectorSelector(_)
        | ExprKind::MatrixSelector { .. } => Ok(()),
    }
}

fn expect_type(expr: &Expr, wanted: ValueType, context: &str) -> Result<(), Problem> {
    let got = expr.value_type();
    if got == wanted {
        return Ok(());
    }
    let message = format!("expected type {} in {context}, got {}", wanted.documented(), got.documented());
    Err((expr.span, message))
}

fn check_aggregate(aggregate: &Aggregate) -> Result<(), Problem> {
    expect_type(&aggregate.expr, ValueType::Vector, "aggregation expression")?;
    if let (Some(wanted), Some(parameter)) = (aggregate.op.parameter(), &aggregate.parameter) {
        if wanted == ValueType::String && !matches!(parameter.without_parens().kind, ExprKind::String(_)) {
            expect_type(parameter, wanted, "aggregation parameter")?;
        }
        expect_type(parameter, wanted, "aggregation parameter")?;
    }
    Ok(())
}

fn check_binary(binary: &Binary, span: Span) -> Result<(), Problem> {
    let (lhs, rhs) = (binary.lhs.value_type(), binary.rhs.value_type());
    let op = binary.op;
    if binary.return_bool && !op.is_comparison() {
        return Err((span, "bool modifier can only be used on comparison operators".to_owned()));
    }
    let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
    if op.is_comparison() && !binary.return_bool && scalars {
        return Err((span, "comparisons between scalars must use BOOL modifier".to_owned()));
    }
    for (side, value_type) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err((side.span, message.to_owned()));
        }
    }
    let vectors = lhs == ValueType::Vector && rhs == ValueType::Vector;
    let matching = &binary.matching;
    if !vectors {
        let matches_on = matching.on
            || !matching.labels.is_empty()
            || matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
        if matches_on {
            return Err((span, "vector matching only allowed between instant vectors".to_owned()));
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            let message = "filling in missing series only allowed between instant vectors";
            return Err((span, message.to_owned()));
        }
        if op.is_set() {
            let message =
                format!("set operator {} not allowed in binary scalar expression", quoted(op.symbol()));
            return Err((span, message));
        }
    }
    if matching.on
        && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
    {
        let message = format!("label {} must not occur in ON and GROUP clause at once", quoted(label));
        return Err((span, message));
    }
    Ok(())
}

fn check_call(function: &FunctionDef, args: &[Expr], span: Span) -> Result<(), Problem> {
    let (declared, got) = (function.args.len(), args.len());
    let (fewest, most) = match function.variadic {
        Variadic::Exact => (declared, Some(declared)),
        Variadic::Optional(more) => (declared - 1, Some(declared - 1 + more)),
        Variadic::Any => (declared - 1, None),
    };
    let in_call = |how: &str, count: usize| {
        let message =
            format!("expected {how}{count} argument(s) in call to {}, got {got}", quoted(function.name));
        Err((span, message))
    };
    if function.variadic == Variadic::Exact && got != declared {
        return in_call("", declared);
    }
    if got < fewest {
        return in_call("at least ", fewest);
    }
    if let Some(most) = most.filter(|most| got > *most) {
        return in_call("at most ", most);
    }
    let context = format!("call to function {}", quoted(function.name));
    for (i, arg) in args.iter().enumerate() {
        let wanted = function.args[i.min(declared - 1)];
        expect_type(arg, wanted, &context)?;
        let literal = matches!(arg.without_parens().kind, ExprKind::String(_));
        if wanted == ValueType::String && !literal {
            return Err((arg.span, format!("expected string literal in {context}")));
        }
    }
    if function.name == "info" {
        check_info(args)?;
    }
    Ok(())
}

/// The second argument of `info` is only a set of label matchers.
fn check_info(args: &[Expr]) -> Result<(), Problem> {
    let Some(selector) = args.get(1) else { return Ok(()) };
    match &selector.kind {
        ExprKind::VectorSelector(inner) if inner.name.is_none() => Ok(()),
        ExprKind::VectorSelector(_) => {
            Err((selector.span, "expected label selectors only, got vector selector instead".to_owned()))
        }
        _ => Err((selector.span, "expected label selectors only".to_owned())),
    }
}

fn check_subquery(subquery: &Subquery, span: Span) -> Result<(), Problem> {
    match subquery.expr.value_type() {
        ValueType::Vector => Ok(()),
        other => {
            let message =
                format!("subquery is only allowed on instant vector, got {} instead", other.documented());
            Err((span, message))
        }
    }
}
