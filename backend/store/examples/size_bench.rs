//! Measures bytes a sample: takes recorded samples the way the store takes any (appended, flushed every five
//! minutes, merged into files of a day) and tells what the columns of the files came to, as JSON.
//!
//! `cargo run --release -p store --example size_bench -- SAMPLES DIRECTORY`; `tests/bench/size.py` writes SAMPLES
//! and reads the tables in DIRECTORY. SAMPLES holds, all little-endian: number of series (u32), then of each the
//! number of labels (u32), name and value of each label (length as u32, bytes), number of samples (u32), their
//! times (i64, milliseconds), their values (f64).

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use model::{Batch, Labels, ManualClock, Point};
use serde_json::{Value, json};
use store::objects::{self, ObjectsConfig};
use store::parquet_file::{Footers, ReadOptions, read_batches};
use store::{CompactionScope, Config, FileTags, ProgressFn, Store, Table, WriteProfile};

const FLUSH_MS: i64 = 5 * 60 * 1_000;
const POINTS_A_BATCH: usize = 10_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Recorded {
    labels: Labels,
    times_ms: Vec<i64>,
    values: Vec<f64>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(samples), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: size_bench SAMPLES DIRECTORY".into());
    };
    let recorded = read_samples(&std::fs::read(samples)?)?;
    let store = open(&directory, &recorded).await?;
    let begun = Instant::now();
    append(&store, &recorded).await?;
    let appended = begun.elapsed();
    let flushed = sizes(&store).await?;
    let merged = merge(&store).await?;
    let merged_sizes = sizes(&store).await?;
    let written = write_again(&store).await?;
    let count: usize = recorded.iter().map(|series| series.values.len()).sum();
    let report = json!({
        "samples": count,
        "series": recorded.len(),
        "append_and_flush_seconds": appended.as_secs_f64(),
        "merge_million_rows_a_cpu_second": count as f64 / merged / 1e6,
        "write_million_rows_a_cpu_second": count as f64 / written / 1e6,
        "flushed": flushed,
        "merged": merged_sizes,
    });
    println!("{report}");
    store.close().await?;
    Ok(())
}

async fn open(directory: &FilePath, recorded: &[Recorded]) -> Outcome<Store> {
    let config = Config {
        data_dir: directory.join("data"),
        flush_interval: Duration::from_secs(1 << 20),
        flush_rows: u64::MAX,
        flush_bytes: u64::MAX,
        ..Config::default()
    };
    let folder = directory.join("store");
    let url = format!("file:{}", folder.display());
    let objects = objects::open(&ObjectsConfig { url, ..ObjectsConfig::default() })?;
    let last = recorded.iter().filter_map(|series| series.times_ms.last()).max().copied().unwrap_or(0);
    let clock = Arc::new(ManualClock::at_ms(last));
    Ok(Store::open(config, objects.store, objects.prefix, clock).await?)
}

/// Appends in the order of time, flushing every [`FLUSH_MS`] of it.
async fn append(store: &Store, recorded: &[Recorded]) -> Outcome<()> {
    let mut next = vec![0; recorded.len()];
    let first = recorded.iter().filter_map(|series| series.times_ms.first()).min().copied().unwrap_or(0);
    for end in (1..).map(|i| first + i * FLUSH_MS) {
        let mut points = Vec::new();
        for (series, next) in recorded.iter().zip(&mut next) {
            while let Some(&timestamp_ms) = series.times_ms.get(*next).filter(|time| **time < end) {
                points.push(Point {
                    labels: series.labels.clone(),
                    timestamp_ms,
                    value: series.values[*next],
                });
                *next += 1;
            }
        }
        for points in points.chunks(POINTS_A_BATCH) {
            store.append(Batch { points: points.to_vec(), ..Batch::new("size_bench") }).await?;
        }
        store.flush().await?;
        if next.iter().zip(recorded).all(|(next, series)| *next == series.times_ms.len()) {
            return Ok(());
        }
    }
    Ok(())
}

/// Merges everything into files of a day and returns the processor time it took.
async fn merge(store: &Store) -> Outcome<f64> {
    let before = cpu_seconds()?;
    let scope = CompactionScope { all: true, ..CompactionScope::default() };
    store.compact(&scope, &ProgressFn::default()).await?;
    Ok(cpu_seconds()? - before)
}

/// Writes the merged rows once more, without committing them, and returns the processor time of that alone.
async fn write_again(store: &Store) -> Outcome<f64> {
    let mut files = store.catalog().files().table(Table::Metrics).to_vec();
    files.sort_by(|a, b| a.stats.min_key.cmp(&b.stats.min_key));
    let (snapshot, footers) = (store.snapshot(), Footers::default());
    let mut spent = 0.0;
    for file in files {
        let options = ReadOptions { batch_rows: Some(1 << 16), ..ReadOptions::default() };
        let rows = read_batches(snapshot.objects(), &footers, &file, &options).await?;
        let rows = rows.try_collect::<Vec<_>>().await?;
        let before = cpu_seconds()?;
        let tags = FileTags::default();
        store.catalog().write_file(Table::Metrics, file.day, rows, WriteProfile::Compacted, tags).await?;
        spent += cpu_seconds()? - before;
    }
    Ok(spent)
}

/// Processor time of this program so far: a machine that does other things as well makes the clock useless.
fn cpu_seconds() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("`/proc/self/stat` has no name")?;
    let ticks: Result<Vec<f64>, _> = fields.split_whitespace().skip(11).take(2).map(str::parse).collect();
    // Linux counts hundredths of a second here, whatever its own tick is.
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}

/// Bytes of the files of `metrics` and `series`, and of the columns of `metrics`.
async fn sizes(store: &Store) -> Outcome<Value> {
    let (catalog, footers, snapshot) = (store.catalog(), Footers::default(), store.snapshot());
    let files = catalog.files();
    let bytes = |table: Table| files.table(table).iter().map(|file| file.size).sum::<u64>();
    let mut columns: BTreeMap<String, i64> = BTreeMap::new();
    for file in files.table(Table::Metrics).iter() {
        let footer = footers.read(snapshot.objects(), &file.key, file.size).await?;
        for column in footer.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            *columns.entry(column.column_path().string()).or_default() += column.compressed_size();
        }
    }
    Ok(json!({
        "files": files.table(Table::Metrics).len(),
        "metrics_bytes": bytes(Table::Metrics),
        "series_bytes": bytes(Table::Series),
        "columns": columns,
    }))
}

fn read_samples(mut bytes: &[u8]) -> Outcome<Vec<Recorded>> {
    let bytes = &mut bytes;
    (0..number(bytes)?).map(|_| read_series(bytes)).collect()
}

fn read_series(bytes: &mut &[u8]) -> Outcome<Recorded> {
    let pairs: Outcome<Vec<(String, String)>> =
        (0..number(bytes)?).map(|_| Ok((text(bytes)?, text(bytes)?))).collect();
    let count = number(bytes)?;
    let times = taken(bytes, count * size_of::<i64>())?;
    let values = taken(bytes, count * size_of::<f64>())?;
    Ok(Recorded {
        labels: Labels::from_pairs(pairs?),
        times_ms: times.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
        values: values.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
    })
}

fn number(bytes: &mut &[u8]) -> Outcome<usize> {
    Ok(u32::from_le_bytes(taken(bytes, size_of::<u32>())?.try_into()?) as usize)
}

fn text(bytes: &mut &[u8]) -> Outcome<String> {
    let length = number(bytes)?;
    Ok(std::str::from_utf8(taken(bytes, length)?)?.to_owned())
}

fn taken<'a>(bytes: &mut &'a [u8], length: usize) -> Outcome<&'a [u8]> {
    bytes.split_off(..length).ok_or_else(|| "the file of samples ends early".into())
}
