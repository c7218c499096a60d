//! When scrapes happen and what ends a target, on tokio's paused clock, with exporters that follow a script.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::exporters::{Exporter, ExporterError};
use crate::scrape::{Health, Job, Manager, Options};
use crate::testing::{MemorySink, TokioClock, job};

/// Gives `a N` for the N-th time it is asked, from 1, after a while.
struct Counting {
    asked: AtomicUsize,
    delay: Duration,
}

#[async_trait]
impl Exporter for Counting {
    async fn collect(&self) -> Result<String, ExporterError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        sleep(self.delay).await;
        Ok(format!("a {number}\n"))
    }
}

struct Rig {
    manager: Manager,
    sink: Arc<MemorySink>,
}

const START_MS: i64 = 1_000_000;

impl Rig {
    fn start(jobs: Vec<Job>, delay_ms: u64) -> Rig {
        let exporter =
            || Arc::new(Counting { asked: AtomicUsize::new(0), delay: Duration::from_millis(delay_ms) });
        let exporters: BTreeMap<String, Arc<dyn Exporter>> =
            ["one", "two"].into_iter().map(|name| (name.to_owned(), exporter() as _)).collect();
        let sink = Arc::new(MemorySink::default());
        let options = Options { hostname: "h".into(), exporters };
        let manager = Manager::start(jobs, options, Arc::clone(&sink) as _, TokioClock::at_ms(START_MS));
        Rig { manager, sink }
    }

    /// Points of `a` and `up` so far.
    fn points(&self) -> Vec<String> {
        self.sink.points(|name| name == "a" || name == "up")
    }

    fn timestamps(&self) -> Vec<i64> {
        let points = self.sink.points(|name| name == "up");
        points
            .iter()
            .map(|point| point.rsplit('@').next().expect("a part").parse().expect("a number"))
            .collect()
    }
}

/// A job with an interval and a timeout of 10 s and targets `builtin://NAME`.
fn builtin(targets: &[&str], more: Value) -> Job {
    let targets: Vec<String> = targets.iter().map(|name| format!("builtin://{name}")).collect();
    let mut config =
        json!({"scrape_interval": "10s", "scrape_timeout": "10s", "static_configs": [{"targets": targets}]});
    for (field, value) in more.as_object().expect("a map") {
        config[field] = value.clone();
    }
    job(config)
}

#[tokio::test(start_paused = true)]
async fn timestamps_are_regular_and_in_a_fixed_phase() {
    let rig = Rig::start(vec![builtin(&["one", "two"], json!({}))], 3);
    sleep(Duration::from_secs(60)).await;
    let one: Vec<i64> = rig.timestamps();
    assert_eq!(one.len(), 12, "each target once in each interval");
    let phases: std::collections::BTreeSet<i64> = one.iter().map(|timestamp| timestamp % 10_000).collect();
    assert_eq!(phases.len(), 2, "each target keeps a phase of its own: {phases:?}");
    let again = Rig::start(vec![builtin(&["one", "two"], json!({}))], 3);
    sleep(Duration::from_secs(10)).await;
    assert!(
        again.timestamps().iter().all(|timestamp| phases.contains(&(timestamp % 10_000))),
        "also after a restart"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_scraped_once_at_a_time_and_fails_at_its_timeout() {
    let rig = Rig::start(vec![builtin(&["one"], json!({"scrape_timeout": "4s"}))], 60_000);
    sleep(Duration::from_secs(44)).await;
    assert_eq!(rig.sink.values("up"), [0.0; 4]);
    assert_eq!(rig.sink.values("scrape_duration_seconds"), [4.0; 4]);
    let status = rig.manager.targets().remove(0);
    assert_eq!(status.error.as_deref(), Some("no complete answer within the scrape timeout of 4s"));
}

#[tokio::test(start_paused = true)]
async fn a_scrape_of_a_whole_interval_does_not_skip_the_next() {
    let rig = Rig::start(vec![builtin(&["one"], json!({}))], 60_000);
    sleep(Duration::from_secs(61)).await;
    let timestamps = rig.timestamps();
    assert!(timestamps.len() >= 5, "{timestamps:?}");
    assert!(timestamps.windows(2).all(|pair| pair[1] - pair[0] < 10_100), "{timestamps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_removed_target_ends_with_markers_after_two_ticks() {
    let rig = Rig::start(vec![builtin(&["one"], json!({}))], 0);
    sleep(Duration::from_secs(15)).await;
    let before = rig.points();
    let last: i64 = *rig.timestamps().last().expect("one scrape at least");
    rig.manager.reload(vec![]);
    assert!(rig.manager.targets().is_empty());
    // A tick at 16.5 s, one at 26.5 s, and a tenth of the interval.
    sleep(Duration::from_secs(12)).await;
    assert_eq!(rig.points(), before, "not yet");
    sleep(Duration::from_secs(15)).await;
    let after: Vec<String> = rig.points()[before.len()..].to_vec();
    // At the time the next scrape would have been.
    assert_eq!(after, [format!("a stale @{}", last + 10_000), format!("up stale @{}", last + 10_000)]);
    let stale = |name: &str| model::is_stale(*rig.sink.values(name).last().expect("written"));
    assert!(stale("scrape_duration_seconds") && stale("scrape_body_size_bytes"), "all reports end too");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.points().len(), before.len() + 2, "once");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_in_time_is_never_ended() {
    let rig = Rig::start(vec![builtin(&["one"], json!({}))], 0);
    sleep(Duration::from_secs(15)).await;
    rig.manager.reload(vec![builtin(&[], json!({}))]);
    sleep(Duration::from_secs(5)).await;
    rig.manager.reload(vec![builtin(&["one"], json!({}))]);
    sleep(Duration::from_secs(60)).await;
    assert!(rig.sink.values("a").iter().all(|value| !model::is_stale(*value)), "{:?}", rig.points());
}

#[tokio::test(start_paused = true)]
async fn the_same_series_from_another_job_are_not_ended() {
    let rig = Rig::start(vec![builtin(&["one"], json!({}))], 0);
    sleep(Duration::from_secs(15)).await;
    // Another exporter, so another target, but with the same labels.
    rig.manager.reload(vec![builtin(&["two"], json!({}))]);
    sleep(Duration::from_secs(60)).await;
    assert!(rig.sink.values("a").iter().all(|value| !model::is_stale(*value)), "{:?}", rig.points());
}

#[tokio::test(start_paused = true)]
async fn a_changed_job_hands_its_series_over() {
    let rig = Rig::start(vec![builtin(&["one"], json!({}))], 0);
    sleep(Duration::from_secs(15)).await;
    let scraped = rig.sink.values("up").len();
    let drop =
        json!({"metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "a", "action": "drop"}]});
    rig.manager.reload(vec![builtin(&["one"], drop)]);
    sleep(Duration::from_secs(20)).await;
    let values = rig.sink.values("a");
    assert_eq!(values.len(), scraped + 1, "{values:?}");
    assert!(model::is_stale(values[scraped]), "the rule took effect at the next scrape");
    assert_eq!(rig.manager.targets()[0].health, Health::Up, "its state was kept");
    let ups = rig.timestamps();
    assert!(ups.windows(2).all(|pair| pair[1] - pair[0] == 10_000), "no scrape was lost: {ups:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reload_without_change_leaves_the_loops_alone_and_lets_a_scrape_finish() {
    let rig = Rig::start(vec![builtin(&["one"], json!({}))], 2000);
    sleep(Duration::from_secs(30)).await;
    for _ in 0..20 {
        rig.manager.reload(vec![builtin(&["one"], json!({}))]);
        sleep(Duration::from_millis(500)).await;
    }
    // Now in the midst of a scrape, with a change.
    for seconds in [11, 12, 13] {
        let timeout = format!("{}ms", seconds * 700);
        rig.manager.reload(vec![builtin(&["one"], json!({"scrape_timeout": timeout}))]);
        sleep(Duration::from_secs(10)).await;
    }
    assert!(rig.sink.values("up").iter().all(|up| *up == 1.0 || model::is_stale(*up)), "{:?}", rig.points());
}

#[tokio::test(start_paused = true)]
async fn stopping_writes_no_markers_and_waits_for_nobody() {
    let rig = Rig::start(vec![builtin(&["one", "two"], json!({}))], 60_000);
    sleep(Duration::from_secs(25)).await;
    let before = rig.points();
    let start = tokio::time::Instant::now();
    rig.manager.stop().await;
    assert!(start.elapsed() < Duration::from_millis(10), "a running scrape is broken off");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.points(), before);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_nobody_knows_is_down() {
    let rig = Rig::start(vec![builtin(&["three"], json!({}))], 0);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.sink.values("up"), [0.0]);
    let error = rig.manager.targets().remove(0).error;
    assert_eq!(error.as_deref(), Some("there is no built-in exporter `three`"));
}

#[tokio::test]
async fn targets_from_files_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.yml");
    std::fs::write(&file, "- targets: ['builtin://one']\n").unwrap();
    let config =
        json!({"static_configs": [], "file_sd_configs": [{"files": [file], "refresh_interval": "50ms"}]});
    let rig = Rig::start(vec![builtin(&[], config)], 0);
    let wait_for = async |count: usize| {
        for _ in 0..400 {
            if rig.manager.targets().len() == count {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("never {count} targets");
    };
    wait_for(1).await;
    std::fs::write(&file, "- targets: ['builtin://one', 'builtin://two']\n  labels: {x: y}\n").unwrap();
    wait_for(2).await;
    assert_eq!(rig.manager.targets()[0].labels.get("x"), Some("y"));
    std::fs::remove_file(&file).unwrap();
    wait_for(0).await;
    rig.manager.stop().await;
}
