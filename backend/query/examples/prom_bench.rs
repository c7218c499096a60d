//! Measures PromQL over a folder of a store, without HTTP: every query once right after opening, then again.
//!
//! `cargo run --release -p query --example prom_bench -- generate FOLDER SERIES HOURS` writes test data: half of the
//! series are `requests_total`, the others spread over metrics of 100 series each with `job="node"`; samples every
//! 15 s, the last ones at a fixed time. `… -- run FOLDER [HOURS [STEP_SECONDS [QUERY…]]]` asks the last HOURS of it.
//! `PREFETCH` and `SLICE` in the environment are the numbers of samples read before evaluation and at a time,
//! `SAMPLES_MAX` the limit of a query, `THREADS` the threads it may use.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use model::{Labels, SystemClock};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use promql::{QueryTime, Value};
use query::{PromConfig, PromEngine, PromOptions, Workers};
use store::tables::map_builder;
use store::{Catalog, FileTags, Snapshot, Table, WriteProfile};

const DAY_MS: i64 = 86_400_000;
const STEP_MS: i64 = 15_000;
/// First millisecond after the data.
const END_MS: i64 = 20_786 * DAY_MS;
const SERIES_PER_FILE: usize = 2_000;
const WARM_RUNS: usize = 3;

const QUERIES: [&str; 12] = [
    "requests_total{instance=\"host-3\", code=\"200\"}",
    "sum(rate(requests_total[5m]))",
    "rate(requests_total[5m])",
    "sum by (instance) (rate(requests_total[5m]))",
    "sum by (code) (rate(requests_total[1h]))",
    "requests_total",
    "count({job=\"node\"})",
    "max_over_time(requests_total[1h])",
    "histogram_quantile(0.9, sum by (le) (rate(requests_total[5m])))",
    "topk(5, sum by (instance) (rate(requests_total[5m])))",
    "sum(rate(requests_total[5m])) / count(rate(requests_total[5m]))",
    "avg by (instance) (node_metric_003)",
];

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", folder, series, hours] => {
            runtime.block_on(generate(folder, series.parse()?, hours.parse()?))
        }
        ["run", folder, ref rest @ ..] => {
            let hours = rest.first().map_or(Ok(24), |text| text.parse::<i64>())?;
            let step = rest.get(1).map_or(Ok(60), |text| text.parse::<i64>())?;
            let queries = rest.get(2..).filter(|queries| !queries.is_empty()).unwrap_or(&QUERIES);
            runtime.block_on(run(folder, hours, step * 1_000, queries))
        }
        _ => {
            Err("usage: prom_bench generate FOLDER SERIES HOURS | run FOLDER [HOURS [STEP_SECONDS [QUERY…]]]"
                .into())
        }
    }
}

async fn open(folder: &str) -> Outcome<Catalog> {
    std::fs::create_dir_all(folder)?;
    let objects: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder)?);
    Ok(Catalog::open(objects, Path::from("bench"), Arc::new(SystemClock)).await?)
}

async fn run(folder: &str, hours: i64, step_ms: i64, queries: &[&str]) -> Outcome<()> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let defaults = PromConfig::default();
    let config = PromConfig {
        result_cache: 0,
        prefetch_samples: variable("PREFETCH").unwrap_or(defaults.prefetch_samples),
        slice_samples: variable("SLICE").unwrap_or(defaults.slice_samples),
        samples_max: variable("SAMPLES_MAX").unwrap_or(defaults.samples_max),
        threads: variable("THREADS").unwrap_or(defaults.threads),
        ..defaults
    };
    let engine = PromEngine::new(config, Workers::start()?);
    let begun = Instant::now();
    let catalog = open(folder).await?;
    let mut snapshot = Arc::new(Snapshot::read_only(&catalog).await?);
    println!("opened in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let end_ms = END_MS - STEP_MS;
    let time = QueryTime::Range { start_ms: end_ms - hours * 3_600_000 + step_ms, end_ms, step_ms };
    println!(
        "{:>10} {:>10} {:>12} {:>12} {:>9} {:>9}  query",
        "first ms", "again ms", "samples", "held", "points", "RSS MB"
    );
    for query in queries {
        // Nothing of the index and the footers is known at first.
        snapshot = Arc::new(Snapshot::read_only(&open(folder).await?).await?);
        let (mut first, mut again) = (0.0, f64::INFINITY);
        let mut line = String::new();
        let resident_before = forget_peak();
        for round in 0..=WARM_RUNS {
            let begun = Instant::now();
            let answer = engine.query(Arc::clone(&snapshot), query, time, &PromOptions::default()).await;
            let took = begun.elapsed().as_secs_f64() * 1e3;
            if round == 0 {
                first = took
            } else {
                again = f64::min(again, took)
            }
            line = match answer {
                Ok(answer) => {
                    let points: usize = match &answer.value {
                        Value::Matrix(series) => series.iter().map(|series| series.floats.len()).sum(),
                        _ => 0,
                    };
                    format!("{:>12} {:>12} {points:>9}", answer.stats.samples, answer.stats.samples_held_max)
                }
                Err(error) => format!("{error}"),
            };
        }
        let resident = peak().saturating_sub(resident_before) >> 20;
        println!("{first:>10.1} {again:>10.1} {line} {resident:>9}  {query}");
    }
    drop(snapshot);
    Ok(())
}

/// Resident memory now, which the peak counts from.
fn forget_peak() -> u64 {
    // 5 resets the peak; where that is not allowed, the peak of all before counts.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

fn peak() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

async fn generate(folder: &str, series: usize, hours: i64) -> Outcome<()> {
    let catalog = open(folder).await?;
    let mut sets: Vec<Labels> = (0..series).map(|i| labels(i, series)).collect();
    sets.sort_by(|a, b| (a.name(), id(a)).cmp(&(b.name(), id(b))));
    let start_ms = END_MS - hours * 3_600_000;
    for day in start_ms.div_euclid(DAY_MS)..END_MS.div_euclid(DAY_MS) {
        let (from, to) = (start_ms.max(day * DAY_MS), (day + 1) * DAY_MS);
        let mut files = Vec::new();
        for part in sets.chunks(SERIES_PER_FILE) {
            let batches = part.iter().map(|set| samples(set, from, to)).collect::<Outcome<_>>()?;
            files.push(write(&catalog, Table::Metrics, day, batches).await?);
        }
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        catalog.commit(Table::Metrics, files, Vec::new(), None).await?;
        let batches = sets.chunks(65_536).map(|sets| series_rows(sets, from)).collect::<Outcome<_>>()?;
        let file = write(&catalog, Table::Series, day, batches).await?;
        catalog.commit(Table::Series, vec![file], Vec::new(), None).await?;
        println!("day {day}: {rows} rows");
    }
    Ok(())
}

async fn write(
    catalog: &Catalog,
    table: Table,
    day: i64,
    batches: Vec<RecordBatch>,
) -> Outcome<store::WrittenFile> {
    let day = i32::try_from(day)?;
    Ok(catalog.write_file(table, day, batches, WriteProfile::Compacted, FileTags::default()).await?)
}

fn labels(i: usize, of: usize) -> Labels {
    let host = format!("host-{}", i % 50);
    if i < of / 2 {
        return Labels::from_pairs([
            ("__name__", "requests_total"),
            ("instance", &host),
            ("job", "web"),
            ("code", ["200", "404", "500"][i % 3]),
            ("le", ["0.1", "0.5", "1", "5", "+Inf"][i / 3 % 5]),
            ("handler", &format!("/api/v{}", i / 50)),
        ]);
    }
    Labels::from_pairs([
        ("__name__", format!("node_metric_{:03}", i / 100).as_str()),
        ("instance", &host),
        ("job", "node"),
        ("device", &(i % 100 / 50).to_string()),
    ])
}

fn id(labels: &Labels) -> i64 {
    labels.hash64().cast_signed()
}

/// A third constant, a third counters, a third gauges with two decimals; all of `requests_total` are counters.
fn samples(labels: &Labels, from: i64, to: i64) -> Outcome<RecordBatch> {
    let rows = usize::try_from((to - from) / STEP_MS)?;
    let mut state = id(labels).cast_unsigned() | 1;
    let mut dice = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    };
    let start = from + (id(labels) & 0x1fff);
    let kind = if labels.name() == "requests_total" { 1 } else { id(labels).rem_euclid(3) };
    let mut value = (dice() % 10_000) as f64;
    let times = (0..rows).map(|i| (start + i as i64 * STEP_MS) * 1_000);
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
        text(labels.name()),
        Arc::new(Int64Array::from(vec![id(labels); rows])),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(Float64Array::from(values)),
        text(labels.get("job").unwrap_or("")),
        text(labels.get("instance").unwrap_or("")),
    ];
    Ok(RecordBatch::try_new(Table::Metrics.file_schema(), columns)?)
}

fn series_rows(sets: &[Labels], from: i64) -> Outcome<RecordBatch> {
    let mut maps = map_builder();
    for set in sets {
        for (name, value) in set.iter() {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true)?;
    }
    let time = || -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![from * 1_000; sets.len()]).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(sets.iter().map(id).collect::<Int64Array>()),
        Arc::new(sets.iter().map(|set| Some(set.name())).collect::<StringArray>()),
        Arc::new(maps.finish()),
        time(),
        time(),
    ];
    Ok(RecordBatch::try_new(Table::Series.file_schema(), columns)?)
}
