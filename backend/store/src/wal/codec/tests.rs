use std::sync::Arc;

use model::{
    Batch, BucketSpan, Buckets, Exemplar, HistogramPoint, Labels, LogEntry, LogStream, MetricKind,
    MetricMetadata, NativeHistogram, Point, ProbePhases, ProbeResult, ResetHint, Severity, StartTime,
};
use proptest::prelude::*;

use super::*;
pub(crate) use crate::fuzzing::text;
use crate::wal::definitions;

/// Numbers the label sets of a batch as a segment would, and gives the dictionary.
fn number(batch: &Batch) -> (Vec<u32>, Vec<u32>, Dictionary) {
    let mut sets: Vec<Labels> = Vec::new();
    let mut number = |labels: &Labels| match sets.iter().position(|set| set == labels) {
        Some(at) => at as u32,
        None => {
            sets.push(labels.clone());
            sets.len() as u32 - 1
        }
    };
    let series = batch.series().map(&mut number).collect();
    let streams = batch.log_streams.iter().map(|stream| number(&stream.labels)).collect();
    let mut payload = Vec::new();
    definitions::encode(0, &sets, &mut payload);
    let mut dictionary = Dictionary::default();
    dictionary.learn(&payload).unwrap();
    (series, streams, dictionary)
}

fn check(batch: &Batch) {
    let (series, streams, dictionary) = number(batch);
    let mut payload = Vec::new();
    encode(batch, -5, &series, &streams, &mut payload);
    let (received_ms, decoded) = decode(&payload, &dictionary).unwrap();
    assert_eq!(received_ms, -5);
    assert_eq!(text(&decoded), text(batch));
    let origin = decode_origin(&payload).unwrap();
    assert_eq!((origin.source, origin.batch_id), (batch.source.clone(), batch.batch_id.clone()));
}

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::vec(("[a-z_]{1,6}|é|名前", "\\PC{0,8}"), 0..6).prop_map(Labels::from_pairs)
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i32>().prop_map(f64::from),
        Just(-0.0),
        Just(f64::NAN),
        Just(model::stale_nan()),
        Just(f64::NEG_INFINITY),
        Just(f64::from_bits(0xfff8_0000_dead_beef)),
        Just(9_007_199_254_740_993.0),
    ]
}

fn text_option() -> impl Strategy<Value = Option<String>> {
    prop::option::of("\\PC{0,12}")
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("\\PC{0,5}", "\\PC{0,9}"), 0..4)
}

fn entry() -> impl Strategy<Value = LogEntry> {
    (any::<i64>(), 0i8..25, "\\PC{0,40}", pairs(), text_option(), text_option()).prop_map(
        |(timestamp_ns, severity, body, attributes, trace_id, span_id)| LogEntry {
            timestamp_ns,
            severity: Severity::from_number(severity),
            body,
            attributes,
            trace_id,
            span_id,
        },
    )
}

fn probe() -> impl Strategy<Value = ProbeResult> {
    let numbers = (any::<i64>(), any::<bool>(), 0.0..9.0f64, any::<Option<u16>>(), any::<Option<u32>>());
    let more = (any::<Option<u64>>(), any::<Option<i64>>(), prop::option::of(0.0..1.0f64));
    (numbers, more, text_option(), text_option(), pairs(), "\\PC{0,9}").prop_map(
        |(numbers, more, reason, ip, attributes, probe)| ProbeResult {
            timestamp_ms: numbers.0,
            success: numbers.1,
            duration_seconds: numbers.2,
            status_code: numbers.3,
            redirects: numbers.4,
            body_bytes: more.0,
            cert_not_after_ms: more.1,
            phases: ProbePhases { connect_seconds: more.2, ..ProbePhases::default() },
            reason,
            ip,
            attributes,
            probe,
            target: "https://example.org/".into(),
            kind: "http".into(),
            location: "FRA".into(),
            result_id: "0123".into(),
            ..ProbeResult::default()
        },
    )
}

fn metadata() -> impl Strategy<Value = MetricMetadata> {
    ("[a-z_]{0,9}", "\\PC{0,20}", "[a-z]{0,5}", 0u8..8).prop_map(|(family, help, unit, kind)| {
        MetricMetadata { family, kind: kind_from_number(kind), help, unit }
    })
}

fn buckets() -> impl Strategy<Value = Buckets> {
    let span = (any::<i32>(), any::<u32>()).prop_map(|(offset, length)| BucketSpan { offset, length });
    (prop::collection::vec(span, 0..4), prop::collection::vec(value(), 0..5))
        .prop_map(|(spans, counts)| Buckets { spans, counts })
}

/// Histograms, start times and exemplars, sound or not.
fn sparse() -> impl Strategy<Value = (Vec<HistogramPoint>, Vec<StartTime>, Vec<Exemplar>)> {
    let numbers = (value(), value(), value(), value(), any::<i32>(), 0i8..4);
    let lists = (buckets(), buckets(), prop::collection::vec(value(), 0..4));
    let histogram = (labels(), any::<i64>(), any::<i64>(), numbers, lists).prop_map(
        |(labels, timestamp_ms, start_ms, numbers, (positive, negative, custom_bounds))| {
            let (zero_threshold, zero_count, count, sum, schema, hint) = numbers;
            let reset_hint = ResetHint::from_number(hint);
            let histogram = NativeHistogram {
                reset_hint,
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive,
                negative,
                custom_bounds,
            };
            HistogramPoint { labels, timestamp_ms, start_ms, histogram: Arc::new(histogram) }
        },
    );
    let start = (labels(), any::<i64>(), any::<i64>())
        .prop_map(|(labels, timestamp_ms, start_ms)| StartTime { labels, timestamp_ms, start_ms });
    let exemplar = (labels(), labels(), any::<i64>(), value()).prop_map(
        |(labels, exemplar_labels, timestamp_ms, value)| Exemplar {
            labels,
            exemplar_labels,
            timestamp_ms,
            value,
        },
    );
    (
        prop::collection::vec(histogram, 0..4),
        prop::collection::vec(start, 0..4),
        prop::collection::vec(exemplar, 0..4),
    )
}

pub(crate) fn batch() -> impl Strategy<Value = Batch> {
    let point = (labels(), any::<i64>(), value()).prop_map(|(labels, timestamp_ms, value)| Point {
        labels,
        timestamp_ms,
        value,
    });
    let stream = (labels(), prop::collection::vec(entry(), 0..5))
        .prop_map(|(labels, entries)| LogStream { labels, entries });
    (
        "\\PC{0,9}",
        text_option(),
        prop::collection::vec(point, 0..30),
        prop::collection::vec(stream, 0..4),
        prop::collection::vec(probe(), 0..4),
        prop::collection::vec(metadata(), 0..4),
        sparse(),
    )
        .prop_map(|(source, batch_id, points, log_streams, probes, metadata, sparse)| {
            let (histograms, starts, exemplars) = sparse;
            Batch { source, batch_id, points, histograms, starts, exemplars, metadata, log_streams, probes }
        })
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back(batch in batch()) {
        check(&batch);
    }

    #[test]
    fn damaged_records_do_not_panic(batch in batch(), at in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let (series, streams, dictionary) = number(&batch);
        let mut payload = Vec::new();
        encode(&batch, 0, &series, &streams, &mut payload);
        let at = at.index(payload.len());
        payload[at] ^= flip;
        let _ = decode(&payload, &dictionary);
        let _ = decode(&payload[..at], &dictionary);
        let _ = Dictionary::default().learn(&payload);
    }
}

/// Records of the version before end where histograms begin now.
#[test]
fn a_record_without_the_last_sections_has_no_histograms() {
    let point = Point { labels: Labels::from_pairs([("__name__", "up")]), timestamp_ms: 7, value: 1.5 };
    let batch = Batch { points: vec![point], ..Batch::new("scrape") };
    let (series, streams, dictionary) = number(&batch);
    let mut payload = Vec::new();
    encode(&batch, -5, &series, &streams, &mut payload);
    // Time, source, no batch name; one point of series 0 at 7 with its bits; no streams, probes, metadata.
    let mut expected = b"\x09\x06scrape\x00\x01\x00\x01\x0e\x00".to_vec();
    expected.extend_from_slice(&1.5f64.to_bits().to_le_bytes());
    expected.extend_from_slice(b"\x00\x00\x00");
    assert_eq!(payload, expected, "the bytes of the version before");
    let (_, decoded) = decode(&payload, &dictionary).unwrap();
    assert_eq!((decoded.points.len(), decoded.rows()), (1, 1));
}

#[test]
fn every_metric_kind_comes_back() {
    for number in 0..8 {
        assert_eq!(kind_number(kind_from_number(number)), number);
    }
    assert_eq!(kind_from_number(200), MetricKind::Unknown);
}

#[test]
fn a_steady_scrape_of_small_integers_costs_few_bytes_a_point() {
    let set = |i: usize| Labels::from_pairs([("__name__", "up".to_owned()), ("i", i.to_string())]);
    let points =
        (0..1_000).map(|i| Point { labels: set(i), timestamp_ms: 1_700_000_000_000, value: i as f64 });
    let batch = Batch { points: points.collect(), ..Batch::new("scrape") };
    let numbers: Vec<u32> = (0..1_000).collect();
    let mut payload = Vec::new();
    encode(&batch, 0, &numbers, &[], &mut payload);
    assert!(payload.len() < 3_500, "{} bytes", payload.len());
}

#[test]
fn a_claimed_count_allocates_nothing() {
    let mut payload = Vec::new();
    put_i64(&mut payload, 0);
    put_str(&mut payload, "");
    put_opt_str(&mut payload, None);
    put_u64(&mut payload, u64::MAX / 4);
    assert_eq!(decode(&payload, &Dictionary::default()).unwrap_err(), WireError::Count);
}
