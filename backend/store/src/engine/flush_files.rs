//! Writes the rows of an ended generation as files, a day each.
//!
//! Comes in: a generation and a table. Goes out: files nobody has committed yet. Days with few rows are read from
//! the generation together, as many as fit into one file, so that rows scattered over a year are not decoded
//! once for each of its days; no more rows than that are ever held at once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Date32Type;
use tokio::task::spawn_blocking;

use super::Inner;
use super::view::View;
use crate::error::Result;
use crate::head::generation::Generation;
use crate::head::metric_rows::Selection;
use crate::head::metrics::DAY_MS;
use crate::head::scan::TableScan;
use crate::head::series_rows::CommittedRows;
use crate::parquet_file::{FileTags, WriteProfile, WrittenFile};
use crate::tables::Table;

impl Inner {
    /// Writes a generation's rows of one table; gives the files and the label rows among the rows.
    pub(crate) async fn write_files(
        &self,
        generation: &Arc<Generation>,
        table: Table,
        view: &View,
    ) -> Result<(Vec<WrittenFile>, CommittedRows)> {
        // Another process' rows are not compared with the ones that come in here.
        let shared = view.files.table_files(table).has_other_writers(&self.app_id);
        let tags = FileTags { level: 0, may_repeat: shared || generation.may_repeat(table) };
        let closing = self.closed.load(std::sync::atomic::Ordering::SeqCst);
        let today = if closing { i32::MAX } else { self.clock.now_ms().div_euclid(DAY_MS) as i32 };
        let (mut files, mut label_rows) = (Vec::new(), CommittedRows::new());
        for days in groups(&generation.days(table), self.config.flush_file_rows) {
            let committed = Arc::clone(view.committed(table));
            let (generations, selection) = (vec![Arc::clone(generation)], Selection::days(days.clone()));
            let mut scan =
                spawn_blocking(move || TableScan::new(table, generations, selection, committed, today))
                    .await?;
            loop {
                let (back, rows) = self.next_files(scan, table, &days).await?;
                scan = back;
                if rows.is_empty() {
                    break;
                }
                for (day, batches) in rows {
                    files
                        .push(self.catalog.write_file(table, day, batches, WriteProfile::Flush, tags).await?);
                }
            }
            label_rows.extend(scan.into_label_rows());
        }
        Ok((files, label_rows))
    }

    /// The rows of the next file of one day, or of a file for each of several days.
    async fn next_files(
        &self,
        mut scan: TableScan,
        table: Table,
        days: &RangeInclusive<i32>,
    ) -> Result<(TableScan, BTreeMap<i32, Vec<RecordBatch>>)> {
        let (first, single) = (*days.start(), days.start() == days.end());
        // What stands in one group fits into one file.
        let rows_max = if single { self.config.flush_file_rows } else { u64::MAX };
        spawn_blocking(move || {
            let mut rows: BTreeMap<i32, Vec<RecordBatch>> = BTreeMap::new();
            let batches = scan.next_batches(rows_max)?;
            if single && !batches.is_empty() {
                rows.insert(first, batches);
                return Ok((scan, rows));
            }
            for batch in batches {
                for (day, batch) in by_day(table, &batch)? {
                    rows.entry(day).or_default().push(batch);
                }
            }
            Ok((scan, rows))
        })
        .await?
    }
}

/// Neighbouring days that have at most `rows_max` rows together, or one day.
fn groups(days: &BTreeMap<i32, u64>, rows_max: u64) -> Vec<RangeInclusive<i32>> {
    let mut groups: Vec<(RangeInclusive<i32>, u64)> = Vec::new();
    for (day, rows) in days {
        match groups.last_mut() {
            Some((days, held)) if *held + rows <= rows_max => {
                (*days, *held) = (*days.start()..=*day, *held + rows);
            }
            _ => groups.push((*day..=*day, *rows)),
        }
    }
    groups.into_iter().map(|(days, _)| days).collect()
}

/// The rows of every day in a batch that begins with the column `day`, in their order and without it.
fn by_day(table: Table, batch: &RecordBatch) -> Result<Vec<(i32, RecordBatch)>> {
    let mut rows: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (row, day) in batch.column(0).as_primitive::<Date32Type>().values().iter().enumerate() {
        rows.entry(*day).or_default().push(row as u32);
    }
    let columns = RecordBatch::try_new(table.file_schema(), batch.columns()[1..].to_vec())?;
    let of_day = |(day, rows)| Ok((day, take_record_batch(&columns, &UInt32Array::from_iter_values(rows))?));
    rows.into_iter().map(of_day).collect()
}

#[cfg(test)]
mod tests;
