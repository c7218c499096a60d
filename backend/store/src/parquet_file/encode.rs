//! Sorted rows to the bytes of a Parquet file. Takes a core for as long as it lasts; run it on a blocking
//! thread.

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;

use super::check::check_rows;
use super::metric_file::MetricFile;
use super::properties::writer_properties;
use super::{FileStats, WriteProfile};
use crate::delta::stats;
use crate::error::{Error, Result};
use crate::tables::Table;

/// A file's bytes with what the catalog keeps of it.
#[derive(Debug)]
pub(crate) struct EncodedFile {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    pub(crate) stats: FileStats,
    pub(crate) delta_stats: String,
}

/// Encodes `batches`, which must be in the table's order.
pub(crate) fn encode(table: Table, batches: &[RecordBatch], profile: WriteProfile) -> Result<EncodedFile> {
    check_rows(table, batches)?;
    let delta_stats = stats::of_batches(table, batches)?;
    let (_, stats) = stats::parse(table, &delta_stats, true);
    let bytes = to_parquet(table, batches, profile).map_err(|error| Error::parquet(table, error))?;
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    Ok(EncodedFile { bytes, rows, stats, delta_stats })
}

fn to_parquet(
    table: Table,
    batches: &[RecordBatch],
    profile: WriteProfile,
) -> parquet::errors::Result<Bytes> {
    if table == Table::Metrics {
        let mut file = MetricFile::new(profile)?;
        for batch in batches {
            file.push(batch)?;
        }
        return file.finish();
    }
    let properties = writer_properties(table, profile)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), table.file_schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.into_inner().map(Bytes::from)
}
