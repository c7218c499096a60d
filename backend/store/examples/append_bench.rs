//! Measures appending: points a second with fsync, bytes of log and head a point, time of a flush and of a
//! start from the log.
//!
//! `cargo run --release -p store --example append_bench -- [directory] [writers] [scrapes]`. Each writer
//! stands for targets of 1,000 series like node_exporter's: a third constant, a third counters, a third
//! floats; every append is one scrape.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Batch, Clock, Labels, Point, SystemClock};
use object_store::memory::InMemory;
use object_store::path::Path;
use store::{Config, Store};

const SERIES: usize = 1_000;
const TARGETS_A_WRITER: usize = 5;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let scratch = tempfile::tempdir()?;
    let data_dir = arguments.next().map_or_else(|| scratch.path().join("data"), PathBuf::from);
    let writers: usize = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let scrapes: usize = arguments.next().map_or(Ok(400), |text| text.parse())?;
    let config = Config {
        data_dir,
        flush_interval: Duration::from_secs(1 << 20),
        flush_rows: u64::MAX,
        flush_bytes: u64::MAX,
        ..Config::default()
    };
    let objects = Arc::new(InMemory::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let open =
        || Store::open(config.clone(), Arc::clone(&objects) as _, Path::from("bench"), Arc::clone(&clock));

    let store = Arc::new(open().await?);
    let start_ms = clock.now_ms();
    let prepared: Vec<Vec<Labels>> = (0..writers * TARGETS_A_WRITER).map(target).collect();
    let prepared = Arc::new(prepared);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, prepared) = (Arc::clone(&store), Arc::clone(&prepared));
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                for scrape in 0..scrapes {
                    let number = writer * TARGETS_A_WRITER + scrape % TARGETS_A_WRITER;
                    let time_ms = start_ms + (scrape / TARGETS_A_WRITER) as i64 * 15_000 + number as i64 * 7;
                    let batch = scraped(&prepared[number], time_ms, scrape / TARGETS_A_WRITER);
                    let sent = Instant::now();
                    store.append(batch).await?;
                    slowest = slowest.max(sent.elapsed());
                }
                Outcome::Ok(slowest)
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for task in tasks {
        slowest = slowest.max(task.await??);
    }
    let took = begun.elapsed();
    report(&store, took, slowest);

    drop(store);
    // The thread and the lock of a store that was dropped are gone a moment later.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    let store = open().await?;
    println!(
        "start from the log  {:>9.3} s  ({} rows)",
        begun.elapsed().as_secs_f64(),
        store.stats().replay.rows
    );
    let begun = Instant::now();
    let flushed = store.flush().await?;
    let took = begun.elapsed().as_secs_f64();
    println!("flush               {took:>9.3} s  ({} rows, {} bytes)", flushed.rows, flushed.bytes);
    println!("table bytes a row   {:>9.2}", flushed.bytes as f64 / flushed.rows as f64);
    store.close().await?;
    Ok(())
}

fn report(store: &Store, took: Duration, slowest: Duration) {
    let stats = store.stats();
    let points = stats.append.points_total as f64;
    println!("points a second     {:>9.0}", points / took.as_secs_f64());
    println!(
        "batches an fsync    {:>9.2}",
        stats.append.batches_total as f64 / stats.wal.groups_total as f64
    );
    println!("slowest append      {:>9.1} ms", slowest.as_secs_f64() * 1e3);
    println!(
        "write and fsync     {:>9.1} % of the time",
        1e2 * stats.wal.write_time_total.as_secs_f64() / took.as_secs_f64()
    );
    println!("log bytes a point   {:>9.2}", stats.wal.written_bytes_total as f64 / points);
    println!("head bytes a point  {:>9.2}", stats.head.bytes as f64 / points);
    println!("head bytes a series {:>9.0}", stats.head.bytes as f64 / stats.head.series as f64);
}

/// The series of one target.
fn target(number: usize) -> Vec<Labels> {
    let series = |i: usize| {
        Labels::from_pairs([
            ("__name__", format!("node_metric_{}_total", i % 180)),
            ("instance", format!("host-{number:03}.example.org:9100")),
            ("job", "node".to_owned()),
            ("device", format!("device{}", i / 180)),
            ("mode", ["idle", "user", "system", "iowait"][i % 4].to_owned()),
        ])
    };
    (0..SERIES).map(series).collect()
}

fn scraped(series: &[Labels], timestamp_ms: i64, round: usize) -> Batch {
    let point = |(i, labels): (usize, &Labels)| {
        let value = match i % 3 {
            0 => i as f64,
            1 => (1_000_000 + i * 977 + round * (i * 37 + 1)) as f64,
            _ => (i * 31 + round * 17) as f64 * 0.37,
        };
        Point { labels: Labels::clone(labels), timestamp_ms, value }
    };
    Batch { points: series.iter().enumerate().map(point).collect(), ..Batch::new("scrape/node") }
}
