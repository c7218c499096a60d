//! Histograms, start times and exemplars wherever they lie.

use model::{Exemplar, HistogramPoint, Matcher, NativeHistogram, StartTime};

use super::*;
use crate::compact::CompactionScope;
use crate::samples::SampleOptions;
use crate::series_files::SeriesEntry;
use crate::sparse::{ExemplarRow, HistogramRow, SparseRow, StartRow, keep_counting};
use crate::wal::sim::Rng;

const ALL: (i64, i64) = (i64::MIN / 2_000, i64::MAX / 2_000);

fn native(count: f64, sum: f64) -> Arc<NativeHistogram> {
    let buckets = |first: i32| model::Buckets {
        spans: vec![model::BucketSpan { offset: first, length: 2 }],
        counts: vec![count, -0.0],
    };
    let (positive, negative) = (buckets(-3), buckets(7));
    Arc::new(NativeHistogram { schema: 3, count, sum, positive, negative, ..NativeHistogram::default() })
}

/// A batch with some rows of the three kinds, which repeat those of other batches now and then.
fn some_batch(rng: &mut Rng, now_ms: i64) -> Batch {
    let mut batch = Batch::new("test");
    for _ in 0..1 + rng.below(6) {
        let timestamp_ms = now_ms - rng.below(40) as i64 * 1_000;
        // A series of histograms only, and one that has both.
        let labels = series(["latency", "mixed"][rng.below(2) as usize], rng.below(3));
        let sum = if rng.one_in(5) { model::stale_nan() } else { rng.below(3) as f64 };
        let (start_ms, histogram) = (rng.below(2) as i64 * 5, native(rng.below(3) as f64, sum));
        batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms, histogram });
        let labels = series("mixed", rng.below(3));
        batch.points.push(Point { labels: labels.clone(), timestamp_ms, value: rng.below(3) as f64 });
        let start_ms = 1 + rng.below(9) as i64;
        batch.starts.push(StartTime { labels: labels.clone(), timestamp_ms, start_ms });
        let exemplar_labels = Labels::from_pairs([("trace_id", rng.below(2).to_string())]);
        batch.exemplars.push(Exemplar { labels, exemplar_labels, timestamp_ms, value: rng.below(2) as f64 });
    }
    batch
}

/// Rows by series and time as the rule has them.
#[derive(Debug, Default)]
struct Expected {
    histograms: BTreeMap<String, Vec<HistogramRow>>,
    starts: BTreeMap<String, Vec<StartRow>>,
    exemplars: BTreeMap<String, Vec<ExemplarRow>>,
}

impl Expected {
    fn take(&mut self, batch: &Batch) {
        for point in &batch.histograms {
            self.histograms.entry(point.labels.to_string()).or_default().push(point.into());
        }
        for start in &batch.starts {
            self.starts.entry(start.labels.to_string()).or_default().push(start.into());
        }
        for exemplar in &batch.exemplars {
            self.exemplars.entry(exemplar.labels.to_string()).or_default().push(exemplar.into());
        }
    }

    async fn check(&self, snapshot: &Snapshot, what: &str) {
        let options = SampleOptions::default();
        let any = Matcher::new("__name__", model::MatchOp::Regex, "latency|mixed").unwrap();
        let found = snapshot.select_series(&[any], ALL.0, ALL.1).await.unwrap();
        let names: BTreeMap<i64, String> =
            found.iter().map(|entry| (entry.tsid, entry.labels.to_string())).collect();
        let histograms = snapshot.read_histograms(&found, ALL.0, ALL.1, &options).await.unwrap();
        same(&names, histograms, &self.histograms, what);
        let starts = snapshot.read_starts(&found, ALL.0, ALL.1, &options).await.unwrap();
        same(&names, starts, &self.starts, what);
        let exemplars = snapshot.read_exemplars(&found, ALL.0, ALL.1, &options).await.unwrap();
        same(&names, exemplars, &self.exemplars, what);
    }
}

fn same<R: SparseRow>(
    names: &BTreeMap<i64, String>,
    found: std::collections::HashMap<i64, Vec<R>>,
    expected: &BTreeMap<String, Vec<R>>,
    what: &str,
) {
    let found: BTreeMap<&str, String> =
        found.iter().map(|(tsid, rows)| (names[tsid].as_str(), format!("{rows:?}"))).collect();
    let expected: BTreeMap<&str, String> = expected
        .iter()
        .map(|(name, rows)| {
            let mut rows = rows.clone();
            keep_counting(&mut rows);
            (name.as_str(), format!("{rows:?}"))
        })
        .collect();
    assert_eq!(found, expected, "{what}, {}", R::TABLE);
}

fn merge_all() -> CompactionScope {
    CompactionScope { all: true, ..CompactionScope::default() }
}

#[tokio::test]
async fn rows_stay_the_same_wherever_they_lie() {
    for seed in 0..crate::wal::sim::seeds(12).end {
        let mut rng = Rng(seed);
        let mut rig = Rig::new();
        rig.config.hot_window = Duration::from_secs([0, 7_200][rng.below(2) as usize]);
        rig.config.flush_file_rows = [3, 1_000_000][rng.below(2) as usize];
        let mut store = rig.open().await;
        let mut expected = Expected::default();
        for step in 0..25 {
            let what = match rng.below(10) {
                0..5 => {
                    let at_ms = rig.now_ms() - rng.below(3) as i64 * 86_400_000;
                    let batch = some_batch(&mut rng, at_ms);
                    expected.take(&batch);
                    store.append(batch).await.unwrap();
                    "append"
                }
                5..8 => {
                    store.flush().await.unwrap();
                    "flush"
                }
                8 => {
                    let report = store.compact(&merge_all(), &ProgressFn::default()).await.unwrap();
                    assert_eq!(report.failures, 0, "seed {seed}");
                    "merge"
                }
                _ => {
                    kill(store).await;
                    store = rig.open().await;
                    "restart"
                }
            };
            expected.check(&store.snapshot(), &format!("seed {seed}, step {step}: {what}")).await;
        }
        // In files alone, one a day and table, nothing repeats.
        store.flush().await.unwrap();
        store.compact(&merge_all(), &ProgressFn::default()).await.unwrap();
        kill(store).await;
        let store = rig.open().await;
        expected.check(&store.snapshot(), &format!("seed {seed}: in the end")).await;
        let rows = |table| store.catalog().files().table_files(table).rows() as usize;
        let count = |lists: Vec<usize>| lists.iter().sum::<usize>();
        let kept = |mut rows: Vec<HistogramRow>| {
            keep_counting(&mut rows);
            rows.len()
        };
        let histograms = expected.histograms.values().map(|rows| kept(rows.clone())).collect();
        assert_eq!(rows(Table::Histograms), count(histograms), "seed {seed}");
    }
}

#[tokio::test]
async fn a_time_range_and_a_choice_of_series_are_kept_to() {
    let rig = Rig::new();
    let store = rig.open().await;
    let now_ms = rig.now_ms();
    let mut batch = Batch::new("test");
    for i in 0..100i64 {
        for number in 0..3 {
            let (labels, timestamp_ms) = (series("latency", number), now_ms + i * 1_000);
            let histogram = native(i as f64, 0.0);
            batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms: 0, histogram });
        }
    }
    store.append(batch).await.unwrap();
    let wanted: Vec<SeriesEntry> = [0, 2]
        .map(|number| {
            let labels = series("latency", number);
            let tsid = labels.hash64().cast_signed();
            SeriesEntry { tsid, labels, first_ts_us: 0, last_ts_us: 0 }
        })
        .into();
    let (start_ms, end_ms) = (now_ms + 10_000, now_ms + 20_000);
    for place in ["head", "files"] {
        let snapshot = store.snapshot();
        let options = SampleOptions::default();
        let found = snapshot.read_histograms(&wanted, start_ms, end_ms, &options).await.unwrap();
        assert_eq!(found.len(), 2, "{place}");
        for rows in found.values() {
            let times: Vec<i64> = rows.iter().map(|row| (row.timestamp_ms - now_ms) / 1_000).collect();
            assert_eq!(times, (10..=20).collect::<Vec<_>>(), "{place}");
        }
        assert!(snapshot.may_hold_sparse(Table::Histograms, start_ms, end_ms), "{place}");
        assert!(!snapshot.may_hold_sparse(Table::Histograms, now_ms - 9_000, now_ms - 1), "{place}");
        assert!(!snapshot.may_hold_sparse(Table::StartTimes, start_ms, end_ms), "{place}");
        let few = crate::samples::SampleBudget::new(50);
        let options = SampleOptions { budget: Arc::new(few), ..SampleOptions::default() };
        let refused = snapshot.read_histograms(&wanted, start_ms, end_ms, &options).await;
        assert!(matches!(refused, Err(Error::TooManySamples { .. })), "{place}: histograms count");
        store.flush().await.unwrap();
        rig.clock.advance_ms(10_000_000);
        store.flush().await.unwrap();
        store.append(everything(1, rig.now_ms())).await.unwrap();
        store.flush().await.unwrap();
    }
}

/// A bucket of the version before has five tables; the others come when it is opened.
#[tokio::test]
async fn tables_that_are_missing_are_made() {
    let rig = Rig::new();
    let store = rig.open().await;
    let now_ms = rig.now_ms();
    store.append(points(vec![point("cpu", 1, now_ms, 1.0), point("cpu", 2, now_ms, 1.0)])).await.unwrap();
    store.flush().await.unwrap();
    kill(store).await;
    for table in ["histograms", "start_times", "exemplars"] {
        let folder = Path::from(format!("team/atl/{table}"));
        let all: Vec<_> = rig.objects.list(Some(&folder)).try_collect().await.unwrap();
        assert!(!all.is_empty(), "{table}");
        for object in all {
            object_store::ObjectStoreExt::delete(&rig.objects, &object.location).await.unwrap();
        }
    }
    let store = rig.open().await;
    let snapshot = store.snapshot();
    assert_eq!(count(&snapshot, Table::Metrics).await, 2);
    assert_eq!(count(&snapshot, Table::Histograms).await, 0);
    store.append(everything(2, rig.now_ms())).await.unwrap();
    store.flush().await.unwrap();
    kill(store).await;
    let snapshot = rig.open().await.snapshot();
    assert_eq!(count(&snapshot, Table::Metrics).await, 4);
    for table in [Table::Histograms, Table::StartTimes, Table::Exemplars] {
        assert_eq!(count(&snapshot, table).await, 1, "{table}");
    }
}

/// Series that have nothing but histograms are found as long as these are in memory, however many series the
/// writer forgets meanwhile.
#[tokio::test]
async fn series_of_histograms_alone_are_not_forgotten() {
    let rig = Rig::new();
    let store = rig.open().await;
    let now_ms = rig.now_ms();
    let mut batch = Batch::new("test");
    let (labels, histogram) = (series("latency", 1), native(1.0, 2.0));
    batch.histograms.push(HistogramPoint { labels, timestamp_ms: now_ms, start_ms: 0, histogram });
    store.append(batch).await.unwrap();
    let rotate = async || {
        let (reply, done) = oneshot::channel();
        store.inner.send(Command::Rotate(reply)).await.unwrap();
        done.await.unwrap();
    };
    let many =
        |round: u64| points((0..3_000).map(|i| point("cpu", round * 3_000 + i, now_ms, 0.0)).collect());
    for round in 0..4 {
        store.append(many(round)).await.unwrap();
        rotate().await;
    }
    let latency = Matcher::new("__name__", model::MatchOp::Equal, "latency").unwrap();
    for what in ["in the head", "after a flush"] {
        let found =
            store.snapshot().select_series(std::slice::from_ref(&latency), ALL.0, ALL.1).await.unwrap();
        assert_eq!(found.len(), 1, "{what}");
        let options = SampleOptions::default();
        let rows = store.snapshot().read_histograms(&found, ALL.0, ALL.1, &options).await.unwrap();
        assert_eq!(rows.len(), 1, "{what}");
        store.flush().await.unwrap();
    }
    assert_eq!(store.snapshot().series("latency", None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn times_and_sizes_are_limited_as_those_of_samples() {
    let mut rig = Rig::new();
    rig.config.reject_older_than = Some(Duration::from_secs(3_600));
    let store = rig.open().await;
    let now_ms = rig.now_ms();
    let mut batch = Batch::new("test");
    for timestamp_ms in [now_ms, now_ms - 7_200_000, now_ms + 100 * 86_400_000] {
        let labels = series("mixed", 1);
        let histogram = native(1.0, 2.0);
        batch.points.push(Point { labels: labels.clone(), timestamp_ms, value: 1.0 });
        batch.starts.push(StartTime { labels: labels.clone(), timestamp_ms, start_ms: 1 });
        batch.exemplars.push(Exemplar {
            labels: labels.clone(),
            exemplar_labels: Labels::empty(),
            timestamp_ms,
            value: 1.0,
        });
        batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms: 0, histogram });
    }
    assert_eq!(store.append(batch).await.unwrap(), Appended::Stored { rows: 4 });
    let stats = store.stats();
    assert_eq!((stats.append.rejected_old_total, stats.append.rejected_future_total), (3, 3));
    assert_eq!((stats.head.histograms, stats.head.start_times, stats.head.exemplars), (1, 1, 1));
    assert_eq!(stats.append.histograms_total, 1);
    let (labels, histogram) = (series("latency", 1), native(1.0, 2.0));
    let far = HistogramPoint { labels, timestamp_ms: i64::MAX, start_ms: 0, histogram };
    let refused = store.append(Batch { histograms: vec![far], ..Batch::new("test") }).await;
    assert!(matches!(refused, Err(Error::InvalidBatch(_))));
}
