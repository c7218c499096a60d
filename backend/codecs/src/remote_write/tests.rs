use model::{
    BucketSpan, Buckets, CUSTOM_BUCKETS_SCHEMA, Exemplar, HistogramError, HistogramPoint, MetricMetadata,
    NativeHistogram, Point, ResetHint, StartTime,
};
use model::{Labels, METRIC_NAME};

use super::*;
use crate::protobuf::write::*;
use crate::snappy::pack;

mod golden;
mod refusing;
mod round_trip;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// All that a batch holds, floats as bits, sorted: encoding groups by series.
fn lines(batch: &Batch) -> Vec<String> {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let mut lines = Vec::new();
    for point in &batch.points {
        lines.push(format!("{:?} {} {:x}", point.labels, point.timestamp_ms, point.value.to_bits()));
    }
    for point in &batch.histograms {
        let h = &point.histogram;
        let floats = bits(&[h.zero_threshold, h.zero_count, h.count, h.sum]);
        let sides = [&h.positive, &h.negative].map(|side| (side.spans.clone(), bits(&side.counts)));
        let bounds = bits(&h.custom_bounds);
        let times = (point.timestamp_ms, point.start_ms);
        let head = (h.schema, h.reset_hint);
        lines.push(format!("{:?} {times:?} {head:?} {floats:?} {sides:?} {bounds:?}", point.labels));
    }
    for one in &batch.exemplars {
        let value = one.value.to_bits();
        lines.push(format!("{:?} {:?} {} {value:x}", one.labels, one.exemplar_labels, one.timestamp_ms));
    }
    lines.extend(batch.metadata.iter().map(|metadata| format!("{metadata:?}")));
    lines.sort();
    lines
}

/// What the golden bodies hold; 2.0 says when counting began.
fn golden_batch(start_ms: [i64; 2]) -> Batch {
    let total =
        Labels::from_pairs([(METRIC_NAME, "http_requests_total"), ("instance", "a:9090"), ("job", "ü")]);
    let latency = Labels::from_pairs([(METRIC_NAME, "latency")]);
    let spans = |spans: &[(i32, u32)]| -> Vec<BucketSpan> {
        spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect()
    };
    let integer = NativeHistogram {
        reset_hint: ResetHint::NotReset,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 11.0,
        sum: 18.4,
        positive: Buckets { spans: spans(&[(-2, 2), (1, 2)]), counts: vec![1.0, 2.0, 3.0, 2.0] },
        negative: Buckets { spans: spans(&[(1, 1)]), counts: vec![1.0] },
        custom_bounds: Vec::new(),
    };
    let float = NativeHistogram {
        reset_hint: ResetHint::Gauge,
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3.5,
        sum: 2.0,
        positive: Buckets { spans: spans(&[(0, 1), (1, 1)]), counts: vec![1.5, 2.0] },
        custom_bounds: vec![0.5, 1.0],
        ..NativeHistogram::default()
    };
    let mut batch = Batch::new("");
    for (timestamp_ms, value) in [(1_700_000_000_000, 1.5), (1_700_000_015_000, model::stale_nan())] {
        batch.points.push(Point { labels: total.clone(), timestamp_ms, value });
    }
    let times = [1_700_000_000_000, 1_700_000_015_000].into_iter().zip(start_ms);
    for ((timestamp_ms, start_ms), histogram) in times.zip([integer, float]) {
        let (labels, histogram) = (latency.clone(), Arc::new(histogram));
        batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms, histogram });
    }
    let exemplar_labels = Labels::from_pairs([("trace_id", "abc")]);
    batch.exemplars.push(Exemplar {
        labels: total,
        exemplar_labels,
        timestamp_ms: 1_700_000_000_001,
        value: 0.25,
    });
    let family = |family: &str, kind, help: &str, unit: &str| MetricMetadata {
        family: family.into(),
        kind,
        help: help.into(),
        unit: unit.into(),
    };
    batch.metadata = vec![
        family("http_requests_total", MetricKind::Counter, "Requests.", ""),
        family("latency", MetricKind::Histogram, "", "seconds"),
    ];
    batch
}

#[test]
fn bodies_of_another_implementation_are_read() {
    let decoded = decode_v1(&pack(&hex(golden::WRITE_V1)).unwrap()).unwrap();
    assert!(decoded.refused.is_empty(), "{}", decoded.refused);
    assert_eq!(lines(&decoded.batch), lines(&golden_batch([0, 0])));
    assert_eq!(decoded.written(), Counts { samples: 2, histograms: 2, exemplars: 1 });

    // One histogram tells when counting began, the other has it from its series, as in early drafts.
    let decoded = decode_v2(&pack(&hex(golden::WRITE_V2)).unwrap()).unwrap();
    assert!(decoded.refused.is_empty(), "{}", decoded.refused);
    assert_eq!(lines(&decoded.batch), lines(&golden_batch([1_690_000_000_000, 1_680_000_000_000])));
}

#[test]
fn a_message_of_the_other_version_is_named() {
    let error = decode_v2(&pack(&hex(golden::WRITE_V1)).unwrap()).unwrap_err();
    assert!(matches!(error, Error::OtherVersion { found: "1.0", .. }), "{error}");
    let error = decode_v1(&pack(&hex(golden::WRITE_V2)).unwrap()).unwrap_err();
    assert!(matches!(error, Error::OtherVersion { found: "2.0", .. }), "{error}");
}

#[test]
fn what_is_not_snappy_or_not_protobuf_gives_nothing() {
    assert!(matches!(decode_v1(b"0garbage").unwrap_err(), Error::Snappy(_)));
    assert!(matches!(decode_v1(b"").unwrap_err(), Error::Snappy(_)));
    let whole = hex(golden::WRITE_V1);
    let error = decode_v1(&pack(&whole[..whole.len() - 3]).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Malformed { message: "WriteRequest", .. }), "{error}");
    assert!(!error.is_too_large());
    // An empty request is a request.
    assert!(decode_v1(&pack(b"").unwrap()).unwrap().batch.is_empty());
    assert!(decode_v2(&pack(b"").unwrap()).unwrap().batch.is_empty());
}

#[test]
fn headers_tell_the_version() {
    let v1 = "application/x-protobuf;proto=prometheus.WriteRequest";
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    assert_eq!(negotiate(Some(v1), Some("snappy")), Ok(Version::V1));
    assert_eq!(negotiate(Some(v2), Some("Snappy")), Ok(Version::V2));
    assert_eq!(
        negotiate(
            Some("Application/X-Protobuf; charset=utf-8 ; proto=\"io.prometheus.write.v2.Request\""),
            None
        ),
        Ok(Version::V2)
    );
    assert_eq!(negotiate(Some("application/x-protobuf"), None), Ok(Version::V1));
    assert_eq!(negotiate(None, None), Ok(Version::V1));
    for other in
        ["application/json", "application/x-protobuf;proto=other.Message", "application/x-protobuf;x"]
    {
        assert_eq!(negotiate(Some(other), None), Err(Unsupported::ContentType(other.into())));
    }
    for other in ["gzip", "zstd", "snappy, gzip"] {
        assert_eq!(negotiate(Some(v1), Some(other)), Err(Unsupported::ContentEncoding(other.into())));
    }
}

#[test]
fn known_label_sets_are_shared_between_requests() {
    let cache = Arc::new(LabelCache::new(100));
    let mut first = Decoder::new(Limits::default(), Some(Arc::clone(&cache)));
    let mut second = Decoder::new(Limits::default(), Some(Arc::clone(&cache)));
    let one = first.decode(Version::V1, &pack(&hex(golden::WRITE_V1)).unwrap()).unwrap();
    assert_eq!(cache.len(), 2);
    second.decode(Version::V1, &pack(&hex(golden::WRITE_V1)).unwrap()).unwrap();
    assert_eq!(cache.len(), 2);
    // Written in another way, they have another key.
    let two = first.decode(Version::V2, &pack(&hex(golden::WRITE_V2)).unwrap()).unwrap();
    assert_eq!(cache.len(), 4);
    assert_eq!(lines(&one.batch)[0], lines(&two.batch)[0]);
    assert_eq!(one.batch.points[0].labels, two.batch.points[0].labels);
    assert!(cache.heap_bytes() > 0);
}

/// A hundred series of their own.
fn hundred(from: usize) -> Vec<u8> {
    let mut batch = Batch::new("");
    for i in from..from + 100 {
        let labels = Labels::from_pairs([(METRIC_NAME, "m"), ("i", &i.to_string())]);
        batch.points.push(Point { labels, timestamp_ms: 1, value: 1.0 });
    }
    encode_v1(&batch).unwrap()
}

#[test]
fn the_cache_keeps_label_sets_in_use_however_many() {
    let cache = Arc::new(LabelCache::new(160));
    let mut decoder = Decoder::new(Limits::default(), Some(Arc::clone(&cache)));
    let mut decode = |from| decoder.decode(Version::V1, &hundred(from)).unwrap().batch;
    let kept: Vec<Batch> = (0..50).map(|round| decode(round * 100)).collect();
    assert_eq!(cache.len(), 5_000);
    for (round, batch) in kept.iter().enumerate() {
        let again = decode(round * 100);
        assert!(batch.points.iter().zip(&again.points).all(|(a, b)| a.labels == b.labels));
    }
    assert_eq!(cache.len(), 5_000, "they were found and not made again");
    let slots = cache.heap_bytes();
    drop(kept);
    for round in 50..60 {
        decode(round * 100);
    }
    assert!(cache.len() <= 320, "{} are left of those nobody uses", cache.len());
    assert!(cache.heap_bytes() < slots / 2, "{} of {slots} bytes", cache.heap_bytes());
}

#[test]
fn the_cache_forgets_what_nobody_uses() {
    let cache = Arc::new(LabelCache::new(160));
    let mut decoder = Decoder::new(Limits::default(), Some(Arc::clone(&cache)));
    for round in 0..50 {
        let decoded = decoder.decode(Version::V1, &hundred(round * 100)).unwrap();
        assert_eq!(decoded.batch.points.len(), 100);
        assert!(cache.len() <= 320, "{}", cache.len());
    }
    assert!(cache.len() >= 100);
}

#[test]
fn metadata_comes_once_a_metric() {
    let metadata =
        |family: &str, kind| MetricMetadata { family: family.into(), kind, ..MetricMetadata::default() };
    let mut batch = Batch::new("");
    for i in 0..20 {
        for name in ["up", "latency_sum", "latency_count", "latency_bucket"] {
            let labels = Labels::from_pairs([(METRIC_NAME, name), ("i", &i.to_string())]);
            batch.points.push(Point { labels, timestamp_ms: 1, value: 1.0 });
        }
    }
    batch.metadata = vec![metadata("up", MetricKind::Gauge), metadata("latency", MetricKind::Histogram)];
    let decoded = decode_v2(&encode_v2(&batch).unwrap()).unwrap().batch;
    assert_eq!(decoded.points.len(), 80);
    let mut told = decoded.metadata;
    told.sort_by(|a, b| a.family.cmp(&b.family));
    told.dedup();
    assert_eq!(told, [metadata("latency", MetricKind::Histogram), metadata("up", MetricKind::Gauge)]);
}
