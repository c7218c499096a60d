//! Measures the series index: loading days of files, memory a series, the time of selects, and the index of
//! the head while series come in.
//!
//! `cargo run --release -p store --example index_bench -- [series] [days]`. Series are like node_exporter's:
//! 1,000 an instance, 400 metrics, 12 jobs; one in thirty is replaced by another every day.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use model::{Batch, Clock, Labels, MatchOp, Matcher, Point, SystemClock};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use store::tables::map_builder;
use store::{Catalog, Config, FileTags, Store, Table, WriteProfile};

const DAY_MS: i64 = 86_400_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let series: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let days: i64 = arguments.next().map_or(Ok(7), |text| text.parse())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let today = clock.now_ms().div_euclid(DAY_MS);
    println!("{series} series, {days} days");
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    write_days(&objects, &clock, series, today - days..today).await?;
    files(&objects, &clock, series, today - days..today).await?;
    head(&clock, series).await
}

async fn files(
    objects: &Arc<dyn ObjectStore>,
    clock: &Arc<dyn Clock>,
    series: usize,
    days: std::ops::Range<i64>,
) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let store = open(scratch.path(), Arc::clone(objects), clock).await?;
    let one = [Matcher::equal("__name__", "node_cpu_7"), Matcher::equal("instance", instance(3))];
    let range = |from: i64| (from * DAY_MS, days.end * DAY_MS - 1);
    let before = resident();
    for (what, from) in [("load one day", days.end - 1), ("load the others", days.start)] {
        let begun = Instant::now();
        let (start_ms, end_ms) = range(from);
        store.snapshot().select_series(&one, start_ms, end_ms).await?;
        println!("{what:<42}{}", ms(begun.elapsed()));
    }
    let stats = store.stats().index;
    println!("series indexed {:>42}", stats.file_series);
    println!("index bytes a series {:>36.1}", stats.file_bytes as f64 / stats.file_series as f64);
    println!(
        "resident bytes a series, loading included {:>15.1}",
        (resident() - before) as f64 / series as f64
    );
    queries(&store, range(days.start)).await?;
    println!("of one day:");
    queries(&store, range(days.end - 1)).await?;

    let begun = Instant::now();
    let (start_ms, end_ms) = range(days.start);
    let counts = store.snapshot().cardinality(start_ms, end_ms, 20).await?;
    println!("{:<42}{} ({} series)", "cardinality", ms(begun.elapsed()), counts.series);
    let begun = Instant::now();
    let values = store.snapshot().label_values("instance", &[], start_ms, end_ms, None).await?;
    println!("{:<42}{} ({})", "values of instance", ms(begun.elapsed()), values.texts.len());

    // A flush adds a file with few new series to a day that is loaded.
    let time_ms = days.end * DAY_MS - 1_000;
    store.append(batch((series * 2..series * 2 + 100).map(|i| labels(i, 0)), time_ms)).await?;
    store.flush().await?;
    let begun = Instant::now();
    store.snapshot().select_series(&one, start_ms, end_ms).await?;
    println!("{:<42}{}", "first select after a flush of 100 series", ms(begun.elapsed()));
    store.close().await?;
    Ok(())
}

async fn queries(store: &Store, (start_ms, end_ms): (i64, i64)) -> Outcome<()> {
    let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value);
    let queries = [
        vec![Matcher::equal("__name__", "node_cpu_7"), Matcher::equal("instance", instance(3))],
        vec![matcher("job", MatchOp::Regex, "job-1|job-2")?],
        vec![matcher("__name__", MatchOp::Regex, "node_cpu.*")?],
        vec![matcher("instance", MatchOp::NotEqual, &instance(3))?],
        vec![matcher("foo", MatchOp::Regex, ".+")?],
        vec![matcher("path", MatchOp::Regex, ".*77")?],
        vec![Matcher::equal("__name__", "node_cpu_7"), matcher("path", MatchOp::Regex, ".*7")?],
    ];
    for matchers in queries {
        let text: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        let (mut best, mut found) = (Duration::MAX, 0);
        for _ in 0..5 {
            let begun = Instant::now();
            found = store.snapshot().select_series(&matchers, start_ms, end_ms).await?.len();
            best = best.min(begun.elapsed());
        }
        println!("  {:<40}{} ({found} series)", format!("{{{}}}", text.join(",")), ms(best));
    }
    Ok(())
}

/// Series come in with one sample each, while one query runs after another.
async fn head(clock: &Arc<dyn Clock>, series: usize) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let store = open(scratch.path(), Arc::new(InMemory::new()), clock).await?;
    let now_ms = clock.now_ms();
    let matchers = [Matcher::equal("__name__", "node_cpu_7"), Matcher::equal("instance", instance(3))];
    let (mut slowest, mut appending) = (Duration::ZERO, Duration::ZERO);
    for start in (0..series).step_by(5_000) {
        let batch = batch((start..series.min(start + 5_000)).map(|i| labels(i, 0)), now_ms);
        let begun = Instant::now();
        store.append(batch).await?;
        appending += begun.elapsed();
        let begun = Instant::now();
        store.snapshot().select_series(&matchers, now_ms, now_ms).await?;
        slowest = slowest.max(begun.elapsed());
    }
    println!("head: appending new series, each {:>24.2} us", appending.as_secs_f64() * 1e6 / series as f64);
    println!("{:<42}{}", "head: slowest select meanwhile", ms(slowest));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stats = store.stats();
    println!(
        "head: index bytes a series {:>30.1} (of all, {:.0})",
        stats.index.live_bytes as f64 / series as f64,
        stats.head.bytes as f64 / series as f64
    );
    queries(&store, (now_ms, now_ms)).await
}

async fn open(
    dir: &std::path::Path,
    objects: Arc<dyn ObjectStore>,
    clock: &Arc<dyn Clock>,
) -> Outcome<Store> {
    let config = Config {
        data_dir: dir.join("data"),
        group_wait: Duration::ZERO,
        flush_interval: Duration::from_secs(1 << 20),
        flush_rows: u64::MAX,
        flush_bytes: u64::MAX,
        ..Config::default()
    };
    Ok(Store::open(config, objects, Path::from("bench"), Arc::clone(clock)).await?)
}

fn instance(host: usize) -> String {
    format!("host-{host:04}.example.org:9100")
}

/// Series `i` as it is on a day; one in thirty has another path every day.
fn labels(i: usize, day: i64) -> Labels {
    let family = ["node_cpu", "node_disk", "container_memory", "http_requests"][i % 4];
    let path = if i.is_multiple_of(30) { format!("/{i}/{day}") } else { format!("/{}", i % 1_000) };
    Labels::from_pairs([
        ("__name__", format!("{family}_{}", i / 4 % 100)),
        ("instance", instance(i / 1_000)),
        ("job", format!("job-{}", i / 1_000 % 12)),
        ("device", format!("device{}", i % 50)),
        ("mode", ["idle", "user", "system", "iowait"][i / 16 % 4].to_owned()),
        ("path", path),
        ("region", "eu-central".to_owned()),
        ("foo", if i.is_multiple_of(1_000) { "bar".to_owned() } else { String::new() }),
    ])
}

fn batch(sets: impl Iterator<Item = Labels>, timestamp_ms: i64) -> Batch {
    let points = sets.map(|labels| Point { labels, timestamp_ms, value: 1.0 }).collect();
    Batch { points, ..Batch::new("bench") }
}

async fn write_days(
    objects: &Arc<dyn ObjectStore>,
    clock: &Arc<dyn Clock>,
    series: usize,
    days: std::ops::Range<i64>,
) -> Outcome<()> {
    let catalog = Catalog::open(Arc::clone(objects), Path::from("bench"), Arc::clone(clock)).await?;
    for day in days {
        let mut sets: Vec<Labels> = (0..series).map(|i| labels(i, day)).collect();
        sets.sort_by(|a, b| (a.name(), a.hash64().cast_signed()).cmp(&(b.name(), b.hash64().cast_signed())));
        let batches: Vec<RecordBatch> =
            sets.chunks(65_536).map(|sets| rows(sets, day)).collect::<Outcome<_>>()?;
        let file = catalog
            .write_file(
                Table::Series,
                i32::try_from(day)?,
                batches,
                WriteProfile::Compacted,
                FileTags::default(),
            )
            .await?;
        if day % 7 == 0 {
            println!("bytes of a file of a day a series {:>23.1}", file.size as f64 / series as f64);
        }
        catalog.commit(Table::Series, vec![file], Vec::new(), None).await?;
    }
    Ok(())
}

fn rows(sets: &[Labels], day: i64) -> Outcome<RecordBatch> {
    let mut maps = map_builder();
    for set in sets {
        for (name, value) in set.iter() {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true)?;
    }
    let time = || -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![day * DAY_MS * 1_000; sets.len()]).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(sets.iter().map(|set| set.hash64().cast_signed()).collect::<Int64Array>()),
        Arc::new(sets.iter().map(|set| Some(set.name())).collect::<StringArray>()),
        Arc::new(maps.finish()),
        time(),
        time(),
    ];
    Ok(RecordBatch::try_new(Table::Series.file_schema(), columns)?)
}

fn ms(time: Duration) -> String {
    format!("{:>12.3} ms", time.as_secs_f64() * 1e3)
}

/// Resident memory of this process, bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4_096)
}
