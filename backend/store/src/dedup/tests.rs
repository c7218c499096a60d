use super::*;
use crate::wal::sim::{Rng, SimDisk};

const NOW_MS: i64 = 1_800_000_000_000;

fn open(disk: &SimDisk, now_ms: i64) -> Dedup {
    Dedup::open(Arc::new(disk.clone()), 1_000, now_ms).unwrap()
}

#[test]
fn keys_tell_source_and_id_apart() {
    assert_ne!(batch_key("ab", "c"), batch_key("a", "bc"));
    assert_ne!(batch_key("a", "b"), batch_key("b", "a"));
    assert_eq!(batch_key("a", "b"), batch_key("a", "b"));
}

#[test]
fn saved_batches_survive_a_power_cut_for_24_hours() {
    let disk = SimDisk::default();
    let mut dedup = open(&disk, NOW_MS);
    dedup.insert(NOW_MS, 1);
    dedup.insert(NOW_MS + HOUR_MS, 2);
    dedup.save().unwrap();
    dedup.insert(NOW_MS, 3);
    disk.reboot(&mut Rng(1));
    let mut dedup = open(&disk, NOW_MS + 23 * HOUR_MS);
    assert_eq!([1, 2, 3].map(|key| dedup.contains(key)), [true, true, false]);
    dedup.expire(NOW_MS + 25 * HOUR_MS).unwrap();
    assert_eq!([1, 2].map(|key| dedup.contains(key)), [false, true]);
    assert_eq!((dedup.len(), disk.list().unwrap().len()), (1, 1));
    assert!(!open(&disk, NOW_MS + 27 * HOUR_MS).contains(2));
}

#[test]
fn a_failed_save_is_done_again() {
    let disk = SimDisk::default();
    let mut dedup = open(&disk, NOW_MS);
    dedup.insert(NOW_MS, 1);
    disk.fail_syncs(1);
    dedup.save().unwrap_err();
    dedup.save().unwrap();
    disk.reboot(&mut Rng(2));
    assert!(open(&disk, NOW_MS).contains(1));
}

#[test]
fn damaged_and_torn_records_cost_only_themselves() {
    let disk = SimDisk::default();
    let mut dedup = open(&disk, NOW_MS);
    (0..10).for_each(|key| dedup.insert(NOW_MS, key));
    dedup.save().unwrap();
    let name = disk.list().unwrap().remove(0);
    let mut bytes = disk.bytes(&name);
    bytes[3 * RECORD_BYTES + 5] ^= 1;
    bytes.truncate(9 * RECORD_BYTES + 7);
    disk.put(&name, bytes);
    disk.put("junk", vec![1, 2, 3]);
    let dedup = open(&disk, NOW_MS);
    let known: Vec<BatchKey> = (0..10).filter(|key| dedup.contains(*key)).collect();
    assert_eq!(known, [0, 1, 2, 4, 5, 6, 7, 8]);
}

#[test]
fn memory_is_bounded_by_forgetting_the_oldest_hour() {
    let disk = SimDisk::default();
    let mut dedup = Dedup::open(Arc::new(disk), 100, NOW_MS).unwrap();
    (0..60).for_each(|key| dedup.insert(NOW_MS, key));
    (60..120).for_each(|key| dedup.insert(NOW_MS + HOUR_MS, key));
    assert_eq!((dedup.len(), dedup.forgotten_early()), (60, 60));
    assert!(!dedup.contains(5) && dedup.contains(119));
}
