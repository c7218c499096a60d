//! Measures how fast samples are read back: one day of 20,000 series in compacted files, all of a metric with
//! 1,000 series, one series, one hour of a metric. `cargo run --release -p store --example samples`; the first
//! argument is the number of series, the second a directory to keep the files in instead of memory. With the third,
//! `fresh`, the files are those of a running server, of half an hour each, and only few series are read: without and
//! with the cache of decoded samples, first and again, with the time on the processors.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use model::{Labels, SystemClock};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use store::objects::DurableFolder;
use store::samples::SampleOptions;
use store::{Catalog, Config, SeriesEntry, Snapshot, Store, Table, WriteProfile};

const DAY: i32 = 20_779;
const DAY_MS: i64 = 86_400_000;
const STEP_MS: i64 = 15_000;
const SERIES_PER_METRIC: usize = 1_000;
const SERIES_PER_FILE: usize = 2_000;
/// Files of a day with `fresh`.
const FRESH_FILES: usize = 48;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let mut args = std::env::args().skip(1);
    let count = args.next().map_or(20_000, |count| count.parse().unwrap());
    let folder = args.next().map(|folder| DurableFolder::open(folder.into()).unwrap());
    let objects: Arc<dyn ObjectStore> = match folder.clone() {
        Some(folder) => Arc::new(folder),
        None => Arc::new(InMemory::new()),
    };
    let fresh = args.next().is_some_and(|kind| kind == "fresh");
    let prefix = Path::from("bench");
    let catalog = Catalog::open(Arc::clone(&objects), prefix.clone(), Arc::new(SystemClock)).await.unwrap();
    let mut series = all_series(count);
    series.sort_by(|a, b| (a.labels.name(), a.tsid).cmp(&(b.labels.name(), b.tsid)));
    if catalog.files().table(Table::Metrics).is_empty() {
        write(&catalog, &series, fresh).await;
    }
    let files = catalog.files();
    let bytes: u64 = files.table(Table::Metrics).iter().map(|file| file.size).sum();
    let rows: u64 = files.table(Table::Metrics).iter().map(|file| file.rows).sum();
    println!(
        "{rows} rows in {} files, {:.3} bytes a sample",
        files.table(Table::Metrics).len(),
        bytes as f64 / rows as f64
    );
    let snapshot = Snapshot::read_only(&catalog).await.unwrap();
    if fresh {
        few_of_many_files(objects, folder, prefix, &series).await;
        return;
    }
    let day = i64::from(DAY) * DAY_MS;
    let metric = series[0].labels.name();
    let metric: Vec<SeriesEntry> = series.iter().filter(|s| s.labels.name() == metric).cloned().collect();
    for parallel in [1, 2] {
        report(
            &snapshot,
            &format!("metric of 1,000 series, a day, {parallel} threads"),
            &metric,
            day,
            day + DAY_MS,
            parallel,
        )
        .await;
        report(
            &snapshot,
            &format!("metric of 1,000 series, an hour, {parallel} threads"),
            &metric,
            day + 20 * 3_600_000,
            day + 21 * 3_600_000,
            parallel,
        )
        .await;
    }
    report(&snapshot, "one series, a day", &metric[500..501], day, day + DAY_MS, 1).await;
    report(
        &snapshot,
        "one series, an hour",
        &metric[500..501],
        day + 20 * 3_600_000,
        day + 21 * 3_600_000,
        1,
    )
    .await;
    let spread: Vec<SeriesEntry> = series.iter().step_by(SERIES_PER_METRIC).cloned().collect();
    report(&snapshot, "one series of every metric, a day", &spread, day, day + DAY_MS, 2).await;
}

/// One series, and those of a host, over 24 hours out of all files: through the object store, straight from the
/// folder, and with the cache of decoded samples.
async fn few_of_many_files(
    objects: Arc<dyn ObjectStore>,
    folder: Option<DurableFolder>,
    prefix: Path,
    series: &[SeriesEntry],
) {
    let data_dir = std::env::temp_dir().join(format!("samples-{}", std::process::id()));
    std::fs::create_dir_all(&data_dir).unwrap();
    let host: Vec<SeriesEntry> =
        series.iter().filter(|s| s.labels.get("instance") == Some("host-7:9100")).cloned().collect();
    let ways = [("objects", None, 0), ("folder", folder.clone(), 0), ("cache", folder, 32 << 20)];
    for (way, folder, part_cache_bytes_max) in ways {
        let config = Config { data_dir: data_dir.clone(), folder, part_cache_bytes_max, ..Config::default() };
        let (objects, prefix) = (Arc::clone(&objects), prefix.clone());
        let store = Store::open(config, objects, prefix, Arc::new(SystemClock)).await.unwrap();
        let snapshot = store.snapshot();
        ask(&snapshot, way, &series[700..701]).await;
        ask(&snapshot, way, &host).await;
        store.close().await.unwrap();
    }
    std::fs::remove_dir_all(data_dir).unwrap();
}

async fn ask(snapshot: &Snapshot, way: &str, series: &[SeriesEntry]) {
    let options = SampleOptions::default();
    let day = i64::from(DAY) * DAY_MS;
    for runs in [1, 100] {
        let (started, cpu) = (Instant::now(), cpu_time());
        let mut stats = None;
        for run in 0..runs {
            let read = snapshot.read_samples(series, day + run * 1_000, day + DAY_MS, &options);
            stats = Some(read.await.unwrap().stats);
        }
        let (time, cpu) = (started.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
        let each = 1e3 / runs as f64;
        let (time, cpu, count) = (time * each, cpu * each, series.len());
        println!(
            "{way}: {count} series, {runs} times: {time:.2} ms, {cpu:.2} ms of CPU, {:?}",
            stats.unwrap()
        );
    }
}

/// Time this process spent on the processors, in ticks of 10 ms.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = text.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    Duration::from_millis(10 * fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>())
}

async fn report(
    snapshot: &Snapshot,
    what: &str,
    series: &[SeriesEntry],
    start: i64,
    end: i64,
    parallel: usize,
) {
    let options = SampleOptions { parallel, ..SampleOptions::default() };
    let (mut best, mut stats) = (Duration::MAX, None);
    for _ in 0..7 {
        let started = Instant::now();
        let read = snapshot.read_samples(series, start, end, &options).await.unwrap();
        best = best.min(started.elapsed());
        stats = Some(read.stats);
    }
    let stats = stats.unwrap();
    let rate = stats.samples as f64 / best.as_secs_f64() / 1e6;
    println!("{what}: {:.2} ms, {rate:.0} M samples/s, {stats:?}", best.as_secs_f64() * 1e3);
}

fn all_series(count: usize) -> Vec<SeriesEntry> {
    (0..count)
        .map(|i| {
            let metric = format!("node_metric_{:03}_total", i / SERIES_PER_METRIC);
            let labels = Labels::from_pairs([
                ("__name__", metric.as_str()),
                ("instance", &format!("host-{}:9100", i % 50)),
                ("cpu", &(i % SERIES_PER_METRIC / 50).to_string()),
            ]);
            SeriesEntry { tsid: labels.hash64().cast_signed(), labels, first_ts_us: 0, last_ts_us: 0 }
        })
        .collect()
}

async fn write(catalog: &Catalog, series: &[SeriesEntry], fresh: bool) {
    let mut written = Vec::new();
    if fresh {
        let whole: Vec<RecordBatch> = series.iter().map(batch).collect();
        let rows = (DAY_MS / STEP_MS) as usize / FRESH_FILES;
        for file in 0..FRESH_FILES {
            let batches = whole.iter().map(|batch| batch.slice(file * rows, rows)).collect();
            let tags = store::FileTags::default();
            let file = catalog.write_file(Table::Metrics, DAY, batches, WriteProfile::Flush, tags);
            written.push(file.await.unwrap());
        }
        catalog.commit(Table::Metrics, written, Vec::new(), None).await.unwrap();
        return;
    }
    for part in series.chunks(SERIES_PER_FILE) {
        let batches = part.iter().map(batch).collect();
        written.push(
            catalog
                .write_file(Table::Metrics, DAY, batches, WriteProfile::Compacted, store::FileTags::default())
                .await
                .unwrap(),
        );
    }
    catalog.commit(Table::Metrics, written, Vec::new(), None).await.unwrap();
}

/// A third constant, a third counters, a third gauges with two decimals; jitter of a few milliseconds.
fn batch(series: &SeriesEntry) -> RecordBatch {
    let rows = (DAY_MS / STEP_MS) as usize;
    let mut state = series.tsid.cast_unsigned() | 1;
    let mut dice = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    };
    let start = i64::from(DAY) * DAY_MS + (series.tsid & 0x1fff);
    let kind = series.tsid.rem_euclid(3);
    let mut value = (dice() % 10_000) as f64;
    let times = (0..rows as i64).map(|i| (start + i * STEP_MS) * 1_000);
    let times: Vec<i64> = times.map(|us| us + if dice() % 8 == 0 { 1_000 } else { 0 }).collect();
    let values: Vec<f64> = (0..rows)
        .map(|_| {
            match kind {
                0 => {}
                1 => value += (dice() % 20) as f64,
                _ => value = (dice() % 10_000) as f64 / 100.0,
            }
            value
        })
        .collect();
    let text = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        text(series.labels.name()),
        Arc::new(Int64Array::from(vec![series.tsid; rows])),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(Float64Array::from(values)),
        text("node"),
        text(series.labels.get("instance").unwrap()),
    ];
    RecordBatch::try_new(Table::Metrics.file_schema(), columns).unwrap()
}
