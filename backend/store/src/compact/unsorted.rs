//! Sorts the rows of a file another writer has written, so that it can be merged.
//!
//! Comes in: batches in any order and with any columns. Goes out: the same rows as sorted batches with the
//! table's columns. Everything is in memory at once; the caller bounds the size of files, and this the size
//! of what is in them.

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};

use super::rows::{conform, merge_schema};
use crate::error::{Error, Result};
use crate::tables::Table;

/// Most rows sorted in memory, and most bytes they take there.
const ROWS_MAX: u64 = 8_000_000;
const BYTES_MAX: u64 = 1 << 30;
/// Rows of a batch that goes out.
const BATCH_ROWS: usize = 8_192;

/// All rows, sorted; rows that compare equal keep their order.
pub(super) fn sort(
    table: Table,
    batches: impl Iterator<Item = Result<RecordBatch>>,
) -> Result<Vec<RecordBatch>> {
    let (mut all, mut rows, mut bytes) = (Vec::new(), 0, 0);
    for batch in batches {
        let batch = conform(table, &batch?)?;
        rows += batch.num_rows() as u64;
        bytes += batch.get_array_memory_size() as u64;
        let too_large = |what: &str, size, limit| Error::TooLarge { what: what.to_owned(), size, limit };
        if rows > ROWS_MAX {
            return Err(too_large("rows of an unsorted file", rows, ROWS_MAX));
        }
        if bytes > BYTES_MAX {
            return Err(too_large("memory of an unsorted file", bytes, BYTES_MAX));
        }
        all.push(batch);
    }
    let rows = concat_batches(&merge_schema(table), &all)?;
    drop(all);
    let rows = sorted(table, &rows)?;
    let starts = (0..rows.num_rows()).step_by(BATCH_ROWS);
    Ok(starts.map(|start| rows.slice(start, BATCH_ROWS.min(rows.num_rows() - start))).collect())
}

fn sorted(table: Table, rows: &RecordBatch) -> Result<RecordBatch> {
    let place: arrow::array::ArrayRef =
        std::sync::Arc::new(arrow::array::UInt64Array::from_iter_values(0..rows.num_rows() as u64));
    let key = |name: &&str| {
        let values = rows.column_by_name(name).map(std::sync::Arc::clone);
        let reason = || format!("rows to sort have no column `{name}`");
        let values = values.ok_or_else(|| Error::Schema { table: table.name(), reason: reason() })?;
        // Dictionaries sort slowly value by value; as texts they sort as everything else.
        let values = match values.data_type() {
            arrow::datatypes::DataType::Dictionary(_, texts) => arrow::compute::cast(&values, texts)?,
            _ => values,
        };
        Ok(SortColumn { values, options: None })
    };
    let mut keys = table.sort_columns().iter().map(key).collect::<Result<Vec<_>>>()?;
    keys.push(SortColumn { values: place, options: None });
    let order = lexsort_to_indices(&keys, None)?;
    Ok(take_record_batch(rows, &order)?)
}
