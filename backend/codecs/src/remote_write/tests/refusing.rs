//! What is refused, by series or by part, and what stays.

use super::encode::put_label;
use super::*;

/// A series of 1.0 with these labels and one sample.
fn series(labels: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&mut out, 1, |out| {
        for (name, value) in labels {
            put_message(out, 1, |out| {
                put_bytes(out, 1, name);
                put_bytes(out, 2, value);
            });
        }
        put_sample(out, 7, 1.0);
    });
    out
}

fn put_sample(out: &mut Vec<u8>, timestamp_ms: i64, value: f64) {
    put_message(out, 2, |out| {
        put_double(out, 1, value);
        put_int(out, 2, timestamp_ms);
    });
}

const GOOD: [(&[u8], &[u8]); 2] = [(b"__name__", b"good"), (b"a", b"b")];

fn decode_with(limits: Limits, version: Version, body: &[u8]) -> Result<Decoded, Error> {
    Decoder::new(limits, Some(Arc::new(LabelCache::new(100)))).decode(version, &pack(body).unwrap())
}

/// Checks that the series is refused for `reason`, and good ones around it are kept.
#[track_caller]
fn check(labels: &[(&[u8], &[u8])], reason: Reason) {
    let body = [series(&GOOD), series(labels), series(&GOOD)].concat();
    let limits = Limits { labels_max: 5, label_set_bytes_max: 100, ..Limits::default() };
    let decoded = decode_with(limits, Version::V1, &body).unwrap();
    assert_eq!(decoded.batch.points.len(), 2);
    assert_eq!((decoded.refused.series, decoded.refused.samples), (1, 1));
    assert_eq!(decoded.refused.named[0].reason, reason);
    assert!(decoded.refused.to_string().contains(&reason.to_string()));
}

#[test]
fn label_sets() {
    check(&[], Reason::NameMissing);
    check(&[(b"a", b"b")], Reason::NameMissing);
    check(&[(b"__name__", b"")], Reason::NameMissing);
    check(&[(b"", b"x"), (b"__name__", b"m")], Reason::LabelNameEmpty);
    check(&[(b"__name__", b"m"), (b"a", b"1"), (b"a", b"1")], Reason::LabelNameTwice);
    check(&[(b"a", b"1"), (b"__name__", b"m"), (b"a", b"")], Reason::LabelNameTwice);
    check(&[(b"__name__", b"m"), (b"a", b"\xff\xfe")], Reason::NotUtf8);
    check(&[(b"__name__", b"m"), (b"\xc3", b"x")], Reason::NotUtf8);
    check(&[(b"__name__", b"m"), (b"a", &[b'x'; 100])], Reason::LabelsTooLarge(100));
    let many: Vec<_> = [b"1", b"2", b"3", b"4", b"5", b"6", b"7"].map(|name| (&name[..], &b"x"[..])).into();
    check(&many, Reason::TooManyLabels(5));
}

#[test]
fn unsorted_labels_and_empty_values_are_mended() {
    let body = series(&[(b"z", b"1"), (b"e", b""), (b"__name__", b"m"), (b"a", b"2")]);
    let expected = Labels::from_pairs([("__name__", "m"), ("a", "2"), ("z", "1")]);
    let decoded = decode_with(Limits::default(), Version::V1, &body).unwrap();
    assert!(decoded.refused.is_empty());
    assert_eq!(decoded.batch.points[0].labels, expected);
    let strict = Limits { unsorted_labels_accepted: false, ..Limits::default() };
    let decoded = decode_with(strict, Version::V1, &body).unwrap();
    assert_eq!(decoded.refused.named[0].reason, Reason::LabelsUnsorted);
}

#[test]
fn samples_that_go_back_are_refused_alone() {
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        put_label(out, 1, ("__name__", "m"));
        [5, 7, 6, 7, 8].into_iter().for_each(|timestamp_ms| put_sample(out, timestamp_ms, 1.0));
    });
    let decoded = decode_with(Limits::default(), Version::V1, &body).unwrap();
    let times: Vec<i64> = decoded.batch.points.iter().map(|point| point.timestamp_ms).collect();
    assert_eq!(times, [5, 7, 7, 8]);
    assert_eq!((decoded.refused.series, decoded.refused.samples), (1, 1));
    let text = decoded.refused.to_string();
    assert!(text.contains(r#"{__name__="m"}: sample is older than the one before it"#), "{text}");
}

/// A request of 2.0 with the symbols "", __name__, m, a, b.
fn symbols() -> Vec<u8> {
    let mut body = Vec::new();
    ["", "__name__", "m", "a", "b"].iter().for_each(|text| put_element(&mut body, 4, text.as_bytes()));
    body
}

fn series_v2(references: &[u64], exemplar: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&mut out, 5, |out| {
        put_packed_varints(out, 1, references.iter().copied());
        put_sample(out, 7, 1.0);
        put_message(out, 4, |out| put_packed_varints(out, 1, exemplar.iter().copied()));
    });
    out
}

#[test]
fn references() {
    let body = [
        series_v2(&[1, 2, 3, 4], &[3, 4]),
        series_v2(&[1, 2, 3], &[]),
        series_v2(&[1, 2, 3, 5], &[]),
        series_v2(&[1, 2, 3, u64::MAX], &[]),
        series_v2(&[1, 2], &[3]),
        series_v2(&[1, 2], &[3, 9]),
        series_v2(&[1, 2], &[3, 4, 3, 4]),
        series_v2(&[3, 4], &[]),
        // Symbols may come last.
        symbols(),
    ]
    .concat();
    let decoded = decode_with(Limits::default(), Version::V2, &body).unwrap();
    assert_eq!(decoded.written(), Counts { samples: 4, histograms: 0, exemplars: 1 });
    assert_eq!(decoded.batch.points[0].labels, Labels::from_pairs([("__name__", "m"), ("a", "b")]));
    let reasons: Vec<Reason> = decoded.refused.named.iter().map(|error| error.reason).collect();
    use refused::ExemplarFault;
    assert_eq!(
        reasons,
        [
            Reason::OddReferences,
            Reason::ReferenceOutOfRange { reference: 5, symbols: 5 },
            Reason::ReferenceOutOfRange { reference: u64::MAX, symbols: 5 },
            Reason::Exemplar(ExemplarFault::OddReferences),
            Reason::Exemplar(ExemplarFault::ReferenceOutOfRange),
            Reason::Exemplar(ExemplarFault::LabelNameTwice),
            Reason::NameMissing,
        ]
    );
    assert_eq!((decoded.refused.samples, decoded.refused.exemplars), (4, 7));
}

#[test]
fn references_may_stand_one_by_one() {
    let mut body = symbols();
    put_message(&mut body, 5, |out| {
        // Unpacked, and packed in pieces that tear pairs apart.
        put_uint(out, 1, 1);
        put_packed_varints(out, 1, [2, 3]);
        put_uint(out, 1, 4);
        put_sample(out, 7, 1.0);
    });
    let decoded = decode_with(Limits::default(), Version::V2, &body).unwrap();
    assert!(decoded.refused.is_empty(), "{}", decoded.refused);
    assert_eq!(decoded.batch.points[0].labels, Labels::from_pairs([("__name__", "m"), ("a", "b")]));
}

/// A series of 1.0 with one histogram.
fn histogram(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        put_label(out, 1, ("__name__", "m"));
        put_message(out, 4, fill);
    });
    body
}

fn span(out: &mut Vec<u8>, number: u32, offset: i64, length: u64) {
    put_message(out, number, |out| {
        put_sint(out, 1, offset);
        put_uint(out, 2, length);
    });
}

#[track_caller]
fn check_histogram(reason: HistogramError, fill: impl FnOnce(&mut Vec<u8>)) {
    let body = [histogram(fill), series(&GOOD)].concat();
    let decoded = decode_with(Limits::default(), Version::V1, &body).unwrap();
    assert_eq!(decoded.refused.named[0].reason, Reason::Histogram(reason));
    assert_eq!(decoded.refused.histograms, 1);
    assert_eq!(decoded.written(), Counts { samples: 1, ..Counts::default() });
}

#[test]
fn histograms() {
    check_histogram(HistogramError::CountMismatch, |out| {
        put_uint(out, 1, 3);
        span(out, 11, 0, 2);
        put_packed_varints(out, 12, [1, 0].map(zigzag));
    });
    check_histogram(HistogramError::NegativeCount, |out| {
        span(out, 11, 0, 2);
        put_packed_varints(out, 12, [1, -2].map(zigzag));
    });
    check_histogram(HistogramError::NegativeCount, |out| {
        span(out, 8, 0, 2);
        put_packed_varints(out, 9, [i64::MAX, 1].map(zigzag));
    });
    check_histogram(HistogramError::CountMismatch, |out| {
        span(out, 11, 0, 3);
        put_packed_varints(out, 12, [i64::MAX, 0, 0].map(zigzag));
    });
    check_histogram(HistogramError::SpansMismatch { spans: 70_000, counts: 1 }, |out| {
        put_double(out, 2, 1.0);
        span(out, 11, 0, 70_000);
        put_packed_doubles(out, 13, &[1.0]);
    });
    check_histogram(HistogramError::SpansMismatch { spans: 1, counts: 0 }, |out| {
        // Counts of a float histogram, and a count that says it has integers.
        put_uint(out, 1, 0);
        put_uint(out, 6, 0);
        span(out, 11, 0, 1);
        put_packed_doubles(out, 13, &[1.0]);
    });
    check_histogram(HistogramError::Schema(-7), |out| put_sint(out, 4, -7));
    check_histogram(HistogramError::NegativeCount, |out| put_double(out, 2, -1.0));
}

#[test]
fn observations_that_are_nan_are_in_no_bucket() {
    let body = histogram(|out| {
        put_uint(out, 1, 3);
        put_double(out, 3, f64::NAN);
        span(out, 11, 0, 2);
        put_packed_varints(out, 12, [1, 0].map(zigzag));
    });
    let decoded = decode_with(Limits::default(), Version::V1, &body).unwrap();
    assert!(decoded.refused.is_empty(), "{}", decoded.refused);
    let stale = histogram(|out| put_double(out, 3, model::stale_nan()));
    let decoded = decode_with(Limits::default(), Version::V1, &stale).unwrap();
    assert!(decoded.batch.histograms[0].histogram.is_stale());
}

#[test]
fn finer_buckets_than_known_are_merged() {
    let body = histogram(|out| {
        put_uint(out, 1, 6);
        put_sint(out, 4, 9);
        span(out, 11, 1, 3);
        put_packed_varints(out, 12, [1, 1, 1].map(zigzag));
    });
    let decoded = decode_with(Limits::default(), Version::V1, &body).unwrap();
    let histogram = &decoded.batch.histograms[0].histogram;
    assert_eq!((histogram.schema, &histogram.positive.counts[..]), (8, &[3.0, 3.0][..]));
}

#[test]
fn counts_beyond_the_limits_fail_the_request() {
    let good = series(&GOOD);
    let body = good.repeat(11);
    let too_many = |limits, version, body: &[u8], what| {
        let error = decode_with(limits, version, body).unwrap_err();
        assert!(error.is_too_large());
        assert!(matches!(error, Error::TooMany { what: found, limit: 10 } if found == what), "{error}");
    };
    let limits = Limits::default();
    too_many(Limits { series_max: 10, ..limits }, Version::V1, &body, "series");
    too_many(Limits { samples_max: 10, ..limits }, Version::V1, &body, "samples");
    too_many(Limits { symbols_max: 10, ..limits }, Version::V2, &symbols().repeat(3), "symbols");
    let families = [0x1a, 0].repeat(11);
    too_many(Limits { symbols_max: 10, ..limits }, Version::V1, &families, "metric families");
    let exemplars = [symbols(), series_v2(&[1, 2], &[]).repeat(11)].concat();
    too_many(Limits { exemplars_max: 10, ..limits }, Version::V2, &exemplars, "exemplars");
    let one = histogram(|out| {
        put_double(out, 2, 1.0);
        span(out, 11, 0, 3);
        put_packed_doubles(out, 13, &[1.0; 3]);
    });
    too_many(Limits { histograms_max: 10, ..limits }, Version::V1, &one.repeat(11), "histograms");
    too_many(Limits { buckets_max: 10, ..limits }, Version::V1, &one.repeat(3), "histogram buckets");
    let decoded = decode_with(Limits { histogram_buckets_max: 3, ..limits }, Version::V1, &one).unwrap();
    assert_eq!(decoded.refused.named[0].reason, Reason::TooManyBuckets(3));
}

#[test]
fn only_the_first_refused_series_are_named() {
    let long = vec![b'x'; 50_000];
    let body = series(&[(b"a", &long)]).repeat(100);
    let decoded = decode_with(Limits::default(), Version::V1, &body).unwrap();
    assert_eq!((decoded.refused.series, decoded.refused.named.len()), (100, 10));
    let text = decoded.refused.to_string();
    assert!(text.ends_with("and 90 more") && text.len() < 5_000, "{text}");
}
