//! Fills a data directory as a server would have over hours and days, in minutes, for `tests/bench` to start a server on.
//!
//! `cargo run --release -p store --example fill -- MODE DIRECTORY …`, DIRECTORY being the server's `data_dir`:
//!
//! - `wal DIRECTORY SERIES SCRAPES INTERVAL_MS LAST_MS`: everything is in the log and nothing in the tables, as after an
//!   hour without an object store, and the process ends without closing the store, as if killed.
//! - `days DIRECTORY SERIES DAYS INTERVAL_MS LAST_MS`: days of samples in the tables, merged as compaction leaves them,
//!   the last day in fresh files of an hour.
//! - `logs DIRECTORY LINES_A_SECOND HOURS LAST_MS`: log lines, flushed every five minutes, merged into files of a day at
//!   the end.
//!
//! Prints as JSON what was written, what it took, and what a query must find.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Batch, LogStream, ManualClock, Point};
use serde_json::{Value, json};
use store::objects::{self, ObjectsConfig};
use store::{CompactionScope, Config, ProgressFn, Store, Table};

mod fleet;
mod lines;
mod team;

use team::Team;

const POINTS_A_BATCH: usize = 10_000;
const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const FLUSH_MS: i64 = 300_000;
/// Lines that travel together.
const LOGS_BATCH_MS: i64 = 10_000;
/// Lines told, to be looked for.
const NEEDLES: usize = 40;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let told = match arguments[..] {
        ["wal", directory, series, scrapes, interval_ms, last_ms] => {
            let (scrapes, last_ms) = (scrapes.parse()?, last_ms.parse()?);
            wal(directory.into(), series.parse()?, scrapes, interval_ms.parse()?, last_ms).await?
        }
        ["days", directory, series, days, interval_ms, last_ms] => {
            let (days, last_ms) = (days.parse()?, last_ms.parse()?);
            self::days(directory.into(), series.parse()?, days, interval_ms.parse()?, last_ms).await?
        }
        ["logs", directory, per_second, hours, last_ms] => {
            logs(directory.into(), per_second.parse()?, hours.parse()?, last_ms.parse()?).await?
        }
        _ => {
            return Err("usage: fill wal DIRECTORY SERIES SCRAPES INTERVAL_MS LAST_MS | \
                        days DIRECTORY SERIES DAYS INTERVAL_MS LAST_MS | logs DIRECTORY LINES_A_SECOND HOURS LAST_MS"
                .into());
        }
    };
    println!("{told}");
    Ok(())
}

/// The store as the server opens it, but for what runs by itself.
async fn open(directory: &FilePath, clock: &Arc<ManualClock>) -> Outcome<Store> {
    let never = Duration::from_secs(1 << 24);
    let config = Config {
        data_dir: directory.to_owned(),
        flush_interval: never,
        flush_rows: u64::MAX,
        flush_bytes: u64::MAX,
        head_bytes_max: u64::MAX,
        wal_bytes_max: 64 << 30,
        hot_window: Duration::ZERO,
        compaction_interval: never,
        vacuum_interval: never,
        close_timeout: Duration::from_secs(120),
        ..Config::default()
    };
    let url = format!("file:{}", directory.join("store").display());
    let objects = objects::open(&ObjectsConfig { url, ..ObjectsConfig::default() })?;
    Ok(Store::open(config, objects.store, objects.prefix, Arc::clone(clock) as _).await?)
}

async fn wal(
    directory: PathBuf,
    series: usize,
    scrapes: i64,
    interval_ms: i64,
    last_ms: i64,
) -> Outcome<Value> {
    let store = open(&directory, &Arc::new(ManualClock::at_ms(last_ms))).await?;
    let mut fleet = fleet::series(series);
    for scrape in 0..scrapes {
        append(&store, &mut fleet, last_ms - (scrapes - 1 - scrape) * interval_ms).await?;
    }
    let bytes = store.stats().wal.bytes;
    println!("{}", json!({ "samples": series as i64 * scrapes, "wal_bytes": bytes }));
    // No destructor runs: the log is left as a crash leaves it.
    std::process::exit(0)
}

async fn days(
    directory: PathBuf,
    series: usize,
    days: i64,
    interval_ms: i64,
    last_ms: i64,
) -> Outcome<Value> {
    let first_ms = last_ms - days * DAY_MS + interval_ms;
    let clock = Arc::new(ManualClock::at_ms(first_ms));
    let store = open(&directory, &clock).await?;
    let mut fleet = fleet::series(series);
    let (mut now_ms, mut flushed, mut samples) = (first_ms, first_ms, 0);
    for timestamp_ms in (0..).map(|i| first_ms + i * interval_ms).take_while(|at| *at <= last_ms) {
        clock.advance_ms(timestamp_ms - now_ms);
        now_ms = timestamp_ms;
        append(&store, &mut fleet, timestamp_ms).await?;
        samples += series;
        if timestamp_ms - flushed >= HOUR_MS {
            store.flush().await?;
            flushed = timestamp_ms;
        }
        let (day, next) = (timestamp_ms.div_euclid(DAY_MS), (timestamp_ms + interval_ms).div_euclid(DAY_MS));
        if next > day {
            store.flush().await?;
            merge(&store, i32::try_from(day)?).await?;
        }
    }
    store.flush().await?;
    let files = store.catalog().files();
    let (count, bytes) = (files.table(Table::Metrics).len(), bytes(&store, Table::Metrics));
    store.close().await?;
    Ok(json!({ "samples": samples, "metrics_files": count, "metrics_bytes": bytes, "first_ms": first_ms }))
}

async fn logs(directory: PathBuf, per_second: usize, hours: i64, last_ms: i64) -> Outcome<Value> {
    let first_ms = last_ms - hours * HOUR_MS;
    let clock = Arc::new(ManualClock::at_ms(first_ms));
    let store = open(&directory, &clock).await?;
    let mut team = Team::new();
    let (mut lines, mut raw, mut needles) = (0, 0, Vec::new());
    let (mut appending, mut flushing, mut merging) = (0.0, 0.0, 0.0);
    let batches = hours * HOUR_MS / LOGS_BATCH_MS;
    for at in (0..batches).map(|i| first_ms + i * LOGS_BATCH_MS) {
        let count = per_second * LOGS_BATCH_MS as usize / 1_000;
        let streams = team.logs(at, LOGS_BATCH_MS, count);
        lines += count;
        raw += streams.iter().flat_map(|stream| &stream.entries).map(|entry| entry.body.len()).sum::<usize>();
        let spread = (batches / NEEDLES as i64).max(1);
        if ((at - first_ms) / LOGS_BATCH_MS) % spread == spread / 2 {
            needles.extend(needle(&streams));
        }
        let batch = Batch { log_streams: streams, ..Batch::new("fill") };
        let before = cpu_seconds()?;
        store.append(batch).await?;
        clock.advance_ms(LOGS_BATCH_MS);
        appending += cpu_seconds()? - before;
        if (at + LOGS_BATCH_MS - first_ms) % FLUSH_MS == 0 {
            let before = cpu_seconds()?;
            store.flush().await?;
            flushing += cpu_seconds()? - before;
        }
        if (at + LOGS_BATCH_MS - first_ms) % HOUR_MS == 0 {
            let before = cpu_seconds()?;
            store.compact(&CompactionScope::default(), &ProgressFn::default()).await?;
            merging += cpu_seconds()? - before;
        }
    }
    let before = cpu_seconds()?;
    store.flush().await?;
    flushing += cpu_seconds()? - before;
    let before = cpu_seconds()?;
    store
        .compact(&CompactionScope { all: true, ..CompactionScope::default() }, &ProgressFn::default())
        .await?;
    merging += cpu_seconds()? - before;
    // What was merged is of no use any more.
    clock.advance_ms(2 * DAY_MS);
    store.catalog().vacuum(Duration::from_secs(3_600)).await?;
    let data = bytes(&store, Table::Logs);
    let files = store.catalog().files().table(Table::Logs).len();
    store.close().await?;
    let sidecars = folder_bytes(&directory.join("store").join("_index"))?;
    Ok(json!({
        "lines": lines, "raw_bytes": raw, "needles": needles, "first_ms": first_ms, "last_ms": last_ms,
        "append_cpu_seconds": appending, "flush_cpu_seconds": flushing, "merge_cpu_seconds": merging,
        "files": files, "data_bytes": data, "sidecar_bytes": sidecars,
    }))
}

/// A line that has a trace id of its own.
fn needle(streams: &[LogStream]) -> Option<Value> {
    let mut entries = streams.iter().flat_map(|stream| &stream.entries);
    let id = |entry: &model::LogEntry| entry.trace_id.clone().filter(|id| entry.body.contains(id.as_str()));
    entries.find_map(|entry| id(entry).map(|id| json!({ "trace_id": id, "body": entry.body })))
}

/// Appends one scrape of everything, and leaves every series one step further.
async fn append(store: &Store, fleet: &mut [fleet::Series], timestamp_ms: i64) -> Outcome<()> {
    for part in fleet.chunks_mut(POINTS_A_BATCH) {
        let mut batch = Batch::new("fill");
        for series in part {
            batch.points.push(Point { labels: series.labels.clone(), timestamp_ms, value: series.value() });
            series.step();
        }
        store.append(batch).await?;
    }
    Ok(())
}

async fn merge(store: &Store, day: i32) -> Outcome<()> {
    let scope = CompactionScope {
        first_day: Some(day),
        last_day: Some(day),
        all: true,
        ..CompactionScope::default()
    };
    store.compact(&scope, &ProgressFn::default()).await?;
    Ok(())
}

fn bytes(store: &Store, table: Table) -> u64 {
    store.catalog().files().table(table).iter().map(|file| file.size).sum()
}

fn folder_bytes(folder: &FilePath) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { folder_bytes(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}

/// Processor time of this program so far: a machine that does other things as well makes the clock useless.
fn cpu_seconds() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("`/proc/self/stat` has no name")?;
    let ticks: Result<Vec<f64>, _> = fields.split_whitespace().skip(11).take(2).map(str::parse).collect();
    // Linux counts hundredths of a second here, whatever its own tick is.
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}
