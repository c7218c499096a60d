//! Measures how fast bodies of remote write are decoded: `cargo run --release -p codecs --example
//! remote_write_bench`. 1,000 series a body, 100,000 series in turn, labels like those of node_exporter under
//! Kubernetes; without and with a cache of label sets; and bodies of native histograms. An argument names the
//! measurements wanted: `V1`.

#![expect(clippy::print_stderr, reason = "a tool for people")]
#![expect(clippy::cast_precision_loss, reason = "figures to look at")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecs::remote_write::{Decoder, LabelCache, Limits, Version, encode_v1, encode_v2};
use model::{Batch, BucketSpan, Buckets, HistogramPoint, Labels, NativeHistogram, Point};

const SERIES: usize = 100_000;
const SERIES_A_BODY: usize = 1_000;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let series: Vec<Labels> = (0..SERIES).map(labels).collect();
    let floats: Vec<Batch> = series.chunks(SERIES_A_BODY).map(float_batch).collect();
    let histograms: Vec<Batch> = series.chunks(SERIES_A_BODY).take(10).map(histogram_batch).collect();
    for (what, batches) in [("float samples", &floats), ("native histograms", &histograms)] {
        let v1: Vec<Vec<u8>> =
            batches.iter().map(|batch| encode_v1(batch).expect("it is small enough")).collect();
        let v2: Vec<Vec<u8>> =
            batches.iter().map(|batch| encode_v2(batch).expect("it is small enough")).collect();
        for (version, bodies) in [(Version::V1, v1), (Version::V2, v2)] {
            for cache in [None, Some(Arc::new(LabelCache::new(2 * SERIES)))] {
                let how = if cache.is_some() { "cached" } else { "uncached" };
                let decoder = Decoder::new(Limits::default(), cache);
                let what = format!("{what}, {version:?}, {how}");
                if what.contains(&only) {
                    measure(&what, version, &bodies, decoder);
                }
            }
        }
    }
}

fn measure(what: &str, version: Version, bodies: &[Vec<u8>], mut decoder: Decoder) {
    let (mut rows, mut bytes) = (0, 0);
    let mut once = |rows: &mut usize, bytes: &mut usize| {
        for body in bodies {
            let decoded = decoder.decode(version, body).expect("the body is sound");
            *rows += std::hint::black_box(decoded.batch).rows();
            *bytes += body.len();
        }
    };
    once(&mut 0, &mut 0);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    while start.elapsed() < ROUND {
        once(&mut rows, &mut bytes);
    }
    let seconds = cpu_seconds() - cpu;
    let (rate, packed) = (rows as f64 / seconds / 1e6, bytes as f64 / seconds / 1e6);
    eprintln!(
        "{what}: {rate:.2} million a CPU second, {packed:.0} MB/s packed, {:.1} B each",
        bytes as f64 / rows as f64
    );
}

/// Time this thread had a CPU, so that other programs on the machine do not count.
fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is linux");
    let nanoseconds: f64 =
        told.split(' ').next().and_then(|text| text.parse().ok()).expect("a number comes first");
    nanoseconds / 1e9
}

fn labels(i: usize) -> Labels {
    let instance = format!("10.{}.{}.{}:9100", i / 62_500 % 250, i / 250 % 250, i % 250);
    Labels::from_pairs([
        (
            "__name__",
            ["node_cpu_seconds_total", "container_memory_working_set_bytes", "http_requests_total"][i % 3],
        ),
        ("cluster", "production-eu-central"),
        ("container", "node-exporter"),
        ("cpu", &(i % 16).to_string()),
        ("instance", &instance),
        ("job", "kubernetes-service-endpoints"),
        ("mode", ["idle", "user", "system", "iowait"][i % 4]),
        ("namespace", "monitoring"),
        ("pod", &format!("node-exporter-{:05x}", i * 7919 % 1_048_576)),
        ("service", "prometheus-node-exporter"),
    ])
}

fn float_batch(series: &[Labels]) -> Batch {
    let point = |(i, labels): (usize, &Labels)| Point {
        labels: Labels::clone(labels),
        timestamp_ms: 1_700_000_000_000,
        value: i as f64 * 1.1,
    };
    Batch { points: series.iter().enumerate().map(point).collect(), ..Batch::new("bench") }
}

fn histogram_batch(series: &[Labels]) -> Batch {
    let spans = vec![BucketSpan { offset: -10, length: 20 }, BucketSpan { offset: 4, length: 10 }];
    let positive = Buckets { spans, counts: (0..30).map(f64::from).collect() };
    let histogram =
        Arc::new(NativeHistogram { schema: 3, count: 435.0, positive, ..NativeHistogram::default() });
    let point = |labels: &Labels| HistogramPoint {
        labels: Labels::clone(labels),
        timestamp_ms: 1_700_000_000_000,
        start_ms: 0,
        histogram: Arc::clone(&histogram),
    };
    Batch { histograms: series.iter().map(point).collect(), ..Batch::new("bench") }
}
