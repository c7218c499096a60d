//! A batch of sorted rows with its sort columns laid open, so that rows are compared by typed columns and not
//! value by value through dynamic types.
//!
//! Comes in: a batch with the columns of [`merge_schema`]. Goes out: comparisons of rows, and the borders of
//! the groups (a series, a log stream, a probe at a location) the rows fall into. Fails where rows are not in
//! the table's order.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};

use crate::error::{Error, Result};
use crate::tables::Table;

/// The first sort columns: all rows that agree in them are of one series, stream or probed place.
const GROUP_COLUMNS: usize = 2;

/// What repeated rows of a table come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Rows are never the same row.
    Kept,
    /// Of rows with the same sort columns one counts, by [`crate::duplicates::wins`] of their values.
    OneWins,
    /// Of rows with the same sort columns the greatest counts, by [`crate::sparse::repeats`].
    Greatest,
    /// Of rows with the same sort columns each counts, identical ones once.
    Distinct,
    /// Rows of the same id become one, from the earliest to the latest time.
    Spanned,
}

impl Repeats {
    pub(super) fn of(table: Table) -> Repeats {
        match table {
            Table::Metrics => Repeats::OneWins,
            Table::Histograms | Table::StartTimes => Repeats::Greatest,
            Table::Exemplars => Repeats::Distinct,
            Table::Series | Table::LogStreams => Repeats::Spanned,
            Table::Logs | Table::Probes => Repeats::Kept,
        }
    }
}

/// The table's columns as rows are merged: texts that repeat stay dictionaries.
pub(super) fn merge_schema(table: Table) -> SchemaRef {
    let repeats = |name: &str| table.sort_columns().contains(&name) || REPEATED_TEXTS.contains(&name);
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 if repeats(field.name()) => {
            Arc::new(Field::clone(field).with_data_type(dictionary_type()))
        }
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(table.file_schema().fields().iter().map(field).collect::<Vec<_>>()))
}

/// Texts of few values, beside the sort columns.
const REPEATED_TEXTS: [&str; 4] = ["job", "instance", "host", "source"];

fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// One sort column of a batch.
#[derive(Debug)]
enum Key {
    Text { keys: ScalarBuffer<i32>, texts: StringArray },
    Long(ScalarBuffer<i64>),
    Int(ScalarBuffer<i32>),
    Short(ScalarBuffer<i16>),
    Byte(ScalarBuffer<i8>),
}

impl Key {
    fn of(table: Table, batch: &RecordBatch, name: &str) -> Result<Key> {
        let misfit = || Error::Schema {
            table: table.name(),
            reason: format!("rows to merge have no sort column `{name}`, or one that has nulls"),
        };
        let column = batch.column_by_name(name).filter(|column| column.null_count() == 0);
        let column = column.ok_or_else(misfit)?;
        Ok(match column.data_type() {
            DataType::Dictionary(_, _) => {
                let texts = column.as_dictionary_opt::<Int32Type>().ok_or_else(misfit)?;
                let keys = texts.keys().values().clone();
                Key::Text { keys, texts: texts.values().as_string_opt().ok_or_else(misfit)?.clone() }
            }
            DataType::Timestamp(_, _) => {
                let times = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(misfit)?;
                Key::Long(times.values().clone())
            }
            DataType::Int64 => Key::Long(column.as_primitive::<Int64Type>().values().clone()),
            DataType::Int32 => Key::Int(column.as_primitive::<Int32Type>().values().clone()),
            DataType::Int16 => Key::Short(column.as_primitive::<Int16Type>().values().clone()),
            DataType::Int8 => Key::Byte(column.as_primitive::<Int8Type>().values().clone()),
            _ => return Err(misfit()),
        })
    }

    fn compare(&self, row: usize, other: &Key, other_row: usize) -> Ordering {
        match (self, other) {
            (Key::Text { keys, texts }, Key::Text { keys: other_keys, texts: other_texts }) => {
                let text = texts.value(keys[row] as usize);
                text.cmp(other_texts.value(other_keys[other_row] as usize))
            }
            (Key::Long(values), Key::Long(others)) => values[row].cmp(&others[other_row]),
            (Key::Int(values), Key::Int(others)) => values[row].cmp(&others[other_row]),
            (Key::Short(values), Key::Short(others)) => values[row].cmp(&others[other_row]),
            (Key::Byte(values), Key::Byte(others)) => values[row].cmp(&others[other_row]),
            // Columns of one name have one type, by `merge_schema`.
            _ => Ordering::Equal,
        }
    }

    /// Marks rows that may differ from the one before: different dictionary keys can still be the same text.
    fn mark_changes(&self, changed: &mut [bool]) {
        fn mark<T: PartialEq>(values: &[T], changed: &mut [bool]) {
            for (pair, changed) in values.windows(2).zip(&mut changed[1..]) {
                *changed |= pair[0] != pair[1];
            }
        }
        match self {
            Key::Text { keys, .. } | Key::Int(keys) => mark(keys, changed),
            Key::Long(values) => mark(values, changed),
            Key::Short(values) => mark(values, changed),
            Key::Byte(values) => mark(values, changed),
        }
    }
}

/// Sorted rows.
#[derive(Debug)]
pub(super) struct Rows {
    /// Tells batches apart within a merge.
    pub(super) number: u64,
    pub(super) batch: RecordBatch,
    keys: Vec<Key>,
    row_bytes: usize,
    /// First row of every group, ascending; begins with 0.
    groups: Vec<u32>,
    /// Rows with the same sort columns as the one before, ascending.
    repeats: Vec<u32>,
}

impl Rows {
    /// Lays `batch` open; it must have rows, and the columns of [`merge_schema`].
    pub(super) fn new(table: Table, number: u64, batch: RecordBatch) -> Result<Rows> {
        let keys = table.sort_columns().iter().map(|name| Key::of(table, &batch, name));
        let keys = keys.collect::<Result<Vec<Key>>>()?;
        let row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
        let mut rows = Rows { number, batch, keys, row_bytes, groups: vec![0], repeats: Vec::new() };
        rows.find_groups(table)?;
        rows.check_order(table)?;
        Ok(rows)
    }

    fn find_groups(&mut self, table: Table) -> Result<()> {
        let mut changed = vec![false; self.len()];
        let group_keys = &self.keys[..GROUP_COLUMNS.min(self.keys.len())];
        group_keys.iter().for_each(|key| key.mark_changes(&mut changed));
        for row in (0..changed.len()).filter(|&row| changed[row]) {
            match self.compare_group(row - 1, self, row) {
                Ordering::Less => self.groups.push(row as u32),
                Ordering::Equal => {}
                Ordering::Greater => return Err(unsorted(table)),
            }
        }
        Ok(())
    }

    fn check_order(&mut self, table: Table) -> Result<()> {
        let keep_repeats = Repeats::of(table) != Repeats::Kept;
        let rest = &self.keys[GROUP_COLUMNS.min(self.keys.len())..];
        let borders = self.groups[1..].iter().copied().chain([self.batch.num_rows() as u32]);
        for (&start, end) in self.groups.iter().zip(borders) {
            for row in start + 1..end {
                let (before, now) = (row as usize - 1, row as usize);
                let order = match rest {
                    [Key::Long(times)] => times[before].cmp(&times[now]),
                    _ => compare_keys(rest, before, rest, now),
                };
                match order {
                    Ordering::Less => {}
                    Ordering::Equal if keep_repeats => self.repeats.push(row),
                    Ordering::Equal => {}
                    Ordering::Greater => return Err(unsorted(table)),
                }
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Memory a row takes on average.
    pub(super) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Compares a row of this batch with one of `other` by all sort columns.
    pub(super) fn compare(&self, row: usize, other: &Rows, other_row: usize) -> Ordering {
        compare_keys(&self.keys, row, &other.keys, other_row)
    }

    /// Whether the sort columns of two rows agree; the one that changes most is looked at first.
    pub(super) fn same(&self, row: usize, other: &Rows, other_row: usize) -> bool {
        let mut keys = self.keys.iter().zip(&other.keys).rev();
        keys.all(|(key, other)| key.compare(row, other, other_row).is_eq())
    }

    /// Compares by the columns that make a group.
    pub(super) fn compare_group(&self, row: usize, other: &Rows, other_row: usize) -> Ordering {
        let end = GROUP_COLUMNS.min(self.keys.len());
        compare_keys(&self.keys[..end], row, &other.keys[..end], other_row)
    }

    /// First rows of the groups, ascending.
    pub(super) fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// Rows between `start` and `end` that repeat the row before them.
    pub(super) fn repeats(&self, start: usize, end: usize) -> &[u32] {
        let from = self.repeats.partition_point(|&row| (row as usize) < start);
        let to = self.repeats.partition_point(|&row| (row as usize) < end);
        &self.repeats[from..to]
    }
}

fn compare_keys(keys: &[Key], row: usize, others: &[Key], other_row: usize) -> Ordering {
    for (key, other) in keys.iter().zip(others) {
        match key.compare(row, other, other_row) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// The rows of an input are not in the order its footer promises.
pub(super) fn unsorted(table: Table) -> Error {
    Error::Schema { table: table.name(), reason: "rows are not in the table's order".to_owned() }
}

/// The batch with the columns of [`merge_schema`], in their order: others are left out, missing ones are null,
/// other types are converted where that loses nothing.
pub(super) fn conform(table: Table, batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = merge_schema(table);
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => {
            let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
            arrow::compute::cast_with_options(column, field.data_type(), &strict)
        }
        None => {
            let nulls = arrow::array::new_null_array(&DataType::Null, batch.num_rows());
            cast(&nulls, field.data_type())
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>();
    let conformed = columns.and_then(|columns| RecordBatch::try_new(schema, columns));
    conformed.map_err(|error| Error::Schema { table: table.name(), reason: error.to_string() })
}
