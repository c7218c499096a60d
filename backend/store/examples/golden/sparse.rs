//! The native histograms, start times and exemplars of a round: every kind of each, every reset hint, ends of
//! series, NaNs with a payload, rows that a later round sends again with other contents, and rows late by a day.

use std::sync::Arc;

use model::{
    Batch, BucketSpan, Buckets, CUSTOM_BUCKETS_SCHEMA, Exemplar, HistogramPoint, Labels, NativeHistogram,
    ResetHint, StartTime,
};

use super::rows::labels;
use super::{HOUR_MS, MINUTE_MS};

const NAN_WITH_PAYLOAD: u64 = 0x7ff8_0000_0000_1234;
const OTHER_NAN: u64 = 0xfff8_0000_dead_beef;

/// Adds the rows of a round to its batch.
pub(crate) fn add(round: u64, now_ms: i64, batch: &mut Batch) {
    histograms(round, now_ms, batch);
    starts(round, now_ms, batch);
    exemplars(round, now_ms, batch);
}

fn histograms(round: u64, now_ms: i64, batch: &mut Batch) {
    let mut add = |labels: &Labels, timestamp_ms: i64, start_ms: i64, histogram: NativeHistogram| {
        let (labels, histogram) = (labels.clone(), Arc::new(histogram));
        batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms, histogram });
    };
    let started_ms = now_ms - HOUR_MS - 1;
    let latency = labels(&[("__name__", "latency_seconds"), ("job", "node"), ("instance", "a:9100")]);
    for (sample, hint) in (0..4).zip([round, round + 1, round + 2, round + 3]) {
        add(&latency, now_ms + sample * 15_000, started_ms, whole(round, hint));
    }
    let shares = labels(&[("__name__", "http.shares"), ("job", "web"), ("größe", "名前")]);
    add(&shares, now_ms, 0, fractional(round));
    let sizes = labels(&[("__name__", "sizes_bytes"), ("instance", "c:80"), ("path", "/\"a\"\n\\")]);
    add(&sizes, now_ms, if round.is_multiple_of(2) { started_ms } else { 0 }, custom(round));
    let of_round = format!("only-{round}");
    let ends = labels(&[("__name__", "latency_seconds"), ("round", of_round.as_str())]);
    add(&ends, now_ms, started_ms, without_buckets(round as f64));
    add(&ends, now_ms + 15_000, 0, without_buckets(model::stale_nan()));
    let odd = labels(&[("__name__", "odd"), ("job", "node")]);
    add(&odd, now_ms, 1, with_nans(round));
    // A series that has a sample at the same time.
    let mixed = labels(&[("__name__", "up"), ("job", "node"), ("instance", "a:9100")]);
    add(&mixed, now_ms, 0, whole(round, round));
    // The same as the round before has sent, with other numbers; sometimes the end of the series.
    let again = labels(&[("__name__", "sent_twice"), ("job", "node"), ("kind", "histogram")]);
    for timestamp_ms in [now_ms, now_ms - 5 * MINUTE_MS] {
        let end = round.is_multiple_of(3);
        add(&again, timestamp_ms, started_ms, without_buckets(if end { model::stale_nan() } else { -0.5 }));
        add(&again, timestamp_ms, 0, whole(round % 4, round));
    }
    // Late by a day.
    let late = labels(&[("__name__", "late"), ("job", "batch"), ("kind", "histogram")]);
    add(&late, now_ms - 24 * HOUR_MS, 0, custom(round));
}

fn span(offset: i32, length: u32) -> BucketSpan {
    BucketSpan { offset, length }
}

/// Whole counts on both sides, with gaps and a run of no buckets.
fn whole(round: u64, hint: u64) -> NativeHistogram {
    let counts = |first: u64| (first..first + 4).map(|count| (count * (round + 1)) as f64).collect();
    NativeHistogram {
        reset_hint: ResetHint::from_number((hint % 4) as i8),
        schema: 3,
        zero_threshold: 0.001,
        zero_count: round as f64,
        count: (14 * (round + 1) + round) as f64,
        sum: 0.1 + round as f64,
        positive: Buckets { spans: vec![span(-5, 2), span(3, 0), span(7, 2)], counts: counts(1) },
        negative: Buckets { spans: vec![span(0, 1), span(1_000, 3)], counts: counts(0) },
        ..NativeHistogram::default()
    }
}

/// Counts that are no whole numbers, of a histogram that goes up and down, in the finest and the coarsest schema.
fn fractional(round: u64) -> NativeHistogram {
    let counts = vec![0.1 + round as f64, 1.0 / 3.0, f64::MIN_POSITIVE];
    NativeHistogram {
        reset_hint: ResetHint::Gauge,
        schema: if round.is_multiple_of(2) { 8 } else { -4 },
        zero_threshold: f64::MIN_POSITIVE,
        zero_count: 0.7,
        count: counts.iter().sum::<f64>() + 0.7,
        sum: f64::NEG_INFINITY,
        positive: Buckets { spans: vec![span(2, 3)], counts },
        ..NativeHistogram::default()
    }
}

/// Bounds of the sender's own choice, from -Inf on in every third round.
fn custom(round: u64) -> NativeHistogram {
    let lowest = if round.is_multiple_of(3) { f64::NEG_INFINITY } else { 0.005 };
    NativeHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 6.0 + round as f64,
        sum: -0.0,
        positive: Buckets { spans: vec![span(0, 2), span(1, 1)], counts: vec![1.0, 5.0, round as f64] },
        custom_bounds: vec![lowest, 0.01, 2.5],
        ..NativeHistogram::default()
    }
}

/// Nothing but a sum, which makes it the end of a series where it is the marker.
fn without_buckets(sum: f64) -> NativeHistogram {
    NativeHistogram { sum, ..NativeHistogram::default() }
}

/// NaNs that are not the marker, bit for bit.
fn with_nans(round: u64) -> NativeHistogram {
    let bits = if round.is_multiple_of(2) { NAN_WITH_PAYLOAD } else { OTHER_NAN };
    NativeHistogram {
        reset_hint: ResetHint::Reset,
        count: f64::from_bits(bits),
        sum: f64::from_bits(bits),
        positive: Buckets { spans: vec![span(1, 2)], counts: vec![f64::from_bits(bits), f64::INFINITY] },
        ..NativeHistogram::default()
    }
}

/// Of some of the batch's samples when counting began.
fn starts(round: u64, now_ms: i64, batch: &mut Batch) {
    let counters = batch.points.iter().filter(|point| point.labels.name() == "requests_total");
    let mut starts: Vec<StartTime> = counters
        .map(|point| StartTime {
            labels: point.labels.clone(),
            timestamp_ms: point.timestamp_ms,
            start_ms: now_ms - HOUR_MS - round as i64,
        })
        .collect();
    // The same as the round before has told, earlier or later.
    let again = labels(&[("__name__", "sent_twice"), ("job", "node")]);
    for timestamp_ms in [now_ms, now_ms - 5 * MINUTE_MS] {
        let start_ms = timestamp_ms - HOUR_MS - (round % 3) as i64;
        starts.push(StartTime { labels: again.clone(), timestamp_ms, start_ms });
    }
    batch.starts.extend(starts);
}

fn exemplars(round: u64, now_ms: i64, batch: &mut Batch) {
    let trace = format!("{:032x}", round * 1_000 + 7);
    let requests = labels(&[("__name__", "requests_total"), ("job", "web"), ("path", "/\"a\"\n\\")]);
    let latency = labels(&[("__name__", "latency_seconds"), ("job", "node"), ("instance", "a:9100")]);
    let later_ms = now_ms + 15_000;
    let of_trace = labels(&[("trace_id", &trace), ("span_id", "0123456789abcdef")]);
    let rows = [
        (&requests, of_trace.clone(), now_ms, 0.25 + round as f64),
        (&requests, labels(&[("traceID", &trace)]), later_ms, f64::from_bits(NAN_WITH_PAYLOAD)),
        (&requests, Labels::default(), later_ms, -0.0),
        // Two of one time that differ in the value, and one that differs in its labels.
        (&latency, of_trace.clone(), now_ms, 0.001),
        (&latency, of_trace, now_ms, 1.0 / 3.0),
        (&latency, labels(&[("größe", "名前"), ("q", "\"\n\\")]), now_ms, 0.001),
        // The same as the round before has sent.
        (&latency, labels(&[("kind", "again")]), now_ms, 7.0),
        (&latency, labels(&[("kind", "again")]), now_ms - 5 * MINUTE_MS, 7.0),
        (&latency, labels(&[("kind", "late")]), now_ms - 24 * HOUR_MS, round as f64),
    ];
    batch.exemplars.extend(rows.map(|(labels, exemplar_labels, timestamp_ms, value)| Exemplar {
        labels: labels.clone(),
        exemplar_labels,
        timestamp_ms,
        value,
    }));
}
