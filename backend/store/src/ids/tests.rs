use std::hash::{BuildHasher, BuildHasherDefault};

use super::*;

fn series(instance: Option<&str>, i: u32) -> Labels {
    let labels = [("__name__", "cpu".to_owned()), ("core", i.to_string())];
    Labels::from_pairs(labels.into_iter().chain(instance.map(|name| (INSTANCE, name.to_owned()))))
}

fn id(ids: Ids, labels: &Labels) -> u64 {
    ids.id(labels.hash64(), labels)
}

#[test]
fn series_of_an_instance_are_neighbours_when_ids_are_in_order() {
    let hosts = ["a:9100", "b:9100", "c:9100"];
    let all = hosts.iter().flat_map(|host| (0..50).map(move |i| (*host, series(Some(host), i))));
    let mut ids: Vec<(i64, &str)> =
        all.map(|(host, labels)| (id(Ids::ByInstance, &labels).cast_signed(), host)).collect();
    ids.sort_unstable();
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 150, "each has its own");
    let changes = ids.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    assert_eq!(changes, 2, "each host stands in one piece");
}

#[test]
fn series_without_an_instance_have_the_ids_they_always_had() {
    let labels = series(None, 1);
    assert_eq!(id(Ids::ByInstance, &labels), labels.hash64());
    assert_eq!(id(Ids::Hashes, &series(Some("a"), 1)), series(Some("a"), 1).hash64());
}

#[test]
fn ids_are_the_same_in_every_version() {
    // Computed once; a change would give every stored series a second id.
    let labels = Labels::from_pairs([("__name__", "up"), ("instance", "db1:9100"), ("job", "node")]);
    assert_eq!(labels.hash64(), 4_564_238_812_829_021_228);
    assert_eq!(id(Ids::ByInstance, &labels), 15_791_712_683_863_667_756);
}

#[test]
fn an_id_and_the_hash_it_is_made_of_have_one_key() {
    for ids in [Ids::Hashes, Ids::ByInstance] {
        for labels in (0..100).map(|i| series(Some("a:1"), i)).chain([series(None, 1)]) {
            let hash = labels.hash64();
            assert_eq!(ids.key(hash), ids.key(ids.id(hash, &labels)), "{ids:?} of {labels}");
        }
    }
}

#[test]
fn another_id_has_the_same_neighbours() {
    let of = id(Ids::ByInstance, &series(Some("a:1"), 1));
    let salted = Ids::ByInstance.salted(of, 1);
    assert_eq!(of >> OWN_BITS, salted >> OWN_BITS);
    assert_ne!(of, salted);
    assert_ne!(salted, Ids::ByInstance.salted(of, 2));
}

#[test]
fn settings_are_read_as_they_are_written() {
    for ids in [Ids::Hashes, Ids::ByInstance] {
        assert_eq!(Ids::from_setting(ids.setting()), Ok(ids));
    }
    let error = Ids::from_setting(Some("galaxy")).unwrap_err();
    assert!(error.contains("\"galaxy\"") && error.contains(SETTING), "{error}");
}

#[test]
fn hash_tables_can_tell_ids_of_a_host_apart() {
    let tags: std::collections::HashSet<u64> = (0..500)
        .map(|i| id(Ids::ByInstance, &series(Some("a:1"), i)).cast_signed())
        .map(|id| BuildHasherDefault::<IdHasher>::default().hash_one(id) >> 57)
        .collect();
    assert!(tags.len() > 100, "{} of 128 tags", tags.len());
}
