//! Leaves out the rows of `histograms`, `start_times` and `exemplars` that repeat another one, of several files or
//! of files and head.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::common::Result;
use store::Table;
use store::sparse::repeats::counting;

use crate::error::from_store;

/// Keeps the last rows with one series and time back until a different one shows that no more of them come.
pub(super) struct RowMerger {
    table: Table,
    schema: SchemaRef,
    tsid: usize,
    ts: usize,
    pending: RecordBatch,
}

impl RowMerger {
    pub(super) fn new(table: Table, schema: &SchemaRef) -> Result<RowMerger> {
        Ok(RowMerger {
            table,
            schema: Arc::clone(schema),
            tsid: schema.index_of("tsid")?,
            ts: schema.index_of("ts")?,
            pending: RecordBatch::new_empty(Arc::clone(schema)),
        })
    }

    /// Rows that are complete now; `batch` follows on those given before, in the order of the table.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = concat_batches(&self.schema, [&self.pending, batch])?;
        let borders = self.borders(&rows);
        let complete = borders.len().checked_sub(2).map_or(0, |last| borders[last]);
        self.pending = rows.slice(complete, rows.num_rows() - complete);
        self.counting(&rows.slice(0, complete))
    }

    /// The rows kept back.
    pub(super) fn finish(self) -> Result<RecordBatch> {
        self.counting(&self.pending)
    }

    fn counting(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let borders = self.borders(batch);
        if borders.len() == batch.num_rows() + 1 || batch.num_rows() == 0 {
            return Ok(batch.clone());
        }
        let mut kept: Vec<u32> = Vec::with_capacity(batch.num_rows());
        for pair in borders.windows(2) {
            let rows = pair[0]..pair[1];
            let rows = if rows.len() == 1 {
                rows.collect()
            } else {
                counting(self.table, batch, rows).map_err(from_store)?
            };
            kept.extend(rows.into_iter().map(|row| u32::try_from(row).unwrap_or(u32::MAX)));
        }
        Ok(take_record_batch(batch, &UInt32Array::from(kept))?)
    }

    /// Where runs of rows with one series and time begin, and where the last one ends.
    fn borders(&self, batch: &RecordBatch) -> Vec<usize> {
        let tsids = batch.column(self.tsid).as_primitive::<Int64Type>().values();
        let times = batch.column(self.ts).as_primitive::<TimestampMicrosecondType>().values();
        let begins =
            |row: &usize| *row == 0 || tsids[*row] != tsids[*row - 1] || times[*row] != times[*row - 1];
        let mut borders: Vec<usize> = (0..batch.num_rows()).filter(begins).collect();
        borders.push(batch.num_rows());
        borders
    }
}
