//! Makes one row of the rows that several files, or files and head, have of one sample.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Float64Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::common::Result;
use store::duplicates::wins;

/// Columns two rows of one sample have in common, and the one they may differ in.
pub(super) const SAMPLE_COLUMNS: [&str; 4] = ["metric", "tsid", "ts", "value"];

/// Keeps the last row back until a different one shows that no more of its sample come.
pub(super) struct SampleMerger {
    schema: SchemaRef,
    tsid: usize,
    ts: usize,
    value: usize,
    pending: RecordBatch,
}

impl SampleMerger {
    pub(super) fn new(schema: &SchemaRef) -> Result<SampleMerger> {
        Ok(SampleMerger {
            schema: Arc::clone(schema),
            tsid: schema.index_of("tsid")?,
            ts: schema.index_of("ts")?,
            value: schema.index_of("value")?,
            pending: RecordBatch::new_empty(Arc::clone(schema)),
        })
    }

    /// Rows that are complete now; `batch` follows on those given before, in the order of the table.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let merged = self.merge(&concat_batches(&self.schema, [&self.pending, batch])?)?;
        let complete = merged.num_rows().saturating_sub(1);
        self.pending = merged.slice(complete, merged.num_rows() - complete);
        Ok(merged.slice(0, complete))
    }

    /// The row kept back.
    pub(super) fn finish(self) -> RecordBatch {
        self.pending
    }

    fn merge(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let tsids = batch.column(self.tsid).as_primitive::<Int64Type>().values();
        let times = batch.column(self.ts).as_primitive::<TimestampMicrosecondType>().values();
        let values = batch.column(self.value).as_primitive::<Float64Type>().values();
        let same = |row: usize| tsids[row] == tsids[row - 1] && times[row] == times[row - 1];
        if !(1..batch.num_rows()).any(same) {
            return Ok(batch.clone());
        }
        let mut kept: Vec<u32> = Vec::with_capacity(batch.num_rows());
        let mut winners: Vec<f64> = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            match winners.last_mut() {
                Some(winner) if same(row) => *winner = wins(*winner, values[row]),
                _ => {
                    kept.push(u32::try_from(row).unwrap_or(u32::MAX));
                    winners.push(values[row]);
                }
            }
        }
        let merged = take_record_batch(batch, &UInt32Array::from(kept))?;
        let mut columns = merged.columns().to_vec();
        columns[self.value] = Arc::new(Float64Array::from(winners));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, TimestampMicrosecondArray};
    use store::Table;

    #[test]
    fn rows_of_one_sample_become_one_across_batches() {
        let all = Table::Metrics.sql_schema();
        let columns: Vec<usize> = ["tsid", "ts", "value"].map(|name| all.index_of(name).unwrap()).to_vec();
        let schema: SchemaRef = Arc::new(all.project(&columns).unwrap());
        let batch = |rows: &[(i64, i64, f64)]| {
            let ts: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.1)).collect();
            RecordBatch::try_new(
                Arc::clone(&schema),
                vec![
                    Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
                    Arc::new(ts.with_timezone("UTC")),
                    Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
                ],
            )
            .unwrap()
        };
        let mut merger = SampleMerger::new(&schema).unwrap();
        let mut rows = Vec::new();
        let mut take = |batch: RecordBatch| {
            let (tsids, times) = (
                batch.column(0).as_primitive::<Int64Type>(),
                batch.column(1).as_primitive::<TimestampMicrosecondType>(),
            );
            let values = batch.column(2).as_primitive::<Float64Type>();
            rows.extend((0..batch.num_rows()).map(|i| (tsids.value(i), times.value(i), values.value(i))));
        };
        take(merger.push(&batch(&[(1, 1, 5.0), (1, 2, 1.0), (1, 2, 3.0)])).unwrap());
        take(merger.push(&batch(&[(1, 2, 2.0), (1, 3, 0.0)])).unwrap());
        take(merger.push(&batch(&[])).unwrap());
        take(merger.push(&batch(&[(2, 3, 9.0)])).unwrap());
        take(merger.finish());
        assert_eq!(rows, [(1, 1, 5.0), (1, 2, 3.0), (1, 3, 0.0), (2, 3, 9.0)]);
    }
}
