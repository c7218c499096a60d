//! Samples of files by way of record batches: slower than by columns, for files of any making.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use futures::TryStreamExt;

use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::parquet_file::{ReadOptions, read_batches};
use crate::snapshot::Snapshot;

use super::Job;
use super::merge::{Gathered, Strip};

/// Rows of a batch.
const BATCH_ROWS: usize = 64 << 10;

/// Adds the samples of one file; positions are those of the job, and `first` more.
pub(super) async fn read_file(
    snapshot: &Snapshot,
    file: &DataFile,
    job: &Job,
    first: usize,
    gathered: &mut Gathered,
) -> Result<()> {
    let (start_us, end_us) = job.range_us();
    let options = ReadOptions {
        columns: Some(["tsid", "ts", "value"].map(str::to_owned).to_vec()),
        start_us: Some(start_us),
        end_us: Some(end_us),
        batch_rows: Some(BATCH_ROWS),
        ..ReadOptions::default()
    };
    let mut batches = read_batches(snapshot.objects(), snapshot.footers(), file, &options).await?;
    while let Some(batch) = batches.try_next().await? {
        job.check()?;
        gathered.add_strip(read(file, &batch, job, first)?);
    }
    Ok(())
}

fn read(file: &DataFile, batch: &RecordBatch, job: &Job, first: usize) -> Result<Strip> {
    let lacks =
        |name: &str| Error::corrupt(&file.key, format!("column `{name}` is missing or of another type"));
    let column = |name: &str, data_type: &DataType| {
        let column = batch.column_by_name(name).ok_or_else(|| lacks(name))?;
        cast(column, data_type).map_err(|_| lacks(name))
    };
    let tsids = column("tsid", &DataType::Int64)?;
    let times = column("ts", &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let values = column("value", &DataType::Float64)?;
    let (tsids, times) =
        (tsids.as_primitive::<Int64Type>(), times.as_primitive::<TimestampMicrosecondType>());
    let values = values.as_primitive::<Float64Type>();
    let (start_us, end_us) = job.range_us();
    let mut strip = Strip::default();
    let mut row = 0;
    while row < tsids.len() {
        let tsid = tsids.value(row);
        let end = (row..tsids.len()).find(|i| tsids.value(*i) != tsid).unwrap_or(tsids.len());
        if let Some(position) = job.wanted.position(tsid) {
            strip.add(first + position, |timestamps, found| {
                let before = timestamps.len();
                for i in row..end {
                    let us = times.value(i);
                    let known = times.is_valid(i) && values.is_valid(i) && tsids.is_valid(i);
                    if known && (start_us..=end_us).contains(&us) {
                        timestamps.push(us.div_euclid(1_000));
                        found.push(values.value(i));
                    }
                }
                job.options.budget.take(timestamps.len() - before)
            })?;
        }
        row = end;
    }
    Ok(strip)
}
