//! The rule for repeated rows of `histograms`, `start_times` and `exemplars` over record batches, for whoever
//! merges files without making values of all rows: compaction, and SQL.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::RecordBatch;

use super::{ExemplarRow, HistogramRow, Rule, SparseRow, StartRow};
use crate::error::Result;
use crate::tables::Table;

/// Of the rows `rows` of `batch`, which have one series and one time, those that count, ascending. Tables
/// without a rule keep all of them. The batch needs all columns of the table. Fails where one is of another type.
pub fn counting(table: Table, batch: &RecordBatch, rows: Range<usize>) -> Result<Vec<usize>> {
    let part = batch.slice(rows.start, rows.len());
    let places = match table {
        Table::Histograms => places::<HistogramRow>(&part)?,
        Table::StartTimes => places::<StartRow>(&part)?,
        Table::Exemplars => places::<ExemplarRow>(&part)?,
        _ => (0..rows.len()).collect(),
    };
    Ok(places.into_iter().map(|place| rows.start + place).collect())
}

fn places<R: SparseRow>(batch: &RecordBatch) -> Result<Vec<usize>> {
    let rows = R::decode(batch)?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| rows[*b].order(&rows[*a]));
    match R::RULE {
        Rule::Greatest => order.truncate(1),
        Rule::Distinct => order.dedup_by(|a, b| rows[*a].order(&rows[*b]).is_eq()),
    }
    order.sort_unstable();
    Ok(order)
}

/// Compares two rows of one series and time: equal for identical ones only. Rows of tables without a rule are all
/// equal.
pub(crate) fn compare(
    table: Table,
    (batch, row): (&RecordBatch, usize),
    (other, other_row): (&RecordBatch, usize),
) -> Result<Ordering> {
    let (a, b) = (batch.slice(row, 1), other.slice(other_row, 1));
    match table {
        Table::Histograms => compare_as::<HistogramRow>(&a, &b),
        Table::StartTimes => compare_as::<StartRow>(&a, &b),
        Table::Exemplars => compare_as::<ExemplarRow>(&a, &b),
        _ => Ok(Ordering::Equal),
    }
}

fn compare_as<R: SparseRow>(a: &RecordBatch, b: &RecordBatch) -> Result<Ordering> {
    let (a, b) = (R::decode(a)?, R::decode(b)?);
    Ok(a.first().zip(b.first()).map_or(Ordering::Equal, |(a, b)| a.order(b)))
}
