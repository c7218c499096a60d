//! Checks rows before they are written: a file whose order is not what its footer says gives wrong answers
//! in every reader that believes it.

use arrow::array::{RecordBatch, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::tables::Table;

/// Looks at the rows of a file, batch by batch.
pub(super) struct RowCheck {
    table: Table,
    schema: SchemaRef,
    /// The last batch that had rows.
    last: Option<RecordBatch>,
}

impl RowCheck {
    pub(super) fn new(table: Table) -> RowCheck {
        RowCheck { table, schema: table.file_schema(), last: None }
    }

    /// Fails unless the batch has the table's columns and its rows are in the table's order, after those before.
    pub(super) fn check(&mut self, batch: &RecordBatch) -> Result<()> {
        let misfit = |reason: &str| Error::Schema { table: self.table.name(), reason: reason.to_owned() };
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(misfit("the rows to write have other columns"));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let inside = is_sorted(self.table, batch, batch, 0, batch.num_rows() - 1, 1);
        let follows = |last: &RecordBatch| is_sorted(self.table, last, batch, last.num_rows() - 1, 1, 0);
        if !inside || !self.last.as_ref().is_none_or(follows) {
            return Err(misfit("the rows to write are not sorted"));
        }
        self.last = Some(batch.clone());
        Ok(())
    }
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
