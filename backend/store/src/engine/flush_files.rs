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
use crate::parquet_file::{EncodedFile, FileInMemory, FileTags, WriteProfile, WrittenFile, encode};
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
                let (back, encoded) = self.next_files(scan, table, &days).await?;
                scan = back;
                if encoded.is_empty() {
                    break;
                }
                for (day, encoded) in encoded {
                    files.push(self.catalog.write_encoded(table, day, encoded, tags).await?);
                }
            }
            label_rows.extend(scan.into_label_rows());
        }
        Ok((files, label_rows))
    }

    /// The next file of one day, or a file for each of several days.
    async fn next_files(
        &self,
        mut scan: TableScan,
        table: Table,
        days: &RangeInclusive<i32>,
    ) -> Result<(TableScan, Vec<(i32, EncodedFile)>)> {
        let (first, single) = (*days.start(), days.start() == days.end());
        let rows_max = self.config.flush_file_rows;
        spawn_blocking(move || {
            let files = if single {
                next_file(&mut scan, table, rows_max)?.into_iter().map(|file| (first, file)).collect()
            } else {
                files_of_days(&mut scan, table)?
            };
            Ok((scan, files))
        })
        .await?
    }
}

/// A file of the next `rows_max` rows or somewhat more, if there are any. Rows are encoded as they come, so that no
/// more than a row group of them is in memory twice.
fn next_file(scan: &mut TableScan, table: Table, rows_max: u64) -> Result<Option<EncodedFile>> {
    let mut file = FileInMemory::new(table, WriteProfile::Flush)?;
    while file.rows() < rows_max {
        let Some(batch) = scan.next_batch()? else { break };
        file.write(&batch)?;
    }
    if file.rows() == 0 { Ok(None) } else { file.finish().map(Some) }
}

/// A file for each day that has rows, which all fit into one file.
fn files_of_days(scan: &mut TableScan, table: Table) -> Result<Vec<(i32, EncodedFile)>> {
    let mut rows: BTreeMap<i32, Vec<RecordBatch>> = BTreeMap::new();
    while let Some(batch) = scan.next_batch()? {
        for (day, batch) in by_day(table, &batch)? {
            rows.entry(day).or_default().push(batch);
        }
    }
    let file = |(day, rows): (i32, Vec<_>)| Ok((day, encode(table, &rows, WriteProfile::Flush)?));
    rows.into_iter().map(file).collect()
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
