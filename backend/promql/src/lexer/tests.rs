use super::*;

fn kinds(query: &str) -> Vec<TokenKind> {
    tokens(query).expect(query).into_iter().map(|token| token.kind).collect()
}

fn check_error(query: &str, message: &str, start: usize) {
    let error = tokens(query).expect_err(query);
    assert!(error.message.contains(message), "{query}: {error}");
    assert_eq!(error.span.start, start, "{query}");
}

#[test]
fn numbers_and_durations() {
    let check = |query: &str, kind: TokenKind| assert_eq!(kinds(query)[0], kind, "{query}");
    check("1", TokenKind::Number(1.0));
    check(".5", TokenKind::Number(0.5));
    check("2.", TokenKind::Number(2.0));
    check("1_000", TokenKind::Number(1000.0));
    check("0x1F", TokenKind::Number(31.0));
    check("1e-3", TokenKind::Number(0.001));
    check("inF", TokenKind::Number(f64::INFINITY));
    check("5m", TokenKind::Duration(300_000));
    check("1h30m", TokenKind::Duration(5_400_000));
    check_error("1__0", "bad number or duration syntax", 0);
    check_error("3 + 5mm", "bad number or duration syntax: \"5mm\"", 4);
}

#[test]
fn names_keep_colons_except_in_brackets() {
    assert_eq!(kinds("a:b:c")[0], TokenKind::Identifier("a:b:c".to_owned()));
    let within = kinds("x[1h:step()]");
    assert!(within.contains(&TokenKind::Symbol(":")));
    assert!(within.contains(&TokenKind::Identifier("step".to_owned())));
}

#[test]
fn strings_know_escapes() {
    let check = |query: &str, text: &str| assert_eq!(kinds(query)[0], TokenKind::String(text.to_owned()));
    check(r#""a\n\"b\"""#, "a\n\"b\"");
    check(r"'\x41\101\u00e9'", "AAé");
    check("`a\\n`", "a\\n");
    check_error("\"abc", "unterminated quoted string", 0);
    check_error(r#" "\q""#, "unknown escape sequence", 1);
    check_error("`abc", "unterminated raw string", 0);
}

#[test]
fn brackets_must_match() {
    check_error("(1", "unclosed left parenthesis", 2);
    check_error("1)", "unexpected right parenthesis ')'", 1);
    check_error("{a=\"b\"]", "unexpected right bracket ']'", 6);
}

#[test]
fn comments_and_trim_operators() {
    assert_eq!(kinds("a # rest\n</ b").len(), 4);
    assert!(kinds("h >/ 5").contains(&TokenKind::Symbol(">/")));
    check_error("a $ b", "unexpected character: '$'", 2);
}
