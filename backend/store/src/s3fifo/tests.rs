use std::collections::HashMap;

use proptest::prelude::*;

use super::S3Fifo;

#[derive(Clone, Debug)]
enum Act {
    Insert(u8, u64),
    Get(u8),
    Remove(u8),
    Shrink(u64),
    Restore(u8, u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (any::<u8>(), 0..40u64).prop_map(|(key, weight)| Act::Insert(key, weight)),
        4 => any::<u8>().prop_map(Act::Get),
        1 => any::<u8>().prop_map(Act::Remove),
        1 => (0..120u64).prop_map(Act::Shrink),
        1 => (any::<u8>(), 0..40u64).prop_map(|(key, weight)| Act::Restore(key, weight)),
    ];
    prop::collection::vec(act, 0..400)
}

proptest! {
    /// It holds what a map would, less what it gave back, within its limits.
    #[test]
    fn it_is_a_bounded_map(acts in acts(), bytes_max in 0..120u64, entries_max in 1..20usize) {
        let mut cache = S3Fifo::new(bytes_max, entries_max);
        let mut model: HashMap<u8, (usize, u64)> = HashMap::new();
        for (value, act) in acts.into_iter().enumerate() {
            match act {
                Act::Insert(key, weight) => {
                    let evicted = cache.insert(key, value, weight);
                    if weight <= bytes_max {
                        model.insert(key, (value, weight));
                        for (key, _) in &evicted {
                            prop_assert!(model.remove(key).is_some(), "{} left and was not there", key);
                        }
                        prop_assert!(cache.contains(&key), "the newest entry stays");
                    } else {
                        prop_assert_eq!(evicted, vec![(key, value)]);
                    }
                }
                Act::Get(key) => {
                    prop_assert_eq!(cache.get(&key).copied(), model.get(&key).map(|entry| entry.0));
                }
                Act::Remove(key) => {
                    prop_assert_eq!(cache.remove(&key), model.remove(&key).map(|entry| entry.0));
                }
                Act::Shrink(bytes) => {
                    for (key, _) in cache.shrink_to(bytes) {
                        prop_assert!(model.remove(&key).is_some());
                    }
                    prop_assert!(cache.bytes() <= bytes);
                }
                Act::Restore(key, weight) => {
                    let before = cache.bytes();
                    let fits = before + weight <= bytes_max && cache.len() < entries_max;
                    prop_assert_eq!(cache.restore(key, value, weight), fits);
                    if fits {
                        model.entry(key).or_insert((value, weight));
                    }
                }
            }
            prop_assert_eq!(cache.len(), model.len());
            prop_assert_eq!(cache.bytes(), model.values().map(|entry| entry.1).sum::<u64>());
            prop_assert!(cache.bytes() <= bytes_max && cache.len() <= entries_max);
        }
    }
}

#[test]
fn a_scan_does_not_drive_out_what_is_used() {
    let mut cache = S3Fifo::new(100, 1_000);
    for key in 0..50 {
        cache.insert(key, (), 1);
    }
    for _ in 0..3 {
        (0..50).for_each(|key| assert!(cache.get(&key).is_some()));
    }
    for key in 1_000..3_000 {
        cache.insert(key, (), 1);
    }
    let left = (0..50).filter(|key| cache.contains(key)).count();
    assert_eq!(left, 50, "of 50 entries that were used");
}

#[test]
fn what_comes_back_soon_stays() {
    let mut cache = S3Fifo::new(100, 1_000);
    (0..110).for_each(|key| drop(cache.insert(key, (), 1)));
    assert!(!cache.contains(&0), "it left first");
    cache.insert(0, (), 1);
    (200..400).for_each(|key| drop(cache.insert(key, (), 1)));
    assert!(cache.contains(&0), "it was missed once, and is in the main queue");
    assert!(!cache.contains(&201), "others went through the small queue alone");
}

#[test]
fn names_of_removed_entries_do_not_pile_up() {
    let mut cache = S3Fifo::new(1_000, 1_000);
    for key in 0..100_000u32 {
        cache.insert(key, (), 1);
        cache.remove(&key);
    }
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
    assert!(cache.heap_bytes() < 64 << 10, "{} bytes", cache.heap_bytes());
}
