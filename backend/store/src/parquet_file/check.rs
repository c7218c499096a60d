//! Checks rows before they are written: a file whose order is not what its footer says gives wrong answers
//! in every reader that believes it.

use arrow::array::{RecordBatch, make_comparator};
use arrow::compute::SortOptions;

use crate::error::{Error, Result};
use crate::tables::Table;

/// Fails unless every batch has the table's columns and all rows together are in the table's order.
pub(super) fn check_rows(table: Table, batches: &[RecordBatch]) -> Result<()> {
    let schema = table.file_schema();
    let misfit = |reason: &str| Error::Schema { table: table.name(), reason: reason.to_owned() };
    for batch in batches {
        if batch.schema_ref().fields() != schema.fields() {
            return Err(misfit("the rows to write have other columns"));
        }
    }
    let filled: Vec<&RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).collect();
    let inside = filled.iter().all(|batch| is_sorted(table, batch, batch, 0, batch.num_rows() - 1, 1));
    let between =
        filled.windows(2).all(|pair| is_sorted(table, pair[0], pair[1], pair[0].num_rows() - 1, 1, 0));
    if inside && between { Ok(()) } else { Err(misfit("the rows to write are not sorted")) }
}

/// True where row `first + i` of `left` does not come after row `i + shift` of `right`, for `count` rows.
fn is_sorted(
    table: Table,
    left: &RecordBatch,
    right: &RecordBatch,
    first: usize,
    count: usize,
    shift: usize,
) -> bool {
    let comparators: Option<Vec<_>> = table
        .sort_columns()
        .iter()
        .map(|name| {
            let (left, right) = (left.column_by_name(name)?, right.column_by_name(name)?);
            make_comparator(left.as_ref(), right.as_ref(), SortOptions::default()).ok()
        })
        .collect();
    let Some(comparators) = comparators else { return false };
    (0..count).all(|i| {
        let order = comparators.iter().map(|compare| compare(first + i, i + shift));
        order.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).is_le()
    })
}
