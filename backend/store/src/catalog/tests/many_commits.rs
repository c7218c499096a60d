//! A handle that has been open for years of commits.

use std::time::{Duration, Instant};

use model::SystemClock;

use super::*;
use crate::paths::day_of_us;
use crate::testing::{Traffic, Wire};

/// Commits of a day: one every quarter of an hour, so that a few thousand of them reach the times after which
/// removed files and old commits are forgotten.
const A_DAY: u64 = 96;
/// Commits after which nothing that is kept for a time grows any more: a week of removed files is the longest.
const SETTLED: u64 = 8 * A_DAY;

/// What some commits cost.
#[derive(Debug, Default)]
struct Cost {
    commits: u64,
    traffic: Traffic,
    time: Duration,
}

/// Commits `ATL_COMMITS` times, or 2,000: fresh files, merges of them, days removed, checkpoints, clean-up and vacuum
/// as in a running store. What a commit asks of the object store must be the same early and late.
#[tokio::test]
async fn a_commit_of_a_handle_open_for_long_costs_what_it_did_at_first() {
    let commits: u64 = std::env::var("ATL_COMMITS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let window = 1_000.min((commits - SETTLED) / 3);
    // Objects in memory have the machine's time, and the log's clean-up goes by it.
    let clock = Arc::new(ManualClock::at_ms(SystemClock.now_ms()));
    let wire = Arc::new(Wire::new(Arc::new(InMemory::new()), 1));
    let catalog = open(Arc::clone(&wire) as Arc<dyn ObjectStore>, Arc::clone(&clock) as Arc<dyn Clock>).await;
    let (mut early, mut late) = (Cost::default(), Cost::default());
    for number in 1..=commits {
        clock.advance_ms(86_400_000 / A_DAY as i64);
        let day = day_of_us(clock.now_ms() * 1_000);
        let rows = vec![metrics(&[("up", 1, number as i64, number as f64)])];
        let tags = FileTags::default();
        let file = catalog.write_file(Table::Metrics, day, rows, WriteProfile::Flush, tags).await.unwrap();
        let (before, begun) = (wire.traffic(), Instant::now());
        catalog.commit(Table::Metrics, vec![file], vec![], txn(number as i64)).await.unwrap();
        let (traffic, time) = (wire.traffic() - before, begun.elapsed());
        if (SETTLED..SETTLED + window).contains(&number) {
            early.add(traffic, time);
        } else if number > commits - window {
            late.add(traffic, time);
        }
        if number % 24 == 0 {
            merge(&catalog, day).await;
        }
        if number % A_DAY == 0 {
            catalog.apply_retention(Table::Metrics, 3).await.unwrap();
            catalog.vacuum(Duration::from_secs(3_600)).await.unwrap();
        }
    }
    show(&early, &late);
    assert_eq!((early.commits, late.commits), (window, window));
    for (what, early, late) in [
        ("requests", early.traffic.requests, late.traffic.requests),
        ("bytes written", early.traffic.bytes_in, late.traffic.bytes_in),
        ("bytes read", early.traffic.bytes_out, late.traffic.bytes_out),
    ] {
        // Merges move the checkpoints a little, of which there is one in a hundred commits.
        assert!(late <= early + early / 4, "{what} of {window} commits: first {early}, last {late}");
    }
    let files = catalog.files().table(Table::Metrics).len();
    let newest = catalog.watermark(Table::Metrics, "ingest");
    assert_eq!(newest, Some(commits as i64));
    assert!(files < 4 * A_DAY as usize, "{files} files");
}

impl Cost {
    fn add(&mut self, traffic: Traffic, time: Duration) {
        self.commits += 1;
        self.traffic.requests += traffic.requests;
        self.traffic.bytes_in += traffic.bytes_in;
        self.traffic.bytes_out += traffic.bytes_out;
        self.time += time;
    }
}

/// Puts one file in the place of the fresh ones of a day.
async fn merge(catalog: &Catalog, day: i32) {
    let sets = catalog.files();
    let fresh: Vec<Arc<DataFile>> =
        sets.day(Table::Metrics, day).iter().filter(|file| file.tags.level == 0).cloned().collect();
    let rows: Vec<_> = (0..fresh.len() as i64).map(|i| ("up", 1, i, 0.5)).collect();
    let tags = FileTags { level: 1, may_repeat: false };
    let merged = catalog
        .write_file(Table::Metrics, day, vec![metrics(&rows)], WriteProfile::Flush, tags)
        .await
        .unwrap();
    catalog.commit(Table::Metrics, vec![merged], fresh, None).await.unwrap();
}

#[expect(clippy::print_stderr, reason = "figures for whoever asks for many commits; shown with --nocapture")]
fn show(early: &Cost, late: &Cost) {
    for (what, cost) in [("first", early), ("last", late)] {
        let a_commit = |sum: u64| sum as f64 / cost.commits as f64;
        let Traffic { requests, bytes_in, bytes_out } = cost.traffic;
        eprintln!(
            "{what} {} commits: {:.2} requests, {:.0} bytes written, {:.0} read, {:.3} ms a commit",
            cost.commits,
            a_commit(requests),
            a_commit(bytes_in),
            a_commit(bytes_out),
            cost.time.as_secs_f64() * 1e3 / cost.commits as f64,
        );
    }
}
