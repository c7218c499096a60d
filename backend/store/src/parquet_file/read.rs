//! Files back to rows: chosen columns of the rows that may match, row group by row group.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, Scalar, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use futures::stream::{BoxStream, StreamExt};
use object_store::ObjectStore;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter,
};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::footer::Footers;
use super::range_reader::RangeReader;
use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::tables::Table;

/// Which rows and columns to read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Columns by name, given back in the order of the file; `None` for all.
    pub columns: Option<Vec<String>>,
    /// Only rows with this metric, service or probe (the table's first sort column). Exact.
    pub key: Option<String>,
    /// Only rows with these ids (`tsid` or `stream_id`). Exact, in tables that have one.
    pub ids: Option<Arc<HashSet<i64>>>,
    /// Earliest time, inclusive, microseconds since the Unix epoch. Prunes row groups; rows outside may come.
    pub start_us: Option<i64>,
    /// Latest time, inclusive, likewise.
    pub end_us: Option<i64>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// Only these row groups, by number; `None` for all.
    pub row_groups: Option<Vec<usize>>,
    /// Rows a batch; `None` for 8,192.
    pub batch_rows: Option<usize>,
    /// All columns with the Arrow types to read them as, where these are not [`Table::file_schema`]'s.
    pub schema: Option<SchemaRef>,
}

/// Streams rows of `file`, in the order of the file, with the columns of [`Table::file_schema`] (no `day`).
pub async fn read_batches(
    objects: &Arc<dyn ObjectStore>,
    footers: &Footers,
    file: &DataFile,
    options: &ReadOptions,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let footer = footers.read(objects, &file.key, file.size).await?;
    let groups = kept_groups(file.table, footer.metadata().row_groups(), options);
    if groups.is_empty() {
        return Ok(futures::stream::empty().boxed());
    }
    let footer = match &options.schema {
        Some(schema) => read_as(footer, schema).map_err(|error| Error::parquet(&file.key, error))?,
        None => footer,
    };
    let reader = RangeReader { objects: Arc::clone(objects), key: file.key.clone(), size: file.size };
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer)
        .with_row_groups(groups)
        .with_batch_size(options.batch_rows.unwrap_or(8_192).max(1));
    if let Some(names) = &options.columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().map(String::as_str));
        builder = builder.with_projection(mask);
    }
    let mut predicates: Vec<Box<dyn ArrowPredicate>> = Vec::new();
    if let Some(key) = &options.key {
        let mask = ProjectionMask::columns(builder.parquet_schema(), [file.table.key_column()]);
        predicates.push(Box::new(key_equals(mask, key)));
    }
    if let (Some(ids), Some(column)) = (&options.ids, file.table.id_column()) {
        let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
        predicates.push(Box::new(id_among(mask, ids)));
    }
    if !predicates.is_empty() {
        builder = builder.with_row_filter(RowFilter::new(predicates));
    }
    if let Some(limit) = options.limit {
        builder = builder.with_limit(limit);
    }
    let key = file.key.clone();
    let stream = builder.build().map_err(|error| Error::parquet(&key, error))?;
    // A decoder may panic on damaged pages.
    let stream = AssertUnwindSafe(stream).catch_unwind();
    Ok(stream
        .map(move |decoded| {
            let batch = decoded.map_err(|_| Error::corrupt(&key, "it cannot be decoded"))?;
            batch.map_err(|error| Error::parquet(&key, error))
        })
        .boxed())
}

fn read_as(
    footer: ArrowReaderMetadata,
    schema: &SchemaRef,
) -> Result<ArrowReaderMetadata, parquet::errors::ParquetError> {
    let options = ArrowReaderOptions::new().with_schema(Arc::clone(schema));
    ArrowReaderMetadata::try_new(Arc::clone(footer.metadata()), options)
}

fn key_equals(
    mask: ProjectionMask,
    key: &str,
) -> ArrowPredicateFn<impl FnMut(RecordBatch) -> Result<BooleanArray, arrow::error::ArrowError> + use<>> {
    let key = Scalar::new(StringArray::from(vec![key.to_owned()]));
    ArrowPredicateFn::new(mask, move |batch| eq(batch.column(0).as_string::<i32>(), &key))
}

fn id_among(
    mask: ProjectionMask,
    ids: &Arc<HashSet<i64>>,
) -> ArrowPredicateFn<impl FnMut(RecordBatch) -> Result<BooleanArray, arrow::error::ArrowError> + use<>> {
    let ids = Arc::clone(ids);
    ArrowPredicateFn::new(mask, move |batch| {
        let column = cast(batch.column(0), &DataType::Int64)?;
        let column = column.as_primitive::<Int64Type>();
        Ok(column.iter().map(|id| Some(id.is_some_and(|id| ids.contains(&id)))).collect())
    })
}

/// Row groups whose statistics do not exclude a match.
fn kept_groups(table: Table, groups: &[RowGroupMetaData], options: &ReadOptions) -> Vec<usize> {
    let (first, last) = table.time_span_columns();
    let keep = |group: &RowGroupMetaData| {
        let key = options.key.as_deref().is_none_or(|key| may_hold_text(group, table.key_column(), key));
        let id = options.ids.as_ref().zip(table.id_column()).is_none_or(|(ids, column)| {
            long_bounds(group, column).is_none_or(|(min, max)| ids.iter().any(|id| min <= *id && *id <= max))
        });
        let end = options.end_us.zip(long_bounds(group, first)).is_none_or(|(end, (min, _))| min <= end);
        let start =
            options.start_us.zip(long_bounds(group, last)).is_none_or(|(start, (_, max))| start <= max);
        key && id && start && end
    };
    let asked = |i: &usize| options.row_groups.as_ref().is_none_or(|wanted| wanted.contains(i));
    (0..groups.len()).filter(asked).filter(|&i| keep(&groups[i])).collect()
}

fn statistics<'a>(group: &'a RowGroupMetaData, name: &str) -> Option<&'a Statistics> {
    group.columns().iter().find(|column| column.column_path().string() == name)?.statistics()
}

fn long_bounds(group: &RowGroupMetaData, name: &str) -> Option<(i64, i64)> {
    let Some(Statistics::Int64(bounds)) = statistics(group, name) else { return None };
    bounds.min_opt().copied().zip(bounds.max_opt().copied())
}

fn may_hold_text(group: &RowGroupMetaData, name: &str, text: &str) -> bool {
    let Some(Statistics::ByteArray(bounds)) = statistics(group, name) else { return true };
    bounds.min_opt().is_none_or(|min| min.data() <= text.as_bytes())
        && bounds.max_opt().is_none_or(|max| text.as_bytes() <= max.data())
}
