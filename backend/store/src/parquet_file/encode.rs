//! Sorted rows to the bytes of a Parquet file. Takes a core for as long as it lasts; run it on a blocking
//! thread.

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::RowGroupMetaData;

use super::check::check_rows;
use super::metric_file::MetricFile;
use super::properties::writer_properties;
use super::{FileStats, WriteProfile};
use crate::delta::stats;
use crate::error::{Error, Result};
use crate::tables::Table;
use crate::tokens::collect::of_batches;
use crate::tokens::sidecar::{Sidecar, Subject};

/// A file's bytes with what the catalog keeps of it.
#[derive(Debug)]
pub(crate) struct EncodedFile {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    pub(crate) stats: FileStats,
    pub(crate) delta_stats: String,
    /// CRC-32C of the bytes.
    pub(crate) crc32c: u32,
    /// Token filters, for tables that have them.
    pub(crate) tokens: Option<Sidecar>,
}

/// Encodes `batches`, which must be in the table's order.
pub(crate) fn encode(table: Table, batches: &[RecordBatch], profile: WriteProfile) -> Result<EncodedFile> {
    check_rows(table, batches)?;
    let delta_stats = stats::of_batches(table, batches)?;
    let (_, stats) = stats::parse(table, &delta_stats, true);
    let (bytes, group_rows) =
        to_parquet(table, batches, profile).map_err(|error| Error::parquet(table, error))?;
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let crc32c = crc32c::crc32c(&bytes);
    let subject = Subject { size: bytes.len() as u64, crc32c };
    let tokens = of_batches(table, batches, &group_rows, subject)?;
    Ok(EncodedFile { bytes, rows, stats, delta_stats, crc32c, tokens })
}

/// The bytes, and the rows of each row group where filters are made of them.
fn to_parquet(
    table: Table,
    batches: &[RecordBatch],
    profile: WriteProfile,
) -> parquet::errors::Result<(Bytes, Vec<u64>)> {
    if table == Table::Metrics {
        let mut file = MetricFile::new(profile)?;
        for batch in batches {
            file.push(batch)?;
        }
        return file.finish().map(|bytes| (bytes, Vec::new()));
    }
    let properties = writer_properties(table, profile)?;
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, table.file_schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    let footer = writer.close()?;
    let rows = |group: &RowGroupMetaData| u64::try_from(group.num_rows()).unwrap_or(0);
    let group_rows = footer.row_groups().iter().map(rows).collect();
    Ok((Bytes::from(bytes), group_rows))
}
