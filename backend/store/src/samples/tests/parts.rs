//! Reading through the cache of decoded samples: the same answers, and nothing read twice.

use object_store::ObjectStoreExt;

use super::super::part_cache::{GroupKey, PartCache};
use super::*;
use crate::catalog::Catalog;
use crate::compact::{CompactionScope, ProgressFn};
use crate::memory::Ledger;
use crate::objects::DurableFolder;

/// A store without rows in memory beside those not flushed, whose cache has this limit.
async fn store_of(dir: &tempfile::TempDir, part_cache_bytes_max: u64) -> Store {
    let objects = DurableFolder::open(dir.path().join("objects")).unwrap();
    let config = Config {
        data_dir: dir.path().to_owned(),
        // One time through the object store, another straight from the folder.
        folder: (!part_cache_bytes_max.is_multiple_of(3)).then(|| objects.clone()),
        group_wait: Duration::ZERO,
        flush_interval: Duration::from_secs(1 << 30),
        hot_window: Duration::ZERO,
        part_cache_bytes_max,
        ..Config::default()
    };
    Store::open(config, Arc::new(objects), Path::from("t"), noon()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_the_same_whatever_is_kept_and_merged() {
    for seed in 0..seeds(12) {
        let dice = Dice::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let limit = [0, 1, 600, 5_000, 40_000, 32 << 20][dice.below(6) as usize];
        let store = store_of(&dir, limit).await;
        let mut model = Model::new();
        let noon_ms = i64::from(DAY) * DAY_MS + DAY_MS / 2;
        for _ in 0..3 + dice.below(4) {
            let mut used = std::collections::BTreeSet::new();
            let mut batch = Batch::new("test");
            for _ in 0..dice.below(300) {
                let metric = ["a", "b", "c"][dice.below(3) as usize];
                let labels = labels(metric, dice.below(5));
                let timestamp_ms = noon_ms + DAY_MS / 2 - 500 + dice.below(1_000) as i64;
                if !used.insert((labels.hash64(), timestamp_ms)) {
                    continue;
                }
                let value = if dice.one_in(10) { stale_nan() } else { dice.below(100) as f64 };
                let key = (metric.to_owned(), labels.hash64().cast_signed());
                let samples = model.entry(key).or_default();
                samples.entry(timestamp_ms).and_modify(|known| *known = wins(*known, value)).or_insert(value);
                batch.points.push(Point { labels, timestamp_ms, value });
            }
            store.append(batch).await.unwrap();
            store.flush().await.unwrap();
            if dice.one_in(3) {
                let scope = CompactionScope { all: true, ..CompactionScope::default() };
                store.compact(&scope, &ProgressFn::default()).await.unwrap();
            }
            if dice.one_in(4) {
                store.inner().give_up_memory(dice.below(5_000));
            }
            let snapshot = store.snapshot();
            // Several readers at once, each with questions of its own.
            let mut readers = tokio::task::JoinSet::new();
            for reader in 0..3 {
                let (snapshot, model) = (Arc::clone(&snapshot), model.clone());
                let dice = Dice::new(seed * 1_000 + reader * 10 + dice.below(10));
                let mut questions = Vec::new();
                for _ in 0..4 {
                    let mut series: Vec<SeriesEntry> = Vec::new();
                    for metric in ["c", "a", "b", "d"] {
                        series.extend((0..5).filter(|_| dice.one_in(2)).map(|i| entry(&labels(metric, i))));
                    }
                    let start_ms = noon_ms + DAY_MS / 2 - 600 + dice.below(1_100) as i64;
                    questions.push((series, start_ms, start_ms + dice.below(700) as i64 - 50));
                }
                readers.spawn(async move {
                    for (series, start_ms, end_ms) in questions {
                        let options = SampleOptions::default();
                        let read = snapshot.read_samples(&series, start_ms, end_ms, &options).await.unwrap();
                        assert_eq!(bits(&read), expected(&model, &series, start_ms, end_ms), "seed {seed}");
                    }
                });
            }
            while let Some(done) = readers.join_next().await {
                done.unwrap();
            }
            let stats = store.stats().parts;
            assert!(stats.bytes <= stats.limit_bytes && stats.limit_bytes <= limit, "{stats:?}");
        }
        store.close().await.unwrap();
    }
}

/// Samples of ten series, a second apart, in one file.
fn ten_series(first_ms: i64) -> Batch {
    let mut batch = Batch::new("test");
    for i in 0..10 {
        let points = (0..50).map(|at| Point {
            labels: labels("a", i),
            timestamp_ms: first_ms + at * 1_000,
            value: at as f64,
        });
        batch.points.extend(points);
    }
    batch
}

#[tokio::test]
async fn files_read_before_are_not_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(&dir, 1 << 20).await;
    let start = i64::from(DAY) * DAY_MS + DAY_MS / 4;
    for file in 0..3 {
        store.append(ten_series(start + file * 60_000)).await.unwrap();
        store.flush().await.unwrap();
    }
    let read = async |wanted: std::ops::Range<u64>, from: i64, to: i64| {
        let series: Vec<_> = wanted.map(|i| entry(&labels("a", i))).collect();
        let options = SampleOptions::default();
        store.snapshot().read_samples(&series, start + from, start + to, &options).await.unwrap()
    };
    let first = read(3..5, 0, 80_000).await;
    assert_eq!((first.stats.files, first.stats.samples, first.stats.parts_cached), (2, 142, 0));
    assert!(first.stats.bytes > 0);
    let again = read(3..5, 0, 80_000).await;
    assert_eq!(again.series, first.series);
    let none = SampleStats { samples: 142, parts_cached: 4, files_pruned: 1, ..SampleStats::default() };
    assert_eq!(SampleStats { row_groups_pruned: 0, ..again.stats }, none);
    // Another time in the same files, and one file more.
    let later = read(3..5, 30_000, 200_000).await;
    assert_eq!((later.stats.files, later.stats.row_groups, later.stats.parts_cached), (1, 1, 4));
    assert_eq!(later.stats.samples, 2 * (20 + 50 + 50));
    // A series more: the files are opened for it.
    let more = read(3..6, 0, 80_000).await;
    assert_eq!((more.stats.files, more.stats.parts_cached, more.stats.samples), (2, 0, 3 * 71));
    // A series that is nowhere is known not to be there.
    let absent = read(77..78, 0, 200_000).await;
    assert_eq!(absent.stats.samples, 0);
    assert_eq!(read(77..78, 0, 200_000).await.stats.bytes, 0);
    let stats = store.stats().parts;
    assert!(stats.hits_total >= 8 && stats.misses_total >= 4 && stats.parts >= 8, "{stats:?}");
    // It is in the account, and given up.
    let with = store.inner().accounted_bytes();
    store.inner().give_up_memory(stats.bytes);
    assert_eq!((store.stats().parts.bytes, store.inner().accounted_bytes()), (0, with - stats.bytes));
    assert!(read(3..5, 0, 80_000).await.stats.bytes > 0);
    let limited = SampleOptions { budget: Arc::new(SampleBudget::new(49)), ..SampleOptions::default() };
    let series = [entry(&labels("a", 3))];
    let too_many = store.snapshot().read_samples(&series, start, start + 80_000, &limited).await;
    assert!(matches!(too_many, Err(Error::TooManySamples { limit: 49 })), "what is kept counts as well");
    store.close().await.unwrap();
}

/// A catalog of one file with 300 series and a cache, and the millisecond its samples begin.
async fn kept_file(objects: &Arc<InMemory>) -> (Catalog, i64) {
    let parts = Arc::new(PartCache::new(1 << 20, Ledger::new(1 << 30)));
    let catalog = open(Arc::<InMemory>::clone(objects), noon()).await.with_parts(parts);
    let start = i64::from(DAY) * DAY_MS;
    let series: Vec<_> = (0..300).map(|i| (["a", "b", "c"][i / 100], id(i), start, 1_000)).collect();
    let file = catalog
        .write_file(Table::Metrics, DAY, vec![rows(&series)], WriteProfile::Flush, FileTags::default())
        .await
        .unwrap();
    catalog.commit(Table::Metrics, vec![file], Vec::new(), None).await.unwrap();
    (catalog, start)
}

#[tokio::test]
async fn questions_for_many_series_keep_nothing() {
    let (catalog, start) = kept_file(&memory().0).await;
    let snapshot = Snapshot::read_only(&catalog).await.unwrap();
    let held = || catalog.parts().unwrap().stats();
    let read = async |ids: std::ops::Range<usize>| {
        let series: Vec<_> = ids.map(|i| named(["a", "b", "c"][i / 100], id(i))).collect();
        snapshot.read_samples(&series, start, start + DAY_MS, &SampleOptions::default()).await.unwrap()
    };
    let all = read(0..300).await;
    assert_eq!((all.stats.samples, held().parts), (300_000, 0));
    // Few, but more samples than one row group may bring.
    assert_eq!(read(0..60).await.series, all.series[..60]);
    assert_eq!(held().parts, 0);
    assert_eq!(read(95..105).await.series, all.series[95..105]);
    assert_eq!(held().parts, 10);
    assert_eq!(read(95..105).await.stats.parts_cached, 10);
}

#[tokio::test]
async fn a_damaged_file_is_named_and_not_kept() {
    let objects = memory().0;
    let (catalog, start) = kept_file(&objects).await;
    let snapshot = Snapshot::read_only(&catalog).await.unwrap();
    let series = [named("b", id(150))];
    let options = SampleOptions::default();
    // The footer stays whole; every page is damaged.
    let key = snapshot.files(Table::Metrics)[0].key.clone();
    let whole = objects.get(&key).await.unwrap().bytes().await.unwrap();
    let footer = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    let mut damaged = whole.to_vec();
    snapshot.read_samples(&[named("z", 1)], start, start + DAY_MS, &options).await.unwrap();
    let pages = damaged.len() - footer - 8;
    damaged[4..pages / 2].fill(0xee);
    objects.put(&key, damaged.into()).await.unwrap();
    let first = [named("a", id(3))];
    let failed = snapshot.read_samples(&first, start, start + DAY_MS, &options).await.unwrap_err();
    assert!(failed.to_string().contains(key.as_ref()), "{failed}");
    assert_eq!(catalog.parts().unwrap().stats().parts, 0);
    objects.put(&key, whole.into()).await.unwrap();
    let read = snapshot.read_samples(&series, start, start + DAY_MS, &options).await.unwrap();
    assert_eq!(read.stats.samples, 1_000);
}

/// Whatever bits are flipped in its pages, reading a file ends with an error that names it or with samples, and with
/// no more than there were.
#[tokio::test]
async fn flipped_bits_never_bring_a_reader_down() {
    let objects = memory().0;
    let (catalog, start) = kept_file(&objects).await;
    let snapshot = Snapshot::read_only(&catalog).await.unwrap();
    let key = snapshot.files(Table::Metrics)[0].key.clone();
    let whole = objects.get(&key).await.unwrap().bytes().await.unwrap();
    let footer = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    // The footer is read once and stays whole, the indexes before it are read with it.
    let series: Arc<[SeriesEntry]> = (0..300).map(|i| named(["a", "b", "c"][i / 100], id(i))).collect();
    let options = SampleOptions::default();
    let plan = async || snapshot.plan_samples(Arc::clone(&series), start, start + DAY_MS, &options).await;
    assert_eq!(plan().await.unwrap().read().await.unwrap().stats.samples, 300_000);
    let mut failures = 0;
    for seed in 0..seeds(100) {
        let dice = Dice::new(seed);
        let mut damaged = whole.to_vec();
        let pages = (damaged.len() - footer - 8) as u64;
        for _ in 0..1 + dice.below(8) {
            // Half of them where a column begins: headers and dictionaries.
            let at = if dice.one_in(2) { dice.below(pages.min(400)) } else { dice.below(pages) };
            damaged[at as usize] ^= 1 << dice.below(8);
        }
        objects.put(&key, damaged.into()).await.unwrap();
        let read = plan().await.unwrap().read().await.map(|read| read.stats.samples);
        let mut sliced = Ok(0);
        let mut stream = plan().await.unwrap().stream(20_000, usize::MAX);
        while let Ok(samples) = &mut sliced {
            match stream.next().await {
                Ok(Some(slice)) => *samples += slice.series.iter().map(|s| s.values.len()).sum::<usize>(),
                Ok(None) => break,
                Err(error) => sliced = Err(error),
            }
        }
        for read in [read, sliced] {
            match read {
                Ok(samples) => assert!(samples <= 300_000, "seed {seed}: {samples}"),
                Err(error) => {
                    failures += 1;
                    assert!(error.to_string().contains(key.as_ref()), "seed {seed}: {error}");
                }
            }
        }
    }
    assert!(failures > 0, "no seed did any harm");
}

#[test]
fn only_names_with_a_uuid_are_kept_under() {
    let named = |name: &str| GroupKey::of(&Path::from(format!("t/metrics/day=2026-11-22/{name}.parquet")), 1);
    assert!(named("part-0").is_none());
    let uuid = "0199f000-0000-7000-8000-000000000001";
    assert!(named(uuid).is_some_and(|group| Some(group) == named(uuid)));
}
