use model::{Batch, Labels, Point};

use super::*;
use crate::head::generation::Registries;

const MINUTE: i64 = 60_000;

/// A block of `rows` samples whose newest is at this minute.
fn block(minute: i64, rows: usize, packed: bool) -> Arc<HotBlock> {
    let generation = Generation::new(1);
    let point = |i: usize| Point {
        labels: Labels::from_pairs([("__name__", "up")]),
        timestamp_ms: minute * MINUTE - (rows - 1 - i) as i64,
        value: 1.0,
    };
    let batch = Batch { points: (0..rows).map(point).collect(), ..Batch::new("test") };
    let mut registries = Registries::default();
    let resolved = registries.resolve(&batch);
    generation.append(1, 0, batch, &resolved, &mut registries);
    let mut block = HotBlock::new(Table::Metrics, &Arc::new(generation), &[], i64::MAX).expect("it has rows");
    block.packed = packed;
    Arc::new(block)
}

/// Flushes `rows` rows at each of these minutes and merges; gives rows of the blocks and rows merged in all.
fn run(flushes: impl IntoIterator<Item = (i64, usize)>) -> (Vec<u64>, u64) {
    let (config, mut hot, mut merged) = (Config::default(), Hot::default(), 0);
    for (minute, rows) in flushes {
        hot.push(block(minute, rows, false));
        while let Some(blocks) = hot.to_merge(&config) {
            let one = Arc::new(HotBlock::packed(&blocks).expect("small"));
            merged += one.row_count();
            hot.replace(&blocks, Some(&one));
        }
    }
    (hot.of(Table::Metrics).map(|block| block.row_count()).collect(), merged)
}

#[test]
fn half_hours_become_one_block_each_and_the_newest_few() {
    let (blocks, _) = run((0..24).map(|flush| (flush * 5, 10)));
    assert_eq!(blocks[..3], [60, 60, 60]);
    assert_eq!(blocks[3..].iter().sum::<u64>(), 60);
    assert!(blocks.len() <= 6, "{blocks:?}");
}

#[test]
fn a_row_is_merged_a_few_times_however_often_a_flush_runs() {
    let (blocks, merged) = run((0..180).map(|flush| (flush / 6, 10)));
    assert!(blocks.len() <= 8, "{blocks:?}");
    assert!(merged < 1_800 * 9, "{merged} rows merged for 1800");
}

#[test]
fn late_rows_do_not_join_newer_ones() {
    let (blocks, _) = run([(5, 10), (65, 10), (6, 10), (66, 10)]);
    assert_eq!(blocks, [10, 10, 10, 10]);
}

#[test]
fn blocks_from_the_future_go_when_the_clock_says_so() {
    let now_ms = 1_000 * MINUTE;
    let mut generation = block(5_000, 1, false);
    let rows = Arc::clone(&Arc::get_mut(&mut generation).expect("not shared").rows);
    let mut hot = Hot::default();
    hot.push(Arc::new(HotBlock::new(Table::Metrics, &rows, &[], now_ms).expect("it has rows")));
    let config = Config::default();
    hot.expire(now_ms + 119 * MINUTE, &config);
    assert_eq!(hot.stats().blocks, 1);
    hot.expire(now_ms + 120 * MINUTE, &config);
    assert_eq!((hot.stats().blocks, hot.stats().dropped_by_time_total), (0, 1));
}

#[test]
fn a_block_that_changed_is_not_replaced() {
    let mut hot = Hot::default();
    let (a, b, c) = (block(1, 1, true), block(2, 1, true), block(3, 2, true));
    hot.push(Arc::clone(&a));
    hot.replace(&[Arc::clone(&a), b], Some(&c));
    assert!(Arc::ptr_eq(hot.of(Table::Metrics).next().expect("one"), &a));
    hot.replace(&[a], None);
    assert_eq!((hot.stats().blocks, hot.stats().dropped_by_memory_total), (0, 1));
}
