//! For tests: rows of every table, dice that fall the same for the same seed, an object store that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use model::{Clock, ManualClock};
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::catalog::Catalog;
use crate::paths::DAY_US;
use crate::sparse::columns::{Line, record_batch};
use crate::sparse::{ExemplarRow, HistogramRow, SparseRow, StartRow};
use crate::tables::{Table, map_builder};

mod faulty;
mod refusing;
mod remote;
mod wire;

pub(crate) use faulty::{FaultyStore, LATE_MAX};
pub(crate) use refusing::Refusing;
pub(crate) use remote::{Remote, Wrong};
pub(crate) use wire::{Traffic, Wire};

/// The day the tests' rows lie in: 2026-11-22.
pub(crate) const DAY: i32 = 20_779;

/// Seeds a randomised test tries: `ATL_TEST_SEEDS` where it is set, `default` otherwise.
pub(crate) fn seeds(default: u64) -> u64 {
    std::env::var("ATL_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(default)
}

/// A small generator of pseudo-random numbers (xorshift64*).
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut x = self.0.load(Ordering::Relaxed);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.store(x, Ordering::Relaxed);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` throws.
    pub(crate) fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A clock that stands at noon of [`DAY`].
pub(crate) fn noon() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_ms(i64::from(DAY) * 86_400_000 + 43_200_000))
}

/// An empty store in memory, and its prefix.
pub(crate) fn memory() -> (Arc<InMemory>, Path) {
    (Arc::new(InMemory::new()), Path::from("team/atl"))
}

/// A catalog over `objects`.
pub(crate) async fn open(objects: Arc<dyn object_store::ObjectStore>, clock: Arc<dyn Clock>) -> Catalog {
    Catalog::open(objects, Path::from("team/atl"), clock).await.unwrap()
}

fn strings(values: impl IntoIterator<Item = impl Into<String>>) -> ArrayRef {
    Arc::new(values.into_iter().map(|value| Some(value.into())).collect::<StringArray>())
}

fn optional(values: impl IntoIterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

fn times(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

fn maps(rows: impl IntoIterator<Item = Vec<(String, String)>>) -> ArrayRef {
    let mut builder = map_builder();
    for row in rows {
        for (name, value) in row {
            builder.keys().append_value(name);
            builder.values().append_value(value);
        }
        builder.append(true).unwrap();
    }
    Arc::new(builder.finish())
}

/// One row a sample, sorted: (metric, tsid, microseconds in the day, value).
pub(crate) fn metrics(rows: &[(&str, i64, i64, f64)]) -> RecordBatch {
    let start = i64::from(DAY) * DAY_US;
    let columns: Vec<ArrayRef> = vec![
        strings(rows.iter().map(|row| row.0)),
        Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
        times(rows.iter().map(|row| start + row.2)),
        Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()),
        optional(rows.iter().map(|row| (row.1 % 3 != 0).then(|| "node".to_owned()))),
        optional(rows.iter().map(|row| (row.1 % 2 != 0).then(|| format!("host{}:9100", row.1)))),
    ];
    RecordBatch::try_new(Table::Metrics.file_schema(), columns).unwrap()
}

/// Random rows of any table, in its order, all in [`DAY`]; every value that is hard to keep occurs.
pub(crate) fn random_rows(table: Table, count: usize, dice: &Dice) -> RecordBatch {
    let columns = match table {
        Table::Metrics => metric_columns(count, dice),
        Table::Series => span_columns(table, count, dice),
        Table::Logs => log_columns(count, dice),
        Table::LogStreams => span_columns(table, count, dice),
        Table::Probes => probe_columns(count, dice),
        Table::Histograms => sparse_columns(count, dice, histogram),
        Table::StartTimes => {
            let start = |ms, dice: &Dice| StartRow { timestamp_ms: ms, start_ms: dice.below(1 << 40) as i64 };
            sparse_columns(count, dice, start)
        }
        Table::Exemplars => {
            let exemplar = |timestamp_ms, dice: &Dice| {
                let labels = model::Labels::from_pairs(attributes(dice));
                ExemplarRow { timestamp_ms, value: float(dice), labels }
            };
            sparse_columns(count, dice, exemplar)
        }
    };
    let rows = RecordBatch::try_new(table.file_schema(), columns).unwrap();
    sorted(table, &rows)
}

/// The rows in the table's order.
pub(crate) fn sorted(table: Table, rows: &RecordBatch) -> RecordBatch {
    let keys: Vec<_> = table
        .sort_columns()
        .iter()
        .map(|name| {
            let values = Arc::clone(rows.column_by_name(name).unwrap());
            arrow::compute::SortColumn { values, options: None }
        })
        .collect();
    let order = arrow::compute::lexsort_to_indices(&keys, None).unwrap();
    arrow::compute::take_record_batch(rows, &order).unwrap()
}

/// Values of every kind a float can hold, NaNs with payloads included.
fn float(dice: &Dice) -> f64 {
    match dice.below(8) {
        0 => model::stale_nan(),
        1 => f64::from_bits(0x7ff8_0000_0000_0000 | dice.below(1 << 51)),
        2 => f64::from_bits(0xfff0_0000_0000_0001 | dice.below(1 << 51)),
        3 => [f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, f64::MIN_POSITIVE][dice.below(5) as usize],
        4 => f64::from_bits(dice.next()),
        _ => dice.below(100_000) as f64 / 100.0,
    }
}

fn text(dice: &Dice) -> String {
    let pieces = ["", "a", "héé", "\u{10ffff}", "\n", "\"quoted\"", "{json:1}", "\0", "日本", "up", "long "];
    (0..dice.below(6)).map(|_| pieces[dice.below(pieces.len() as u64) as usize]).collect()
}

fn attributes(dice: &Dice) -> Vec<(String, String)> {
    (0..dice.below(4)).map(|i| (format!("k{i}{}", text(dice)), text(dice))).collect()
}

fn in_day(dice: &Dice) -> i64 {
    i64::from(DAY) * DAY_US + dice.below(DAY_US as u64) as i64
}

fn metric_columns(count: usize, dice: &Dice) -> Vec<ArrayRef> {
    let rows = || 0..count;
    vec![
        strings(rows().map(|_| format!("metric_{}", dice.below(5)))),
        Arc::new(rows().map(|_| dice.next() as i64).collect::<Int64Array>()),
        times(rows().map(|_| in_day(dice))),
        Arc::new(rows().map(|_| float(dice)).collect::<Float64Array>()),
        optional(rows().map(|_| dice.one_in(2).then(|| text(dice)))),
        optional(rows().map(|_| dice.one_in(2).then(|| text(dice)))),
    ]
}

/// Rows of one of the tables with few rows, a series each, made by `row` of a time.
fn sparse_columns<R: SparseRow>(count: usize, dice: &Dice, row: impl Fn(i64, &Dice) -> R) -> Vec<ArrayRef> {
    let lines: Vec<(i64, model::Labels, Vec<R>)> = (0..count)
        .map(|_| {
            let metric = format!("metric_{}", dice.below(5));
            let mut pairs = vec![("__name__", metric)];
            if dice.one_in(2) {
                pairs.push(("job", format!("j{}", text(dice))));
            }
            let row = row(in_day(dice).div_euclid(1_000), dice);
            (dice.next() as i64, model::Labels::from_pairs(pairs), vec![row])
        })
        .collect();
    let lines: Vec<Line<'_, R>> =
        lines.iter().map(|(tsid, labels, rows)| Line { tsid: *tsid, labels, rows }).collect();
    record_batch(&lines, false).unwrap().columns().to_vec()
}

/// A histogram of any shape, sound or not.
pub(crate) fn histogram(timestamp_ms: i64, dice: &Dice) -> HistogramRow {
    let buckets = |dice: &Dice| model::Buckets {
        spans: (0..dice.below(4))
            .map(|_| model::BucketSpan { offset: dice.next() as i32, length: dice.below(1 << 33) as u32 })
            .collect(),
        counts: (0..dice.below(6)).map(|_| float(dice)).collect(),
    };
    let histogram = model::NativeHistogram {
        reset_hint: model::ResetHint::from_number(dice.below(4) as i8),
        schema: dice.next() as i32,
        zero_threshold: float(dice),
        zero_count: float(dice),
        count: float(dice),
        sum: float(dice),
        positive: buckets(dice),
        negative: buckets(dice),
        custom_bounds: (0..dice.below(3)).map(|_| float(dice)).collect(),
    };
    let start_ms = if dice.one_in(2) { 0 } else { dice.below(1 << 40) as i64 };
    HistogramRow { timestamp_ms, start_ms, histogram: Arc::new(histogram) }
}

fn span_columns(table: Table, count: usize, dice: &Dice) -> Vec<ArrayRef> {
    let names: Vec<String> = (0..count).map(|_| format!("name_{}", dice.below(7))).collect();
    let label = if table == Table::Series { "__name__" } else { "service" };
    let labels: Vec<model::Labels> = (0..count)
        .map(|i| {
            model::Labels::from_pairs([(label, names[i].as_str()), ("i", &i.to_string()), ("t", &text(dice))])
        })
        .collect();
    let first: Vec<i64> = (0..count).map(|_| in_day(dice)).collect();
    let pairs = |labels: &model::Labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    vec![
        Arc::new(labels.iter().map(|labels| labels.hash64() as i64).collect::<Int64Array>()),
        strings(names),
        maps(labels.iter().map(pairs)),
        times(first.iter().copied()),
        times(first.iter().map(|first| first + dice.below(1_000) as i64)),
    ]
}

fn log_columns(count: usize, dice: &Dice) -> Vec<ArrayRef> {
    let rows = || 0..count;
    vec![
        times(rows().map(|_| in_day(dice))),
        Arc::new(rows().map(|_| dice.below(1_000) as i16).collect::<Int16Array>()),
        strings(rows().map(|_| format!("service{}", dice.below(3)))),
        strings(rows().map(|_| format!("host{}", dice.below(2)))),
        strings(rows().map(|_| "docker")),
        Arc::new(rows().map(|_| dice.below(25) as i8).collect::<Int8Array>()),
        Arc::new(rows().map(|_| dice.below(4) as i64 - 2).collect::<Int64Array>()),
        strings(rows().map(|_| text(dice).repeat(20))),
        maps(rows().map(|_| attributes(dice))),
        optional(rows().map(|_| dice.one_in(2).then(|| format!("{:032x}", dice.next())))),
        optional(rows().map(|_| dice.one_in(2).then(|| format!("{:016x}", dice.next())))),
    ]
}

fn probe_columns(count: usize, dice: &Dice) -> Vec<ArrayRef> {
    let rows = || 0..count;
    let seconds = || -> ArrayRef {
        Arc::new(rows().map(|_| dice.one_in(2).then(|| float(dice))).collect::<Float64Array>())
    };
    let names = || optional(rows().map(|_| dice.one_in(2).then(|| text(dice))));
    let small = || -> ArrayRef {
        Arc::new(rows().map(|_| dice.one_in(2).then(|| dice.below(600) as i32)).collect::<Int32Array>())
    };
    vec![
        times(rows().map(|_| in_day(dice))),
        strings(rows().map(|_| format!("probe{}", dice.below(3)))),
        strings(rows().map(|_| text(dice))),
        strings(rows().map(|_| "http")),
        strings(rows().map(|_| ["FRA", "LHR"][dice.below(2) as usize])),
        Arc::new(rows().map(|_| Some(dice.one_in(2))).collect::<BooleanArray>()),
        names(),
        Arc::new(rows().map(|_| float(dice)).collect::<Float64Array>()),
        small(),
        small(),
        Arc::new(rows().map(|_| dice.one_in(2).then(|| dice.next() as i64)).collect::<Int64Array>()),
        names(),
        seconds(),
        seconds(),
        seconds(),
        seconds(),
        seconds(),
        names(),
        names(),
        names(),
        Arc::new(
            TimestampMicrosecondArray::from_iter(rows().map(|_| dice.one_in(2).then(|| in_day(dice))))
                .with_timezone("UTC"),
        ),
        maps(rows().map(|_| attributes(dice))),
        strings(rows().map(|_| format!("{:032x}", dice.next()))),
    ]
}
