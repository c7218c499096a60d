use super::*;

fn set(i: u32) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())])
}

#[test]
fn ids_are_hashes_and_stay() {
    let mut registry = Registry::default();
    let index = registry.resolve(&set(1));
    assert_eq!(registry.entry(index).id, set(1).hash64().cast_signed());
    assert_eq!(registry.resolve(&set(1)), index);
    assert_ne!(registry.resolve(&set(2)), index);
    assert_eq!((registry.len(), registry.collisions()), (2, 0));
}

#[test]
fn sets_with_the_same_hash_get_different_ids_every_time_the_same() {
    let ids = || {
        let mut registry = Registry::with_hash(|_| 7);
        let ids: Vec<i64> = (0..50)
            .map(|i| {
                let index = registry.resolve(&set(i));
                registry.entry(index).id
            })
            .collect();
        for (i, id) in ids.iter().enumerate() {
            let index = registry.resolve(&set(i as u32));
            assert_eq!(registry.entry(index).id, *id, "set {i} keeps its id");
        }
        assert_eq!(registry.collisions(), 49);
        ids
    };
    let first = ids();
    assert_eq!(first[0], 7);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 50);
    assert_eq!(first, ids());
}

#[test]
fn a_hash_that_a_salted_id_took_is_not_given_twice() {
    let salted = Ids::Hashes.salted(7, 1);
    let mut registry = Registry::with_hash(|labels| match labels.get("i") {
        Some("2") => Ids::Hashes.salted(7, 1),
        _ => 7,
    });
    let ids: Vec<i64> = (0..3)
        .map(|i| {
            let index = registry.resolve(&set(i));
            registry.entry(index).id
        })
        .collect();
    assert_eq!(ids[..2], [7, salted.cast_signed()]);
    assert!(ids[2] != ids[1] && ids[2] != ids[0]);
}

#[test]
fn unused_sets_are_forgotten_but_not_those_that_collide() {
    let mut registry = Registry::with_hash(|labels| match labels.get("i") {
        Some("0" | "1") => 7,
        _ => labels.hash64(),
    });
    let mut use_in = |i: u32, generation: u32| {
        let index = registry.resolve(&set(i));
        registry.entry_mut(index).place = (generation, i);
        registry.entry(index).id
    };
    let ids: Vec<i64> = [(0, 1), (1, 1), (2, 1), (3, 2)].map(|(i, generation)| use_in(i, generation)).into();
    registry.forget_before(2);
    assert_eq!(registry.len(), 3, "set 2 is forgotten");
    for i in [1, 0, 3] {
        let index = registry.resolve(&set(i));
        assert_eq!(registry.entry(index).id, ids[i as usize], "set {i}");
    }
    assert_eq!(registry.len(), 3);
    let index = registry.resolve(&set(3));
    assert_eq!(registry.entry(index).place, (2, 3));
}

#[test]
fn sets_of_one_instance_with_the_same_rest_of_a_hash_get_different_ids() {
    let of = |instance: &str, i: u32| {
        Labels::from_pairs([("__name__", "m"), ("instance", instance), ("i", &i.to_string())])
    };
    // The same but for the bits that an instance replaces.
    let hash = |labels: &Labels| labels.get("i").map_or(0, |i| (i.len() as u64) << 60 | 7);
    let mut registry = Registry { ids: Ids::ByInstance, ..Registry::with_hash(hash) };
    let mut id = |labels: Labels| {
        let index = registry.resolve(&labels);
        registry.entry(index).id
    };
    let ids = [id(of("a", 1)), id(of("a", 10)), id(of("b", 100)), id(of("b", 1000))];
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4, "{ids:x?}");
    assert_eq!(ids[0] >> 48, ids[1] >> 48);
    assert_eq!(ids[0] & 0xffff_ffff_ffff, ids[2] & 0xffff_ffff_ffff, "no collision: another instance");
    for (place, labels) in [of("a", 1), of("a", 10), of("b", 100), of("b", 1000)].into_iter().enumerate() {
        assert_eq!(id(labels), ids[place], "it keeps its id");
    }
    assert_eq!(registry.collisions(), 2);
}
