//! Measures the memory of the head: bytes a series and a sample with hours of samples kept, beside what the
//! store says of itself; the time of merging, of a snapshot and of reading a metric from memory.
//!
//! `cargo run --release -p store --example head_bench -- [series] [minutes] [hot minutes]`. A sample a series
//! every 15 s, in targets of 1,000 series with values as node_exporter has them: half never change, a third
//! are counters, the rest are gauges and seconds with a fraction. Flushes every 5 minutes.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::alloc::System;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Batch, Clock, Labels, ManualClock, Point};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use store::objects::{self, ObjectsConfig};
use store::{Config, HeadFilter, Store, Table};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TARGET_SERIES: usize = 1_000;
const INTERVAL_MS: i64 = 15_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let series = arguments.next().unwrap_or(Ok(20_000))?;
    let minutes = arguments.next().unwrap_or(Ok(120))?;
    let hot_minutes = arguments.next().unwrap_or(Ok(120))?;
    let scratch = tempfile::tempdir()?;
    let config = Config {
        data_dir: scratch.path().join("data"),
        flush_interval: Duration::from_secs(1 << 30),
        hot_window: Duration::from_secs(hot_minutes as u64 * 60),
        hot_bytes_max: 16 << 30,
        ..Config::default()
    };
    let url = format!("file:{}", scratch.path().join("tables").display());
    let objects = objects::open(&ObjectsConfig { url, ..ObjectsConfig::default() })?;
    let clock = Arc::new(ManualClock::at_ms(1_795_000_000_000));
    let store = Store::open(config, objects.store, objects.prefix, Arc::clone(&clock) as _).await?;

    let empty = allocated();
    let targets: Vec<Vec<Labels>> = (0..series.div_ceil(TARGET_SERIES)).map(target).collect();
    // The list itself is the program's; what it points to is shared with the store.
    let own: usize = targets.iter().map(|target| target.capacity() * size_of::<Labels>()).sum();
    let (rounds, begun) = (minutes * 60 / 15, Instant::now());
    let mut flushing = Duration::ZERO;
    for round in 0..rounds {
        for (number, target) in targets.iter().enumerate() {
            let jitter = i64::from((number * 31 + round * 17) % 20 == 0);
            let time_ms = clock.now_ms() - INTERVAL_MS + number as i64 * 7 + jitter;
            store.append(scraped(target, number, time_ms, round as u64)).await?;
        }
        clock.advance_ms(INTERVAL_MS);
        if round % 20 == 19 {
            let flush = Instant::now();
            store.flush().await?;
            flushing += flush.elapsed();
        }
    }
    let samples = (rounds * targets.len() * TARGET_SERIES) as f64;
    println!(
        "appended and flushed    {:>10.1} s, {:.1} s of it flushes",
        begun.elapsed().as_secs_f64(),
        flushing.as_secs_f64()
    );
    report(&store, (allocated() - empty - own as i64) as f64, samples);
    read(&store, clock.now_ms())?;
    Ok(())
}

/// Bytes on the heap now, as asked for.
fn allocated() -> i64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

fn report(store: &Store, allocated: f64, samples: f64) {
    let stats = store.stats();
    let (head, hot) = (stats.head, stats.hot);
    let held = (hot.rows + head.points) as f64;
    let series = head.label_sets as f64;
    println!("samples                 {samples:>10.0}, {held:.0} of them in memory");
    println!("on the heap             {:>10.1} MB", allocated / 1e6);
    println!(
        "the store says          {:>10.1} MB ({:+.1} %)",
        (head.bytes + stats.index.live_bytes) as f64 / 1e6,
        1e2 * ((head.bytes + stats.index.live_bytes) as f64 / allocated - 1.0)
    );
    println!("  label sets            {:>10.0} bytes a series", head.label_bytes as f64 / series);
    println!("  index of label sets   {:>10.0} bytes a series", stats.index.live_bytes as f64 / series);
    println!(
        "  hot blocks            {:>10.0} bytes a series, {} blocks",
        hot.bytes as f64 / series,
        hot.blocks
    );
    println!(
        "  not flushed and other {:>10.0} bytes a series",
        (head.bytes - head.label_bytes - hot.bytes) as f64 / series
    );
    println!(
        "all in                  {:>10.0} bytes a series, {:.2} a sample",
        allocated / series,
        allocated / held
    );
    println!("hot bytes a sample      {:>10.2}", hot.bytes as f64 / hot.rows as f64);
    let merged = hot.merge_time_total.as_secs_f64();
    println!(
        "merging                 {merged:>10.2} s, {} merges, {:.0} ns a sample kept",
        hot.merges_total,
        merged / held * 1e9
    );
}

fn read(store: &Store, now_ms: i64) -> Outcome<()> {
    let begun = Instant::now();
    for _ in 0..1_000 {
        std::hint::black_box(store.snapshot());
    }
    println!("snapshot                {:>10.2} us", begun.elapsed().as_secs_f64() * 1e3);
    let snapshot = store.snapshot();
    for (what, minutes) in [("whole window", 1 << 20), ("last 10 minutes", 10)] {
        let filter = HeadFilter {
            metric: Some("node_metric_7_total".to_owned()),
            start_us: Some((now_ms - minutes * 60_000) * 1_000),
            ..HeadFilter::default()
        };
        let begun = Instant::now();
        let rows: usize = snapshot.head_batches(Table::Metrics, &filter)?.iter().map(|b| b.num_rows()).sum();
        let took = begun.elapsed().as_secs_f64();
        println!(
            "a metric, {what:<15}{:>9.2} ms, {rows} samples, {:.0} ns each",
            took * 1e3,
            took / rows as f64 * 1e9
        );
    }
    Ok(())
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
    (0..TARGET_SERIES).map(series).collect()
}

/// Some bits that look random.
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn scraped(series: &[Labels], target: usize, timestamp_ms: i64, round: u64) -> Batch {
    let point = |(i, labels): (usize, &Labels)| {
        let seed = (target * TARGET_SERIES + i) as u64;
        let noise = mixed(seed << 20 | round);
        let value = match i % 20 {
            // Sizes, limits, infos, counters of what never happens.
            0..10 => (seed * 977 % 1_000_000) as f64,
            // Counters of events and of bytes.
            10..14 => (seed * 37 + round * (seed % 50 + 1) + noise % 8) as f64,
            14..17 => (seed * 1_000_003 + round * 150_000 + noise % 65_536) as f64,
            // Seconds of processor time.
            17 => (seed % 100_000 + round * 1_490 + noise % 10) as f64 / 100.0,
            // Free memory; a load average.
            18 => ((2_000_000 + noise % 4_096) * 4_096) as f64,
            _ => (noise % 400) as f64 / 100.0,
        };
        Point { labels: Labels::clone(labels), timestamp_ms, value }
    };
    Batch { points: series.iter().enumerate().map(point).collect(), ..Batch::new("scrape/node") }
}
