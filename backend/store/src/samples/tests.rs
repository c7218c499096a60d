//! Reading samples: against a plain model, from head and files, page by page, and under limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use model::{Batch, Labels, Point, stale_nan};
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::duplicates::wins;
use crate::parquet_file::{FileTags, WriteProfile};
use crate::tables::Table;
use crate::testing::{DAY, Dice, memory, noon, open, seeds};
use crate::{Config, Store};

mod parts;

const DAY_MS: i64 = 86_400_000;

async fn store(dir: &tempfile::TempDir) -> Store {
    let config = Config {
        data_dir: dir.path().to_owned(),
        group_wait: Duration::ZERO,
        flush_interval: Duration::from_secs(1 << 30),
        ..Config::default()
    };
    Store::open(config, Arc::new(InMemory::new()), Path::from("t"), noon()).await.unwrap()
}

fn labels(metric: &str, i: u64) -> Labels {
    Labels::from_pairs([("__name__", metric), ("i", &i.to_string())])
}

fn entry(labels: &Labels) -> SeriesEntry {
    let tsid = labels.hash64().cast_signed();
    SeriesEntry { tsid, labels: labels.clone(), first_ts_us: 0, last_ts_us: 0 }
}

type Model = BTreeMap<(String, i64), BTreeMap<i64, f64>>;

fn expected(
    model: &Model,
    series: &[SeriesEntry],
    start_ms: i64,
    end_ms: i64,
) -> Vec<(i64, Vec<(i64, u64)>)> {
    let samples = |entry: &SeriesEntry| match model.get(&(entry.labels.name().to_owned(), entry.tsid)) {
        Some(samples) if start_ms <= end_ms => {
            samples.range(start_ms..=end_ms).map(|(ts, value)| (*ts, value.to_bits())).collect()
        }
        _ => Vec::new(),
    };
    series.iter().map(|entry| (entry.tsid, samples(entry))).collect()
}

fn bits(read: &SamplesRead) -> Vec<(i64, Vec<(i64, u64)>)> {
    let samples = |series: &SeriesSamples| {
        assert_eq!(series.timestamps.len(), series.values.len());
        series.timestamps.iter().copied().zip(series.values.iter().map(|value| value.to_bits())).collect()
    };
    read.series.iter().map(|series| (series.tsid, samples(series))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_read_whatever_lies_in_files_or_in_the_head() {
    for seed in 0..seeds(12) {
        let dice = Dice::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let mut model = Model::new();
        let noon_ms = i64::from(DAY) * DAY_MS + DAY_MS / 2;
        // Between two flushes every time comes once; after a flush times repeat and fall back.
        let mut used = std::collections::BTreeSet::new();
        for _ in 0..1 + dice.below(4) {
            let mut batch = Batch::new("test");
            for _ in 0..dice.below(400) {
                let metric = ["a", "b", "c"][dice.below(3) as usize];
                let labels = labels(metric, dice.below(5));
                // Around midnight, so that there are two days.
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
            if dice.one_in(2) {
                store.flush().await.unwrap();
                used.clear();
            }
        }
        let snapshot = store.snapshot();
        for _ in 0..6 {
            let mut series: Vec<SeriesEntry> = Vec::new();
            for metric in ["a", "b", "c", "d"] {
                series.extend((0..5).filter(|_| dice.one_in(2)).map(|i| entry(&labels(metric, i))));
            }
            let middle = noon_ms + DAY_MS / 2;
            let start_ms = middle - 600 + dice.below(1_100) as i64;
            let end_ms = start_ms + dice.below(700) as i64 - 50;
            let read =
                snapshot.read_samples(&series, start_ms, end_ms, &SampleOptions::default()).await.unwrap();
            assert_eq!(bits(&read), expected(&model, &series, start_ms, end_ms), "seed {seed}");
            series.sort_by(|a, b| (a.labels.name(), a.tsid).cmp(&(b.labels.name(), b.tsid)));
            let options = SampleOptions::default();
            let plan = snapshot.plan_samples(series.as_slice().into(), start_ms, end_ms, &options);
            let slice_samples = 1 + dice.below(80) as usize;
            let read = slices(plan.await.unwrap().stream(slice_samples, usize::MAX)).await.0;
            assert_eq!(bits(&read), expected(&model, &series, start_ms, end_ms), "seed {seed}, in slices");
        }
        store.close().await.unwrap();
    }
}

/// All slices of a stream put together, and how many samples each had.
async fn slices(mut stream: SampleStream) -> (SamplesRead, Vec<usize>) {
    let (mut read, mut samples) = (SamplesRead::default(), Vec::new());
    while let Some(slice) = stream.next().await.unwrap() {
        assert_eq!((slice.range.start, slice.range.len()), (read.series.len(), slice.series.len()));
        samples.push(slice.series.iter().map(|series| series.timestamps.len()).sum());
        read.series.extend(slice.series);
    }
    read.stats = stream.stats();
    (read, samples)
}

/// Rows of a file: metric, id, first millisecond, number of samples a second apart.
fn rows(series: &[(&str, i64, i64, usize)]) -> RecordBatch {
    let (mut metrics, mut ids, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (metric, tsid, first, count) in series {
        for i in 0..*count as i64 {
            metrics.push(*metric);
            ids.push(*tsid);
            times.push((first + i * 1_000) * 1_000);
            values.push((*tsid * 1_000_000 + i) as f64);
        }
    }
    let none = vec![None::<&str>; ids.len()];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(metrics)),
        Arc::new(Int64Array::from(ids)),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(Float64Array::from(values)),
        Arc::new(StringArray::from(none.clone())),
        Arc::new(StringArray::from(none)),
    ];
    RecordBatch::try_new(Table::Metrics.file_schema(), columns).unwrap()
}

fn named(metric: &str, tsid: i64) -> SeriesEntry {
    let labels = Labels::from_pairs([("__name__", metric)]);
    SeriesEntry { tsid, labels, first_ts_us: 0, last_ts_us: 0 }
}

/// The id of series `i`; ids tell series apart whatever their metrics.
fn id(i: usize) -> i64 {
    i as i64 * 7 - 1_000
}

/// A snapshot of one file with 300 series of three metrics, 1,000 samples each.
async fn large_file() -> (Snapshot, i64) {
    let (objects, _) = memory();
    let catalog = open(objects, noon()).await;
    let start = i64::from(DAY) * DAY_MS;
    let series: Vec<_> = (0..300).map(|i| (["a", "b", "c"][i / 100], id(i), start, 1_000)).collect();
    let file = catalog
        .write_file(Table::Metrics, DAY, vec![rows(&series)], WriteProfile::Flush, FileTags::default())
        .await
        .unwrap();
    catalog.commit(Table::Metrics, vec![file], Vec::new(), None).await.unwrap();
    (Snapshot::read_only(&catalog).await.unwrap(), start)
}

#[tokio::test]
async fn only_the_pages_that_matter_are_read() {
    let (snapshot, start) = large_file().await;
    let size = snapshot.files(Table::Metrics)[0].size;
    let series = [named("b", id(101)), named("b", id(150)), named("b", id(150) + 1), named("c", id(299))];
    let read = |series: Vec<SeriesEntry>, from: i64, to: i64| {
        let snapshot = snapshot.clone();
        async move {
            let options = SampleOptions::default();
            snapshot.read_samples(&series, start + from, start + to, &options).await.unwrap()
        }
    };
    let found = read(series[..1].to_vec(), 10_000, 19_999).await;
    let times: Vec<i64> = (10..20).map(|i| start + i * 1_000).collect();
    assert_eq!(*found.series[0].timestamps, times);
    assert_eq!(found.series[0].values[0], id(101) as f64 * 1e6 + 10.0);
    assert_eq!((found.stats.row_groups, found.stats.row_groups_pruned), (1, 2));
    assert!(found.stats.bytes < size * 2 / 3, "{:?} of {size}", found.stats);
    let all = read(series.to_vec(), 0, DAY_MS).await;
    let counts: Vec<usize> = all.series.iter().map(|series| series.timestamps.len()).collect();
    assert_eq!(counts, [1_000, 1_000, 0, 1_000]);
    let none = read(vec![named("b", id(150) + 1), named("d", 0)], 0, DAY_MS).await;
    assert_eq!(none.stats.samples, 0);
    let outside = read(series.to_vec(), DAY_MS, 2 * DAY_MS).await;
    assert_eq!((outside.stats.files, outside.stats.files_pruned, outside.stats.bytes), (0, 1, 0));
}

#[tokio::test]
async fn slices_read_everything_once_and_hold_little() {
    let (snapshot, start) = large_file().await;
    let series: Arc<[SeriesEntry]> = (0..300).map(|i| named(["a", "b", "c"][i / 100], id(i))).collect();
    let options = SampleOptions::default();
    let plan = async |to: i64| {
        snapshot.plan_samples(Arc::clone(&series), start, start + to, &options).await.unwrap()
    };
    let whole = plan(DAY_MS).await.read().await.unwrap();
    assert_eq!(plan(DAY_MS).await.samples(), whole.stats.samples);
    let (sliced, samples) = slices(plan(DAY_MS).await.stream(7_000, 7_000)).await;
    assert_eq!(sliced, whole, "the same samples, with as many bytes read");
    assert_eq!(samples, [vec![7_000; 42], vec![6_000]].concat());
    let one_each = slices(plan(DAY_MS).await.stream(1, usize::MAX)).await.1;
    assert_eq!(one_each, vec![1_000; 300]);
    // A tenth of the time: ten times as many series fit into a slice.
    let tenth = slices(plan(99_999).await.stream(7_000, 8_000)).await.1;
    assert!(tenth.len() < 6 && tenth.iter().sum::<usize>() == 30_000, "{tenth:?}");
    let too_few = plan(DAY_MS).await.stream(1, 999).next().await;
    assert!(matches!(too_few, Err(Error::TooManySamples { limit: 999 })));
    let none = plan(-1).await;
    assert_eq!(none.samples(), 0);
    assert_eq!(slices(none.stream(1, 1)).await.0.stats.bytes, 0);
}

#[tokio::test]
async fn record_batches_give_what_columns_give() {
    let (snapshot, start) = large_file().await;
    let series: Vec<SeriesEntry> = (100..200).map(|i| named("b", id(i))).collect();
    let job = Job {
        wanted: Arc::new(Wanted::new(&series)),
        start_ms: start + 5_500,
        end_ms: start + 900_000,
        options: SampleOptions::default(),
    };
    let mut gathered = Gathered::default();
    let file = &snapshot.files(Table::Metrics)[0];
    batches::read_file(&snapshot, file, &job, 0, &mut gathered).await.unwrap();
    let by_batches: Vec<Arc<Vec<i64>>> =
        assembled(&gathered, &series, &job).unwrap().into_iter().map(|series| series.timestamps).collect();
    let by_columns = snapshot.read_samples(&series, job.start_ms, job.end_ms, &job.options).await.unwrap();
    let by_columns: Vec<Arc<Vec<i64>>> =
        by_columns.series.into_iter().map(|series| series.timestamps).collect();
    assert_eq!(by_batches, by_columns);
    assert_eq!(by_columns[0].len(), 895);
}

#[tokio::test]
async fn readings_end_at_their_limit_or_when_they_are_called_off() {
    let (snapshot, start) = large_file().await;
    let series: Vec<SeriesEntry> = (100..110).map(|i| named("b", id(i))).collect();
    let read = |options: SampleOptions| {
        let (snapshot, series) = (snapshot.clone(), series.clone());
        async move { snapshot.read_samples(&series, start, start + DAY_MS, &options).await }
    };
    let limited =
        |limit| SampleOptions { budget: Arc::new(SampleBudget::new(limit)), ..SampleOptions::default() };
    assert_eq!(read(limited(10_000)).await.unwrap().stats.samples, 10_000);
    assert!(matches!(read(limited(9_999)).await, Err(Error::TooManySamples { limit: 9_999 })));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let stopped = Arc::new(move || counted.fetch_add(1, Ordering::Relaxed) > 1);
    assert!(matches!(read(SampleOptions { stopped, ..limited(10_000) }).await, Err(Error::Stopped)));
    assert!(asked.load(Ordering::Relaxed) > 1);
}
