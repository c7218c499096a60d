//! Sorted rows to the bytes of a Parquet file. Takes a core for as long as it lasts; run it on a blocking
//! thread.

use std::io::Write;

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;

use super::check::RowCheck;
use super::metric_file::MetricFile;
use super::properties::writer_properties;
use super::{FileStats, WriteProfile};
use crate::delta::stats::{self, StatsBuilder};
use crate::error::{Error, Result};
use crate::tables::Table;
use crate::tokens::collect::Collector;
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
    let mut file = FileInMemory::new(table, profile)?;
    batches.iter().try_for_each(|batch| file.write(batch))?;
    file.finish()
}

/// A file that is encoded batch by batch into memory.
pub(crate) struct FileInMemory {
    check: RowCheck,
    encoder: FileEncoder<Vec<u8>>,
}

impl FileInMemory {
    pub(crate) fn new(table: Table, profile: WriteProfile) -> Result<FileInMemory> {
        let encoder = FileEncoder::new(table, profile, Vec::new())?;
        Ok(FileInMemory { check: RowCheck::new(table), encoder })
    }

    /// Adds rows; fails where they are not in the table's order or before others.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.check.check(batch)?;
        self.encoder.write(batch)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.encoder.rows()
    }

    pub(crate) fn finish(self) -> Result<EncodedFile> {
        let (bytes, encoded) = self.encoder.finish()?;
        let Encoded { rows, stats, delta_stats, tokens } = encoded;
        let crc32c = crc32c::crc32c(&bytes);
        let subject = Subject { size: bytes.len() as u64, crc32c };
        let tokens = tokens.map(|tokens| tokens.finish(subject));
        Ok(EncodedFile { bytes: Bytes::from(bytes), rows, stats, delta_stats, crc32c, tokens })
    }
}

/// What the catalog keeps of a file's rows.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) rows: u64,
    pub(crate) stats: FileStats,
    pub(crate) delta_stats: String,
    /// The tokens of the rows, for tables whose files have token filters.
    pub(crate) tokens: Option<Collector>,
}

/// Encodes batch by batch into `sink`; memory is one row group. Does not check the order of rows. Texts may
/// come as dictionaries.
pub(crate) struct FileEncoder<W: Write + Send> {
    table: Table,
    writer: Writer<W>,
    stats: StatsBuilder,
    rows: u64,
    tokens: Option<Collector>,
}

/// Samples have a writer of their own.
enum Writer<W: Write + Send> {
    Metrics(Box<MetricFile<W>>),
    Other(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> Writer<W> {
    fn new(table: Table, profile: WriteProfile, sink: W) -> parquet::errors::Result<Writer<W>> {
        if table == Table::Metrics {
            return Ok(Writer::Metrics(Box::new(MetricFile::new(profile, sink)?)));
        }
        let properties = writer_properties(table, profile)?;
        let writer = ArrowWriter::try_new(sink, table.file_schema(), Some(properties))?;
        Ok(Writer::Other(Box::new(writer)))
    }
}

impl<W: Write + Send> FileEncoder<W> {
    pub(crate) fn new(table: Table, profile: WriteProfile, sink: W) -> Result<FileEncoder<W>> {
        let writer = Writer::new(table, profile, sink).map_err(|error| Error::parquet(table, error))?;
        let tokens = (table == Table::Logs).then(Collector::default);
        Ok(FileEncoder { table, writer, stats: StatsBuilder::new(table), rows: 0, tokens })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.stats.add(batch)?;
        self.rows += batch.num_rows() as u64;
        let written = match &mut self.writer {
            Writer::Metrics(file) => file.push(batch),
            Writer::Other(writer) => writer.write(batch),
        };
        written.map_err(|error| Error::parquet(self.table, error))?;
        match (&mut self.tokens, &self.writer) {
            (Some(tokens), Writer::Other(writer)) => tokens.written(batch, &group_rows(writer)),
            _ => Ok(()),
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the file so far, about.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.writer {
            Writer::Metrics(file) => file.bytes(),
            Writer::Other(writer) => (writer.bytes_written() + writer.in_progress_size()) as u64,
        }
    }

    /// Ends the file and gives back the sink.
    pub(crate) fn finish(self) -> Result<(W, Encoded)> {
        let table = self.table;
        let ended = match self.writer {
            Writer::Metrics(file) => file.finish(),
            Writer::Other(writer) => writer.into_inner(),
        };
        let sink = ended.map_err(|error| Error::parquet(table, error))?;
        let delta_stats = self.stats.finish();
        let (_, stats) = stats::parse(table, &delta_stats, true);
        Ok((sink, Encoded { rows: self.rows, stats, delta_stats, tokens: self.tokens }))
    }
}

/// Rows of the row groups that are complete.
fn group_rows<W: Write + Send>(writer: &ArrowWriter<W>) -> Vec<u64> {
    let groups = writer.flushed_row_groups().iter();
    groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).collect()
}
