use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Labels;

use super::*;
use crate::memory::MemorySource;
use crate::source::{Prefetched, SeriesData};
use crate::value::Cell;

fn source(series: usize, samples: i64) -> MemorySource {
    MemorySource::from_series((0..series).map(|i| SeriesData {
        labels: Labels::from_pairs([("__name__", "m_total"), ("i", &i.to_string())]),
        timestamps: Arc::new((0..samples).map(|s| s * 15_000).collect()),
        values: (0..samples).map(|s| f64::from(i32::try_from(s).expect("few samples"))).collect(),
        ..SeriesData::default()
    }))
}

const HOUR: QueryTime = QueryTime::Range { start_ms: 0, end_ms: 3_600_000, step_ms: 60_000 };

#[test]
fn prefetched_data_gives_the_same_answer() {
    let source = source(20, 240);
    let engine = Engine::default();
    let query = "sum(rate(m_total[5m])) / count(m_total offset 1m) + max_over_time(m_total{i=\"3\"}[10m:1m]) * on() group_left m_total{i=\"3\"}";
    let prepared = engine.prepare(query, HOUR).expect("a query");
    let fetched = prepared.selections().iter().map(|selection| source.select(selection).expect("in memory"));
    let prefetched = Prefetched(fetched.collect());
    let answer = prepared.evaluate(&prefetched, &|| None).expect("evaluates");
    assert_eq!(answer, engine.query(query, HOUR, &source).expect("evaluates"));
}

#[test]
fn selections_tell_series_and_time() {
    let engine = Engine::default();
    let time = QueryTime::Instant { time_ms: 1_000_000 };
    let check = |query: &str, expect: &[(i64, i64, i64)]| {
        let prepared = engine.prepare(query, time).expect(query);
        let got: Vec<_> =
            prepared.selections().iter().map(|s| (s.start_ms, s.end_ms, s.hints.range_ms)).collect();
        assert_eq!(got, expect, "{query}");
    };
    check("m", &[(700_001, 1_000_000, 0)]);
    check("m offset 1m", &[(640_001, 940_000, 0)]);
    check("m @ 100", &[(-199_999, 100_000, 0)]);
    check("rate(m[1m])", &[(940_001, 1_000_000, 60_000)]);
    check("rate(m[1m] anchored)", &[(640_001, 1_000_000, 60_000)]);
    check("rate(m[1m] smoothed)", &[(640_001, 1_300_000, 60_000)]);
    check("max_over_time(rate(m[1m])[10m:1m] offset 1m)", &[(280_001, 940_000, 60_000)]);
    // The same series over the same time are asked for once.
    check("m + m", &[(700_001, 1_000_000, 0)]);
    check("m + n", &[(700_001, 1_000_000, 0), (700_001, 1_000_000, 0)]);
}

#[test]
fn too_many_samples_are_refused() {
    let source = source(20, 240);
    let engine = Engine::new(EngineOptions { samples_max: 500, ..EngineOptions::default() });
    for query in
        ["m_total", "rate(m_total[5m])", "m_total * 2", "sum(m_total)", "max_over_time(vector(1)[1h:1s])"]
    {
        let error = engine.query(query, HOUR, &source).expect_err(query);
        assert!(matches!(error, Error::TooManySamples), "{query}: {error}");
        let text = "query processing would load too many samples into memory in query execution";
        assert_eq!(error.to_string(), text);
    }
    assert!(engine.query("m_total{i=\"1\"}", HOUR, &source).is_ok());
    let steps = QueryTime::Range { start_ms: 0, end_ms: i64::MAX, step_ms: 1 };
    assert!(engine.query("1", steps, &source).is_err());
}

/// A source that hands out five series at a time and counts how often it is asked.
struct Streamed {
    source: MemorySource,
    asked: AtomicUsize,
}

impl Streamed {
    fn new(source: MemorySource) -> Streamed {
        Streamed { source, asked: AtomicUsize::new(0) }
    }
}

impl SeriesSource for Streamed {
    fn select(&self, selection: &Selection) -> Result<Vec<Arc<SeriesData>>, crate::SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.source.select(selection)
    }

    fn is_streamed(&self, _: &Selection) -> bool {
        true
    }

    fn for_each_chunk(
        &self,
        selection: &Selection,
        take: &mut dyn FnMut(Vec<Arc<SeriesData>>) -> ControlFlow<()>,
    ) -> Result<(), crate::SourceError> {
        for chunk in self.select(selection)?.chunks(5) {
            if take(chunk.to_vec()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

#[test]
fn of_series_that_are_streamed_only_what_is_held_counts() {
    let source = Streamed::new(source(40, 240));
    let engine = Engine::new(EngineOptions { samples_max: 500, ..EngineOptions::default() });
    for query in [
        "sum(m_total)",
        "sum by (i) (m_total{i=~\"1[0-3]\"} * 2)",
        "count(rate(m_total[5m]) > 1)",
        "max(max_over_time(rate(m_total[5m])[10m:1m]))",
        "m_total == 60",
        "absent(m_total)",
    ] {
        engine.query(query, HOUR, &source).expect(query);
    }
    for query in ["m_total", "sum by (i) (m_total)", "topk(1, m_total)"] {
        let error = engine.query(query, HOUR, &source).expect_err(query);
        assert!(matches!(error, Error::TooManySamples), "{query}: {error}");
    }
    // The windows of one series at a time have 240 samples.
    let time = QueryTime::Instant { time_ms: 3_600_000 };
    for (samples_max, is_enough) in [(200, false), (300, true)] {
        let engine = Engine::new(EngineOptions { samples_max, ..EngineOptions::default() });
        let answer = engine.query("max(count_over_time(m_total[10h]))", time, &source);
        assert_eq!(answer.is_ok(), is_enough, "{samples_max}");
    }
}

#[test]
fn what_a_query_says_twice_is_evaluated_once() {
    let asked = |query: &str| {
        let source = Streamed::new(source(20, 240));
        let answer = Engine::default().query(query, HOUR, &source).expect(query);
        (source.asked.into_inner(), answer)
    };
    let (once, answer) = asked("m_total - m_total");
    assert_eq!(once, 1);
    let Value::Matrix(series) = &answer.value else { panic!("no matrix") };
    assert_eq!(series.len(), 20);
    assert!(series.iter().all(|series| series.floats.iter().all(|(_, value)| *value == 0.0)));
    assert_eq!(asked("sum(rate(m_total[5m])) / sum(rate(m_total[5m])) + sum(rate(m_total[5m]))").0, 1);
    assert_eq!(asked("sum(m_total) / sum(m_total offset 1m)").0, 2);
    // Different aggregations of the same are found while it is read.
    assert_eq!(asked("sum by (i) (rate(m_total[5m])) / on () group_left () sum(rate(m_total[5m]))").0, 1);
    assert_eq!(asked("(max(m_total) - min(m_total)) / avg(m_total) + quantile(0.5, m_total)").0, 2);
    assert_eq!(asked("quantile(0.5, m_total) / (max(m_total) - min(m_total))").0, 1);
    assert_eq!(asked("m_total / on () group_left () sum(m_total)").0, 1);
    // In other places of time, the same words mean something else.
    assert_eq!(asked("max_over_time(sum(m_total)[5m:1m]) - sum(m_total)").0, 2);
}

#[test]
fn notes_are_made_wherever_their_cause_stands() {
    let source = MemorySource::from_series([SeriesData {
        labels: Labels::from_pairs([("__name__", "gauge")]),
        timestamps: Arc::new((0..240).map(|s| s * 15_000).collect()),
        values: vec![1.0; 240],
        ..SeriesData::default()
    }]);
    let query = "rate(gauge[5m]) + rate(gauge[5m])";
    let answer = Engine::default().query(query, HOUR, &source).expect("evaluates");
    let infos = answer.annotations.infos(query);
    assert_eq!(infos.len(), 2, "{infos:?}");
    assert!(infos[0].ends_with("(1:6)") && infos[1].ends_with("(1:24)"), "{infos:?}");
}

#[test]
fn interruptions_end_a_query() {
    let source = source(100, 240);
    for threads in [1, 2] {
        let engine = Engine::new(EngineOptions { threads, ..EngineOptions::default() });
        let prepared = engine.prepare("sum(rate(m_total[10m]))", HOUR).expect("a query");
        for (interrupt, text) in [
            (Interrupt::Timeout, "query timed out in expression evaluation"),
            (Interrupt::Canceled, "query was canceled in expression evaluation"),
        ] {
            let asked = AtomicUsize::new(0);
            let late = || (asked.fetch_add(1, Ordering::Relaxed) > 30).then_some(interrupt);
            let error = prepared.evaluate(&source, &late).expect_err("interrupted");
            assert_eq!(error.to_string(), text);
            assert!(asked.into_inner() < 60, "stops soon");
        }
    }
}

#[test]
fn failures_of_the_source_are_passed_on() {
    let engine = Engine::default();
    let time = QueryTime::Instant { time_ms: 0 };
    let error = engine.query("m", time, &Prefetched::default()).expect_err("nothing fetched");
    assert_eq!(error.to_string(), "expanding series: selection 0 was not fetched");
}

#[test]
fn names_can_be_dropped_at_once() {
    let source = source(2, 10);
    let time = QueryTime::Instant { time_ms: 60_000 };
    let engine = Engine::new(EngineOptions { delayed_name_removal: false, ..EngineOptions::default() });
    let query = "label_replace(m_total * 2, \"name\", \"$1\", \"__name__\", \"(.*)\")";
    let Value::Vector(samples) = engine.query(query, time, &source).expect("evaluates").value else {
        panic!("no vector");
    };
    assert!(samples.iter().all(|sample| sample.labels.get("name").is_none()));
    let Value::Vector(samples) = Engine::default().query(query, time, &source).expect("evaluates").value
    else {
        panic!("no vector");
    };
    assert!(samples.iter().all(|sample| sample.labels.get("name") == Some("m_total")));
}

#[test]
fn the_highest_tree_that_parses_evaluates() {
    let source = source(1, 10);
    let time = QueryTime::Instant { time_ms: 60_000 };
    let chain = vec!["m_total"; 249].join(" or ");
    let nested = format!("{}m_total{}", "abs(".repeat(99), ")".repeat(99));
    let right = vec!["m_total"; 99].join("^");
    for query in [chain, nested, right] {
        let answer = Engine::default().query(&query, time, &source).expect("evaluates");
        assert!(matches!(&answer.value, Value::Vector(samples) if samples.len() == 1), "{query}");
    }
}

#[test]
fn wrong_times_are_refused() {
    let engine = Engine::default();
    let time = QueryTime::Range { start_ms: 0, end_ms: 10, step_ms: 0 };
    assert!(engine.prepare("1", time).is_err());
    // An end before the start is a query without steps.
    let time = QueryTime::Range { start_ms: 10, end_ms: 0, step_ms: 1 };
    let answer = engine.query("m_total or vector(1)", time, &source(1, 1)).expect("evaluates");
    assert_eq!(answer.value, Value::Matrix(Vec::new()));
}

#[test]
fn threads_do_not_change_the_answer() {
    let source = source(300, 240);
    let answers = [1, 4].map(|threads| {
        let engine = Engine::new(EngineOptions { threads, ..EngineOptions::default() });
        engine.query("topk(7, rate(m_total[10m]) * 3) or m_total", HOUR, &source).expect("evaluates")
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn start_timestamps_can_be_left_alone() {
    let mut source = MemorySource::new();
    let labels = Labels::from_pairs([("__name__", "m_total")]);
    for (time, start, value) in [(0, 0, 5.0), (60_000, 30_000, 7.0)] {
        source.push(&labels, time, start, Cell::Float(value));
    }
    let time = QueryTime::Instant { time_ms: 60_000 };
    let increase = |start_timestamps| {
        let engine = Engine::new(EngineOptions { start_timestamps, ..EngineOptions::default() });
        let answer = engine.query("irate(m_total[2m]) * 60", time, &source).expect("evaluates");
        let Value::Vector(samples) = answer.value else { panic!("no vector") };
        samples[0].value.clone()
    };
    assert_eq!(increase(true), Cell::Float(7.0));
    assert_eq!(increase(false), Cell::Float(2.0));
    assert!(Arc::strong_count(&source.series()[0]) == 1);
}
