use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use model::{Labels, Matcher};
use tokio::sync::Notify;

use crate::index::live::{IdSet, LiveIndex};
use crate::index::select::matches_all;

fn set(i: usize) -> Labels {
    Labels::from_pairs([("__name__", format!("m{}", i % 5)), ("i", i.to_string())])
}

fn push(index: &LiveIndex, numbers: std::ops::Range<usize>) {
    numbers.for_each(|i| index.push(i as i64, &set(i)));
}

/// Ids of the series that satisfy the matchers, ascending.
fn select(index: &LiveIndex, matchers: &[Matcher]) -> Vec<i64> {
    let view = index.view();
    let mut ids: Vec<i64> = Vec::new();
    for segment in &view.segments {
        ids.extend(segment.select(matchers, None).iter().map(|number| segment.id(number)));
    }
    let tail = view.tail.iter().flat_map(|run| run.iter());
    ids.extend(tail.filter(|(_, labels)| matches_all(matchers, labels)).map(|(id, _)| *id));
    ids.sort_unstable();
    ids
}

fn new() -> LiveIndex {
    LiveIndex::new("__name__", &Arc::default())
}

#[test]
fn series_are_found_at_once_and_after_every_build() {
    let index = new();
    let matchers = [Matcher::equal("__name__", "m3")];
    let mut total = 0;
    for more in [1, 300, 3_000, 10, 5_000, 40_000, 2_100] {
        push(&index, total..total + more);
        total += more;
        let expect: Vec<i64> = (0..total as i64).filter(|i| i % 5 == 3).collect();
        assert_eq!(select(&index, &matchers), expect);
        index.build();
        assert_eq!(select(&index, &matchers), expect);
        assert_eq!(index.len(), total);
    }
    let view = index.view();
    let sizes: Vec<u32> = view.segments.iter().map(|segment| segment.len()).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] > 2 * pair[1]), "{sizes:?}");
    assert!(view.tail.iter().map(|run| run.len()).sum::<usize>() < 2_048);
}

#[test]
fn a_long_tail_asks_for_work_and_a_query_does_it_where_nobody_came() {
    let wanted = Arc::new(Notify::new());
    let index = LiveIndex::new("__name__", &wanted);
    push(&index, 0..1_000);
    assert!(wanted.notified().now_or_never().is_none());
    push(&index, 1_000..20_000);
    assert!(wanted.notified().now_or_never().is_some());
    assert_eq!(index.view().segments.len(), 1);
}

#[test]
fn what_is_forgotten_leaves_with_the_next_build_and_stays_in_older_views() {
    let old = new();
    push(&old, 0..5_000);
    old.build();
    push(&old, 5_000..5_100);
    let kept: IdSet = (0..5_100).filter(|i| i % 2 == 0).collect();
    let next = old.shrunk(kept);
    // One that was forgotten comes back, one is new.
    next.push(1, &set(1));
    next.push(9_000, &set(9_000));
    next.build();
    let mut expect: Vec<i64> = (0..5_100).filter(|i| i % 2 == 0).collect();
    expect.extend([1, 9_000]);
    expect.sort_unstable();
    assert_eq!(select(&next, &[]), expect);
    assert_eq!(select(&old, &[]), (0..5_100).collect::<Vec<i64>>());
}

/// A writer adds series, a builder builds, readers look: a reader finds every series the writer had added
/// before the reader looked, once.
#[test]
fn readers_find_what_was_added_before_they_looked() {
    const TOTAL: usize = 30_000;
    let (index, added) = (new(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..TOTAL {
                index.push(i as i64, &set(i));
                added.store(i + 1, Ordering::Release);
            }
        });
        scope.spawn(|| {
            while added.load(Ordering::Acquire) < TOTAL {
                index.build();
            }
        });
        for reader in 0..2 {
            let (index, added) = (&index, &added);
            scope.spawn(move || {
                let matchers = [Matcher::equal("__name__", format!("m{reader}"))];
                loop {
                    let before = added.load(Ordering::Acquire);
                    let found = select(index, &matchers);
                    let expect = (0..before).filter(|i| i % 5 == reader).count();
                    assert!(found.len() >= expect, "{} of {expect}", found.len());
                    assert!(found.iter().enumerate().all(|(place, id)| *id == (place * 5 + reader) as i64));
                    if before == TOTAL {
                        assert_eq!(found.len(), expect);
                        return;
                    }
                }
            });
        }
    });
    index.build();
    assert_eq!(select(&index, &[]).len(), TOTAL);
}
