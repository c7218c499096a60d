//! Rows of `histograms`, `start_times` and `exemplars` from generations: sorted by (metric, tsid, ts), of repeated
//! ones those that count.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::Labels;

use super::generation::Generation;
use super::metric_rows::Selection;
use super::sparse::SparseRows;
use crate::error::Result;
use crate::sparse::columns::{Line, record_batch};
use crate::sparse::{SparseRow, keep_counting};

/// Most rows in a record batch.
const BATCH_ROWS: usize = 8 * 1024;
/// Memory of the rows after which a batch ends; a histogram may have thousands of buckets.
const BATCH_BYTES: usize = 16 << 20;

/// Walks over the rows, one record batch at a time.
#[derive(Debug)]
pub(crate) struct SparseScan<R> {
    with_day: bool,
    /// Series that are left, the last one first.
    series: Vec<(i64, Labels, Vec<R>)>,
}

impl<R: SparseRow> SparseScan<R> {
    /// Starts a scan over `generations`; `rows` picks the table's.
    pub(crate) fn new(
        generations: &[Arc<Generation>],
        selection: &Selection,
        rows: fn(&Generation) -> &SparseRows<R>,
    ) -> SparseScan<R> {
        let (start_ms, end_ms) = (selection.start_us.div_euclid(1_000), selection.end_us.div_euclid(1_000));
        let keep = |tsid: i64, labels: &Labels| {
            selection.wants_id(tsid) && selection.metric.as_ref().is_none_or(|metric| metric == labels.name())
        };
        let mut series: BTreeMap<(String, i64), (Labels, Vec<R>)> = BTreeMap::new();
        for generation in generations {
            for mut more in rows(generation).series_rows(start_ms, end_ms, keep) {
                let key = (more.labels.name().to_owned(), more.tsid);
                series.entry(key).or_insert_with(|| (more.labels, Vec::new())).1.append(&mut more.rows);
            }
        }
        let rows = series.into_iter().rev().map(|((_, tsid), (labels, mut rows))| {
            keep_counting(&mut rows);
            rows.reverse();
            (tsid, labels, rows)
        });
        SparseScan { with_day: selection.with_day, series: rows.collect() }
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut taken: Vec<(i64, Labels, Vec<R>)> = Vec::new();
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some((tsid, labels, rows)) = self.series.last_mut() else { break };
            let mut of_series = Vec::new();
            while count < BATCH_ROWS && bytes < BATCH_BYTES {
                let Some(row) = rows.pop() else { break };
                (count, bytes) = (count + 1, bytes + row.bytes());
                of_series.push(row);
            }
            taken.push((*tsid, Labels::clone(labels), of_series));
            if rows.is_empty() {
                self.series.pop();
            }
        }
        if count == 0 {
            return Ok(None);
        }
        let lines: Vec<Line<'_, R>> =
            taken.iter().map(|(tsid, labels, rows)| Line { tsid: *tsid, labels, rows }).collect();
        record_batch(&lines, self.with_day).map(Some)
    }
}
