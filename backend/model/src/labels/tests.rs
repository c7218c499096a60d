use super::*;

#[test]
fn order_of_insertion_does_not_matter() {
    let a = Labels::from_pairs([("b", "2"), ("a", "1"), ("__name__", "up")]);
    let b = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("b", "2")]);
    assert_eq!(a, b);
    assert_eq!(a.hash64(), b.hash64());
    assert_eq!(a.to_string(), r#"up{a="1", b="2"}"#);
}

#[test]
fn neighbouring_pieces_do_not_run_together() {
    let a = Labels::from_pairs([("ab", "c")]);
    let b = Labels::from_pairs([("a", "bc")]);
    assert_ne!(a, b);
    assert_ne!(a.hash64(), b.hash64());
}

#[test]
fn empty_value_means_unset() {
    let labels = Labels::from_pairs([("a", ""), ("b", "x")]);
    assert_eq!(labels.len(), 1);
    assert_eq!(labels.get("a"), None);
    assert!(Labels::from_pairs([("a", "")]).is_empty());
}

#[test]
fn last_value_wins_and_builder_edits() {
    let labels = Labels::from_pairs([("a", "1"), ("a", "2")]);
    assert_eq!(labels.get("a"), Some("2"));
    let mut builder = labels.to_builder();
    builder.set("__name__", "m").remove("a");
    assert_eq!(builder.build().name(), "m");
    assert!(builder.build().without_name().is_empty());
}

#[test]
fn display_escapes() {
    let labels = Labels::from_pairs([("a", "x\"y\\z\nw")]);
    assert_eq!(labels.to_string(), r#"{a="x\"y\\z\nw"}"#);
}

#[test]
fn hash_is_pinned_because_it_is_stored() {
    let labels = Labels::from_pairs([("__name__", "up"), ("instance", "a:1"), ("job", "j")]);
    assert_eq!(labels.hash64(), 0xd440_2386_1b0b_6d6a);
}

#[test]
fn sorted_pairs_make_the_same_set() {
    let pairs = [("__name__", "up"), ("instance", "a:1"), ("job", "j")];
    let labels = Labels::from_sorted_pairs(&pairs);
    assert_eq!(labels, Labels::from_pairs(pairs));
    assert_eq!(labels.hash64(), 0xd440_2386_1b0b_6d6a);
    let unsorted = [("job", "j"), ("x", ""), ("instance", "a:1"), ("job", "k"), ("__name__", "up")];
    assert_eq!(Labels::from_sorted_pairs(&unsorted), Labels::from_pairs(unsorted));

    let bytes = pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    assert_eq!(Labels::hash64_of(&bytes, &mut vec![1, 2, 3]), labels.hash64());
    assert!(labels.equals_pairs(&bytes));
    assert!(!labels.equals_pairs(&bytes[..2]));
    let other = [bytes[0], bytes[1], (b"job", b"k")];
    assert!(!labels.equals_pairs(&other));
}
