use arrow::array::RecordBatch;
use model::Labels;

use super::columns::{Line, record_batch};
use super::repeats::{compare, counting};
use super::*;
use crate::testing::{Dice, histogram, seeds};

fn exemplar(timestamp_ms: i64, dice: &Dice) -> ExemplarRow {
    let labels = Labels::from_pairs([("trace_id", dice.below(3).to_string())]);
    let value = [1.0, 2.0, f64::NAN, -0.0, 0.0][dice.below(5) as usize];
    ExemplarRow { timestamp_ms, value, labels }
}

fn start(timestamp_ms: i64, dice: &Dice) -> StartRow {
    StartRow { timestamp_ms, start_ms: dice.below(4) as i64 }
}

/// Few different histograms, so that they repeat; all parts of one differ now and then.
fn few_histograms(timestamp_ms: i64, dice: &Dice) -> HistogramRow {
    if dice.one_in(3) {
        return histogram(timestamp_ms, dice);
    }
    let mut row = HistogramRow { timestamp_ms, ..histogram(0, &Dice::new(dice.below(2))) };
    let inner = Arc::make_mut(&mut row.histogram);
    match dice.below(6) {
        0 => inner.sum = model::stale_nan(),
        1 => inner.positive.counts.push(1.0),
        2 => inner.custom_bounds.push(f64::NAN),
        3 => row.start_ms += 1,
        4 => inner.negative.spans.clear(),
        _ => {}
    }
    row
}

fn batch_of<R: SparseRow>(rows: &[R]) -> RecordBatch {
    let labels = Labels::from_pairs([("__name__", "m"), ("job", "j"), ("x", "y")]);
    record_batch(&[Line { tsid: -7, labels: &labels, rows }], false).unwrap()
}

/// Rows come back, and the rule does not depend on order or on how often a row comes.
fn check<R: SparseRow>(row: impl Fn(i64, &Dice) -> R) {
    for seed in 0..seeds(200) {
        let dice = Dice::new(seed);
        let rows: Vec<R> = (0..1 + dice.below(12)).map(|_| row(dice.below(3) as i64, &dice)).collect();
        let batch = batch_of(&rows);
        let back = R::decode(&batch).unwrap();
        assert_eq!(back.len(), rows.len());
        for (i, (row, back)) in rows.iter().zip(&back).enumerate() {
            assert_eq!(row.timestamp_ms(), back.timestamp_ms(), "seed {seed}");
            assert!(row.order(back).is_eq(), "seed {seed}: {row:?} and {back:?}");
            for (j, other) in rows.iter().enumerate() {
                assert_eq!(row.order(other), other.order(row).reverse(), "seed {seed}");
                assert_eq!(row.order(other), compare(R::TABLE, (&batch, i), (&batch, j)).unwrap());
                for third in &rows {
                    let rises = row.order(other).is_le() && other.order(third).is_le();
                    assert!(!rises || row.order(third).is_le(), "seed {seed}: the order is transitive");
                }
            }
        }
        let text = |rows: &[R]| format!("{rows:?}");
        let mut kept = rows.clone();
        keep_counting(&mut kept);
        let mut shuffled: Vec<R> = rows.iter().rev().chain(&rows).cloned().collect();
        keep_counting(&mut shuffled);
        assert_eq!(text(&kept), text(&shuffled), "seed {seed}");
        // In two parts, then together, as flushes and merges do.
        let (mut first, mut rest) = (rows[..rows.len() / 2].to_vec(), rows[rows.len() / 2..].to_vec());
        keep_counting(&mut first);
        keep_counting(&mut rest);
        first.append(&mut rest);
        keep_counting(&mut first);
        assert_eq!(text(&kept), text(&first), "seed {seed}");
        // The same by record batches, time by time.
        let mut sorted = rows.clone();
        sorted.sort_by_key(SparseRow::timestamp_ms);
        let batch = batch_of(&sorted);
        let mut by_batches = Vec::new();
        for time in 0..3 {
            let from = sorted.partition_point(|row| row.timestamp_ms() < time);
            let to = sorted.partition_point(|row| row.timestamp_ms() <= time);
            let counting = counting(R::TABLE, &batch, from..to).unwrap();
            let mut counting: Vec<R> = counting.into_iter().map(|row| sorted[row].clone()).collect();
            counting.sort_by(|a, b| b.order(a));
            by_batches.append(&mut counting);
        }
        assert_eq!(text(&kept), text(&by_batches), "seed {seed}");
    }
}

#[test]
fn histograms_come_back_and_one_of_those_that_repeat_counts() {
    check(few_histograms);
}

#[test]
fn start_times_come_back_and_the_latest_counts() {
    check(start);
    let mut rows = [5, 9, 7].map(|start_ms| StartRow { timestamp_ms: 1, start_ms }).to_vec();
    keep_counting(&mut rows);
    assert_eq!(rows, [StartRow { timestamp_ms: 1, start_ms: 9 }]);
}

#[test]
fn exemplars_come_back_and_different_ones_all_count() {
    check(exemplar);
}

#[test]
fn a_real_histogram_counts_before_the_stale_marker_and_then_the_greater() {
    let of = |count: f64, sum: f64| HistogramRow {
        timestamp_ms: 1,
        start_ms: 0,
        histogram: Arc::new(NativeHistogram { count, sum, ..NativeHistogram::default() }),
    };
    let stale = of(9.0, model::stale_nan());
    let check = |rows: [&HistogramRow; 3], sum: f64| {
        let mut rows = rows.map(Clone::clone).to_vec();
        keep_counting(&mut rows);
        assert_eq!((rows.len(), rows[0].histogram.sum), (1, sum));
    };
    check([&stale, &of(1.0, 2.0), &of(1.0, 3.0)], 3.0);
    check([&of(2.0, 1.0), &of(1.0, 3.0), &stale], 1.0);
    check([&of(0.0, -1.0), &stale, &stale], -1.0);
}

#[test]
fn a_trace_is_named_by_either_label() {
    let row =
        |name: &str| ExemplarRow { timestamp_ms: 1, value: 1.0, labels: Labels::from_pairs([(name, "abc")]) };
    let batch = batch_of(&[row("trace_id"), row("traceID"), row("span_id")]);
    let traces = arrow::array::AsArray::as_string::<i32>(&batch["trace_id"]).clone();
    assert_eq!(traces.iter().collect::<Vec<_>>(), [Some("abc"), Some("abc"), None]);
}
