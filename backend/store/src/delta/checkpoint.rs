//! Checkpoints: a table's state as one Parquet file, in the classic single-file form (Delta protocol,
//! "Checkpoints", V1 spec). Pure functions from actions to bytes and back.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::SchemaDescriptor;

use super::actions::{Line, decode};

/// Actions a batch.
const BATCH_ROWS: usize = 4_096;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    use DataType::{Boolean, Int32, Int64, Utf8};
    let list = DataType::List(Arc::new(may("element", Utf8)));
    let format = fields([may("provider", Utf8), may("options", map())]);
    Arc::new(Schema::new(vec![
        may("txn", fields([may("appId", Utf8), may("version", Int64), may("lastUpdated", Int64)])),
        may(
            "add",
            fields([
                may("path", Utf8),
                may("partitionValues", map()),
                may("size", Int64),
                may("modificationTime", Int64),
                may("dataChange", Boolean),
                may("tags", map()),
                may("stats", Utf8),
            ]),
        ),
        may(
            "remove",
            fields([
                may("path", Utf8),
                may("deletionTimestamp", Int64),
                may("dataChange", Boolean),
                may("extendedFileMetadata", Boolean),
                may("partitionValues", map()),
                may("size", Int64),
            ]),
        ),
        may(
            "metaData",
            fields([
                may("id", Utf8),
                may("name", Utf8),
                may("description", Utf8),
                may("format", format),
                may("schemaString", Utf8),
                may("partitionColumns", list),
                may("configuration", map()),
                may("createdTime", Int64),
            ]),
        ),
        may("protocol", fields([may("minReaderVersion", Int32), may("minWriterVersion", Int32)])),
    ]))
});

fn may(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn fields<const N: usize>(fields: [Field; N]) -> DataType {
    DataType::Struct(Fields::from(fields.to_vec()))
}

fn map() -> DataType {
    crate::tables::map_type()
}

/// The checkpoint file of these actions.
pub(crate) fn encode(lines: &[Line]) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&SCHEMA), Some(properties))?;
    let mut decoder = ReaderBuilder::new(Arc::clone(&SCHEMA)).with_batch_size(BATCH_ROWS).build_decoder()?;
    for chunk in lines.chunks(BATCH_ROWS) {
        decoder.serialize(chunk)?;
        if let Some(batch) = decoder.flush()? {
            writer.write(&batch)?;
        }
    }
    writer.into_inner()
}

/// The actions in a checkpoint file, also one of another writer.
pub(crate) fn read(bytes: Bytes) -> Result<Vec<Line>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let mask = ProjectionMask::leaves(builder.parquet_schema(), known_leaves(builder.parquet_schema()));
    let mut lines = Vec::new();
    for batch in builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()? {
        lines.extend(batch_lines(&batch?)?);
    }
    Ok(lines)
}

/// Columns of the actions this program knows; statistics in columnar form repeat what the JSON says.
fn known_leaves(schema: &SchemaDescriptor) -> Vec<usize> {
    let known = |leaf: usize| {
        let column = schema.column(leaf);
        let parts = column.path().parts();
        let parsed = parts.get(1).is_some_and(|part| part.ends_with("_parsed"));
        SCHEMA.field_with_name(&parts[0]).is_ok() && !parsed
    };
    (0..schema.num_columns()).filter(|&leaf| known(leaf)).collect()
}

fn batch_lines(batch: &RecordBatch) -> Result<Vec<Line>, ParquetError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    decode(&writer.into_inner()).map_err(|error| ParquetError::External(Box::new(error)))
}

#[cfg(test)]
mod tests;
