//! Remote write and remote read: other Prometheus-like programs push and read, honest ones and hostile ones.

use std::sync::Arc;

use codecs::remote_write::{encode_v1, encode_v2};
use model::{
    Batch, BucketSpan, Buckets, Exemplar, HistogramPoint, Labels, NativeHistogram, Point, StartTime,
    stale_nan,
};
use serde_json::json;

use crate::harness::Atl;
use crate::harness::atl::NO_BUILTIN;
use crate::harness::http::{self, Answer};
use crate::harness::wait::now_ms;

const V1: &str = "application/x-protobuf";
pub(crate) const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

pub(crate) async fn push(atl: &Atl, content_type: &str, body: Vec<u8>) -> Answer {
    let request = http::client()
        .post(atl.url("/api/v1/write"))
        .header("content-type", content_type)
        .header("content-encoding", "snappy")
        .body(body);
    http::send(request).await.expect("an answer")
}

fn point(labels: &[(&str, &str)], timestamp_ms: i64, value: f64) -> Point {
    Point { labels: Labels::from_pairs(labels.iter().copied()), timestamp_ms, value }
}

fn batch(points: Vec<Point>) -> Batch {
    Batch { points, ..Batch::new("test") }
}

/// Snappy's own framing of bytes that are not packed at all.
fn literal(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 60, "one literal");
    let mut out = vec![bytes.len() as u8, ((bytes.len() - 1) as u8) << 2];
    out.extend_from_slice(bytes);
    out
}

#[tokio::test]
async fn both_versions_store_what_they_say_before_they_answer() {
    let mut atl = Atl::start(NO_BUILTIN).await;
    let now = now_ms();
    let points = |version: &str| {
        let labels = [("__name__", "pushed_total"), ("job", "push"), ("version", version)];
        (0..5).map(|i| point(&labels, now - 60_000 + i * 10_000, i as f64)).collect()
    };
    let answer = push(&atl, V1, encode_v1(&batch(points("1"))).expect("small")).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.text());
    let answer = push(&atl, V2, encode_v2(&batch(points("2"))).expect("small")).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), "5");
    // Sent again, as after a lost answer, and a value that differs: the greater one counts.
    push(&atl, V1, encode_v1(&batch(points("1"))).expect("small")).await;
    let labels = [("__name__", "pushed_total"), ("job", "push"), ("version", "1")];
    push(&atl, V1, encode_v1(&batch(vec![point(&labels, now - 60_000, 7.0)])).expect("small")).await;
    atl.kill9();
    atl.start_again().await;
    for _ in 0..2 {
        let count = atl.count("SELECT count(*) FROM metrics WHERE metric = 'pushed_total'").await;
        assert_eq!(count, Ok(10));
        let query = "sort(max_over_time(pushed_total[2m]))".replace('[', "%5B").replace(']', "%5D");
        let answer =
            http::get(&atl.url(&format!("/api/v1/query?query={query}"))).await.expect("an answer").json();
        let values: Vec<&str> = answer["data"]["result"]
            .as_array()
            .expect("a vector")
            .iter()
            .filter_map(|s| s["value"][1].as_str())
            .collect();
        assert_eq!(values, ["4", "7"], "{answer}");
        // Once more from files.
        atl.stop().await;
        atl.start_again().await;
    }
}

#[tokio::test]
async fn bad_series_are_named_and_the_good_ones_kept() {
    let atl = Atl::start(NO_BUILTIN).await;
    let now = now_ms();
    let good = point(&[("__name__", "good")], now, 1.0);
    let nameless = point(&[("job", "x")], now, 2.0);
    let answer = push(&atl, V1, encode_v1(&batch(vec![good, nameless])).expect("small")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("metric name is missing"), "{}", answer.text());
    // Labels that are not in order: `b` before `__name__`.
    let label = |name: &[u8], value: &[u8]| {
        let pair = [&[0x0a, name.len() as u8][..], name, &[0x12, value.len() as u8], value].concat();
        [&[0x0a, pair.len() as u8][..], &pair].concat()
    };
    let sample = [0x12, 2, 0x10, 1];
    let series = [&label(b"b", b"1")[..], &label(b"__name__", b"un"), &sample].concat();
    let unsorted = push(&atl, V1, literal(&[&[0x0a, series.len() as u8][..], &series].concat())).await;
    assert_eq!(unsorted.status, 400);
    assert!(unsorted.text().contains("labels are not sorted"), "{}", unsorted.text());
    let names = http::get(&atl.url("/api/v1/label/__name__/values")).await.expect("an answer").json();
    assert_eq!(names["data"], json!(["good"]));
}

#[tokio::test]
async fn malformed_bodies_store_nothing_and_cost_nothing() {
    let atl = Atl::start(NO_BUILTIN).await;
    let sound = encode_v1(&batch(vec![point(&[("__name__", "x")], now_ms(), 1.0)])).expect("small");
    // Says that it unpacks to 4 GiB.
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let cases = [
        (V1, bomb, 413, "32"),
        (V1, sound[..sound.len() / 2].to_vec(), 400, "snappy"),
        (V1, literal(&[0x0a, 0x7f, 0x01]), 400, "protobuf"),
        (V1, Vec::new(), 400, ""),
        (V2, sound.clone(), 400, ""),
        ("text/plain", sound.clone(), 415, "application/x-protobuf"),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", sound.clone(), 415, ""),
    ];
    for (content_type, body, status, words) in cases {
        let answer = push(&atl, content_type, body).await;
        assert_eq!(answer.status, status, "{content_type}: {}", answer.text());
        assert!(answer.text().to_lowercase().contains(words), "{content_type}: {}", answer.text());
    }
    assert_eq!(atl.count("SELECT count(*) FROM metrics").await, Ok(0));
}

#[tokio::test]
async fn remote_read_gives_samples_as_they_are_stored() {
    let atl = Atl::start(NO_BUILTIN).await;
    let labels = [("__name__", "readable"), ("job", "r")];
    let points =
        vec![point(&labels, 1_000, 1.5), point(&labels, 2_000, stale_nan()), point(&labels, 9_000, 3.0)];
    push(&atl, V1, encode_v1(&batch(points)).expect("small")).await;
    // Query { start 0, end 5000, matcher { name "__name__", value "readable" } }.
    let matcher = [&[0x12, 8][..], b"__name__", &[0x1a, 8], b"readable"].concat();
    let query = [&[0x10, 0x88, 0x27, 0x1a, matcher.len() as u8][..], &matcher].concat();
    let body = literal(&[&[0x0a, query.len() as u8][..], &query].concat());
    let request = http::client().post(atl.url("/api/v1/read")).body(body);
    let answer = http::send(request).await.expect("an answer");
    assert_eq!((answer.status, answer.header("content-encoding")), (200, "snappy"), "{}", answer.text());
    let body = snap::raw::Decoder::new().decompress_vec(&answer.body).expect("snappy");
    let has = |bits: u64| body.windows(8).any(|window| window == bits.to_le_bytes());
    assert!(has(1.5f64.to_bits()) && has(stale_nan().to_bits()), "both samples in range");
    assert!(!has(3.0f64.to_bits()), "and none beyond");
    let broken = http::client().post(atl.url("/api/v1/read")).body(vec![9u8, 9, 9]);
    assert_eq!(http::send(broken).await.expect("an answer").status, 400);
}

/// Three histograms of one series with an exemplar each, and a counter whose start is known.
pub(crate) fn histograms(version: &str, now: i64) -> Batch {
    let mut batch = Batch::new("test");
    let labels = |name: &str| Labels::from_pairs([("__name__", name), ("job", "push"), ("version", version)]);
    for (i, timestamp_ms) in (0..3).map(|i| (i, now - 60_000 + i * 10_000)) {
        let counts = vec![4.0 * (i + 1) as f64, 0.0, 6.0 * (i + 1) as f64];
        let spans = vec![BucketSpan { offset: -1, length: 1 }, BucketSpan { offset: 2, length: 2 }];
        let count: f64 = counts.iter().sum();
        let positive = Buckets { spans, counts };
        let histogram =
            Arc::new(NativeHistogram { schema: 2, count, sum: count * 3.0, positive, ..Default::default() });
        let (labels, total) = (labels("latency_seconds"), labels("pushed_total"));
        let exemplar_labels = Labels::from_pairs([("trace_id", format!("{version}{i}"))]);
        let (series, value) = (labels.clone(), 0.5 * i as f64);
        batch.exemplars.push(Exemplar { labels: series, exemplar_labels, timestamp_ms, value });
        batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms: 0, histogram });
        batch.starts.push(StartTime { labels: total.clone(), timestamp_ms, start_ms: now - 90_000 });
        batch.points.push(Point { labels: total, timestamp_ms, value: i as f64 });
    }
    batch
}

async fn get(atl: &Atl, path: &str) -> serde_json::Value {
    http::get(&atl.url(path)).await.expect("an answer").json()
}

#[tokio::test]
async fn native_histograms_and_exemplars_are_stored_and_come_back() {
    let mut atl = Atl::start(NO_BUILTIN).await;
    let now = now_ms();
    let answer = push(&atl, V1, encode_v1(&histograms("1", now)).expect("small")).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.text());
    for _ in 0..2 {
        // The second time as after a lost answer.
        let answer = push(&atl, V2, encode_v2(&histograms("2", now)).expect("small")).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        for (header, count) in [("samples", "3"), ("histograms", "3"), ("exemplars", "3")] {
            let header = format!("x-prometheus-remote-write-{header}-written");
            assert_eq!(answer.header(&header), count, "{header}");
        }
    }
    // A histogram that makes no sense is refused by name, the sound one beside it is kept.
    let mut odd = histograms("3", now);
    Arc::make_mut(&mut odd.histograms[1].histogram).positive.counts[0] = -1.0;
    let answer = push(&atl, V2, encode_v2(&odd).expect("small")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("negative count of observations"), "{}", answer.text());
    assert_eq!(answer.header("x-prometheus-remote-write-histograms-written"), "2");
    atl.kill9();
    atl.start_again().await;
    for place in ["the log", "files"] {
        for (table, rows) in [("histograms", 8), ("exemplars", 9), ("start_times", 6)] {
            let count = atl.count(&format!("SELECT count(*) FROM {table}")).await;
            assert_eq!(count, Ok(rows), "{table} from {place}");
        }
        let query = "/api/v1/query?query=sum(histogram_count(last_over_time(latency_seconds%5B5m%5D)))";
        assert_eq!(get(&atl, query).await["data"]["result"][0]["value"][1], "90", "from {place}");
        let query = "/api/v1/query?query=last_over_time(latency_seconds%7Bversion=%222%22%7D%5B5m%5D)";
        let found = get(&atl, query).await["data"]["result"][0]["histogram"][1].clone();
        assert_eq!((&found["count"], &found["sum"]), (&json!("30"), &json!("90")), "from {place}");
        assert_eq!(found["buckets"].as_array().map(Vec::len), Some(2), "{found}");
        let path = format!(
            "/api/v1/query_exemplars?query=rate(latency_seconds%7Bversion=~%221%7C2%22%7D%5B5m%5D)&start={}&end={}",
            (now - 55_000) / 1_000,
            now / 1_000
        );
        let exemplars = get(&atl, &path).await["data"].clone();
        let series = exemplars.as_array().expect("a list");
        assert_eq!(series.len(), 2, "from {place}: {exemplars}");
        for (series, version) in series.iter().zip(["1", "2"]) {
            assert_eq!(series["seriesLabels"]["__name__"], "latency_seconds");
            assert_eq!(series["seriesLabels"]["version"], version);
            let found = series["exemplars"].as_array().expect("a list");
            assert_eq!(found.len(), 2, "of the last two times: {exemplars}");
            assert_eq!(found[0]["labels"], json!({"trace_id": format!("{version}1")}));
            assert_eq!(found[0]["value"], "0.5");
            let seconds = found[0]["timestamp"].as_f64().expect("a number");
            assert!((seconds * 1_000.0 - (now - 50_000) as f64).abs() < 1.0, "{seconds}");
        }
        // Remote read carries them in a field of their own.
        let matcher = [&[0x12, 8][..], b"__name__", &[0x1a, 15], b"latency_seconds"].concat();
        let mut query = vec![0x10];
        let mut end = now.unsigned_abs();
        while end >= 0x80 {
            query.push(end as u8 | 0x80);
            end >>= 7;
        }
        query.extend([end as u8, 0x1a, matcher.len() as u8]);
        query.extend(matcher);
        let body = literal(&[&[0x0a, query.len() as u8][..], &query].concat());
        let request = http::client().post(atl.url("/api/v1/read")).body(body);
        let answer = http::send(request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = snap::raw::Decoder::new().decompress_vec(&answer.body).expect("snappy");
        // Field 2 of a histogram: its count as a double.
        let count = [&[0x11][..], &30f64.to_le_bytes()].concat();
        assert!(body.windows(9).any(|window| window == count), "from {place}");
        atl.stop().await;
        atl.start_again().await;
    }
}
