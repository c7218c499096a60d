//! A range query gives at each step what an instant query gives at that time, and series that come some at a time
//! give what they give all at once.

#![expect(clippy::float_cmp, reason = "the answers must be the same, not close")]

use std::ops::ControlFlow;
use std::sync::Arc;

use model::Labels;
use promql::memory::MemorySource;
use promql::{
    Annotations, Bucket, Cell, Engine, EngineOptions, Histogram, QueryTime, Selection, SeriesData,
    SeriesSource, SourceError, Value,
};
use proptest::prelude::*;

const STEP_MS: i64 = 40_000;
const STEPS: i64 = 12;

/// Series `m` and `n` with labels `a` and `b`, a sample about every 30 s; floats, stale markers, histograms.
fn any_series() -> impl Strategy<Value = SeriesData> {
    let sample = prop_oneof![
        8 => (-5_i32..50).prop_map(|value| Some(Cell::Float(f64::from(value)))),
        1 => Just(Some(Cell::Float(f64::NAN))),
        1 => Just(Some(Cell::Float(model::stale_nan()))),
        2 => (0_u8..9).prop_map(|count| Some(Cell::Histogram(Arc::new(histogram(f64::from(count)))))),
        2 => Just(None),
    ];
    let labels = (prop::sample::select(vec!["m", "n"]), 0_u8..3, 0_u8..2);
    let samples = prop::collection::vec((sample, 0_i64..20_000), 0..20);
    (labels, samples).prop_map(|((name, a, b), samples)| {
        let mut source = MemorySource::new();
        let labels = Labels::from_pairs([("__name__", name), ("a", &a.to_string()), ("b", &b.to_string())]);
        for (i, (cell, jitter)) in (0..).zip(samples) {
            if let Some(cell) = cell {
                source.push(&labels, i * 30_000 + jitter, 0, cell);
            }
        }
        source.series().first().map_or_else(SeriesData::default, |data| (**data).clone())
    })
}

fn histogram(count: f64) -> Histogram {
    let positive = vec![Bucket { index: 0, count }, Bucket { index: 2, count: 1.0 }];
    Histogram { count: count + 1.0, sum: count * 2.0, positive, ..Histogram::default() }
}

fn selector() -> impl Strategy<Value = String> {
    let matchers = prop::sample::select(vec!["", "{a=\"0\"}", "{b!=\"1\"}", "{a=~\"0|1\"}", "{a=\"none\"}"]);
    (prop::sample::select(vec!["m", "n"]), matchers).prop_map(|(name, matchers)| format!("{name}{matchers}"))
}

fn modifier() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " offset 1m", " offset -30s", " @ 200", " @ 200 offset 1m"])
}

fn range_function() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "changes",
        "resets",
        "deriv",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "first_over_time",
        "stddev_over_time",
        "present_over_time",
        "absent_over_time",
        "mad_over_time",
        "ts_of_max_over_time",
    ])
}

/// Expressions whose value does not depend on the query's own times.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (selector(), modifier()).prop_map(|(selector, modifier)| format!("{selector}{modifier}")),
        (range_function(), selector(), modifier())
            .prop_map(|(f, selector, modifier)| format!("{f}({selector}[1m30s]{modifier})")),
        (selector(), modifier())
            .prop_map(|(selector, modifier)| format!("increase({selector}[1m] anchored{modifier})")),
        selector().prop_map(|selector| format!("vector(scalar({selector}))")),
        Just("vector(time())".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let unary = prop::sample::select(vec![
            "abs",
            "ceil",
            "sgn",
            "-",
            "timestamp",
            "absent",
            "hour",
            "histogram_count",
            "histogram_sum",
        ]);
        let aggregation = prop::sample::select(vec![
            "sum",
            "avg",
            "min",
            "max",
            "count",
            "group",
            "stddev",
            "stdvar",
            "sum by (a) ",
            "max without (b) ",
            "count by (b) ",
            "topk by (a) (1, ",
            "quantile(0.3, ",
            "count_values(\"v\", ",
            "limitk(2, ",
            "limit_ratio(0.5, ",
        ]);
        let operator = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "> bool",
            ">",
            "==",
            "!=",
            "and",
            "or",
            "unless",
            "and on (a)",
            "unless ignoring (a)",
            "+ on (a, b)",
            "* on (a) group_left",
            "+ fill (1)",
        ]);
        let scalar = prop::sample::select(vec!["+ 1", "* 2", "> 10", "<= bool 5", "^ 2", "/ 0"]);
        prop_oneof![
            (unary, inner.clone()).prop_map(|(f, inner)| format!("{f}({inner})")),
            (same_twice(), operator.clone(), inner.clone())
                .prop_map(|([a, b], op, inner)| format!("{a}({inner}) {op} {b}({inner})")),
            (aggregation, inner.clone()).prop_map(|(op, inner)| {
                if op.ends_with(", ") { format!("{op}{inner})") } else { format!("{op}({inner})") }
            }),
            (inner.clone(), operator, inner.clone()).prop_map(|(l, op, r)| format!("({l}) {op} ({r})")),
            (inner.clone(), scalar).prop_map(|(inner, scalar)| format!("({inner}) {scalar}")),
            (range_function(), inner.clone(), modifier())
                .prop_map(|(f, inner, modifier)| format!("{f}(({inner})[1m:20s]{modifier})")),
            inner.clone().prop_map(|inner| format!("clamp({inner}, 2, 20)")),
            inner.prop_map(|inner| format!("label_replace({inner}, \"c\", \"x$1\", \"a\", \"(.)\")")),
        ]
    })
}

/// Two aggregations that are read for at once where they are over the same.
fn same_twice() -> impl Strategy<Value = [&'static str; 2]> {
    let all = ["sum", "sum by (a) ", "avg by (a) ", "max", "min without (b) ", "count", "stddev by (b) "];
    let one = prop::sample::select(all.to_vec());
    [one.clone(), one]
}

/// The samples of one step, ordered by labels.
type Step = Vec<(Labels, Cell)>;

fn step_of_range(value: &Value, time_ms: i64) -> Step {
    let Value::Matrix(series) = value else { panic!("a range query gives a matrix") };
    let mut out = Step::new();
    for series in series {
        let floats = series.floats.iter().filter(|(time, _)| *time == time_ms);
        out.extend(floats.map(|(_, value)| (series.labels.clone(), Cell::Float(*value))));
        let histograms = series.histograms.iter().filter(|(time, _)| *time == time_ms);
        out.extend(histograms.map(|(_, h)| (series.labels.clone(), Cell::Histogram(Arc::clone(h)))));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

fn step_of_instant(value: Value) -> Step {
    let Value::Vector(samples) = value else { panic!("an instant query gives a vector") };
    let mut out: Step = samples.into_iter().map(|sample| (sample.labels, sample.value)).collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

fn same(a: &Step, b: &Step) -> bool {
    let same_cell = |a: &Cell, b: &Cell| match (a, b) {
        (Cell::Float(a), Cell::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Cell::Histogram(a), Cell::Histogram(b)) => a.same_data(b) || (a.count.is_nan() && b.count.is_nan()),
        _ => false,
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same_cell(&a.1, &b.1))
}

/// Hands out its series a few at a time.
struct Streamed {
    source: MemorySource,
    at_once: usize,
}

impl SeriesSource for Streamed {
    fn select(&self, selection: &Selection) -> Result<Vec<Arc<SeriesData>>, SourceError> {
        self.source.select(selection)
    }

    fn is_streamed(&self, _: &Selection) -> bool {
        true
    }

    fn for_each_chunk(
        &self,
        selection: &Selection,
        take: &mut dyn FnMut(Vec<Arc<SeriesData>>) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        for chunk in self.source.select(selection)?.chunks(self.at_once) {
            if take(chunk.to_vec()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn chunks_do_not_change_the_answer(
        series in prop::collection::vec(any_series(), 0..10),
        query in expression(),
        at_once in 1_usize..4,
        delayed_name_removal in prop::bool::weighted(0.8),
        range in prop::bool::weighted(0.8),
    ) {
        let source = MemorySource::from_series(series.into_iter().filter(|data| !data.labels.is_empty()));
        let engine = Engine::new(EngineOptions { delayed_name_removal, ..EngineOptions::default() });
        let time = match range {
            true => QueryTime::Range { start_ms: 0, end_ms: (STEPS - 1) * STEP_MS, step_ms: STEP_MS },
            false => QueryTime::Instant { time_ms: 200_000 },
        };
        let whole = engine.query(&query, time, &source);
        let streamed = engine.query(&query, time, &Streamed { source, at_once });
        match (whole, streamed) {
            (Ok(whole), Ok(streamed)) => {
                // Text, because NaN differs from itself.
                prop_assert_eq!(format!("{:?}", streamed.value), format!("{:?}", whole.value), "{}", query);
                prop_assert_eq!(streamed.annotations, whole.annotations, "{}", query);
            }
            (whole, streamed) => prop_assert!(whole.is_err() && streamed.is_err(), "{query}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn range_queries_equal_instant_queries(
        series in prop::collection::vec(any_series(), 0..8),
        query in expression(),
        threads in 1_usize..3,
    ) {
        let source = MemorySource::from_series(series.into_iter().filter(|data| !data.labels.is_empty()));
        let engine = Engine::new(EngineOptions { threads, ..EngineOptions::default() });
        let range = QueryTime::Range { start_ms: 0, end_ms: (STEPS - 1) * STEP_MS, step_ms: STEP_MS };
        let range = engine.query(&query, range, &source);
        let instants: Vec<_> = (0..STEPS)
            .map(|step| engine.query(&query, QueryTime::Instant { time_ms: step * STEP_MS }, &source))
            .collect();
        match range {
            Ok(range) => {
                let mut notes = Annotations::default();
                for (step, instant) in (0..STEPS).zip(instants) {
                    let instant = instant.map_err(|error| TestCaseError::fail(format!("{query}: {error}")))?;
                    notes = if notes.is_empty() { instant.annotations } else { notes };
                    let (a, b) = (step_of_range(&range.value, step * STEP_MS), step_of_instant(instant.value));
                    prop_assert!(same(&a, &b), "{query} at step {step}: {a:?} is not {b:?}");
                }
                prop_assert!(notes.is_empty() || !range.annotations.is_empty(), "{query}: notes are missing");
            }
            Err(error) => {
                prop_assert!(instants.iter().any(Result::is_err), "{query}: only the range query fails: {error}");
            }
        }
    }
}
