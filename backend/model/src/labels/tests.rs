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

#[track_caller]
fn from_bytes(pairs: &[(&str, &str)]) -> Labels {
    let bytes: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let labels = Labels::from_utf8_pairs(&bytes, &mut vec![1, 2, 3]).expect("it is text");
    assert_eq!(labels, Labels::from_pairs(pairs.iter().copied()));
    labels
}

#[test]
fn pairs_of_bytes_make_the_same_set() {
    let labels = from_bytes(&[("__name__", "up"), ("instance", "a:1"), ("job", "j")]);
    assert_eq!(labels.hash64(), 0xd440_2386_1b0b_6d6a);
    from_bytes(&[]);
    from_bytes(&[("é", "名前")]);
    from_bytes(&[("job", "j"), ("x", ""), ("instance", "a:1"), ("job", "k"), ("__name__", "up")]);
    let name = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect::<Vec<_>>();
    assert!(labels.equals_pairs(&name));
    assert!(!labels.equals_pairs(&name[..2]));
    assert!(!labels.equals_pairs(&[name[0], name[1], (b"job", b"k")]));
}

#[test]
fn bytes_that_are_not_text_make_no_set() {
    let refused = |pairs: &[(&[u8], &[u8])]| Labels::from_utf8_pairs(pairs, &mut Vec::new()).is_none();
    assert!(refused(&[(b"a", b"\xff")]));
    assert!(refused(&[(b"b", b"x"), (b"a", b"\xff")]));
    // The halves of one character in a name and its value.
    assert!(refused(&[(b"a\xc3", b"\xa9")]));
}
