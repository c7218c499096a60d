use std::collections::BTreeMap;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::super::rows::{conform, merge_schema};
use super::*;
use crate::testing::{DAY, Dice, metrics, random_rows, seeds, sorted};

/// A sample: metric, tsid, microseconds in the day, value.
type Sample = (&'static str, i64, i64, f64);

/// What a sample is after the merge: with the bits of the value.
type Merged = (String, i64, i64, u64);

fn batches(table: Table, rows: &RecordBatch, dice: &Dice) -> Batches {
    let rows = conform(table, rows).unwrap();
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < rows.num_rows() {
        let len = (1 + dice.below(40) as usize).min(rows.num_rows() - start);
        pieces.push(Ok(rows.slice(start, len)));
        start += len;
    }
    Box::new(pieces.into_iter())
}

fn merged(table: Table, files: &[RecordBatch], dice: &Dice) -> (RecordBatch, MergeCounts) {
    let inputs = files.iter().map(|file| batches(table, file, dice)).collect();
    let mut out = Vec::new();
    let counts = merge(table, inputs, 1 + dice.below(60) as usize, &mut |batch| {
        out.push(batch);
        Ok(())
    })
    .unwrap();
    let all = concat_batches(&merge_schema(table), &out).unwrap();
    assert_eq!(counts.rows_out, all.num_rows() as u64);
    assert_eq!(counts.rows_in.iter().sum::<u64>(), counts.rows_out + counts.repeats);
    (as_file(table, &all), counts)
}

/// With the columns of a file again.
fn as_file(table: Table, rows: &RecordBatch) -> RecordBatch {
    let schema = table.file_schema();
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| arrow::compute::cast(column, field.data_type()).unwrap());
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Stable, as `sorted` is not.
fn in_order(table: Table, rows: &RecordBatch) -> RecordBatch {
    let batch = conform(table, rows).unwrap();
    let mut out = super::super::unsorted::sort(table, std::iter::once(Ok(batch))).unwrap();
    as_file(table, &concat_batches(&merge_schema(table), out.drain(..).as_slice()).unwrap())
}

fn samples(rows: &RecordBatch) -> Vec<Merged> {
    let text = rows["metric"].as_string::<i32>();
    let tsid = rows["tsid"].as_primitive::<Int64Type>();
    let ts = rows["ts"].as_primitive::<TimestampMicrosecondType>();
    let value = rows["value"].as_primitive::<Float64Type>();
    let start = i64::from(DAY) * crate::paths::DAY_US;
    let row =
        |i| (text.value(i).to_owned(), tsid.value(i), ts.value(i) - start, f64::to_bits(value.value(i)));
    (0..rows.num_rows()).map(row).collect()
}

/// The rule, spelt out: no merging, no order of arrival.
fn model(files: &[Vec<Sample>]) -> Vec<Merged> {
    let mut winners: BTreeMap<(String, i64, i64), f64> = BTreeMap::new();
    for &(metric, tsid, ts, value) in files.iter().flatten() {
        let key = (metric.to_owned(), tsid, ts);
        winners.entry(key).and_modify(|known| *known = wins(*known, value)).or_insert(value);
    }
    winners.into_iter().map(|((metric, tsid, ts), value)| (metric, tsid, ts, value.to_bits())).collect()
}

fn file(samples: &[Sample]) -> RecordBatch {
    in_order(Table::Metrics, &metrics(samples))
}

fn value_bits() -> impl Strategy<Value = f64> {
    let hard = prop::sample::select(vec![
        0.0,
        -0.0,
        1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        model::stale_nan(),
        f64::from_bits(0x7ff8_0000_dead_beef),
        f64::from_bits(0xfff0_0000_0000_0001),
    ]);
    prop_oneof![hard, any::<u64>().prop_map(f64::from_bits)]
}

fn sample() -> impl Strategy<Value = Sample> {
    let metric = prop::sample::select(vec!["", "up", "up_total", "zé"]);
    (metric, -2..3i64, 0..12i64, value_bits())
}

fn files() -> impl Strategy<Value = Vec<Vec<Sample>>> {
    prop::collection::vec(prop::collection::vec(sample(), 0..60), 0..7)
}

proptest! {
    #[test]
    fn samples_come_out_as_the_rule_says(files in files(), seed in any::<u64>()) {
        let batches: Vec<RecordBatch> = files.iter().map(|samples| file(samples)).collect();
        let (out, _) = merged(Table::Metrics, &batches, &Dice::new(seed));
        prop_assert_eq!(samples(&out), model(&files));
    }

    #[test]
    fn it_does_not_matter_what_is_merged_with_what_first(files in files(), seed in any::<u64>()) {
        let dice = Dice::new(seed);
        let mut batches: Vec<RecordBatch> = files.iter().map(|samples| file(samples)).collect();
        while batches.len() > 1 {
            let some: Vec<RecordBatch> = (0..2 + dice.below(3).min(batches.len() as u64 - 2))
                .map(|_| batches.swap_remove(dice.below(batches.len() as u64) as usize))
                .collect();
            batches.push(merged(Table::Metrics, &some, &dice).0);
        }
        let (out, _) = merged(Table::Metrics, &batches, &dice);
        prop_assert_eq!(samples(&out), model(&files));
    }
}

/// Rows of one table, dealt to files; every file sorted.
fn deal(table: Table, rows: &RecordBatch, count: usize, dice: &Dice) -> Vec<RecordBatch> {
    let (mut files, mut start) = (Vec::new(), 0);
    for left in (1..=count).rev() {
        let rest = rows.num_rows() - start;
        let len = if left == 1 { rest } else { dice.below(rest as u64 + 1) as usize };
        files.push(in_order(table, &rows.slice(start, len)));
        start += len;
    }
    files
}

#[test]
fn log_entries_of_one_moment_keep_the_order_of_writing_however_they_are_grouped() {
    for seed in 0..seeds(40) {
        let dice = Dice::new(seed);
        let rows = random_rows(Table::Logs, 300, &dice);
        // A handful of moments, and a body that tells the order of writing.
        let count = rows.num_rows();
        let mut columns = rows.columns().to_vec();
        let start = i64::from(DAY) * crate::paths::DAY_US;
        let times = (0..count).map(|_| start + dice.below(3) as i64);
        columns[0] = Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"));
        columns[1] = Arc::new((0..count).map(|_| dice.below(2) as i16).collect::<arrow::array::Int16Array>());
        let bodies: ArrayRef = Arc::new((0..count).map(|i| Some(format!("{i:05}"))).collect::<StringArray>());
        columns[7] = bodies;
        let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
        let expected = in_order(Table::Logs, &rows);

        let mut files = deal(Table::Logs, &rows, 8, &dice);
        assert_eq!(merged(Table::Logs, &files, &dice).0, expected, "seed {seed}");
        while files.len() > 1 {
            let from = dice.below(files.len() as u64 - 1) as usize;
            let to = from + 2 + dice.below((files.len() - from - 1) as u64) as usize;
            let run: Vec<RecordBatch> = files.drain(from..to).collect();
            files.insert(from, merged(Table::Logs, &run, &dice).0);
        }
        assert_eq!(files[0], expected, "seed {seed}: runs that follow each other, in any order");
    }
}

#[test]
fn rows_of_a_series_become_one_with_the_whole_span() {
    for table in [Table::Series, Table::LogStreams] {
        for seed in 0..seeds(20) {
            let dice = Dice::new(seed);
            let base = random_rows(table, 40, &dice);
            let id = table.id_column().unwrap();
            let picks: Vec<RecordBatch> = (0..150).map(|_| base.slice(dice.below(40) as usize, 1)).collect();
            let rows = concat_batches(&table.file_schema(), &picks).unwrap();
            // The same labels, seen at other times.
            let shift = |name: &str, up: i64| -> ArrayRef {
                let times = rows[name].as_primitive::<TimestampMicrosecondType>().values();
                let shifted = times.iter().map(|time| time + up * dice.below(5_000) as i64);
                Arc::new(TimestampMicrosecondArray::from_iter_values(shifted).with_timezone("UTC"))
            };
            let (first, last) = (shift("first_ts", -1), shift("last_ts", 1));
            let mut columns = rows.columns().to_vec();
            (columns[3], columns[4]) = (first, last);
            let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();

            let mut model: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
            let ids = rows[id].as_primitive::<Int64Type>();
            let time = |name: &str| rows[name].as_primitive::<TimestampMicrosecondType>().values().clone();
            let (first, last) = (time("first_ts"), time("last_ts"));
            for i in 0..rows.num_rows() {
                let span = model.entry(ids.value(i)).or_insert((first[i], last[i]));
                *span = (span.0.min(first[i]), span.1.max(last[i]));
            }
            let files = deal(table, &rows, 6, &dice);
            let (out, counts) = merged(table, &files, &dice);
            let times = |name: &str| out[name].as_primitive::<TimestampMicrosecondType>().values().clone();
            let ids = out[id].as_primitive::<Int64Type>();
            let spans =
                times("first_ts").iter().copied().zip(times("last_ts").iter().copied()).collect::<Vec<_>>();
            let found: BTreeMap<i64, (i64, i64)> = ids.values().iter().copied().zip(spans).collect();
            assert_eq!((found.len(), found), (out.num_rows(), model), "{table} seed {seed}");
            assert_eq!(counts.repeats, 150 - out.num_rows() as u64);
            // Labels and keys are those that went in.
            let sorted_base = in_order(table, &base);
            for row in 0..out.num_rows() {
                let id_of = |batch: &RecordBatch, row| batch[id].as_primitive::<Int64Type>().value(row);
                let same = (0..40).find(|&i| id_of(&sorted_base, i) == id_of(&out, row)).unwrap();
                assert_eq!(
                    out["labels"].slice(row, 1).as_ref(),
                    sorted_base["labels"].slice(same, 1).as_ref()
                );
            }
        }
    }
}

#[test]
fn label_sets_that_share_an_id_both_stay() {
    let dice = Dice::new(3);
    let rows = random_rows(Table::Series, 2, &dice);
    let mut columns = rows.columns().to_vec();
    columns[0] = Arc::new(Int64Array::from(vec![7, 7]));
    columns[1] = Arc::new(StringArray::from(vec!["up", "up"]));
    let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
    let (out, counts) = merged(Table::Series, &[rows.slice(0, 1), rows.slice(1, 1)], &dice);
    assert_eq!((out.num_rows(), counts.repeats), (2, 0));
}

#[test]
fn every_table_keeps_all_its_columns_and_rows() {
    for seed in 0..seeds(12) {
        let dice = Dice::new(seed);
        for table in Table::ALL {
            let rows = random_rows(table, 250, &dice);
            let files = deal(table, &rows, 1 + dice.below(5) as usize, &dice);
            let (out, _) = merged(table, &files, &dice);
            assert_eq!(out.num_rows(), 250, "{table}: nothing repeats in random rows");
            let (out, expected) = (in_order(table, &out), sorted(table, &rows));
            let keys = |batch: &RecordBatch| -> Vec<ArrayRef> {
                table.sort_columns().iter().map(|name| Arc::clone(&batch[*name])).collect()
            };
            assert_eq!(keys(&out), keys(&expected), "{table} seed {seed}");
            // Multisets of whole rows: ties may stand in another order in `sorted`.
            let whole = |batch: &RecordBatch| {
                let mut rows: Vec<String> = (0..batch.num_rows())
                    .map(|row| {
                        let cells = batch.columns().iter().map(|column| {
                            if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
                                let bits = floats.value(row).to_bits();
                                return format!("{:?}", floats.is_valid(row).then_some(bits));
                            }
                            if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
                                return format!("{:?}", times.is_valid(row).then_some(times.value(row)));
                            }
                            arrow::util::display::array_value_to_string(column, row).unwrap()
                        });
                        cells.collect::<Vec<_>>().join("|")
                    })
                    .collect();
                rows.sort();
                rows
            };
            assert_eq!(whole(&out), whole(&expected), "{table} seed {seed}");
        }
    }
}

#[test]
fn an_input_out_of_order_or_failing_is_named() {
    let good = || conform(Table::Metrics, &metrics(&[("a", 1, 1, 1.0), ("a", 1, 2, 1.0)])).unwrap();
    let bad = conform(Table::Metrics, &metrics(&[("b", 1, 2, 1.0), ("a", 1, 1, 1.0)])).unwrap();
    let run = |inputs: Vec<Vec<Result<RecordBatch>>>| {
        let inputs = inputs.into_iter().map(|input| Box::new(input.into_iter()) as Batches).collect();
        merge(Table::Metrics, inputs, 10, &mut |_| Ok(())).unwrap_err()
    };
    assert_eq!(run(vec![vec![Ok(good())], vec![Ok(bad)]]).input, Some(1));
    // In order in itself, and not after the batch before it.
    assert_eq!(run(vec![vec![Ok(good())], vec![], vec![Ok(good()), Ok(good())]]).input, Some(2));
    let failure = run(vec![vec![Ok(good()), Err(Error::corrupt("x", "y"))], vec![Ok(good())]]);
    assert!(matches!(failure, MergeFailure { input: Some(0), error: Error::Corrupt { .. } }));
}

#[test]
fn a_writer_that_fails_ends_the_merge() {
    let rows = conform(Table::Metrics, &metrics(&[("a", 1, 1, 1.0)])).unwrap();
    let inputs: Vec<Batches> = vec![Box::new(std::iter::once(Ok(rows)))];
    let failure = merge(Table::Metrics, inputs, 10, &mut |_| Err(Error::Cancelled)).unwrap_err();
    assert!(matches!(failure, MergeFailure { input: None, error: Error::Cancelled }));
}

/// Rows of the three tables with few rows that repeat within files and between them.
#[test]
fn repeated_histograms_start_times_and_exemplars_become_those_that_count() {
    for table in [Table::Histograms, Table::StartTimes, Table::Exemplars] {
        for seed in 0..seeds(30) {
            let dice = Dice::new(seed);
            let base = random_rows(table, 30, &dice);
            // Keys of few series and times, the rest of the row any of the thirty.
            let picks: Vec<RecordBatch> = (0..120)
                .map(|_| {
                    let row = base.slice(dice.below(30) as usize, 1);
                    let mut columns = row.columns().to_vec();
                    columns[0] = Arc::new(StringArray::from(vec!["m"]));
                    columns[1] = Arc::new(Int64Array::from(vec![dice.below(3) as i64]));
                    let ts = i64::from(DAY) * crate::paths::DAY_US + dice.below(4) as i64 * 1_000;
                    columns[2] = Arc::new(TimestampMicrosecondArray::from(vec![ts]).with_timezone("UTC"));
                    RecordBatch::try_new(row.schema(), columns).unwrap()
                })
                .collect();
            let rows = sorted(table, &concat_batches(&table.file_schema(), &picks).unwrap());
            let key = |batch: &RecordBatch, row: usize| {
                let tsid = batch["tsid"].as_primitive::<Int64Type>().value(row);
                (tsid, batch["ts"].as_primitive::<TimestampMicrosecondType>().value(row))
            };
            let mut expected = Vec::new();
            let mut start = 0;
            while start < rows.num_rows() {
                let end = (start..rows.num_rows()).find(|row| key(&rows, *row) != key(&rows, start));
                let end = end.unwrap_or(rows.num_rows());
                let counting = crate::sparse::repeats::counting(table, &rows, start..end).unwrap();
                expected.extend(counting.into_iter().map(|row| rows.slice(row, 1)));
                start = end;
            }
            let text = |batches: &[RecordBatch]| {
                let line = |batch: &RecordBatch, row: usize| {
                    // The labels of the series are no part of what is compared.
                    let schema = batch.schema();
                    let names = schema.fields().iter().map(|field| field.name().as_str());
                    let names = names.filter(|name| !["metric", "job", "instance"].contains(name));
                    let cells = names.map(|name| format!("{:?}", batch[name].slice(row, 1)));
                    cells.collect::<Vec<_>>().join("|")
                };
                let lines =
                    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| line(batch, row)));
                let mut lines: Vec<String> = lines.collect();
                lines.sort();
                lines
            };
            let files = deal(table, &rows, 1 + dice.below(5) as usize, &dice);
            let (out, counts) = merged(table, &files, &dice);
            assert_eq!(text(std::slice::from_ref(&out)), text(&expected), "{table} seed {seed}");
            assert_eq!(counts.repeats as usize, 120 - expected.len(), "{table} seed {seed}");
            assert_eq!(
                merged(table, std::slice::from_ref(&out), &dice).0.num_rows(),
                out.num_rows(),
                "{table}"
            );
        }
    }
}
