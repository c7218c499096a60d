//! Remote write and remote read: other Prometheus-like programs push and read, honest ones and hostile ones.

use codecs::remote_write::{encode_v1, encode_v2};
use model::{Batch, Labels, Point, stale_nan};
use serde_json::json;

use crate::harness::Atl;
use crate::harness::atl::NO_BUILTIN;
use crate::harness::http::{self, Answer};
use crate::harness::wait::now_ms;

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

async fn push(atl: &Atl, content_type: &str, body: Vec<u8>) -> Answer {
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
