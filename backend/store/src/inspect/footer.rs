//! Describes the footer of a Parquet file: row groups, columns, encodings, bounds as text.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use serde::Serialize;

use super::resolve_key;
use crate::error::{Error, Result};
use crate::parquet_file::Footers;
use crate::paths::{day_name, day_of_us};

/// Longest bound shown, in characters.
const BOUND_CHARS: usize = 120;

/// A Parquet file as its footer tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParquetDescription {
    /// Key relative to the store's prefix.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub rows: i64,
    /// Who wrote it.
    pub created_by: Option<String>,
    /// Its row groups.
    pub row_groups: Vec<RowGroup>,
    /// Its columns over all row groups.
    pub columns: Vec<ColumnSize>,
    /// Key-value metadata, without the Arrow schema.
    pub metadata: BTreeMap<String, String>,
}

/// One row group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowGroup {
    /// Number of rows.
    pub rows: i64,
    /// Bytes on the store.
    pub bytes: i64,
    /// Its columns.
    pub columns: Vec<ColumnChunk>,
}

/// One column of one row group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnChunk {
    /// Path of the column, parts joined by dots.
    pub name: String,
    /// Logical type, or the physical one.
    #[serde(rename = "type")]
    pub kind: String,
    /// Encodings used.
    pub encodings: Vec<String>,
    /// Compression.
    pub compression: String,
    /// Bytes on the store.
    pub compressed_bytes: i64,
    /// Bytes after decompression.
    pub uncompressed_bytes: i64,
    /// Least value as text.
    pub min: Option<String>,
    /// Greatest value as text.
    pub max: Option<String>,
    /// Number of nulls.
    pub nulls: Option<u64>,
}

/// One column of the whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnSize {
    /// Path of the column, parts joined by dots.
    pub name: String,
    /// Bytes on the store.
    pub compressed_bytes: i64,
    /// Bytes after decompression.
    pub uncompressed_bytes: i64,
}

impl ParquetDescription {
    /// Describes the file at `key`, relative to the store's prefix.
    pub async fn read(
        objects: &Arc<dyn ObjectStore>,
        prefix: &Path,
        key: &str,
    ) -> Result<ParquetDescription> {
        let path = resolve_key(prefix, key)?;
        let head = objects.head(&path).await;
        let size = head.map_err(|source| Error::object("read", &path, source))?.size;
        let footer = Footers::default().read(objects, &path, size).await?;
        Ok(describe(key, size, footer.metadata()))
    }
}

fn describe(key: &str, size: u64, footer: &ParquetMetaData) -> ParquetDescription {
    let file = footer.file_metadata();
    let pairs = file.key_value_metadata().into_iter().flatten();
    let metadata = pairs
        .filter(|pair| pair.key != parquet::arrow::ARROW_SCHEMA_META_KEY)
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect();
    ParquetDescription {
        key: key.to_owned(),
        size,
        rows: file.num_rows(),
        created_by: file.created_by().map(str::to_owned),
        row_groups: footer.row_groups().iter().map(row_group).collect(),
        columns: column_sizes(footer.row_groups()),
        metadata,
    }
}

fn row_group(group: &RowGroupMetaData) -> RowGroup {
    RowGroup {
        rows: group.num_rows(),
        bytes: group.compressed_size(),
        columns: group.columns().iter().map(column_chunk).collect(),
    }
}

pub(crate) fn column_sizes(groups: &[RowGroupMetaData]) -> Vec<ColumnSize> {
    let mut sizes: Vec<ColumnSize> = Vec::new();
    for column in groups.iter().flat_map(RowGroupMetaData::columns) {
        let name = column.column_path().string();
        let at = sizes.iter().position(|size| size.name == name).unwrap_or_else(|| {
            sizes.push(ColumnSize { name, compressed_bytes: 0, uncompressed_bytes: 0 });
            sizes.len() - 1
        });
        sizes[at].compressed_bytes += column.compressed_size();
        sizes[at].uncompressed_bytes += column.uncompressed_size();
    }
    sizes
}

fn column_chunk(column: &ColumnChunkMetaData) -> ColumnChunk {
    let descriptor = column.column_descr();
    let (min, max) = column.statistics().map_or((None, None), |found| bounds(descriptor, found));
    ColumnChunk {
        name: column.column_path().string(),
        kind: kind(descriptor),
        encodings: column.encodings().map(|encoding| encoding.to_string()).collect(),
        compression: column.compression().to_string(),
        compressed_bytes: column.compressed_size(),
        uncompressed_bytes: column.uncompressed_size(),
        min,
        max,
        nulls: column.statistics().and_then(Statistics::null_count_opt),
    }
}

fn kind(column: &ColumnDescriptor) -> String {
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::String), _) | (None, ConvertedType::UTF8) => "STRING".to_owned(),
        (Some(LogicalType::Timestamp { .. }), _) => "TIMESTAMP".to_owned(),
        (Some(LogicalType::Date), _) => "DATE".to_owned(),
        (_, ConvertedType::NONE) => column.physical_type().to_string(),
        (_, converted) => converted.to_string(),
    }
}

fn bounds(column: &ColumnDescriptor, found: &Statistics) -> (Option<String>, Option<String>) {
    let kind = kind(column);
    let render = |bytes: Option<&[u8]>| bytes.and_then(|bytes| render(column.physical_type(), &kind, bytes));
    (render(found.min_bytes_opt()), render(found.max_bytes_opt()))
}

/// A value as Parquet stores it in statistics: little-endian numbers, plain bytes.
fn render(physical: Type, kind: &str, bytes: &[u8]) -> Option<String> {
    Some(match physical {
        Type::BOOLEAN => (*bytes.first()? != 0).to_string(),
        Type::INT32 => {
            let number = i32::from_le_bytes(bytes.try_into().ok()?);
            if kind == "DATE" { day_name(number) } else { number.to_string() }
        }
        Type::INT64 => {
            let number = i64::from_le_bytes(bytes.try_into().ok()?);
            if kind == "TIMESTAMP" { iso_us(number) } else { number.to_string() }
        }
        Type::FLOAT => f32::from_le_bytes(bytes.try_into().ok()?).to_string(),
        Type::DOUBLE => f64::from_le_bytes(bytes.try_into().ok()?).to_string(),
        _ => String::from_utf8_lossy(bytes).chars().take(BOUND_CHARS).collect(),
    })
}

fn iso_us(us: i64) -> String {
    let second = us.div_euclid(1_000_000).rem_euclid(86_400);
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    let day = day_name(day_of_us(us));
    format!("{day}T{hours:02}:{minutes:02}:{seconds:02}.{:06}Z", us.rem_euclid(1_000_000))
}
