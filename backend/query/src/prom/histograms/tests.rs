use std::sync::Arc;

use model::{Batch, Exemplar, HistogramPoint, Labels, Point, StartTime, stale_nan};
use promql::{CUSTOM_BUCKETS_SCHEMA, Cell, Value};

use super::*;
use crate::Config;
use crate::prom::{PromEngine, PromOptions};
use crate::tests::fixture::{Fixture, START_MS};

const MINUTE: i64 = 60_000;

fn series(name: &str, i: i64) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "j"), ("i", &i.to_string())])
}

fn histogram(count: f64) -> Arc<NativeHistogram> {
    let positive = Buckets {
        spans: vec![BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 3, length: 1 }],
        counts: vec![count / 4.0, count / 4.0, count / 2.0],
    };
    Arc::new(NativeHistogram { count, sum: count * 2.0, positive, ..NativeHistogram::default() })
}

/// Histograms of three series, a minute apart, and floats of one of them now and then.
fn batch(minutes: std::ops::Range<i64>) -> Batch {
    let mut batch = Batch::new("test");
    for minute in minutes {
        let timestamp_ms = START_MS + minute * MINUTE;
        for i in 0..3 {
            let (labels, start_ms) = (series("latency_seconds", i), START_MS);
            let histogram = histogram((minute + 1) as f64 * 4.0 * (i + 1) as f64);
            batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms, histogram });
        }
        let labels = series("requests_total", 0);
        batch.points.push(Point { labels: labels.clone(), timestamp_ms, value: minute as f64 });
        batch.starts.push(StartTime { labels: labels.clone(), timestamp_ms, start_ms: START_MS - 5 });
        let exemplar_labels = Labels::from_pairs([("trace_id", minute.to_string())]);
        batch.exemplars.push(Exemplar { labels, exemplar_labels, timestamp_ms, value: minute as f64 });
    }
    batch
}

async fn instant(fixture: &Fixture, query: &str, minute: i64) -> Value {
    let (prom, snapshot) = (fixture.engine.prom(), fixture.store.snapshot());
    let answer = prom.instant(snapshot, query, START_MS + minute * MINUTE, &PromOptions::default()).await;
    answer.unwrap_or_else(|error| panic!("{query}: {error}")).value
}

#[test]
fn a_histogram_comes_back() {
    let mut state = 7u64;
    let mut dice = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..500 {
        let mut buckets = || -> Vec<Bucket> {
            let mut index = dice(80) as i32 - 40;
            let next = |_| {
                index += 1 + (dice(3) * dice(4)) as i32;
                Bucket { index, count: dice(9) as f64 / 2.0 }
            };
            (0..round % 12).map(next).collect()
        };
        let (custom, positive, negative) = (round % 2 == 0, buckets(), buckets());
        let histogram = Histogram {
            schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { 3 },
            reset_hint: if custom { ResetHint::Gauge } else { ResetHint::NotReset },
            count: 3.0,
            sum: f64::from_bits(0x7ff8_0000_0000_0000 + round),
            positive,
            negative,
            custom_bounds: if custom { vec![1.0, 2.0].into() } else { Vec::new().into() },
            ..Histogram::default()
        };
        let back = computable(&storable(&histogram));
        assert!(back.same_data(&histogram), "{histogram:?} and {back:?}");
        assert_eq!(back.reset_hint, histogram.reset_hint);
    }
}

#[test]
fn spans_are_runs_of_buckets() {
    let buckets = [(-2, 1.0), (-1, 2.0), (4, 3.0)].map(|(index, count)| Bucket { index, count });
    let spans = [BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 4, length: 1 }];
    assert_eq!(with_spans(&buckets), Buckets { spans: spans.to_vec(), counts: vec![1.0, 2.0, 3.0] });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_over_histograms_do_not_depend_on_where_they_lie() {
    let [head, half, files] = [0, 1, 2].map(|_| Fixture::empty(Config::default()));
    let (head, half, files) = (head.await, half.await, files.await);
    head.store.append(batch(0..60)).await.unwrap();
    half.store.append(batch(0..20)).await.unwrap();
    half.store.flush().await.unwrap();
    // Sent again, as after a lost answer.
    half.store.append(batch(10..60)).await.unwrap();
    files.store.append(batch(0..40)).await.unwrap();
    files.store.flush().await.unwrap();
    files.store.append(batch(30..60)).await.unwrap();
    files.store.flush().await.unwrap();
    for query in [
        "latency_seconds",
        "histogram_count(sum(latency_seconds))",
        "histogram_quantile(0.9, rate(latency_seconds[5m]))",
        "count(latency_seconds offset 31m)",
        "requests_total",
        "{job=\"j\"}",
    ] {
        let expected = format!("{:?}", instant(&head, query, 59).await);
        assert!(expected.contains("Sample"), "{query}: {expected}");
        assert_eq!(format!("{:?}", instant(&half, query, 59).await), expected, "half in files: {query}");
        assert_eq!(format!("{:?}", instant(&files, query, 59).await), expected, "in files: {query}");
    }
    let Value::Vector(found) = instant(&files, "histogram_count(latency_seconds{i=\"1\"})", 9).await else {
        panic!("a vector");
    };
    assert!(matches!(found[0].value, Cell::Float(count) if count == 80.0), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_float_counts_before_a_histogram_of_the_same_time() {
    let fixture = Fixture::empty(Config::default()).await;
    let mut both = batch(0..2);
    let labels = series("latency_seconds", 1);
    both.points.push(Point { labels: labels.clone(), timestamp_ms: START_MS, value: 7.0 });
    let timestamp_ms = START_MS + MINUTE;
    both.points.push(Point { labels, timestamp_ms, value: stale_nan() });
    fixture.store.append(both).await.unwrap();
    for place in ["head", "files"] {
        let Value::Vector(found) = instant(&fixture, "latency_seconds", 0).await else { panic!("a vector") };
        let floats = found.iter().filter(|sample| matches!(sample.value, Cell::Float(7.0))).count();
        assert_eq!((found.len(), floats), (3, 1), "{place}");
        let Value::Vector(found) = instant(&fixture, "latency_seconds", 1).await else { panic!("a vector") };
        assert_eq!(found.len(), 2, "{place}: a marker ends the series");
        fixture.store.flush().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histograms_count_against_the_limit_of_samples() {
    let fixture = Fixture::empty(Config::default()).await;
    fixture.store.append(batch(0..60)).await.unwrap();
    let config = crate::prom::PromConfig { samples_max: 500, ..crate::prom::PromConfig::default() };
    let few = PromEngine::new(config, crate::Workers::start().unwrap());
    let (query, time_ms) = ("count_over_time(latency_seconds[1h])", START_MS + 59 * MINUTE);
    let asked = few.instant(fixture.store.snapshot(), query, time_ms, &PromOptions::default()).await;
    let error = asked.unwrap_err();
    assert!(matches!(error, PromError::TooManySamples), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_answers_follow_histograms_that_come_late() {
    let fixture = Fixture::empty(Config::default()).await;
    let prom = fixture.engine.prom();
    fixture.store.append(batch(0..20)).await.unwrap();
    fixture.store.flush().await.unwrap();
    let ask = async || {
        let (start_ms, end_ms) = (START_MS, START_MS + 19 * MINUTE);
        let query = "sum(histogram_count(latency_seconds))";
        let options = PromOptions::default();
        prom.range(fixture.store.snapshot(), query, start_ms, end_ms, MINUTE, &options).await.unwrap()
    };
    let first = ask().await;
    assert_eq!(ask().await.stats.steps_cached, 20);
    let mut late = Batch::new("test");
    let (labels, timestamp_ms) = (series("latency_seconds", 9), START_MS + 10 * MINUTE);
    late.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms: 0, histogram: histogram(4.0) });
    fixture.store.append(late).await.unwrap();
    for place in ["head", "files"] {
        let now = ask().await;
        assert_eq!(now.stats.steps_cached, 10, "{place}");
        assert_ne!(format!("{:?}", now.value), format!("{:?}", first.value), "{place}");
        fixture.store.flush().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_of_the_selectors_of_a_query() {
    let fixture = Fixture::empty(Config::default()).await;
    fixture.store.append(batch(0..10)).await.unwrap();
    fixture.store.flush().await.unwrap();
    fixture.store.append(batch(9..12)).await.unwrap();
    let prom = fixture.engine.prom();
    let ask = async |query: &str| {
        let (start_ms, end_ms) = (START_MS + 8 * MINUTE, START_MS + 10 * MINUTE);
        prom.exemplars(fixture.store.snapshot(), query, start_ms, end_ms).await
    };
    let found =
        ask("rate(requests_total[5m]) / sum(latency_seconds) + requests_total{i=\"0\"}").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].labels, series("requests_total", 0));
    let traces: Vec<&str> =
        found[0].exemplars.iter().filter_map(|exemplar| exemplar.labels.get("trace_id")).collect();
    assert_eq!(traces, ["8", "9", "10"], "of those sent twice one");
    assert!(ask("latency_seconds").await.unwrap().is_empty());
    assert!(matches!(ask("requests_total[").await.unwrap_err(), PromError::Parse(_)));
}
