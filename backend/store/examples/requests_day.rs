//! Counts the requests to S3 of one day at a team's load: three simulated days in some minutes, with the store's own
//! timers for flushes, merges, retention and vacuum, against an object store that counts.
//!
//! `cargo run --release -p store --example requests_day -- [SERIES INTERVAL_S LINES_A_SECOND]`; 20,000 series every 15 s
//! and 200 lines a second where nothing is said, and ten probes a minute. Only the first day has a twentieth of that:
//! it is there to be removed when its time is over. The third day is counted: it merges the second one and removes
//! the first. The clock and the timers move together and wait for work under way.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use model::{Batch, ManualClock, Point, ProbeResult};
use object_store::ObjectStore;
use object_store::path::Path;
use serde_json::{Value, json};
use store::objects::{self, ObjectsConfig};
use store::{Config, Retention, Store};

mod counting;
mod fleet;
mod lines;
mod team;

use counting::{CountingStore, Counts, Requests};
use team::Team;

/// 2026-11-20 00:00 UTC.
const FIRST_DAY_MS: i64 = 1_795_132_800_000;
const DAY_S: i64 = 86_400;
const DAYS: i64 = 3;
/// A twentieth of the load on the first day.
const THIN: usize = 20;
const STEP_S: i64 = 5;
/// The store flushes this often.
const FLUSH_S: i64 = 300;
const PROBES: usize = 10;
const POINTS_A_BATCH: usize = 10_000;
/// Longest real time a step may wait for work under way.
const PATIENCE: Duration = Duration::from_secs(1_800);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the simulated sources send.
#[derive(Clone, Copy)]
struct Load {
    series: usize,
    interval_s: i64,
    lines_a_second: usize,
}

/// What the counted day came to.
struct Day {
    counts: Counts,
    flushes: u64,
    merges: u64,
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let load = Load { series: next(20_000)?, interval_s: next(15)? as i64, lines_a_second: next(200)? };
    let scratch = tempfile::tempdir()?;
    let url = format!("file:{}", scratch.path().join("store").display());
    let objects = objects::open(&ObjectsConfig { url, ..ObjectsConfig::default() })?;
    let day = simulate(load, objects.store, scratch.path()).await?;
    println!("{}", report(&day));
    Ok(())
}

fn report(day: &Day) -> Value {
    let rows: Vec<Value> = day
        .counts
        .iter()
        .filter(|(_, (requests, _))| *requests > 0)
        .map(|((method, what), (requests, bytes))| {
            json!({ "method": method, "what": what, "requests": requests, "bytes": bytes })
        })
        .collect();
    json!({ "flushes": day.flushes, "merges": day.merges, "puts": puts(&day.counts), "requests": rows })
}

/// What S3 bills as writing, parts of large files and their beginnings and ends included.
fn puts(counts: &Counts) -> u64 {
    counts
        .iter()
        .filter(|((method, _), _)| matches!(*method, "PUT" | "POST" | "COPY"))
        .map(|(_, (requests, _))| requests)
        .sum()
}

async fn simulate(load: Load, objects: Arc<dyn ObjectStore>, data_dir: &FilePath) -> Outcome<Day> {
    // Paused timers jump ahead whenever nothing runs, which waiting for the log's own thread looks like. As long as
    // a blocking task runs, they only move when told to.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let anchor = tokio::task::spawn_blocking(move || released.recv());
    let clock = Arc::new(ManualClock::at_ms(FIRST_DAY_MS));
    let (counting, requests) = CountingStore::new(objects);
    let config = Config {
        data_dir: data_dir.join("data"),
        flush_interval: Duration::from_secs(FLUSH_S as u64),
        retention: Retention { metrics_days: Some(2), logs_days: Some(2), probes_days: Some(2) },
        ..Config::default()
    };
    let store = Store::open(config, Arc::new(counting), Path::default(), Arc::clone(&clock) as _).await?;
    let day = run(load, &store, &clock, &requests).await?;
    store.close().await?;
    drop(release);
    // It ends by the channel's end.
    let _ = anchor.await?;
    Ok(day)
}

async fn run(load: Load, store: &Store, clock: &ManualClock, requests: &Requests) -> Outcome<Day> {
    let mut fleet = fleet::series(load.series);
    let mut team = Team::new();
    let (mut flushes, mut merges) = (0, 0);
    for second in (0..DAYS * DAY_S).step_by(STEP_S as usize) {
        if second == (DAYS - 1) * DAY_S {
            requests.take();
            let stats = store.stats();
            (flushes, merges) = (stats.flush.flushes_total, stats.compaction.compactions_total);
        }
        let thin = if second < DAY_S { THIN } else { 1 };
        if second % load.interval_s == 0 {
            send(load, store, &mut fleet, &mut team, FIRST_DAY_MS + second * 1_000, thin).await?;
        }
        clock.advance_ms(STEP_S * 1_000);
        tokio::time::advance(Duration::from_secs(STEP_S as u64)).await;
        rest(store, requests, ((second + STEP_S) / FLUSH_S) as u64).await?;
    }
    let stats = store.stats();
    let (failures, lost) =
        (stats.flush.failures_total + stats.flush.maintenance_failures_total, stats.lease.lost_total);
    if failures + lost > 0 {
        return Err(format!(
            "{failures} flushes or maintenance runs failed, the lease was lost {lost} times"
        )
        .into());
    }
    Ok(Day {
        counts: requests.take(),
        flushes: stats.flush.flushes_total - flushes,
        merges: stats.compaction.compactions_total - merges,
    })
}

/// One scrape of everything, the lines since the last one, and the probes' results.
async fn send(
    load: Load,
    store: &Store,
    fleet: &mut [fleet::Series],
    team: &mut Team,
    now_ms: i64,
    thin: usize,
) -> Outcome<()> {
    let count = fleet.len().div_ceil(thin);
    for part in fleet[..count].chunks_mut(POINTS_A_BATCH) {
        let mut batch = Batch::new("simulated");
        for series in part {
            batch.points.push(Point {
                labels: series.labels.clone(),
                timestamp_ms: now_ms,
                value: series.value(),
            });
            series.step();
        }
        store.append(batch).await?;
    }
    let lines = load.lines_a_second * load.interval_s as usize / thin;
    let log_streams = team.logs(now_ms, load.interval_s * 1_000, lines.max(1));
    let probes = (0..PROBES).map(|i| probe(i, now_ms)).collect();
    store.append(Batch { log_streams, probes, ..Batch::new("simulated") }).await?;
    Ok(())
}

fn probe(i: usize, now_ms: i64) -> ProbeResult {
    ProbeResult {
        timestamp_ms: now_ms,
        probe: format!("probe-{i}"),
        target: format!("https://service-{i}.example.org/"),
        kind: "http".to_owned(),
        location: "FRA".to_owned(),
        success: true,
        duration_seconds: 0.1,
        result_id: format!("{now_ms:x}-{i}"),
        ..ProbeResult::default()
    }
}

/// Waits in real time until flushes and maintenance that are due have been done. `flushes`: how many must have been.
async fn rest(store: &Store, requests: &Requests, flushes: u64) -> Outcome<()> {
    for _ in 0..PATIENCE.as_millis() {
        // The runtime has nothing to do meanwhile, so it sees which timers are due, and their tasks come to where
        // the numbers below tell of them.
        for _ in 0..2 {
            tokio::task::spawn_blocking(|| ()).await?;
            tokio::task::yield_now().await;
        }
        let stats = store.stats();
        let flushed = stats.head.unflushed_generations == 0 && stats.flush.flushes_total >= flushes;
        if flushed && requests.under_way() == 0 && !stats.lease.held {
            return Ok(());
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await?;
    }
    Err("a flush or a merge does not end".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_day_takes_no_more_than_three_thousand_puts() {
        let scratch = tempfile::tempdir().unwrap();
        let load = Load { series: 60, interval_s: 300, lines_a_second: 1 };
        let objects = Arc::new(object_store::memory::InMemory::new());
        let day = simulate(load, objects, scratch.path()).await.unwrap();
        let text = report(&day).to_string();
        assert!(day.flushes >= 280, "{text}");
        assert!(day.merges >= 40, "{text}");
        // Two tables at least are written in every flush, a file and a commit each.
        assert!((4 * day.flushes..=3_000).contains(&puts(&day.counts)), "{text}");
        assert!(day.counts.contains_key(&("PUT", "_index/logs".to_owned())), "{text}");
    }
}
