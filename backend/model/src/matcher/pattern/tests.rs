use proptest::prelude::*;
use regex::Regex;

use super::*;

#[track_caller]
fn check(pattern: &str, rest: Rest, prefixes: &[&str]) {
    let found = Pattern::of(pattern);
    assert_eq!((found.rest(), found.prefixes()), (rest, &prefixes.map_owned()[..]), "`{pattern}`");
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn lists_of_values() {
    check("", Rest::Nothing, &[""]);
    check("up", Rest::Nothing, &["up"]);
    check("^up$", Rest::Nothing, &["up"]);
    check("b|a|c|a", Rest::Nothing, &["a", "b", "c"]);
    check("foo|foobar|", Rest::Nothing, &["", "foo", "foobar"]);
    check("(node|db)-[12]:9100", Rest::Nothing, &["db-1:9100", "db-2:9100", "node-1:9100", "node-2:9100"]);
    check("(?i)ab", Rest::Nothing, &["AB", "Ab", "aB", "ab"]);
    check("a\\.b?", Rest::Nothing, &["a.", "a.b"]);
    check("a{2,3}", Rest::Nothing, &["aa", "aaa"]);
    check("[^\\s\\S]", Rest::Nothing, &[]);
}

#[test]
fn beginnings() {
    check(".*", Rest::Anything, &[""]);
    check(".+", Rest::Something, &[""]);
    check("node_cpu.*", Rest::Anything, &["node_cpu"]);
    check("^node_cpu.*$", Rest::Anything, &["node_cpu"]);
    check("node_.+", Rest::Something, &["node_"]);
    check("(a|ab|c).*", Rest::Anything, &["a", "c"]);
    check("a.*|b.*", Rest::Anything, &["a", "b"]);
    check("a.*?.*", Rest::Anything, &["a"]);
    check("(?i)a.+", Rest::Something, &["A", "a"]);
}

#[test]
fn what_must_be_tested() {
    check(
        "node_[0-9]+",
        Rest::Tested,
        &["node_0", "node_1", "node_2", "node_3", "node_4", "node_5", "node_6", "node_7", "node_8", "node_9"],
    );
    check("a.*z", Rest::Tested, &["a"]);
    check("a|b.*", Rest::Tested, &["a", "b"]);
    check("(?-s:.*)", Rest::Tested, &[""]);
    check("a.", Rest::Tested, &["a"]);
    check("\\bfoo", Rest::Tested, &[""]);
    let long = Pattern::of("(?i)thirteen_chars_long");
    assert_eq!((long.rest(), long.prefixes().len()), (Rest::Tested, PREFIXES_MAX));
}

#[test]
fn repetitions_inside_of_repetitions_end_soon() {
    let pattern = Pattern::of("(((((a{0,8}){0,8}){0,8}){0,8}){0,8}){0,8}");
    assert!(pattern.prefixes().len() <= PREFIXES_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever is said without running the expression, the expression says too.
    #[test]
    fn agrees_with_the_expression(pattern in pattern(), values in prop::collection::vec("[abAB.\n]{0,4}", 12)) {
        let Ok(regex) = Regex::new(&format!("^(?s:{pattern})$")) else { return Ok(()) };
        let found = Pattern::of(&pattern);
        for value in &values {
            if let Some(decided) = found.decides(value) {
                prop_assert_eq!(decided, regex.is_match(value), "`{}` on {:?}: {:?}", pattern, value, found);
            }
        }
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abAB]{0,3}",
        Just(".".to_owned()),
        Just(".*".to_owned()),
        Just(".+".to_owned()),
        Just("[ab]".to_owned()),
        Just("[^a]".to_owned()),
        Just("\\.".to_owned()),
        Just("^".to_owned()),
        Just("$".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
            inner.clone().prop_map(|part| format!("(?:{part})?")),
            inner.clone().prop_map(|part| format!("(?:{part})*")),
            inner.clone().prop_map(|part| format!("(?:{part}){{1,2}}")),
            inner.prop_map(|part| format!("(?i:{part})")),
        ]
    })
}
