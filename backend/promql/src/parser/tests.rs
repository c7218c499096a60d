use proptest::prelude::*;

use super::*;

/// What parses is printed canonically, and prints the same after parsing again.
fn check(query: &str, printed: &str) {
    let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    assert_eq!(expr.to_string(), printed, "{query}");
    let again = parse(printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again.to_string(), printed, "{printed}");
}

fn check_error(query: &str, message: &str) {
    let error = parse(query).expect_err(query);
    assert!(error.to_string().contains(message), "{query}: {error}");
    assert!(error.span.start <= error.span.end && error.span.end <= query.len(), "{query}: {error:?}");
}

#[test]
fn literals_and_operators() {
    check("1_000", "1000");
    check("0x1f", "31");
    check("- 1", "-1");
    check("1 + 2*3 ^ 2^ 2", "1 + 2 * 3 ^ 2 ^ 2");
    check("-a^2", "-a ^ 2");
    check("a and b or c unless d", "a and b or c unless d");
    check("a ATAN2 b", "a atan2 b");
    check("h </ 5 >/ 1", "h </ 5 >/ 1");
    check("'a\\'b'", "\"a'b\"");
    check("5m", "5m");
}

#[test]
fn precedence_shows_in_the_tree() {
    let ExprKind::Binary(sum) = parse("1 + 2 * 3").expect("valid").kind else { panic!("no binary") };
    assert_eq!(sum.op, BinaryOp::Add);
    let ExprKind::Binary(power) = parse("2 ^ 3 ^ 4").expect("valid").kind else { panic!("no binary") };
    assert!(matches!(power.rhs.kind, ExprKind::Binary(_)));
    let ExprKind::Unary { operand, .. } = parse("-a ^ 2").expect("valid").kind else { panic!("no unary") };
    assert!(matches!(operand.kind, ExprKind::Binary(_)));
    let ExprKind::Binary(product) = parse("-a * 2").expect("valid").kind else { panic!("no binary") };
    assert!(matches!(product.lhs.kind, ExprKind::Unary { .. }));
}

#[test]
fn selectors() {
    check("foo{a='b',}", "foo{a=\"b\"}");
    check("{'foo bar', a!=\"b\"}", "{__name__=\"foo bar\",a!=\"b\"}");
    check("foo{'a b'=~\"c.*\"}", "foo{\"a b\"=~\"c.*\"}");
    check("foo{''!='x'}", "foo{\"\"!=\"x\"}");
    check("foo[5m]", "foo[5m]");
    check("foo[300]", "foo[300]");
    check("foo @ 1.5 offset -5m", "foo @ 1.500 offset -5m");
    check("foo offset 5m @ start()", "foo @ start() offset 5m");
    check("foo[5m] @ end() smoothed", "foo[5m] smoothed @ end()");
    check("rate(foo[5m] anchored)", "rate(foo[5m] anchored)");
    check("a:b:c[1h:]", "a:b:c[1h:]");
    check("rate(foo[1m])[1h:5m] offset 1d", "rate(foo[1m])[1h:5m] offset 1d");
    check("sum + by", "sum + by");
}

#[test]
fn durations() {
    check("foo[step()*2+1m]", "foo[step() * 2 + 1m]");
    check("foo[max_of(step(), 5m):range()/10]", "foo[max_of(step(), 5m):range() / 10]");
    check("foo offset (1h+5m)", "foo offset (1h + 5m)");
    check("foo offset 2 ^ 2", "foo offset 2 ^ 2");
    check("foo offset -min_of(step(), 1s)", "foo offset -min_of(step(), 1s)");
}

#[test]
fn calls_and_aggregations() {
    check("sum by(a,b)(x)", "sum by (a, b) (x)");
    check("sum(x) without (\"a b\")", "sum without (\"a b\") (x)");
    check("topk(5, x)", "topk(5, x)");
    check("Sum By () (x)", "sum(x)");
    check(
        "histogram_quantile(0.9,sum by(le)(rate(x[5m])))",
        "histogram_quantile(0.9, sum by (le) (rate(x[5m])))",
    );
    check("info(x, {data=~\".*\"})", "info(x, {data=~\".*\"})");
    check("STEP() + end()", "step() + end()");
}

#[test]
fn matching() {
    check("a + on(x) group_left(y) b", "a + on (x) group_left (y) b");
    check("a > bool ignoring(x) b", "a > bool ignoring (x) b");
    check("a + on() b", "a + on () b");
    check("a + fill(0) b", "a + fill (0) b");
    check(
        "a + on(x) group_right fill_left(1) fill_right(-Inf) b",
        "a + on (x) group_right () fill_left (1) fill_right (-Inf) b",
    );
    check("fill + fill(0) fill_left", "fill + fill (0) fill_left");
}

#[test]
fn errors_say_what_and_where() {
    check_error("", "no expression found in input");
    check_error("# nothing", "no expression found in input");
    check_error("1 +", "1:4: parse error: unexpected end of input");
    check_error("(1", "unclosed left parenthesis");
    check_error("foo{a=b}", "unexpected identifier \"b\" in label matching, expected string");
    check_error("foo{}[5m", "unexpected end of input in duration expression");
    check_error("{}", "vector selector must contain at least one non-empty matcher");
    check_error("foo{__name__=\"bar\"}", "metric name must not be set twice: \"foo\" or \"bar\"");
    check_error("{\"foo\", \"bar\"}", "metric name must not be set twice");
    check_error("nope(x)", "1:1: parse error: unknown function with name \"nope\"");
    check_error("rate(x)", "expected type range vector in call to function \"rate\", got instant vector");
    check_error("rate()", "expected 1 argument(s) in call to \"rate\", got 0");
    check_error("round(x, 1, 2)", "expected at most 2 argument(s) in call to \"round\", got 3");
    check_error("label_join(x, \"a\")", "expected at least 3 argument(s) in call to \"label_join\", got 2");
    check_error("sum(1)", "expected type instant vector in aggregation expression, got scalar");
    check_error("topk(x)", "wrong number of arguments for aggregate expression provided, expected 2, got 1");
    check_error("1 == 1", "comparisons between scalars must use BOOL modifier");
    check_error("a + bool b", "bool modifier can only be used on comparison operators");
    check_error("1 and 2", "set operator \"and\" not allowed in binary scalar expression");
    check_error("a and on(x) group_left b", "no grouping allowed for \"and\" operation");
    check_error("a + on(x) 1", "vector matching only allowed between instant vectors");
    check_error("a + on(x) group_left(x) b", "label \"x\" must not occur in ON and GROUP clause at once");
    check_error("a and fill(0) b", "filling in missing series not allowed for set operators");
    check_error("\"a\" + 1", "binary expression must contain only scalar and instant vector types");
    check_error("-\"a\"", "unary expression only allowed on expressions of type scalar or instant vector");
    check_error("1[5m]", "ranges only allowed for vector selectors");
    check_error("foo offset 5m[5m]", "no offset modifiers allowed before range");
    check_error("foo @ 1[5m]", "no @ modifiers allowed before range");
    check_error("foo[5m][5m:]", "subquery is only allowed on instant vector, got range vector instead");
    check_error("foo[0s]", "duration must be greater than 0");
    check_error("1 offset 5m", "offset modifier must be preceded by");
    check_error("foo offset 5m offset 5m", "offset may not be set multiple times");
    check_error("foo @ 1 @ 2", "@ <timestamp> may not be set multiple times");
    check_error("foo @ Inf", "timestamp out of bounds for @ modifier");
    check_error("foo anchored", "anchored modifier must be preceded by a range vector selector");
    check_error("foo{a=~\"(\"}", "invalid regular expression");
    check_error("sum(x, )", "trailing commas not allowed in function call args");
    check_error("foo bar", "unexpected identifier \"bar\"");
}

#[test]
fn experimental_parts_can_be_switched_off() {
    let options = ParserOptions { experimental: false };
    for query in ["limitk(1, x)", "x[step()]", "x[5m+5m]", "rate(x[5m] smoothed)", "a + fill(0) b", "info(x)"]
    {
        assert!(parse_with(query, options).is_err(), "{query}");
        assert!(parse(query).is_ok(), "{query}");
    }
}

#[test]
fn nesting_and_height_are_bounded() {
    let nested = |levels: usize| format!("{}x{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&nested(99)).is_ok());
    check_error(&nested(101), "nested deeper than 100 levels");
    check_error(&"-".repeat(100_000), "nested deeper than 100 levels");
    check_error(&format!("x[{}1m]", "-".repeat(100_000)), "nested deeper than 100 levels");
    let chain = |length: usize| vec!["x"; length].join(" or ");
    assert!(parse(&chain(200)).is_ok());
    check_error(&chain(10_000), "levels of operators");
    check_error(&vec!["2"; 10_000].join("^"), "nested deeper than 100 levels");
}

#[test]
fn bare_selectors() {
    let matchers = parse_selector("up{job=~\"a|b\"}").expect("valid");
    assert_eq!(matchers.len(), 2);
    assert!(parse_selector("up + 1").is_err());
    assert!(parse_selector("up[5m]").is_err());
    assert!(parse_selector("1").is_err());
}

/// Pieces that make many of the random texts almost queries.
const PIECES: [&str; 44] = [
    "foo",
    "sum",
    "rate",
    "by",
    "without",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "a",
    "=",
    "!=",
    "=~",
    "\"b\"",
    "'c'",
    "5m",
    "1",
    "0x1",
    "1e3",
    "+",
    "-",
    "*",
    "^",
    "/",
    "</",
    ">/",
    "==",
    "bool",
    "on",
    "group_left",
    "offset",
    "@",
    "start",
    "end",
    "step",
    ":",
    ",",
    "and",
    "fill",
    "smoothed",
    "#",
    "\n",
];

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn arbitrary_tokens_never_panic(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        let text = pieces.join(" ");
        match parse(&text) {
            Ok(expr) => {
                let printed = expr.to_string();
                let again = parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
                prop_assert_eq!(again.to_string(), printed);
            }
            Err(error) => prop_assert!(error.span.end <= text.len()),
        }
    }
}
