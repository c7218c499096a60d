use std::sync::Arc;

use model::{Batch, Labels, Point, stale_nan};
use promql::Value;

use crate::prom::{PromConfig, PromEngine, PromError, PromOptions};
use crate::tests::fixture::{Fixture, START_MS};
use crate::{Config, Workers};

const MINUTE: i64 = 60_000;
const STEP_MS: i64 = 15_000;

fn engine(config: PromConfig) -> PromEngine {
    PromEngine::new(PromConfig { result_cache: 0, ..config }, Workers::start().unwrap())
}

fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }
}

fn labels(i: i64) -> Labels {
    let metric = ["c_total", "g", "h_bucket"][usize::try_from(i % 3).unwrap()];
    Labels::from_pairs([
        ("__name__", metric),
        ("i", &i.to_string()),
        ("l", &(i % 4).to_string()),
        ("le", ["1", "2", "+Inf"][usize::try_from(i / 3 % 3).unwrap()]),
    ])
}

/// Three flushes of three hours each, overlapping, and a head; `series` series with gaps and stale markers.
async fn filled(seed: u64, series: i64, samples: i64) -> Fixture {
    let mut dice = dice(seed);
    let fixture = Fixture::empty(Config::default()).await;
    for part in 0..4 {
        let mut batch = Batch::new("test");
        for i in (0..series).filter(|i| part == 0 || i % 7 != part) {
            let mut value = 0.0;
            for s in 0..samples {
                value = if dice(50) == 0 { 0.0 } else { value + dice(9) as f64 };
                let late = if part > 0 && dice(30) == 0 { 40 * STEP_MS } else { 0 };
                let timestamp_ms = START_MS + (part * samples + s) * STEP_MS - late + dice(900) as i64;
                let value = if dice(60) == 0 { stale_nan() } else { value };
                batch.points.push(Point { labels: labels(i), timestamp_ms, value });
            }
        }
        fixture.store.append(batch).await.unwrap();
        if part < 3 {
            fixture.store.flush().await.unwrap();
        }
    }
    fixture
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_over_many_times_the_limit_are_answered_with_few_samples_in_memory() {
    let (series, samples) = (300, 100);
    let fixture = filled(1, series, samples).await;
    let snapshot = fixture.store.snapshot();
    let end_ms = START_MS + 4 * samples * STEP_MS;
    // Every sample that is read is one the limit would have been exceeded by many times.
    let config = PromConfig { samples_max: 4_000, slice_samples: 900, ..PromConfig::default() };
    let (streaming, whole) = (engine(config), engine(PromConfig::default()));
    let options = PromOptions::default();
    for query in [
        "sum(rate(c_total[5m]))",
        "sum by (l) (rate({__name__=~\".+\"}[5m]))",
        "count({l=~\".+\"})",
        "max(max_over_time(g[1h]) * 2)",
        "histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))",
        "avg(rate(c_total[5m])) / count(c_total > 0)",
        "c_total{i=\"0\"}",
    ] {
        let ask = |engine: &PromEngine| {
            let (engine, snapshot) = (engine.clone(), Arc::clone(&snapshot));
            async move { engine.range(snapshot, query, START_MS, end_ms, 10 * MINUTE, &options).await.unwrap() }
        };
        let (streamed, prefetched) = (ask(&streaming).await, ask(&whole).await);
        assert_eq!(format!("{:?}", streamed.value), format!("{:?}", prefetched.value), "{query}");
        assert_eq!(streamed.annotations, prefetched.annotations, "{query}");
        assert!(matches!(&streamed.value, Value::Matrix(series) if !series.is_empty()), "{query}");
        let (read, held) = (streamed.stats.samples, streamed.stats.samples_held_max);
        if query.contains("i=") {
            assert_eq!(read, held, "few samples are read before");
            continue;
        }
        assert!(read >= prefetched.stats.samples && read > 8 * 4_000, "{query}: {read} samples read");
        // Three slices of a little more than 900 samples; a series has some 400 of them.
        assert!(held > 0 && held <= 3 * 1_400, "{query}: {held} of {read} samples in memory");
    }
    for query in ["c_total", "{l=~\".+\"} * 2", "topk(3, rate(c_total[5m]))", "sort(g)"] {
        let error = streaming.range(Arc::clone(&snapshot), query, START_MS, end_ms, MINUTE, &options).await;
        assert!(matches!(error, Err(PromError::TooManySamples)), "{query}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_of_any_size_give_what_reading_all_gives() {
    let functions = ["rate", "increase", "max_over_time", "count_over_time", "last_over_time", "deriv"];
    let aggregations = [
        "sum",
        "avg by (l)",
        "stddev",
        "min without (i)",
        "count",
        "group by (le)",
        "topk(2, ",
        "quantile(0.3, ",
    ];
    let selectors =
        ["c_total", "g", "{__name__=~\"c.*|g\"}", "{l!=\"1\"}", "h_bucket{le=\"2\"}", "{i=~\"1.?\"}"];
    let mut streamed = 0;
    for seed in 1..=5 {
        let mut dice = dice(seed);
        let fixture = filled(seed, 30, 60).await;
        let snapshot = fixture.store.snapshot();
        let whole = engine(PromConfig::default());
        for _ in 0..40 {
            let mut pick = |of: &[&'static str]| of[dice(of.len() as u64) as usize];
            let selector = pick(&selectors);
            let offset = pick(&["", "", " offset 7m", " offset -3m", " @ end()"]);
            let inner = match pick(&["instant", "range", "range", "subquery"]) {
                "instant" => format!("{selector}{offset}"),
                "range" => format!("{}({selector}[{}]{offset})", pick(&functions), pick(&["90s", "20m"])),
                _ => format!("{}(({selector} > 3)[5m:1m]{offset})", pick(&functions)),
            };
            let inner = pick(&["%", "%", "abs(%)", "% * 2", "-%", "clamp_max(%, 9)", "% and on (i) g"])
                .replace('%', &inner);
            let aggregation = pick(&aggregations);
            let close = if aggregation.ends_with(", ") { "" } else { "(" };
            let query = match pick(&["plain", "aggregate", "aggregate", "twice"]) {
                "plain" => inner,
                "twice" => format!("{aggregation}{close}{inner}) or on () count({inner})"),
                _ => format!("{aggregation}{close}{inner})"),
            };
            let start_ms = START_MS + dice(30) as i64 * MINUTE;
            let (end_ms, step_ms) = (start_ms + dice(40) as i64 * MINUTE, 20_000 + dice(200_000) as i64);
            let slices = engine(PromConfig {
                prefetch_samples: dice(3) as usize * 500,
                slice_samples: 1 + dice(1_500) as usize,
                threads: 1 + dice(2) as usize,
                ..PromConfig::default()
            });
            let options = PromOptions::default();
            let ask = |engine: &PromEngine| {
                let (engine, snapshot, query) = (engine.clone(), Arc::clone(&snapshot), query.clone());
                async move { engine.range(snapshot, &query, start_ms, end_ms, step_ms, &options).await }
            };
            match (ask(&slices).await, ask(&whole).await) {
                (Ok(sliced), Ok(whole)) => {
                    assert_eq!(
                        format!("{:?}", sliced.value),
                        format!("{:?}", whole.value),
                        "{query} seed {seed}"
                    );
                    assert_eq!(sliced.annotations, whole.annotations, "{query} seed {seed}");
                    streamed += usize::from(sliced.stats.samples_held_max < sliced.stats.samples);
                }
                (Err(sliced), Err(whole)) => assert_eq!(sliced.to_string(), whole.to_string(), "{query}"),
                (sliced, whole) => panic!("{query} seed {seed}: {sliced:?} is not {whole:?}"),
            }
        }
    }
    assert!(streamed > 60, "{streamed} queries read slices");
}
