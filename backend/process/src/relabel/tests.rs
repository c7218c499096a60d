use model::Labels;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn rules(config: Value) -> Vec<Rule> {
    serde_json::from_value(config).expect("rules are valid")
}

/// `input` and `expect` as `a=1 b=2`; `None` means dropped.
#[track_caller]
fn check(config: Value, input: &str, expect: Option<&str>) {
    let mut labels = labels(input).to_builder();
    let kept = apply(&rules(config), &mut labels);
    assert_eq!(kept.then(|| labels.build()), expect.map(self::labels));
}

fn labels(text: &str) -> Labels {
    Labels::from_pairs(text.split_whitespace().map(|pair| pair.split_once('=').expect("name=value")))
}

#[track_caller]
fn check_error(config: Value, expect: &str) {
    let error = serde_json::from_value::<Rule>(config).expect_err("rule is not valid").to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn replace() {
    check(
        json!([{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}]),
        "a=foo b=bar",
        Some("a=foo b=bar d=choo-choo"),
    );
    let joined = json!([{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"}]);
    check(joined, "a=foo b=bar c=baz", Some("a=boobam b=bar c=baz"));
    let no_match = json!([{"source_labels": ["a"], "regex": "o", "target_label": "d", "replacement": "x"}]);
    check(no_match, "a=foo", Some("a=foo"));
    // An empty result removes the label.
    check(
        json!([{"source_labels": ["a"], "regex": "(f).*", "target_label": "a", "replacement": "$2"}]),
        "a=foo b=1",
        Some("b=1"),
    );
    // The target label is a template too; an empty name does nothing.
    let target = json!([{"source_labels": ["a"], "regex": "(?P<n>[a-z]+)-(.*)", "target_label": "l_${n}", "replacement": "$2"}]);
    check(target, "a=some-x", Some("a=some-x l_some=x"));
    let empty_target =
        json!([{"source_labels": ["a"], "regex": "x(y)?", "target_label": "${1}", "replacement": "z"}]);
    check(empty_target, "a=x", Some("a=x"));
    // Without source labels: set, and copy nothing.
    check(json!([{"target_label": "a", "replacement": "1"}]), "b=1", Some("a=1 b=1"));
    check(json!([{"target_label": "a", "replacement": ""}]), "a=1 b=1", Some("b=1"));
    check(json!([{"target_label": "b"}]), "a=1 b=1", Some("a=1"));
    check(
        json!([{"source_labels": ["a", "b"], "separator": "", "target_label": "c"}]),
        "a=1 b=2",
        Some("a=1 b=2 c=12"),
    );
}

#[test]
fn go_style_references() {
    for (replacement, expect) in [
        ("$1", "one"),
        ("${1}x", "onex"),
        ("$1x", ""),
        ("$1_", ""),
        ("$1-x", "one-x"),
        ("$word", "one"),
        ("${word}", "one"),
        ("$9", ""),
        ("$$1", "$1"),
        ("a$", "a$"),
        ("$-a", "$-a"),
        ("${1", "${1"),
        ("${a b}", "${a b}"),
        ("$0", "one2"),
    ] {
        let rule = json!([{"source_labels": ["a"], "regex": "(?P<word>[a-z]+)\\d", "target_label": "b", "replacement": replacement}]);
        let mut labels = labels("a=one2").to_builder();
        assert!(apply(&rules(rule), &mut labels));
        assert_eq!(labels.get("b").unwrap_or(""), expect, "{replacement}");
    }
}

#[test]
fn keep_and_drop_are_anchored() {
    let rule = |action| json!([{"source_labels": ["a"], "regex": "foo|bar", "action": action}]);
    check(rule("keep"), "a=foo", Some("a=foo"));
    check(rule("keep"), "a=foobar", None);
    check(rule("drop"), "a=bar", None);
    check(rule("DROP"), "a=foobar", Some("a=foobar"));
    check(json!([{"source_labels": ["nope"], "regex": "", "action": "drop"}]), "a=1", None);
    let quoted = json!([{"source_labels": ["a"], "regex": "\\Qa.b+\\E\\d\\\\Q", "action": "keep"}]);
    check(quoted.clone(), "a=a.b+1\\Q", Some("a=a.b+1\\Q"));
    check(quoted, "a=axb+1\\Q", None);
}

#[test]
fn equality() {
    let rule = |action| json!([{"source_labels": ["a"], "target_label": "b", "action": action}]);
    check(rule("keepequal"), "a=1 b=1", Some("a=1 b=1"));
    check(rule("keepequal"), "a=1 b=2", None);
    check(rule("dropequal"), "a=1 b=1", None);
    check(rule("dropequal"), "a=1", Some("a=1"));
    check(rule("dropequal"), "c=1", None);
}

#[test]
fn hashmod_shards_as_prometheus_does() {
    // The expected shard is what Prometheus computes for `foo` and 1000.
    check(
        json!([{"source_labels": ["c"], "target_label": "d", "separator": ";", "action": "hashmod", "modulus": 1000}]),
        "a=foo b=bar c=baz",
        Some("a=foo b=bar c=baz d=976"),
    );
    assert_eq!(hash(""), 0xe980_0998_ecf8_427e);
}

#[test]
fn label_names() {
    check(json!([{"action": "labelmap", "regex": "(b.*)"}]), "a=1 b1=2 b2=3", Some("a=1 b1=2 b2=3"));
    let meta = json!([{"action": "labelmap", "regex": "meta_(ng.*)", "replacement": "my_${1}"}]);
    check(meta, "meta_ng_a=1 meta_x=2", Some("meta_ng_a=1 meta_x=2 my_ng_a=1"));
    check(json!([{"action": "labeldrop", "regex": "b.*"}]), "a=1 b1=2 b2=3", Some("a=1"));
    check(json!([{"action": "labelkeep", "regex": "b.*"}]), "a=1 b1=2 b2=3", Some("b1=2 b2=3"));
}

#[test]
fn case() {
    let rule = |action| json!([{"source_labels": ["a"], "target_label": "b", "action": action}]);
    check(rule("lowercase"), "a=BaR123", Some("a=BaR123 b=bar123"));
    check(rule("uppercase"), "a=BaR123", Some("a=BaR123 b=BAR123"));
}

#[test]
fn rules_run_in_order_until_one_drops() {
    let config = json!([
        {"target_label": "a", "replacement": "x"},
        {"source_labels": ["a"], "regex": "x", "action": "drop"},
        {"target_label": "b", "replacement": "y"},
    ]);
    check(config, "a=1", None);
}

#[test]
fn invalid_rules_say_why() {
    check_error(json!({"regex": "a("}), "`target_label`");
    check_error(json!({"regex": "a(", "target_label": "x"}), "regex `a(` is not valid");
    check_error(json!({"regex": "(a{1000}){1000}", "target_label": "x"}), "is not valid");
    check_error(json!({"action": "hashmod", "target_label": "x"}), "HashMod needs `modulus`");
    check_error(
        json!({"action": "lowercase", "target_label": "x", "replacement": "y"}),
        "does not take `replacement`",
    );
    check_error(json!({"action": "keepequal", "target_label": "x", "regex": "y"}), "does not take `regex`");
    check_error(
        json!({"action": "labeldrop", "regex": "y", "source_labels": ["a"]}),
        "does not take `source_labels`",
    );
    check_error(json!({"action": "labelkeep", "regex": "y", "separator": ","}), "does not take `separator`");
    check_error(json!({"action": "explode"}), "unknown variant `explode`");
    check_error(json!({"target": "x"}), "unknown field `target`");
    // The defaults may be written out.
    rules(
        json!([{"action": "keepequal", "target_label": "x", "regex": "(.*)", "separator": ";", "replacement": "$1"}]),
    );
}

proptest! {
    #[test]
    fn arbitrary_rules_never_panic(regex in ".{0,12}", replacement in "[$a1{}_ é]{0,8}", value in ".{0,8}") {
        for action in ["replace", "labelmap", "keep"] {
            let config = json!({"source_labels": ["a"], "regex": regex, "replacement": replacement, "target_label": replacement, "action": action});
            if let Ok(rule) = serde_json::from_value::<Rule>(config) {
                let mut labels = Labels::from_pairs([("a", value.as_str())]).to_builder();
                rule.apply(&mut labels);
            }
        }
    }

    #[test]
    fn dropping_and_keeping_labels_is_idempotent(names in proptest::collection::btree_set("[a-c]{1,3}", 0..6)) {
        for action in ["labeldrop", "labelkeep"] {
            let rules = rules(json!([{"action": action, "regex": "a.*|.*b"}]));
            let mut once = Labels::from_pairs(names.iter().map(|name| (name, "1"))).to_builder();
            apply(&rules, &mut once);
            let mut twice = once.build().to_builder();
            apply(&rules, &mut twice);
            prop_assert_eq!(once.build(), twice.build());
        }
    }
}
