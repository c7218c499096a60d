use std::sync::Arc;
use std::time::Duration;

use model::{Batch, Clock, Labels, LogEntry, LogStream, ManualClock, MatchOp, Matcher, Point};
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::head::metrics::DAY_MS;
use crate::index::cardinality::Count;
use crate::testing::{DAY, noon};
use crate::{Config, Store};

const NOON_MS: i64 = DAY as i64 * DAY_MS + 43_200_000;

struct Rig {
    _dir: tempfile::TempDir,
    config: Config,
    objects: Arc<InMemory>,
    clock: Arc<ManualClock>,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().join("data"),
            group_wait: Duration::ZERO,
            flush_interval: Duration::from_secs(1 << 30),
            ..Config::default()
        };
        Rig { _dir: dir, config, objects: Arc::new(InMemory::new()), clock: noon() }
    }

    async fn open(&self) -> Store {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let objects = Arc::<InMemory>::clone(&self.objects);
        Store::open(self.config.clone(), objects, Path::from("team/atl"), clock).await.unwrap()
    }
}

fn labels(name: &str, i: usize) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", ["node", "db"][i % 2]), ("i", &i.to_string())])
}

fn batch(name: &str, range: std::ops::Range<usize>, timestamp_ms: i64) -> Batch {
    let point = |i| Point { labels: labels(name, i), timestamp_ms, value: i as f64 };
    Batch { points: range.map(point).collect(), ..Batch::new("test") }
}

async fn found(store: &Store, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Vec<String> {
    let entries = store.snapshot().select_series(matchers, start_ms, end_ms).await.unwrap();
    assert!(entries.is_sorted_by_key(|entry| (entry.labels.name().to_owned(), entry.tsid)));
    let mut names: Vec<String> = entries.iter().map(|entry| entry.labels.to_string()).collect();
    names.sort();
    names
}

fn names(sets: impl IntoIterator<Item = Labels>) -> Vec<String> {
    let mut names: Vec<String> = sets.into_iter().map(|labels| labels.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn head_and_files_are_one() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(batch("cpu", 0..20, NOON_MS)).await.unwrap();
    store.append(batch("cpu", 0..5, NOON_MS - 3 * DAY_MS)).await.unwrap();
    let db = [Matcher::equal("job", "db"), Matcher::new("__name__", MatchOp::Regex, "c.*").unwrap()];
    let odd = |range: std::ops::Range<usize>| names(range.filter(|i| i % 2 == 1).map(|i| labels("cpu", i)));
    assert_eq!(found(&store, &db, NOON_MS, NOON_MS).await, odd(0..20));
    store.flush().await.unwrap();
    assert_eq!(found(&store, &db, NOON_MS, NOON_MS).await, odd(0..20), "from files");
    store.append(batch("cpu", 15..30, NOON_MS + 1)).await.unwrap();
    assert_eq!(found(&store, &db, NOON_MS, NOON_MS).await, odd(0..30), "from both");
    // Other days have other series.
    assert_eq!(found(&store, &db, NOON_MS - 3 * DAY_MS, NOON_MS - 2 * DAY_MS).await, odd(0..5));
    assert!(found(&store, &db, NOON_MS - 2 * DAY_MS, NOON_MS - DAY_MS).await.is_empty());
    assert_eq!(found(&store, &db, i64::MIN, i64::MAX).await, odd(0..30));
    assert!(found(&store, &db, NOON_MS + DAY_MS, NOON_MS - DAY_MS).await.is_empty(), "ends before it begins");

    let snapshot = store.snapshot();
    let sets = [vec![Matcher::equal("i", "1")], vec![Matcher::equal("i", "22")]];
    let texts = snapshot.label_values("job", &sets, NOON_MS, NOON_MS, None).await.unwrap();
    assert_eq!((texts.texts, texts.truncated), (vec!["db".to_owned(), "node".to_owned()], false));
    let texts = snapshot.label_values("i", &[], NOON_MS, NOON_MS, Some(2)).await.unwrap();
    assert_eq!((texts.texts, texts.truncated), (vec!["0".to_owned(), "1".to_owned()], true));
    let texts = snapshot.label_names(&sets, NOON_MS, NOON_MS, None).await.unwrap();
    assert_eq!(texts.texts, ["__name__", "i", "job"]);
    let counts = snapshot.cardinality(NOON_MS, NOON_MS, 2).await.unwrap();
    assert_eq!((counts.series, counts.label_names, counts.label_pairs), (30, 3, 33));
    let count = |name: &str, count| Count { name: name.to_owned(), count };
    assert_eq!(counts.series_by_key, [count("cpu", 30)]);
    assert_eq!(counts.values_by_label, [count("i", 30), count("job", 2)]);
    assert_eq!(counts.bytes_by_label, [count("__name__", 90), count("job", 90)]);
    assert_eq!(counts.series_by_pair, [count("__name__=cpu", 30), count("job=db", 15)]);

    let stats = store.stats().index;
    assert!(stats.live_series >= 30 && stats.live_bytes > 0 && stats.file_bytes > 0, "{stats:?}");
    assert_eq!((stats.file_days, stats.file_series), (2, 20));
    store.close().await.unwrap();
}

#[tokio::test]
async fn log_streams_have_an_index_of_their_own() {
    let rig = Rig::new();
    let store = rig.open().await;
    let stream = |service: &str, timestamp_ms: i64| LogStream {
        labels: Labels::from_pairs([("service", service), ("host", "h1")]),
        entries: vec![LogEntry {
            timestamp_ns: timestamp_ms * 1_000_000,
            body: "x".into(),
            ..LogEntry::default()
        }],
    };
    let logs = |streams| Batch { log_streams: streams, ..Batch::new("test") };
    store.append(logs(vec![stream("web", NOON_MS), stream("db", NOON_MS)])).await.unwrap();
    store.flush().await.unwrap();
    store.append(logs(vec![stream("mail", NOON_MS), stream("web", NOON_MS)])).await.unwrap();
    let snapshot = store.snapshot();
    let matchers = [Matcher::new("service", MatchOp::NotEqual, "db").unwrap(), Matcher::equal("host", "h1")];
    let streams = snapshot.select_streams(&matchers, NOON_MS, NOON_MS).await.unwrap();
    let services: Vec<_> = streams.iter().filter_map(|entry| entry.labels.get("service")).collect();
    assert_eq!(services, ["mail", "web"]);
    let texts = snapshot.stream_label_values("service", &[], NOON_MS, NOON_MS, None).await.unwrap();
    assert_eq!(texts.texts, ["db", "mail", "web"]);
    assert_eq!(
        snapshot.stream_label_names(&[], NOON_MS, NOON_MS, None).await.unwrap().texts,
        ["host", "service"]
    );
    assert_eq!(snapshot.stream_cardinality(NOON_MS, NOON_MS, 5).await.unwrap().series, 3);
    assert!(snapshot.select_series(&[], NOON_MS, NOON_MS).await.unwrap().is_empty());
    store.close().await.unwrap();
}

/// The registry forgets what a generation did not use; snapshots taken before, during and after find all
/// they hold.
#[tokio::test]
async fn no_snapshot_loses_series_when_the_registry_forgets() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(batch("old", 0..4_000, NOON_MS)).await.unwrap();
    let before = store.snapshot();
    store.flush().await.unwrap();
    store.append(batch("new", 0..10, NOON_MS)).await.unwrap();
    let between = store.snapshot();
    store.flush().await.unwrap();
    assert!(store.stats().head.label_sets < 4_000, "the registry forgot");
    store.append(batch("newest", 0..10, NOON_MS)).await.unwrap();
    let old = [Matcher::equal("__name__", "old")];
    for snapshot in [&before, &between, &store.snapshot()] {
        assert_eq!(snapshot.select_series(&old, NOON_MS, NOON_MS).await.unwrap().len(), 4_000);
    }
    for (snapshot, count) in [(&between, 10), (&store.snapshot(), 20)] {
        let new = [Matcher::new("__name__", MatchOp::Regex, "new.*").unwrap()];
        assert_eq!(snapshot.select_series(&new, NOON_MS, NOON_MS).await.unwrap().len(), count);
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_start_from_the_log_finds_what_is_not_in_files() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(batch("cpu", 0..3_000, NOON_MS)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch("memory", 0..3_000, NOON_MS)).await.unwrap();
    drop(store);
    let store = loop {
        // The lock of the store that was dropped goes a moment later.
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&rig.clock);
        let objects = Arc::<InMemory>::clone(&rig.objects);
        match Store::open(rig.config.clone(), objects, Path::from("team/atl"), clock).await {
            Ok(store) => break store,
            Err(crate::Error::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(found(&store, &[], NOON_MS, NOON_MS).await.len(), 6_000);
    assert_eq!(store.stats().index.live_series, 3_000);
    store.close().await.unwrap();
}

/// While batches come in and flushes run, every series is in each snapshot taken after its append.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_series_is_found_from_its_append_on() {
    let rig = Rig::new();
    let store = Arc::new(rig.open().await);
    let stored = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    const BATCHES: usize = 60;
    let writer = {
        let (store, stored) = (Arc::clone(&store), Arc::clone(&stored));
        tokio::spawn(async move {
            for i in 0..BATCHES {
                store.append(batch("cpu", i * 50..(i + 1) * 50, NOON_MS + i as i64)).await.unwrap();
                stored.store(i + 1, std::sync::atomic::Ordering::Release);
                if i % 9 == 8 {
                    store.flush().await.unwrap();
                }
            }
        })
    };
    let readers = (0..2).map(|reader| {
        let (store, stored) = (Arc::clone(&store), Arc::clone(&stored));
        tokio::spawn(async move {
            let matchers = [Matcher::equal("job", ["node", "db"][reader])];
            loop {
                let before = stored.load(std::sync::atomic::Ordering::Acquire);
                let entries = store.snapshot().select_series(&matchers, NOON_MS, NOON_MS).await.unwrap();
                assert!(entries.len() >= before * 25, "{} of {}", entries.len(), before * 25);
                assert!(entries.iter().all(|entry| entry.labels.get("job") == Some(matchers[0].value())));
                if before == BATCHES {
                    assert_eq!(entries.len(), BATCHES * 25);
                    return;
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    writer.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    store.close().await.unwrap();
}
