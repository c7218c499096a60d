use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int16Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use model::{
    Batch, Exemplar, HistogramPoint, Labels, LogEntry, LogStream, ManualClock, MetricKind, MetricMetadata,
    Point, ProbeResult, StartTime,
};
use object_store::memory::InMemory;
use object_store::path::Path;

use super::recover::Disks;
use super::*;
use crate::parquet_file::{Footers, ReadOptions, read_batches};
use crate::snapshot::HeadFilter;
use crate::testing::{FaultyStore, Wire, noon};
use crate::wal::sim::{Rng, SimDisk, seeds};

mod cached;
mod compacting;
mod crash;
mod failing;
mod faults;
mod hot;
mod ids;
mod late;
mod reading;
mod sparse;
mod writing;

/// A store on simulated disks and an object store in memory, which outlive it.
struct Rig {
    dir: tempfile::TempDir,
    wal: SimDisk,
    batches: SimDisk,
    objects: Arc<dyn ObjectStore>,
    clock: Arc<ManualClock>,
    config: Config,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().to_owned(),
            group_wait: Duration::ZERO,
            wal_segment_bytes: 4_096,
            // Flushes happen when the test says so.
            flush_interval: Duration::from_secs(1 << 30),
            ..Config::default()
        };
        let objects = Arc::new(InMemory::new());
        Rig { dir, wal: SimDisk::default(), batches: SimDisk::default(), objects, clock: noon(), config }
    }

    async fn try_open_on(&self, objects: Arc<dyn ObjectStore>) -> Result<Store> {
        assert!(self.dir.path().exists());
        let disks = Disks { wal: Arc::new(self.wal.clone()), batches: Arc::new(self.batches.clone()) };
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        recover::open(self.config.clone(), objects, Path::from("team/atl"), clock, disks, Arc::default())
            .await
    }

    async fn open(&self) -> Store {
        self.try_open_on(Arc::clone(&self.objects)).await.unwrap()
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}

/// Stops a store as a kill would, then waits until its thread and lock are gone.
async fn kill(store: Store) {
    store.halt().await;
    drop(store);
}

fn series(name: &str, i: u64) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "node"), ("i", &i.to_string())])
}

fn point(name: &str, i: u64, timestamp_ms: i64, value: f64) -> Point {
    Point { labels: series(name, i), timestamp_ms, value }
}

fn points(points: Vec<Point>) -> Batch {
    Batch { points, ..Batch::new("test") }
}

fn stream(service: &str, entries: Vec<(i64, &str)>) -> LogStream {
    let entry = |(timestamp_ns, body): (i64, &str)| LogEntry {
        timestamp_ns,
        body: body.to_owned(),
        ..LogEntry::default()
    };
    let labels = Labels::from_pairs([("service", service), ("host", "h1")]);
    LogStream { labels, entries: entries.into_iter().map(entry).collect() }
}

fn named(batch: Batch, id: &str) -> Batch {
    Batch { batch_id: Some(id.to_owned()), ..batch }
}

/// A batch with rows for every table that nobody else has; `number` names it in all of them.
fn everything(number: u64, now_ms: i64) -> Batch {
    let time_ms = now_ms + number as i64;
    let mut batch = points(vec![
        point("cpu", number % 7, time_ms, number as f64),
        point("memory", number % 3, time_ms, number as f64),
    ]);
    let (labels, histogram) = (series("latency", number % 3), Arc::default());
    batch.histograms.push(HistogramPoint {
        labels,
        timestamp_ms: time_ms,
        start_ms: number as i64 + 1,
        histogram,
    });
    let labels = series("cpu", number % 7);
    batch.starts.push(StartTime {
        labels: labels.clone(),
        timestamp_ms: time_ms,
        start_ms: number as i64 + 1,
    });
    let exemplar_labels = Labels::from_pairs([("trace_id", number.to_string())]);
    batch.exemplars.push(Exemplar { labels, exemplar_labels, timestamp_ms: time_ms, value: number as f64 });
    batch.log_streams.push(stream("web", vec![(time_ms * 1_000_000 + 5, &number.to_string())]));
    batch.probes.push(ProbeResult {
        timestamp_ms: time_ms,
        probe: "home".into(),
        result_id: number.to_string(),
        ..ProbeResult::default()
    });
    batch
}

/// Numbers of [`everything`] batches found in each table of a snapshot, with how often.
#[derive(Debug, Default, PartialEq)]
struct Census {
    cpu: BTreeMap<u64, usize>,
    memory: BTreeMap<u64, usize>,
    logs: BTreeMap<u64, usize>,
    probes: BTreeMap<u64, usize>,
    histograms: BTreeMap<u64, usize>,
    starts: BTreeMap<u64, usize>,
    exemplars: BTreeMap<u64, usize>,
}

impl Census {
    async fn of(snapshot: &Snapshot) -> Census {
        Census::try_of(snapshot).await.unwrap()
    }

    async fn try_of(snapshot: &Snapshot) -> Result<Census> {
        let mut census = Census::default();
        for batch in try_rows(snapshot, Table::Metrics).await? {
            let (metrics, values) =
                (batch["metric"].as_string::<i32>(), batch["value"].as_primitive::<Float64Type>());
            for row in 0..batch.num_rows() {
                let of = if metrics.value(row) == "cpu" { &mut census.cpu } else { &mut census.memory };
                *of.entry(values.value(row) as u64).or_default() += 1;
            }
        }
        for (table, column) in [(Table::Logs, "body"), (Table::Probes, "result_id")] {
            let of = if table == Table::Logs { &mut census.logs } else { &mut census.probes };
            for batch in try_rows(snapshot, table).await? {
                for text in batch[column].as_string::<i32>().iter().flatten() {
                    *of.entry(text.parse().unwrap()).or_default() += 1;
                }
            }
        }
        for (table, of) in
            [(Table::Histograms, &mut census.histograms), (Table::StartTimes, &mut census.starts)]
        {
            for batch in try_rows(snapshot, table).await? {
                for us in batch["start_ts"].as_primitive::<TimestampMicrosecondType>().values() {
                    *of.entry((us / 1_000 - 1) as u64).or_default() += 1;
                }
            }
        }
        for batch in try_rows(snapshot, Table::Exemplars).await? {
            for number in batch["value"].as_primitive::<Float64Type>().values() {
                *census.exemplars.entry(*number as u64).or_default() += 1;
            }
        }
        Ok(census)
    }

    fn tables(&self) -> [&BTreeMap<u64, usize>; 7] {
        let Census { cpu, memory, logs, probes, histograms, starts, exemplars } = self;
        [cpu, memory, logs, probes, histograms, starts, exemplars]
    }

    /// Every number of `must` once in every table; others that `may` be there at most once.
    fn check(&self, must: &[u64], may: &[u64], what: &str) {
        for (table, found) in self.tables().into_iter().enumerate() {
            for number in must {
                assert_eq!(found.get(number), Some(&1), "{what}: batch {number} in table {table}");
            }
            for (number, count) in found {
                assert_eq!(*count, 1, "{what}: batch {number} in table {table}");
                let known = must.contains(number) || may.contains(number);
                assert!(known, "{what}: batch {number} in table {table} was refused");
            }
        }
    }
}

/// All rows of a table: those of the head, then those of the files.
async fn rows(snapshot: &Snapshot, table: Table) -> Vec<RecordBatch> {
    try_rows(snapshot, table).await.unwrap()
}

async fn try_rows(snapshot: &Snapshot, table: Table) -> Result<Vec<RecordBatch>> {
    let mut batches = snapshot.head_batches(table, &HeadFilter::default())?;
    let footers = Footers::default();
    for file in snapshot.files(table) {
        let stream = read_batches(snapshot.objects(), &footers, file, &ReadOptions::default()).await?;
        batches.extend(stream.try_collect::<Vec<_>>().await?);
    }
    Ok(batches)
}

async fn count(snapshot: &Snapshot, table: Table) -> usize {
    rows(snapshot, table).await.iter().map(RecordBatch::num_rows).sum()
}

/// (metric, tsid, ts in microseconds, bits of the value) of all samples, sorted.
async fn samples(snapshot: &Snapshot) -> Vec<(String, i64, i64, u64)> {
    let mut samples = Vec::new();
    for batch in rows(snapshot, Table::Metrics).await {
        let metric = batch["metric"].as_string::<i32>();
        let tsid = batch["tsid"].as_primitive::<Int64Type>();
        let ts = batch["ts"].as_primitive::<TimestampMicrosecondType>();
        let value = batch["value"].as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let bits = value.value(row).to_bits();
            samples.push((metric.value(row).to_owned(), tsid.value(row), ts.value(row), bits));
        }
    }
    samples.sort_unstable();
    samples
}

/// (time in nanoseconds, body) of all log entries of the head or the only file, in order.
fn log_lines(batches: &[RecordBatch]) -> Vec<(i64, String)> {
    let mut lines = Vec::new();
    for batch in batches {
        let ts = batch["ts"].as_primitive::<TimestampMicrosecondType>();
        let ns = batch["ts_ns"].as_primitive::<Int16Type>();
        let body = batch["body"].as_string::<i32>();
        for row in 0..batch.num_rows() {
            lines.push((ts.value(row) * 1_000 + i64::from(ns.value(row)), body.value(row).to_owned()));
        }
    }
    lines
}
