//! The rows of any table from generations, as record batches in the table's order.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::generation::Generation;
use super::log_rows::LogScan;
use super::metric_rows::{MetricScan, Selection};
use super::probe_rows::ProbeScan;
use super::series_rows::{Committed, CommittedRows, LabelScan};
use super::sparse_rows::SparseScan;
use crate::error::Result;
use crate::sparse::{ExemplarRow, HistogramRow, StartRow};
use crate::tables::Table;

/// Walks over the rows of a table.
#[derive(Debug)]
pub(crate) struct TableScan {
    rows: Rows,
    /// Label rows given so far.
    label_rows: CommittedRows,
}

#[derive(Debug)]
enum Rows {
    Metrics(MetricScan),
    Logs(LogScan),
    Probes(ProbeScan),
    Histograms(SparseScan<HistogramRow>),
    Starts(SparseScan<StartRow>),
    Exemplars(SparseScan<ExemplarRow>),
    Labels(LabelScan),
}

impl TableScan {
    /// Starts a scan over `generations`, oldest first. `committed`: label rows to leave out; of days before
    /// `today` only where they are wholly up to date.
    pub(crate) fn new(
        table: Table,
        generations: Vec<Arc<Generation>>,
        selection: Selection,
        committed: Arc<Committed>,
        today: i32,
    ) -> TableScan {
        let rows = match table {
            Table::Metrics => Rows::Metrics(MetricScan::new(generations, selection)),
            Table::Logs => Rows::Logs(LogScan::new(&generations, selection)),
            Table::Probes => Rows::Probes(ProbeScan::new(&generations, &selection)),
            Table::Histograms => {
                Rows::Histograms(SparseScan::new(&generations, &selection, |of| &of.sparse.histograms))
            }
            Table::StartTimes => {
                Rows::Starts(SparseScan::new(&generations, &selection, |of| &of.sparse.starts))
            }
            Table::Exemplars => {
                Rows::Exemplars(SparseScan::new(&generations, &selection, |of| &of.sparse.exemplars))
            }
            Table::Series | Table::LogStreams => {
                Rows::Labels(LabelScan::new(table, generations, selection, committed, today))
            }
        };
        TableScan { rows, label_rows: CommittedRows::new() }
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        match &mut self.rows {
            Rows::Metrics(scan) => scan.next_batch(),
            Rows::Logs(scan) => scan.next_batch(),
            Rows::Probes(scan) => scan.next_batch(),
            Rows::Histograms(scan) => scan.next_batch(),
            Rows::Starts(scan) => scan.next_batch(),
            Rows::Exemplars(scan) => scan.next_batch(),
            Rows::Labels(scan) => {
                let Some((rows, batch)) = scan.next_batch()? else { return Ok(None) };
                for row in rows {
                    self.label_rows.entry(row.day).or_default().push((row.id, row.last_in_day_ms()));
                }
                Ok(Some(batch))
            }
        }
    }

    /// The rows of `series` or `log_streams` given so far.
    pub(crate) fn into_label_rows(self) -> CommittedRows {
        self.label_rows
    }
}
