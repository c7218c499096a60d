use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use model::{Labels, MatchOp, Matcher};
use object_store::memory::InMemory;

use crate::catalog::{Catalog, DataFile};
use crate::head::metrics::DAY_MS;
use crate::parquet_file::{FileTags, WriteProfile};
use crate::paths::DAY_US;
use crate::series_files::SeriesEntry;
use crate::snapshot::Snapshot;
use crate::tables::{Table, map_builder};
use crate::testing::{DAY, Dice, memory, noon, open, sorted};

fn set(i: usize) -> Labels {
    let value = |of: &str, count: usize| format!("{of}{}", i % count);
    Labels::from_pairs([
        ("__name__", value("metric_", 7)),
        ("instance", value("host-", 13)),
        ("path", format!("/é/{i}")),
        ("quantile", if i.is_multiple_of(3) { value("0.", 4) } else { String::new() }),
    ])
}

fn rows(sets: &[Labels]) -> RecordBatch {
    let mut maps = map_builder();
    for set in sets {
        for (name, value) in set.iter() {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true).unwrap();
    }
    let time = || -> ArrayRef {
        let us = vec![i64::from(DAY) * DAY_US; sets.len()];
        Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(sets.iter().map(|set| set.hash64().cast_signed()).collect::<Int64Array>()),
        Arc::new(sets.iter().map(|set| Some(set.name())).collect::<StringArray>()),
        Arc::new(maps.finish()),
        time(),
        time(),
    ];
    sorted(Table::Series, &RecordBatch::try_new(Table::Series.file_schema(), columns).unwrap())
}

async fn commit(catalog: &Catalog, day: i32, sets: &[Labels], removes: Vec<Arc<DataFile>>) {
    let file = catalog
        .write_file(Table::Series, day, vec![rows(sets)], WriteProfile::Flush, FileTags::default())
        .await
        .unwrap();
    catalog.commit(Table::Series, vec![file], removes, None).await.unwrap();
}

fn sets(range: std::ops::Range<usize>) -> Vec<Labels> {
    range.map(set).collect()
}

async fn empty() -> Catalog {
    let (objects, _) = memory();
    open(Arc::<InMemory>::clone(&objects), noon()).await
}

async fn select(
    catalog: &Catalog,
    matchers: &[Matcher],
    days: std::ops::RangeInclusive<i32>,
) -> Vec<SeriesEntry> {
    let snapshot = Snapshot::read_only(catalog).await.unwrap();
    let (start_ms, end_ms) = (i64::from(*days.start()) * DAY_MS, (i64::from(*days.end()) + 1) * DAY_MS - 1);
    snapshot.select_series(matchers, start_ms, end_ms).await.unwrap()
}

fn labels(entries: &[SeriesEntry]) -> Vec<Labels> {
    entries.iter().map(|entry| Labels::clone(&entry.labels)).collect()
}

fn in_order(mut sets: Vec<Labels>) -> Vec<Labels> {
    sets.sort_by_key(|set| (set.name().to_owned(), set.hash64().cast_signed()));
    sets
}

fn regex(name: &str, pattern: &str) -> Matcher {
    Matcher::new(name, MatchOp::Regex, pattern).unwrap()
}

#[tokio::test]
async fn days_are_found_alone_and_together_with_their_bounds() {
    let catalog = empty().await;
    commit(&catalog, DAY - 2, &sets(0..100), vec![]).await;
    commit(&catalog, DAY - 1, &sets(50..150), vec![]).await;
    commit(&catalog, DAY, &sets(140..160), vec![]).await;
    let m3 = [Matcher::equal("__name__", "metric_3")];
    let expect = |range: std::ops::Range<usize>| in_order(range.filter(|i| i % 7 == 3).map(set).collect());
    assert_eq!(labels(&select(&catalog, &m3, DAY - 1..=DAY - 1).await), expect(50..150));
    let found = select(&catalog, &m3, DAY - 2..=DAY).await;
    assert_eq!(labels(&found), expect(0..160));
    for entry in &found {
        let i: usize = entry.labels.get("path").unwrap()[4..].parse().unwrap();
        let first = if i < 100 {
            DAY - 2
        } else if i < 150 {
            DAY - 1
        } else {
            DAY
        };
        let last = if i >= 140 {
            DAY
        } else if i >= 50 {
            DAY - 1
        } else {
            DAY - 2
        };
        let bounds = (i64::from(first) * DAY_US, (i64::from(last) + 1) * DAY_US - 1);
        assert_eq!((entry.first_ts_us, entry.last_ts_us), bounds, "series {i}");
    }
    // What was decoded for one day was not decoded again for another.
    let index = catalog.file_index(Table::Series);
    assert_eq!(index.counters().decoded_series.load(std::sync::atomic::Ordering::Relaxed), 160);
    assert_eq!((index.loaded().day_count(), index.loaded().series_count()), (3, 160));
    assert!(select(&catalog, &m3, DAY - 9..=DAY - 3).await.is_empty());
}

#[tokio::test]
async fn a_day_that_grows_is_extended_and_one_compacted_is_read_anew() {
    let catalog = empty().await;
    let decoded = || {
        let counters = catalog.file_index(Table::Series).counters();
        let load = |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
        (load(&counters.loads), load(&counters.decoded_series))
    };
    commit(&catalog, DAY, &sets(0..300), vec![]).await;
    let old = Snapshot::read_only(&catalog).await.unwrap();
    assert_eq!(select(&catalog, &[], DAY..=DAY).await.len(), 300);
    for step in 0..20 {
        commit(&catalog, DAY, &sets(295 + step * 10..310 + step * 10), vec![]).await;
        assert_eq!(select(&catalog, &[], DAY..=DAY).await.len(), 310 + step * 10);
    }
    assert_eq!(decoded(), (21, 500));
    assert_eq!(labels(&select(&catalog, &[], DAY..=DAY).await), in_order(sets(0..500)));
    assert!(catalog.file_index(Table::Series).loaded().segments.len() <= 4);
    // An older snapshot is served from the larger index.
    let (start_ms, end_ms) = (i64::from(DAY) * DAY_MS, i64::from(DAY) * DAY_MS);
    assert!(old.select_series(&[], start_ms, end_ms).await.unwrap().len() >= 300);
    assert_eq!(decoded().0, 21);

    let files = catalog.files().table(Table::Series).to_vec();
    commit(&catalog, DAY, &sets(0..400), files).await;
    assert_eq!(
        labels(&select(&catalog, &[], DAY..=DAY).await),
        in_order(sets(0..400)),
        "removed rows are gone"
    );
    assert_eq!(decoded(), (22, 500), "nothing had to be decoded again");
}

#[tokio::test]
async fn days_used_longest_ago_go_when_memory_is_short_and_come_back() {
    let catalog = empty().await;
    for day in 0..6 {
        // Every day has its own series, as with containers that come and go.
        commit(&catalog, DAY - day, &sets(day as usize * 1_000..(day as usize + 1) * 1_000), vec![]).await;
    }
    let index = catalog.file_index(Table::Series);
    select(&catalog, &[], DAY..=DAY).await;
    let a_day = index.loaded().heap_bytes() as u64;
    index.set_bytes_max(a_day * 5 / 2);
    for _ in 0..2 {
        for day in 0..6 {
            let found = select(&catalog, &[regex("path", ".*7")], DAY - day..=DAY - day).await;
            assert_eq!(found.len(), 100, "day {day}");
            assert!(index.loaded().heap_bytes() as u64 <= a_day * 7 / 2);
            assert!((1..=3).contains(&index.loaded().day_count()));
        }
    }
    assert!(index.counters().evictions.load(std::sync::atomic::Ordering::Relaxed) >= 8);
    // A query that needs more than fits is answered all the same.
    assert_eq!(select(&catalog, &[], DAY - 5..=DAY).await.len(), 6_000);
}

/// Random files on random days, asked for in random ranges, against sets kept beside.
#[tokio::test]
async fn random_histories_are_indexed_right() {
    for seed in 0..crate::testing::seeds(6) {
        let dice = Dice::new(seed + 1);
        let catalog = empty().await;
        catalog.file_index(Table::Series).set_bytes_max([20_000, 60_000, 1 << 30][seed as usize % 3]);
        let mut days: std::collections::BTreeMap<i32, std::collections::BTreeSet<usize>> = Default::default();
        for _ in 0..30 {
            let day = DAY - dice.below(8) as i32;
            let start = dice.below(400) as usize;
            let end = start + 1 + dice.below(150) as usize;
            let removes =
                if dice.one_in(5) { catalog.files().day(Table::Series, day).to_vec() } else { vec![] };
            if !removes.is_empty() {
                days.remove(&day);
            }
            commit(&catalog, day, &sets(start..end), removes).await;
            days.entry(day).or_default().extend(start..end);
            let from = DAY - dice.below(8) as i32;
            let to = from + dice.below(4) as i32;
            let matchers = match dice.below(3) {
                0 => vec![],
                1 => vec![regex("path", ".*3"), Matcher::equal("__name__", "metric_1")],
                _ => vec![Matcher::new("quantile", MatchOp::NotEqual, "0.1").unwrap()],
            };
            let members = days.range(from..=to).flat_map(|(_, members)| members.iter().copied());
            let members: std::collections::BTreeSet<usize> = members.collect();
            let mut expect: Vec<Labels> = members.into_iter().map(set).collect();
            expect.retain(|labels| crate::index::select::matches_all(&matchers, labels));
            let found = labels(&select(&catalog, &matchers, from..=to).await);
            assert_eq!(found, in_order(expect), "seed {seed}");
        }
    }
}
