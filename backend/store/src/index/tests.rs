use model::{Labels, MatchOp, Matcher};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::build::Builder;
use super::segment::Segment;
use super::select::matches_all;

mod files;
mod live;
mod store;

/// Label sets in which every kind of value occurs: rare and common ones, with common beginnings, none.
fn label_sets() -> impl Strategy<Value = Vec<Labels>> {
    let value = prop_oneof![
        3 => "[ab]{0,2}",
        1 => "[abAB]{0,4}",
        1 => "(node|db)-[0-9]{1,2}",
        1 => Just("a\nb".to_owned()),
    ];
    let name = prop_oneof![4 => Just("__name__"), 2 => Just("job"), 1 => Just("instance"), 1 => Just("Z")];
    let set = prop::collection::vec((name, value), 0..5).prop_map(Labels::from_pairs);
    prop::collection::vec(set, 0..120)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let name = prop_oneof![
        3 => Just("__name__"), 2 => Just("job"), 1 => Just("instance"), 1 => Just("Z"), 1 => Just("absent"),
    ];
    let literal = prop_oneof!["[ab]{0,2}", "(node|db)-[0-9]{1,2}"];
    let pattern = prop_oneof![
        Just(".*".to_owned()),
        Just(".+".to_owned()),
        Just(String::new()),
        Just("a|b|ab".to_owned()),
        Just("a|".to_owned()),
        Just("a.*".to_owned()),
        Just("a.+".to_owned()),
        Just("(?i)a.*".to_owned()),
        Just("(?i)ab?".to_owned()),
        Just(".*b".to_owned()),
        Just("node-[0-9]+".to_owned()),
        Just("(node|db)-.*".to_owned()),
        Just("[^a].*".to_owned()),
        Just("(a|b)?".to_owned()),
    ];
    let equal = (prop_oneof![Just(MatchOp::Equal), Just(MatchOp::NotEqual)], literal);
    let regex = (prop_oneof![Just(MatchOp::Regex), Just(MatchOp::NotRegex)], pattern);
    (name, prop_oneof![equal.boxed(), regex.boxed()])
        .prop_map(|(name, (op, value))| Matcher::new(name, op, value).expect("patterns compile"))
}

fn id(labels: &Labels, place: usize) -> i64 {
    // Equal sets may stand twice under different ids, as two nodes may have given them.
    labels.hash64().cast_signed().wrapping_add(place as i64)
}

fn packed(sets: &[Labels]) -> Segment {
    let mut builder = Builder::packed("__name__");
    sets.iter().enumerate().for_each(|(place, labels)| builder.add(id(labels, place), labels));
    builder.finish()
}

fn shared(sets: &[Labels]) -> Segment {
    let mut builder = Builder::shared("__name__");
    sets.iter().enumerate().for_each(|(place, labels)| builder.add(id(labels, place), labels));
    builder.finish()
}

/// Ids of the series that satisfy all matchers, found by looking at each.
fn naive(sets: &[Labels], matchers: &[Matcher]) -> Vec<i64> {
    let found = sets.iter().enumerate().filter(|(_, labels)| matches_all(matchers, labels));
    let mut ids: Vec<i64> = found.map(|(place, labels)| id(labels, place)).collect();
    ids.sort_unstable();
    ids
}

fn ids(segment: &Segment, numbers: &RoaringBitmap) -> Vec<i64> {
    let mut ids: Vec<i64> = numbers.iter().map(|number| segment.id(number)).collect();
    ids.sort_unstable();
    ids
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_looking_at_every_series_finds(
        sets in label_sets(),
        matchers in prop::collection::vec(matcher(), 0..4),
        split in 0..120usize,
        residue in 0..3u32,
    ) {
        let expect = naive(&sets, &matchers);
        let segments = [packed(&sets), shared(&sets), merged(&sets, split.min(sets.len()))];
        for segment in &segments {
            prop_assert_eq!(&ids(segment, &segment.select(&matchers, None)), &expect);
            let within: RoaringBitmap = (0..segment.len()).filter(|number| number % 3 == residue).collect();
            let found = segment.select(&matchers, Some(&within));
            prop_assert_eq!(found, segment.select(&matchers, None) & within);
        }
    }

    #[test]
    fn gives_back_the_label_sets_in_order(sets in label_sets(), split in 0..120usize) {
        for segment in [packed(&sets), shared(&sets), merged(&sets, split.min(sets.len()))] {
            let mut expect: Vec<(&str, i64, &Labels)> =
                sets.iter().enumerate().map(|(place, labels)| (labels.name(), id(labels, place), labels)).collect();
            expect.sort();
            let found: Vec<(i64, Labels)> =
                (0..segment.len()).map(|number| (segment.id(number), segment.labels(number))).collect();
            prop_assert_eq!(found.len(), expect.len());
            for (number, ((id, labels), (_, expect_id, expect_labels))) in found.iter().zip(&expect).enumerate() {
                prop_assert_eq!((id, labels), (expect_id, *expect_labels));
                prop_assert_eq!(segment.number_of(*id), Some(number as u32));
            }
        }
    }

    #[test]
    fn names_and_values_are_those_of_the_series(sets in label_sets(), matchers in prop::collection::vec(matcher(), 0..3)) {
        use std::collections::BTreeSet;
        for segment in [packed(&sets), shared(&sets)] {
            let numbers = segment.select(&matchers, None);
            let found: Vec<&Labels> = sets.iter().filter(|labels| matches_all(&matchers, labels)).collect();
            let names: BTreeSet<&str> = segment.names_in(Some(&numbers)).collect();
            prop_assert_eq!(names, found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect());
            for name in ["__name__", "job", "absent"] {
                let mut values = BTreeSet::new();
                segment.values_in(name, Some(&numbers), |value| { values.insert(value); });
                prop_assert_eq!(values, found.iter().filter_map(|labels| labels.get(name)).collect());
            }
        }
    }
}

/// The series in two segments, then in one.
fn merged(sets: &[Labels], split: usize) -> Segment {
    let all = packed(sets);
    let is_first = |number: u32| {
        sets[..split].iter().enumerate().any(|(place, labels)| id(labels, place) == all.id(number))
    };
    let mut halves = [Builder::packed("__name__"), Builder::packed("__name__")];
    halves[0].add_segment(&all, is_first);
    halves[1].add_segment(&all, |number| !is_first(number));
    let mut builder = Builder::packed("__name__");
    for half in halves {
        builder.add_segment(&half.finish(), |_| true);
    }
    builder.finish()
}

#[test]
fn many_series_use_bitmaps_and_long_lists_of_values() {
    let sets: Vec<Labels> = (0..20_000)
        .map(|i| {
            Labels::from_pairs([
                ("__name__", format!("metric_{}", i % 10)),
                ("instance", format!("host-{:03}", i % 200)),
                ("path", format!("/{i}")),
            ])
        })
        .collect();
    let segment = packed(&sets);
    let queries: [&[(&str, MatchOp, &str)]; 8] = [
        &[("__name__", MatchOp::Equal, "metric_3"), ("instance", MatchOp::Equal, "host-003")],
        &[("__name__", MatchOp::Regex, "metric_[1-3]"), ("instance", MatchOp::Regex, "host-00.*")],
        &[("instance", MatchOp::NotEqual, "host-001")],
        &[("path", MatchOp::Regex, ".*7")],
        &[("path", MatchOp::NotRegex, ".*7")],
        &[("__name__", MatchOp::Equal, "metric_7"), ("path", MatchOp::Regex, ".*7")],
        &[("instance", MatchOp::Equal, "host-003"), ("path", MatchOp::NotRegex, "/1.*")],
        &[("path", MatchOp::Regex, ".+"), ("path", MatchOp::NotRegex, "/(1|2).*9")],
    ];
    for query in queries {
        let matchers: Vec<Matcher> =
            query.iter().map(|(name, op, value)| Matcher::new(*name, *op, *value).unwrap()).collect();
        let found = ids(&segment, &segment.select(&matchers, None));
        assert_eq!(found, naive(&sets, &matchers), "{query:?}");
        assert!(!found.is_empty(), "{query:?}");
    }
    assert!(segment.heap_bytes() < 20_000 * 110, "{} bytes a series", segment.heap_bytes() / 20_000);
}
