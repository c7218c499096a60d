use std::time::Duration;

use model::{Batch, Labels, Matcher, Point, stale_nan};
use promql::{Cell, Value};

use super::*;
use crate::Config;
use crate::prom::error::PromErrorType;
use crate::tests::fixture::{Fixture, SAMPLES, START_MS};

const MINUTE: i64 = 60_000;

fn options() -> PromOptions {
    PromOptions::default()
}

fn engine(config: PromConfig) -> PromEngine {
    PromEngine::new(config, Workers::start().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_the_same_from_the_head_and_from_files() {
    let fixtures = [Fixture::filled().await, Fixture::half_flushed().await, Fixture::flushed().await];
    let end_ms = START_MS + (SAMPLES - 1) * MINUTE;
    for query in [
        "up",
        "sum by (instance) (rate(cpu_seconds_total[5m]))",
        "max_over_time(cpu_seconds_total{mode=~\"u.*\"}[10m]) - cpu_seconds_total offset 5m",
        "{__name__=~\"job:.*\"}",
        "count({instance=~\".+\", instance!=\"beta\"})",
        "absent(nothing)",
    ] {
        let mut answers = Vec::new();
        for fixture in &fixtures {
            let prom = fixture.engine.prom();
            let answer =
                prom.range(fixture.store.snapshot(), query, START_MS, end_ms, 90_000, &options()).await;
            let answer = answer.unwrap();
            assert!(matches!(&answer.value, Value::Matrix(series) if !series.is_empty()), "{query}");
            // Text, because NaN differs from itself.
            answers.push(format!("{:?}", answer.value));
        }
        assert_eq!(answers[0], answers[1], "{query}");
        assert_eq!(answers[0], answers[2], "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_tell_what_was_read() {
    let fixture = Fixture::flushed().await;
    let end_ms = START_MS + (SAMPLES - 1) * MINUTE;
    let prom = fixture.engine.prom();
    let snapshot = fixture.store.snapshot();
    let answer = prom.range(Arc::clone(&snapshot), "up", START_MS, end_ms, MINUTE, &options()).await.unwrap();
    let stats = answer.stats;
    assert_eq!((stats.series, stats.samples), (3, 3 * SAMPLES as usize));
    assert!(stats.files > 1 && stats.bytes_read > 0, "{stats:?}");
    // The same series asked for twice are read once.
    let query = "rate(up[5m]) + up";
    let answer = prom.range(snapshot, query, START_MS, end_ms, MINUTE, &options()).await.unwrap();
    assert_eq!((answer.stats.series, answer.stats.samples), (3, 3 * SAMPLES as usize));
}

/// What an instant query gives, as (labels, bits of the value).
fn instant_samples(value: &Value) -> Vec<(Labels, u64)> {
    let Value::Vector(samples) = value else { panic!("{value:?} is no vector") };
    let mut found: Vec<_> = samples
        .iter()
        .map(|sample| match &sample.value {
            Cell::Float(value) => (sample.labels.clone(), value.to_bits()),
            Cell::Histogram(_) => panic!("a histogram of floats"),
        })
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_query_is_an_instant_query_at_every_step() {
    for seed in 1..=3_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut dice = move |below: u64| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
        };
        let fixture = Fixture::empty(Config::default()).await;
        for part in 0..3 {
            let mut batch = Batch::new("test");
            for i in 0..6_i64 {
                let labels = Labels::from_pairs([
                    ("__name__", if i % 2 == 0 { "c_total" } else { "g" }),
                    ("i", &i.to_string()),
                ]);
                let mut value = 0.0;
                for step in 0..60 {
                    value = if dice(20) == 0 { 0.0 } else { value + dice(9) as f64 };
                    let timestamp_ms = START_MS + (part * 60 + step) * 15_000 + dice(5_000) as i64;
                    match dice(12) {
                        0 => {}
                        1 => batch.points.push(Point {
                            labels: labels.clone(),
                            timestamp_ms,
                            value: stale_nan(),
                        }),
                        _ => batch.points.push(Point { labels: labels.clone(), timestamp_ms, value }),
                    }
                }
            }
            fixture.store.append(batch).await.unwrap();
            if part < 2 {
                fixture.store.flush().await.unwrap();
            }
        }
        let snapshot = fixture.store.snapshot();
        let prom = fixture.engine.prom();
        for query in [
            "c_total",
            "{i=~\".+\"}",
            "rate(c_total[90s])",
            "increase(c_total[5m] offset 1m)",
            "sum(g) or max by (i) (c_total)",
            "avg_over_time(g[2m:20s])",
            "topk(2, c_total) - on (i) c_total offset 30s",
            "quantile_over_time(0.5, {__name__=~\"c_total|g\", i!=\"3\"}[3m])",
        ] {
            let (start_ms, step_ms) = (START_MS + dice(100_000) as i64, 7_000 + dice(60_000) as i64);
            let end_ms = START_MS + 45 * MINUTE + 10 * MINUTE;
            let range = prom
                .range(Arc::clone(&snapshot), query, start_ms, end_ms, step_ms, &options())
                .await
                .unwrap();
            let Value::Matrix(matrix) = range.value else { panic!("a range query gives a matrix") };
            let mut time_ms = start_ms;
            while time_ms <= end_ms {
                let instant = prom.instant(Arc::clone(&snapshot), query, time_ms, &options()).await.unwrap();
                let mut column: Vec<(Labels, u64)> = matrix
                    .iter()
                    .filter_map(|series| {
                        let float = series.floats.iter().find(|(time, _)| *time == time_ms)?;
                        Some((series.labels.clone(), float.1.to_bits()))
                    })
                    .collect();
                column.sort();
                assert_eq!(column, instant_samples(&instant.value), "{query} at {time_ms}, seed {seed}");
                time_ms += step_ms;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_have_the_words_and_types_of_prometheus() {
    let fixture = Fixture::flushed().await;
    let snapshot = fixture.store.snapshot();
    let end_ms = START_MS + SAMPLES * MINUTE;
    let check = |config: PromConfig, query: &'static str, options: PromOptions| {
        let (snapshot, engine) = (Arc::clone(&snapshot), engine(config));
        async move {
            let error = engine.range(snapshot, query, START_MS, end_ms, MINUTE, &options).await.unwrap_err();
            (error.error_type(), error.to_string())
        }
    };
    let parse = check(PromConfig::default(), "sum(up", options()).await;
    assert_eq!(parse.0, PromErrorType::BadData);
    assert!(parse.1.starts_with("1:7: parse error: "), "{}", parse.1);
    let few = PromConfig { samples_max: 100, ..PromConfig::default() };
    let samples = check(few, "up", options()).await;
    let text = "query processing would load too many samples into memory in query execution";
    assert_eq!(samples, (PromErrorType::Execution, text.to_owned()));
    // Less than one series needs.
    let few = PromConfig { memory_limit: 800, ..PromConfig::default() };
    assert_eq!(check(few, "up", options()).await, (PromErrorType::Execution, text.to_owned()));
    let few = PromConfig { series_max: 2, ..PromConfig::default() };
    assert_eq!(check(few, "up", options()).await.0, PromErrorType::Execution);
    let none = PromOptions { timeout: Some(Duration::ZERO), ..options() };
    let timeout = check(PromConfig::default(), "up", none).await;
    assert_eq!(timeout, (PromErrorType::Timeout, "query timed out in query execution".to_owned()));
    let twice = check(PromConfig::default(), "up + on (job) up", options()).await;
    assert_eq!(twice.0, PromErrorType::Execution);
    let engine = engine(PromConfig::default());
    let backwards = engine.range(Arc::clone(&snapshot), "up", 2, 1, 1, &options()).await.unwrap_err();
    assert_eq!(backwards.error_type(), PromErrorType::BadData);
    let standing = engine.range(snapshot, "up", 1, 2, 0, &options()).await.unwrap_err();
    assert_eq!(standing.error_type(), PromErrorType::BadData);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_wait_for_their_turn_and_not_longer_than_their_time() {
    let fixture = Fixture::filled().await;
    let snapshot = fixture.store.snapshot();
    let engine = engine(PromConfig { concurrent_max: 1, waiting_max: 1, ..PromConfig::default() });
    let place = engine.enter(Instant::now()).await.unwrap();
    let short = PromOptions { timeout: Some(Duration::from_millis(20)), ..options() };
    let late = engine.instant(Arc::clone(&snapshot), "up", START_MS, &short).await.unwrap_err();
    assert_eq!(late.to_string(), "query timed out in query queue");
    let waiting = {
        let (engine, snapshot) = (engine.clone(), Arc::clone(&snapshot));
        tokio::spawn(async move { engine.instant(snapshot, "up", START_MS, &options()).await })
    };
    while engine.0.waiting.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let refused = engine.instant(Arc::clone(&snapshot), "up", START_MS, &options()).await.unwrap_err();
    assert_eq!(refused.error_type(), PromErrorType::Unavailable);
    drop(place);
    let answer = waiting.await.unwrap().unwrap();
    assert!(answer.stats.queue_ms > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_nobody_waits_for_ends_and_gives_its_place_back() {
    let fixture = Fixture::filled().await;
    let engine = engine(PromConfig { concurrent_max: 1, ..PromConfig::default() });
    // Evaluates for very long: a subquery of many steps at every one of many steps.
    let query = "quantile_over_time(0.5, quantile_over_time(0.5, cpu_seconds_total[30m:1s])[1h:1s])";
    let (start_ms, end_ms) = (START_MS, START_MS + 3_600_000);
    let options = options();
    let run = engine.range(fixture.store.snapshot(), query, start_ms, end_ms, 1_000, &options);
    assert!(tokio::time::timeout(Duration::from_millis(100), run).await.is_err());
    let place = tokio::time::timeout(Duration::from_secs(60), Arc::clone(&engine.0.running).acquire_owned());
    drop(place.await.expect("the query ends when its future is dropped").unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_and_labels_are_found_by_matchers() {
    let fixture = Fixture::half_flushed().await;
    let prom = fixture.engine.prom();
    let snapshot = || fixture.store.snapshot();
    let all = (i64::MIN, i64::MAX);
    let up = vec![Matcher::equal("__name__", "up")];
    let beta = vec![Matcher::equal("instance", "beta")];
    let series = prom.series(snapshot(), std::slice::from_ref(&up), all.0, all.1, None).await.unwrap();
    assert_eq!(series.len(), 3);
    // A series that two sets find is given once.
    let series = prom.series(snapshot(), &[up.clone(), beta.clone()], all.0, all.1, None).await.unwrap();
    assert_eq!(series.len(), 3 + 4);
    assert!(series.is_sorted());
    assert_eq!(
        prom.series(snapshot(), std::slice::from_ref(&up), all.0, all.1, Some(2)).await.unwrap().len(),
        2
    );
    let before = START_MS - 5 * 86_400_000;
    assert!(
        prom.series(snapshot(), std::slice::from_ref(&up), all.0, before, None).await.unwrap().is_empty()
    );
    let names = prom.label_names(snapshot(), &[beta], all.0, all.1, None).await.unwrap();
    assert_eq!(names, ["__name__", "instance", "job", "mode", "value"]);
    let values = prom.label_values(snapshot(), "__name__", &[], all.0, all.1, None).await.unwrap();
    assert_eq!(values, ["cpu_seconds_total", "job:up:ratio", "node_memory_MemTotal_bytes", "up"]);
    assert!(prom.label_values(snapshot(), "mode", &[up], all.0, all.1, None).await.unwrap().is_empty());
}
