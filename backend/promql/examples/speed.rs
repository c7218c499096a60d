//! Measures evaluation over generated counters: `speed [SERIES] [HOURS] [STEPS]`. Samples every 15 s.

#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::time::Instant;

use model::Labels;
use promql::memory::MemorySource;
use promql::{Engine, EngineOptions, QueryTime, SeriesData, Value};

const SCRAPE_MS: i64 = 15_000;

const QUERIES: [&str; 16] = [
    "requests_total",
    "rate(requests_total[5m])",
    "rate(requests_total[1h])",
    "sum(rate(requests_total[5m]))",
    "sum by (code) (rate(requests_total[5m]))",
    "avg_over_time(requests_total[1h])",
    "max_over_time(requests_total[1h])",
    "quantile_over_time(0.9, requests_total[15m])",
    "topk(5, rate(requests_total[5m]))",
    "quantile(0.9, rate(requests_total[5m]))",
    "rate(requests_total[5m]) / ignoring (none) rate(requests_total[10m])",
    "rate(requests_total[5m]) > 1",
    "requests_total * 2 + 1",
    "requests_total and requests_total{code=\"200\"}",
    "max_over_time(rate(requests_total[5m])[30m:1m])",
    "histogram_quantile(0.9, sum by (le) (rate(requests_total[5m])))",
];

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<i64>().ok());
    let (series, hours, steps) =
        (args.next().unwrap_or(1_000), args.next().unwrap_or(24), args.next().unwrap_or(1_000));
    let samples = hours * 3_600_000 / SCRAPE_MS;
    let source = MemorySource::from_series((0..series).map(|i| counter(i, samples)));
    let end_ms = samples * SCRAPE_MS;
    let time = QueryTime::Range { start_ms: end_ms / steps, end_ms, step_ms: end_ms / steps };
    println!("{series} series, {samples} samples each, {steps} steps");
    for threads in [1, std::thread::available_parallelism().map_or(1, usize::from)] {
        let engine = Engine::new(EngineOptions { threads, ..EngineOptions::default() });
        println!("{threads} thread(s)");
        for query in QUERIES {
            let mut best = f64::INFINITY;
            let mut size = String::new();
            for _ in 0..3 {
                let start = Instant::now();
                match engine.query(query, time, &source) {
                    Ok(answer) => {
                        let Value::Matrix(matrix) = answer.value else { continue };
                        let points: usize = matrix.iter().map(|series| series.floats.len()).sum();
                        size = format!("{} series, {points} points", matrix.len());
                    }
                    Err(error) => size = error.to_string(),
                }
                best = best.min(start.elapsed().as_secs_f64());
            }
            println!("{:>9.1} ms  {query}  ({size})", best * 1000.0);
        }
    }
}

/// A counter with its own pace and a reset now and then.
#[expect(clippy::cast_precision_loss, reason = "sample data")]
fn counter(i: i64, samples: i64) -> SeriesData {
    let labels = Labels::from_pairs([
        ("__name__", "requests_total"),
        ("host", &format!("host-{}", i / 10)),
        ("code", ["200", "404", "500"][usize::try_from(i % 3).unwrap_or(0)]),
        ("le", ["0.1", "0.5", "1", "5", "+Inf"][usize::try_from(i % 5).unwrap_or(0)]),
        ("handler", &format!("/api/v{}", i % 10)),
    ]);
    let timestamps =
        (0..samples).map(|s| s * SCRAPE_MS + (i * 37 + s * 11) % 50).collect::<Vec<i64>>().into();
    let values = (0..samples).map(|s| ((s + i) % 2_000 * (1 + i % 7)) as f64).collect();
    SeriesData { labels, timestamps, values, ..SeriesData::default() }
}
