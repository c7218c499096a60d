use proptest::prelude::*;

use super::*;

fn labels() -> impl Strategy<Value = Labels> {
    let others = prop::collection::vec(("[a-z_]{1,3}|é|a\\.b", "\\PC{0,6}"), 0..4);
    ("[a-z:_]{1,5}|名前", others).prop_map(|(name, others)| {
        let mut builder = Labels::from_pairs(others).to_builder();
        builder.set(METRIC_NAME, &name).build()
    })
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i32>().prop_map(f64::from),
        Just(-0.0),
        Just(model::stale_nan()),
        Just(f64::INFINITY),
    ]
}

fn buckets(first: std::ops::Range<i32>) -> impl Strategy<Value = Buckets> {
    let span = (first, 0i32..5, 0u32..4);
    prop::collection::vec(span, 0..4).prop_flat_map(|spans| {
        let mut spans: Vec<BucketSpan> = spans
            .iter()
            .enumerate()
            .map(|(i, (first, gap, length))| BucketSpan {
                offset: if i == 0 { *first } else { *gap },
                length: *length,
            })
            .collect();
        spans.shrink_to_fit();
        let buckets = spans.iter().map(|span| span.length as usize).sum::<usize>();
        let counts = prop::collection::vec((0u32..9).prop_map(|count| f64::from(count) / 2.0), buckets);
        counts.prop_map(move |counts| Buckets { spans: spans.clone(), counts })
    })
}

fn histogram() -> impl Strategy<Value = NativeHistogram> {
    let exponential = (-4i32..=8, buckets(-9..9), buckets(-9..9), 0.0..1.0f64, 0.0..9.0f64).prop_map(
        |(schema, positive, negative, zero_threshold, zero_count)| NativeHistogram {
            schema,
            positive,
            negative,
            zero_threshold,
            zero_count,
            ..NativeHistogram::default()
        },
    );
    let custom = buckets(0..3).prop_map(|positive| NativeHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        positive,
        custom_bounds: (0..40).map(f64::from).collect(),
        ..NativeHistogram::default()
    });
    (prop_oneof![exponential, custom], 0i8..4, float(), 0.0..1e9f64).prop_map(
        |(histogram, hint, sum, count)| NativeHistogram {
            reset_hint: ResetHint::from_number(hint),
            sum,
            count,
            ..histogram
        },
    )
}

pub(super) fn batch() -> impl Strategy<Value = Batch> {
    let point = (labels(), any::<i64>(), float()).prop_map(|(labels, timestamp_ms, value)| Point {
        labels,
        timestamp_ms,
        value,
    });
    let histogram = (labels(), any::<i64>(), any::<i64>(), histogram()).prop_map(
        |(labels, timestamp_ms, start_ms, histogram)| {
            let histogram = Arc::new(histogram);
            HistogramPoint { labels, timestamp_ms, start_ms, histogram }
        },
    );
    let exemplar_labels =
        prop::collection::vec(("[a-z_]{1,5}", "\\PC{1,9}"), 0..3).prop_map(Labels::from_pairs);
    let exemplar = (labels(), exemplar_labels, any::<i64>(), float()).prop_map(
        |(labels, exemplar_labels, timestamp_ms, value)| Exemplar {
            labels,
            exemplar_labels,
            timestamp_ms,
            value,
        },
    );
    let lists = (
        prop::collection::vec(point, 0..12),
        prop::collection::vec(histogram, 0..5),
        prop::collection::vec(exemplar, 0..5),
    );
    lists.prop_map(|(points, histograms, exemplars)| Batch {
        points,
        histograms,
        exemplars,
        ..Batch::new("")
    })
}

fn metadata() -> impl Strategy<Value = MetricMetadata> {
    ("[a-z_]{0,9}", "\\PC{0,20}", "[a-z]{0,5}", 0u64..8).prop_map(|(family, help, unit, kind)| {
        MetricMetadata { family, kind: kind_from_number(kind), help, unit }
    })
}

fn without_start_times(mut batch: Batch) -> Batch {
    batch.histograms.iter_mut().for_each(|point| point.start_ms = 0);
    batch
}

proptest! {
    #[test]
    fn v1(batch in batch(), metadata in prop::collection::vec(metadata(), 0..4)) {
        let batch = Batch { metadata, ..without_start_times(batch) };
        let decoded = decode_v1(&encode_v1(&batch).unwrap()).unwrap();
        prop_assert!(decoded.refused.is_empty(), "{}", decoded.refused);
        prop_assert_eq!(lines(&decoded.batch), lines(&batch));
    }

    #[test]
    fn v2(batch in batch()) {
        let cache = Some(Arc::new(LabelCache::new(10)));
        let mut decoder = Decoder::new(Limits::default(), cache);
        let body = encode_v2(&batch).unwrap();
        for _ in 0..2 {
            let decoded = decoder.decode(Version::V2, &body).unwrap();
            prop_assert!(decoded.refused.is_empty(), "{}", decoded.refused);
            prop_assert_eq!(lines(&decoded.batch), lines(&batch));
        }
    }

    #[test]
    fn damaged_bodies_are_refused_or_read_but_nothing_else(
        batch in batch(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..=255,
        insert in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        for (version, body) in [(Version::V1, encode_v1(&batch)), (Version::V2, encode_v2(&batch))] {
            let mut unpacked = snap::raw::Decoder::new().decompress_vec(&body.unwrap()).unwrap();
            if unpacked.is_empty() {
                continue;
            }
            let at = at.index(unpacked.len());
            unpacked[at] ^= flip;
            unpacked.splice(at..at, insert.iter().copied());
            let limits = Limits { samples_max: 12, histograms_max: 5, exemplars_max: 5, buckets_max: 300, ..Limits::default() };
            for body in [pack(&unpacked).unwrap(), pack(&unpacked[..at]).unwrap(), unpacked] {
                if let Ok(decoded) = Decoder::new(limits, None).decode(version, &body) {
                    let written = decoded.written();
                    prop_assert!(written.samples <= 12 && written.histograms <= 5 && written.exemplars <= 5);
                    prop_assert!(decoded.batch.histograms.iter().all(|point| point.histogram.check().is_ok()));
                    prop_assert!(decoded.refused.to_string().len() < 8_000);
                }
            }
        }
    }
}

#[test]
fn start_times_of_samples_come_back_in_2_0() {
    let labels = |name: &str| Labels::from_pairs([(METRIC_NAME, name)]);
    let point = |name: &str, timestamp_ms: i64| Point {
        labels: labels(name),
        timestamp_ms,
        value: timestamp_ms as f64,
    };
    let start =
        |name: &str, timestamp_ms: i64, start_ms| StartTime { labels: labels(name), timestamp_ms, start_ms };
    let batch = Batch {
        points: vec![point("a", 10), point("a", 20), point("b", 10), point("a", 30)],
        starts: vec![start("a", 10, 5), start("a", 30, -7)],
        ..Batch::new("")
    };
    let decoded = decode_v2(&encode_v2(&batch).unwrap()).unwrap();
    assert!(decoded.refused.is_empty(), "{}", decoded.refused);
    assert_eq!(decoded.batch.starts, batch.starts);
    assert_eq!(decoded.batch.points.len(), 4);
}

/// Drafts before 2.0-rc.4 told it once a series.
#[test]
fn the_start_time_of_a_series_is_that_of_samples_without_their_own() {
    // Labels by references 1 and 2; samples at 10, begun at 5, and at 20; the series begun at 3.
    let mut request = Vec::new();
    for symbol in ["", METRIC_NAME, "a"] {
        request.extend([0x22, symbol.len() as u8]);
        request.extend(symbol.bytes());
    }
    let series: &[u8] = b"\x0a\x02\x01\x02\x12\x04\x10\x0a\x18\x05\x12\x02\x10\x14\x30\x03";
    request.extend([0x2a, series.len() as u8]);
    request.extend(series);
    let decoded = decode_v2(&pack(&request).unwrap()).unwrap();
    let starts: Vec<(i64, i64)> =
        decoded.batch.starts.iter().map(|start| (start.timestamp_ms, start.start_ms)).collect();
    assert_eq!(starts, [(10, 5), (20, 3)]);
}
