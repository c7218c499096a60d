use model::Labels;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const NOW_MS: i64 = 472_222 * HOUR_MS;

fn points(name: &str, range: std::ops::Range<usize>) -> Vec<Point> {
    let point = |i: usize| Point {
        labels: Labels::from_pairs([("__name__", name), ("i", &i.to_string())]),
        timestamp_ms: NOW_MS,
        value: 0.0,
    };
    range.map(point).collect()
}

/// Points let in, and refused by either limit.
fn admit(active: &ActiveSeries, source: &str, mut points: Vec<Point>, now_ms: i64) -> (usize, u64, u64) {
    let mut rejections = Rejections::default();
    active.admit(source, &mut points, now_ms, &mut rejections);
    (points.len(), rejections.count(Reason::SeriesPerSource), rejections.count(Reason::SeriesTotal))
}

#[test]
fn the_source_that_explodes_is_stopped_and_the_other_goes_on() {
    let active = ActiveSeries::new(1_000, 0);
    assert_eq!(admit(&active, "good", points("good", 0..800), NOW_MS), (800, 0, 0));
    assert_eq!(admit(&active, "bad", points("bad", 0..5_000), NOW_MS), (1_000, 4_000, 0));
    for round in 1..50 {
        let new = points("bad", round * 5_000..(round + 1) * 5_000);
        assert_eq!(admit(&active, "bad", new, NOW_MS + round as i64), (0, 5_000, 0));
        assert_eq!(
            admit(&active, "bad", points("bad", 0..1_000), NOW_MS),
            (1_000, 0, 0),
            "what it had goes on"
        );
        assert_eq!(admit(&active, "good", points("good", 0..800), NOW_MS), (800, 0, 0));
    }
    assert_eq!(admit(&active, "good", points("good", 800..1_000), NOW_MS), (200, 0, 0));
    let sources = active.sources();
    assert_eq!(sources[0], SourceSeries { source: "bad".into(), active: 1_000, refused_total: 249_000 });
    assert_eq!(sources[1], SourceSeries { source: "good".into(), active: 1_000, refused_total: 0 });
}

#[test]
fn memory_follows_the_limit_and_not_what_is_sent() {
    let active = ActiveSeries::new(10_000, 0);
    for round in 0..30 {
        admit(&active, "bad", points("bad", round * 10_000..(round + 1) * 10_000), NOW_MS);
    }
    // Two generations of at most twice the places, five bytes each.
    assert!(active.heap_bytes() < 10_000 * 20, "{} bytes", active.heap_bytes());
}

#[test]
fn series_that_are_not_written_any_more_make_room() {
    let active = ActiveSeries::new(100, 0);
    assert_eq!(admit(&active, "s", points("old", 0..100), NOW_MS), (100, 0, 0));
    assert_eq!(admit(&active, "s", points("new", 0..50), NOW_MS + HOUR_MS), (0, 50, 0), "still remembered");
    assert_eq!(admit(&active, "s", points("old", 0..60), NOW_MS + HOUR_MS), (60, 0, 0));
    assert_eq!(
        admit(&active, "s", points("new", 0..50), NOW_MS + 2 * HOUR_MS),
        (40, 10, 0),
        "40 are forgotten"
    );
    assert_eq!(admit(&active, "s", points("old", 0..60), NOW_MS + 2 * HOUR_MS), (60, 0, 0), "60 are not");
    assert_eq!(admit(&active, "s", points("next", 0..500), NOW_MS + 9 * HOUR_MS), (100, 400, 0));
    assert_eq!(admit(&active, "s", points("next", 0..100), NOW_MS), (100, 0, 0), "a clock that jumps back");
}

#[test]
fn the_total_is_over_all_sources_and_idle_ones_leave_it() {
    let active = ActiveSeries::new(0, 1_000);
    assert_eq!(admit(&active, "a", points("a", 0..700), NOW_MS), (700, 0, 0));
    assert_eq!(admit(&active, "b", points("b", 0..700), NOW_MS), (300, 0, 400));
    assert_eq!(admit(&active, "a", points("a", 0..700), NOW_MS), (700, 0, 0));
    assert_eq!(admit(&active, "b", points("b", 0..700), NOW_MS + 2 * HOUR_MS), (700, 0, 0));
    assert_eq!(active.sources().len(), 1, "`a` is forgotten");
}

#[test]
fn sources_beyond_the_most_share_a_count() {
    let active = ActiveSeries::new(10, 0);
    for source in 0..SOURCES_MAX + 50 {
        admit(&active, &source.to_string(), points(&source.to_string(), 0..1), NOW_MS);
    }
    assert_eq!(active.sources().len(), SOURCES_MAX + 1);
    let others = active.sources().into_iter().find(|source| source.source == OTHERS).unwrap();
    assert_eq!((others.active, others.refused_total), (10, 40));
}

#[test]
fn without_limits_nothing_is_remembered() {
    let active = ActiveSeries::new(0, 0);
    assert_eq!(admit(&active, "a", points("a", 0..700), NOW_MS), (700, 0, 0));
    assert!(active.sources().is_empty());
}
