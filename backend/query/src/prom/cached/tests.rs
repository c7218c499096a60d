use std::sync::Arc;

use model::{Batch, Labels, Point};

use crate::prom::{PromConfig, PromEngine, PromOptions};
use crate::tests::fixture::{Fixture, START_MS};
use crate::{Config, Workers};

const MINUTE: i64 = 60_000;

fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }
}

/// Ten minutes of samples from `minute` on; of series `only` where one is said.
fn batch(minute: i64, only: Option<i64>, value: f64) -> Batch {
    let mut batch = Batch::new("test");
    for i in (0..4).filter(|i| only.is_none_or(|only| *i == only)) {
        let labels = Labels::from_pairs([("__name__", "c_total"), ("i", &i.to_string())]);
        batch.points.extend((0..40).map(|step| Point {
            labels: labels.clone(),
            timestamp_ms: START_MS + minute * MINUTE + step * 15_000,
            value: value + (minute * 40 + step * (i + 1)) as f64,
        }));
    }
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_with_known_steps_are_those_without() {
    let mut reused = 0;
    for seed in 1..=4 {
        let mut dice = dice(seed);
        let fixture = Fixture::empty(Config::default()).await;
        let cached = fixture.engine.prom();
        let plain = PromEngine::new(
            PromConfig { result_cache: 0, ..PromConfig::default() },
            Workers::start().unwrap(),
        );
        for round in 0..12 {
            fixture.store.append(batch(round * 10, None, 0.0)).await.unwrap();
            if dice(3) == 0 {
                // Late, and against what is there.
                let late =
                    batch(dice(10 * round as u64 + 1) as i64, Some(dice(5) as i64), dice(1_000) as f64);
                fixture.store.append(late).await.unwrap();
            }
            if dice(2) == 0 {
                fixture.store.flush().await.unwrap();
            }
            let snapshot = fixture.store.snapshot();
            for query in [
                "c_total",
                "sum by (i) (rate(c_total[5m]))",
                "c_total offset 20m",
                "max_over_time(c_total[10m:1m] offset -3m)",
                "topk(2, c_total) or c_total{i=\"0\"} * 2",
                "c_total / scalar(count(c_total @ start()))",
            ] {
                // Mostly the same window, moving on; now and then another one.
                let end_ms = START_MS + (round * 10 + dice(12) as i64) * MINUTE;
                let start_ms = end_ms - (10 + 10 * dice(12) as i64) * MINUTE;
                let options = PromOptions::default();
                let [with, without] =
                    [cached, &plain].map(|engine| {
                        let (snapshot, options) = (Arc::clone(&snapshot), &options);
                        async move {
                            engine.range(snapshot, query, start_ms, end_ms, MINUTE, options).await.unwrap()
                        }
                    });
                let (with, without) = (with.await, without.await);
                // As text, since NaN differs from itself.
                assert_eq!(
                    format!("{:?}", with.value),
                    format!("{:?}", without.value),
                    "{query} {start_ms} {end_ms}, seed {seed} round {round}"
                );
                assert_eq!(with.annotations, without.annotations);
                assert_eq!(without.stats.steps_cached, 0);
                reused += with.stats.steps_cached;
            }
        }
    }
    assert!(reused > 1_000, "{reused} steps were known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_new_steps_are_evaluated_until_late_samples_come() {
    let fixture = Fixture::empty(Config::default()).await;
    let prom = fixture.engine.prom();
    fixture.store.append(batch(0, None, 0.0)).await.unwrap();
    fixture.store.append(batch(10, None, 0.0)).await.unwrap();
    fixture.store.flush().await.unwrap();
    let ask = async |from: i64, to: i64| {
        let (start_ms, end_ms) = (START_MS + from * MINUTE, START_MS + to * MINUTE);
        let options = PromOptions::default();
        let answer =
            prom.range(fixture.store.snapshot(), "c_total", start_ms, end_ms, MINUTE, &options).await;
        answer.unwrap().stats
    };
    assert_eq!(ask(0, 19).await.steps_cached, 0);
    let again = ask(0, 19).await;
    assert_eq!((again.steps_cached, again.samples), (20, 0));
    fixture.store.append(batch(20, None, 0.0)).await.unwrap();
    let moved = ask(5, 25).await;
    assert_eq!(moved.steps_cached, 15, "the steps after are evaluated");
    assert!(prom.result_cache_bytes() > 0);
    // A sample for minute 10 changes what follows it, and nothing before.
    fixture.store.append(batch(10, Some(2), 500.0)).await.unwrap();
    assert_eq!(ask(0, 19).await.steps_cached, 10);
    fixture.store.flush().await.unwrap();
    assert_eq!(ask(0, 25).await.steps_cached, 10, "steps that no late sample reaches are still known");
}
