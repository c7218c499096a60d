use super::*;

#[track_caller]
fn check(op: MatchOp, value: &str, input: &str, expect: bool) {
    assert_eq!(Matcher::new("l", op, value).expect("pattern compiles").matches(input), expect);
}

#[test]
fn literals() {
    check(MatchOp::Equal, "a", "a", true);
    check(MatchOp::Equal, "", "", true);
    check(MatchOp::NotEqual, "a", "", true);
    check(MatchOp::NotEqual, "a", "a", false);
}

#[test]
fn patterns_are_anchored_and_dot_matches_newline() {
    check(MatchOp::Regex, "b", "abc", false);
    check(MatchOp::Regex, "a|abc", "abc", true);
    check(MatchOp::Regex, ".*", "a\nb", true);
    check(MatchOp::NotRegex, "a.*", "abc", false);
    check(MatchOp::Regex, "", "", true);
}

#[test]
fn bad_or_huge_patterns_are_refused() {
    assert!(Matcher::new("l", MatchOp::Regex, "a(").is_err());
    assert!(Matcher::new("l", MatchOp::Regex, "(a{1000}){1000}").is_err());
}
