use model::{Exemplar, HistogramPoint, Labels, ManualClock, Point, StartTime};
use object_store::memory::InMemory;
use object_store::path::Path;
use process::limits::Reason;
use store::Config;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

fn batch(source: &str, range: std::ops::Range<usize>) -> Batch {
    let point = |i: usize| Point {
        labels: Labels::from_pairs([("__name__", source), ("i", &i.to_string())]),
        timestamp_ms: NOW_MS,
        value: 1.0,
    };
    Batch { points: range.map(point).collect(), ..Batch::new(source) }
}

#[tokio::test]
async fn a_source_with_too_many_series_is_told_so_and_keeps_those_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_ms(NOW_MS));
    let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
    let objects = Arc::new(InMemory::new());
    let store = Store::open(config, objects, Path::from("team"), Arc::clone(&clock)).await.unwrap();
    let store = Arc::new(store);
    let limits = Limits { series_per_source: 100, ..Limits::default() };
    let ingest = Ingest::new(Arc::clone(&store), limits, clock);

    let Receipt::Stored { points, rejections, .. } = ingest.append(batch("bad", 0..1_000)).await.unwrap()
    else {
        panic!("stored");
    };
    assert_eq!((points, rejections.count(Reason::SeriesPerSource)), (100, 900));
    assert_eq!(rejections.to_string(), "series_per_source: 900 rows");
    let Receipt::Stored { points, rejections, .. } = ingest.append(batch("good", 0..100)).await.unwrap()
    else {
        panic!("stored");
    };
    assert_eq!((points, rejections.is_empty()), (100, true));
    assert_eq!(ingest.counters().snapshot(NOW_MS).rejected_total, 900);
    let sources: Vec<_> =
        ingest.sources().into_iter().map(|s| (s.source, s.active, s.refused_total)).collect();
    assert_eq!(sources, [("bad".to_owned(), 100, 900), ("good".to_owned(), 100, 0)]);
    assert_eq!(store.snapshot().select_series(&[], NOW_MS, NOW_MS).await.unwrap().len(), 200);
    store.close().await.unwrap();
}

#[tokio::test]
async fn histograms_and_exemplars_count_as_their_series_do() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_ms(NOW_MS));
    let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
    let store = Store::open(config, Arc::new(InMemory::new()), Path::from("team"), Arc::clone(&clock)).await;
    let store = Arc::new(store.unwrap());
    let ingest = Ingest::new(Arc::clone(&store), Limits { series_per_source: 3, ..Limits::default() }, clock);
    let mut batch = batch("s", 0..5);
    let labels = |i: usize| Labels::from_pairs([("__name__", "s"), ("i", &i.to_string())]);
    for i in [1, 4, 2] {
        let (labels, timestamp_ms) = (labels(i), NOW_MS);
        let start_ms = NOW_MS - 9;
        batch.starts.push(StartTime { labels: labels.clone(), timestamp_ms, start_ms });
        let exemplar_labels = Labels::from_pairs([("trace_id", "x")]);
        batch.exemplars.push(Exemplar { labels: labels.clone(), exemplar_labels, timestamp_ms, value: 1.0 });
        let histogram = Arc::default();
        batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms, histogram });
    }
    let Receipt::Stored { points, histograms, exemplars, rejections, .. } =
        ingest.append(batch).await.unwrap()
    else {
        panic!("stored");
    };
    assert_eq!((points, histograms, exemplars), (3, 2, 2));
    assert_eq!(rejections.count(Reason::SeriesPerSource), 4);
    let head = store.stats().head;
    assert_eq!((head.points, head.histograms, head.exemplars), (3, 2, 2));
    assert_eq!(head.start_times, 2, "none of a sample that was refused");
    let counters = ingest.counters().snapshot(NOW_MS);
    assert_eq!((counters.histograms_total, counters.exemplars_total), (2, 2));
    store.close().await.unwrap();
}
