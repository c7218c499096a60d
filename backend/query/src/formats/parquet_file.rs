//! A Parquet file, written front to back.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Encoder;
use crate::answer::AnswerStats;
use crate::error::{QueryError, Result};

/// A row group ends when its encoded columns reach this size, in bytes.
const ROW_GROUP_BYTES: usize = 16 << 20;
/// A row group ends after so many rows in any case.
const ROW_GROUP_ROWS: usize = 256 << 10;

/// Writes row groups as they fill; the footer comes last.
pub(super) struct ParquetEncoder {
    schema: SchemaRef,
    /// Gone once the file has its footer.
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl ParquetEncoder {
    pub(super) fn new(schema: &SchemaRef) -> Result<ParquetEncoder> {
        let level = ZstdLevel::try_new(1).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("atl".to_owned())
            .build();
        let writer =
            ArrowWriter::try_new(Vec::new(), SchemaRef::clone(schema), Some(properties)).map_err(failed)?;
        Ok(ParquetEncoder { schema: SchemaRef::clone(schema), writer: Some(writer) })
    }
}

fn failed(error: parquet::errors::ParquetError) -> QueryError {
    QueryError::plan(format!("cannot write the answer as parquet: {error}"))
}

impl Encoder for ParquetEncoder {
    fn begin(&mut self, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let Some(writer) = self.writer.as_mut() else { return Ok(()) };
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(
            SchemaRef::clone(&self.schema),
            batch.columns().to_vec(),
            &options,
        )
        .map_err(|error| QueryError::plan(format!("cannot write the answer as parquet: {error}")))?;
        writer.write(&batch).map_err(failed)?;
        if writer.in_progress_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(failed)?;
        }
        out.append(writer.inner_mut());
        Ok(())
    }

    fn end(&mut self, _stats: &AnswerStats, out: &mut Vec<u8>) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            out.append(&mut writer.into_inner().map_err(failed)?);
        }
        Ok(())
    }
}
