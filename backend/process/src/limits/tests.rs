use std::sync::Arc;

use model::{Exemplar, HistogramPoint, LogStream, NativeHistogram, Point, ProbeResult, StartTime};

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

fn point(labels: &[(&str, &str)], timestamp_ms: i64) -> Point {
    Point { labels: Labels::from_pairs(labels.iter().copied()), timestamp_ms, value: 1.0 }
}

fn stream(bodies: &[&str]) -> LogStream {
    let entry = |body: &&str| LogEntry {
        timestamp_ns: NOW_MS * 1_000_000,
        body: (*body).to_owned(),
        ..LogEntry::default()
    };
    LogStream { labels: Labels::from_pairs([("service", "s")]), entries: bodies.iter().map(entry).collect() }
}

#[test]
fn a_batch_within_the_limits_is_untouched() {
    let mut batch = Batch::new("s");
    batch.points = vec![point(&[("__name__", "a")], NOW_MS + 600_000), point(&[("__name__", "a")], 0)];
    batch.log_streams = vec![stream(&["x"])];
    let (after, rejections) = enforce(&Limits::default(), batch, NOW_MS);
    assert_eq!((after.points.len(), after.log_entries()), (2, 1));
    assert!(rejections.is_empty());
}

#[test]
fn points_are_refused_one_by_one() {
    let limits = Limits {
        labels_max: 3,
        label_name_bytes_max: 8,
        label_value_bytes_max: 4,
        points_max: 7,
        ..Limits::default()
    };
    let mut batch = Batch::new("s");
    batch.points = vec![
        point(&[("__name__", "ok")], NOW_MS),
        point(&[("__name__", "a"), ("b", "1"), ("c", "1"), ("d", "1")], NOW_MS),
        point(&[("__name__", "a"), ("ninebytes", "1")], NOW_MS),
        point(&[("__name__", "12345")], NOW_MS),
        point(&[("a", "1")], NOW_MS),
        point(&[("__name__", "a")], NOW_MS + 600_001),
        point(&[("__name__", "a")], i64::MIN),
        point(&[("__name__", "many")], NOW_MS),
    ];
    let (after, rejections) = enforce(&limits, batch, NOW_MS);
    assert_eq!(after.points.iter().map(|p| p.labels.name()).collect::<Vec<_>>(), ["ok"]);
    for reason in [
        Reason::TooManyLabels,
        Reason::LabelNameTooLong,
        Reason::LabelValueTooLong,
        Reason::NameMissing,
        Reason::TooFarInFuture,
        Reason::TimestampOutOfRange,
        Reason::BatchTooLarge,
    ] {
        assert_eq!(rejections.count(reason), 1, "{}", reason.as_str());
    }
    assert_eq!(rejections.lost(), 7);
}

#[test]
fn long_lines_are_cut_on_a_character_and_marked() {
    let limits = Limits { log_line_bytes_max: 20, attributes_max: 1, ..Limits::default() };
    let mut batch = Batch::new("s");
    let mut long = stream(&["a12345678901234567890", "éééééééééééé", "exactly twenty bytes"]);
    long.entries[2].attributes = vec![("a".into(), "1".into()), ("b".into(), "2".into())];
    batch.log_streams = vec![long];
    let (after, rejections) = enforce(&limits, batch, NOW_MS);
    let entries = &after.log_streams[0].entries;
    let bodies: Vec<&str> = entries.iter().map(|entry| entry.body.as_str()).collect();
    assert_eq!(bodies, ["a12345678901…[cut]", "éééééé…[cut]", "exactly twenty bytes"]);
    assert!(bodies.iter().all(|body| body.len() <= 20));
    assert_eq!(entries[2].attributes.len(), 1);
    assert_eq!((rejections.count(Reason::LineCut), rejections.lost()), (2, 0));
    assert_eq!(rejections.count(Reason::AttributesRemoved), 1);
}

#[test]
fn log_entries_share_one_limit_and_empty_streams_vanish() {
    let limits = Limits { log_entries_max: 3, ..Limits::default() };
    let mut batch = Batch::new("s");
    let mut late = stream(&["f"]);
    late.entries[0].timestamp_ns += 601 * 1_000_000_000;
    batch.log_streams = vec![late, stream(&["a", "b", "c"]), stream(&["d"])];
    batch.probes = vec![ProbeResult { timestamp_ms: NOW_MS + 700_000, ..ProbeResult::default() }];
    let (after, rejections) = enforce(&limits, batch, NOW_MS);
    assert_eq!((after.log_streams.len(), after.log_entries()), (1, 2));
    assert_eq!(rejections.count(Reason::BatchTooLarge), 2);
    assert_eq!(rejections.count(Reason::TooFarInFuture), 2);
    assert!(after.is_empty() || after.probes.is_empty());
}

#[test]
fn rejections_name_the_limits() {
    let mut rejections = Rejections::default();
    rejections.add(Reason::LineCut, 1);
    rejections.add(Reason::SeriesPerSource, 40);
    assert_eq!(rejections.to_string(), "series_per_source: 40 rows, line_cut: 1 row");
    assert_eq!(rejections.lost(), 40);
}

#[test]
fn histograms_and_exemplars_are_held_to_the_limits_of_points() {
    let limits = Limits { label_value_bytes_max: 4, points_max: 4, ..Limits::default() };
    let labels = |name: &str| Labels::from_pairs([("__name__", name)]);
    let histogram = |name: &str, timestamp_ms: i64, start_ms: i64, count: f64| {
        let histogram = Arc::new(NativeHistogram { count, ..NativeHistogram::default() });
        HistogramPoint { labels: labels(name), timestamp_ms, start_ms, histogram }
    };
    let exemplar = |name: &str, trace: &str| {
        let exemplar_labels = Labels::from_pairs([("t", trace)]);
        Exemplar { labels: labels(name), exemplar_labels, timestamp_ms: NOW_MS, value: 1.0 }
    };
    let mut batch = Batch::new("s");
    batch.histograms = vec![
        histogram("ok", NOW_MS, 5, 1.0),
        histogram("bad", NOW_MS, 0, -1.0),
        histogram("late", NOW_MS + 600_001, 0, 1.0),
        histogram("odd", NOW_MS, NOW_MS + 1, 1.0),
        histogram("many", NOW_MS, 0, 1.0),
    ];
    batch.exemplars = vec![exemplar("ok", "1"), exemplar("", "1"), exemplar("a", "long one")];
    let start =
        |name: &str, start_ms: i64| StartTime { labels: labels(name), timestamp_ms: NOW_MS, start_ms };
    batch.starts = vec![start("ok", 5), start("ok", 0), start("ok", NOW_MS + 1), start("too long", 5)];
    let (after, rejections) = enforce(&limits, batch, NOW_MS);
    let left: Vec<(&str, i64)> =
        after.histograms.iter().map(|point| (point.labels.name(), point.start_ms)).collect();
    assert_eq!(left, [("ok", 5), ("odd", 0)]);
    assert_eq!(after.exemplars.len(), 1);
    assert_eq!(after.starts, [start("ok", 5)]);
    for reason in [
        Reason::BatchTooLarge,
        Reason::HistogramInvalid,
        Reason::TooFarInFuture,
        Reason::NameMissing,
        Reason::LabelValueTooLong,
    ] {
        assert_eq!(rejections.count(reason), 1, "{reason:?}");
    }
    assert_eq!(rejections.lost(), 5);
}
