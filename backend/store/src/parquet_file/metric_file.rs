//! Files of `metrics`: sorted samples to row groups, column by column, each in the encoding that suits what it
//! holds. Row groups end where a metric ends, if that costs no more than half of a group.

use std::io::Write;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Float64Type, Int64Type, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::Encoding;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::properties::{WriteProfile, id_properties, time_properties, writer_properties};
use super::values::{self, Starts};
use crate::tables::Table;

/// How times may be coded. Deltas win where many targets have even times, plain times where those of few targets
/// come again with every series. Splitting them into byte streams would be better still between the two; DuckDB
/// (1.5) does not read that for integers.
const TIME_ENCODINGS: [Encoding; 2] = [Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED];

/// What a row that is not encoded yet is taken to add to the file.
const PENDING_ROW_BYTES: usize = 2;

/// Place of `ts` among the columns.
const TIME_COLUMN: usize = 2;

/// A file in the making; rows come in the table's order.
pub(super) struct MetricFile<W: Write + Send> {
    schema: SchemaRef,
    profile: WriteProfile,
    file: SerializedFileWriter<W>,
    columns: ArrowRowGroupWriterFactory,
    /// Of `metric` and `tsid`.
    ids: ArrowRowGroupWriterFactory,
    times: Times,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    groups: usize,
}

impl<W: Write + Send> MetricFile<W> {
    pub(super) fn new(profile: WriteProfile, sink: W) -> Result<MetricFile<W>> {
        let schema = Table::Metrics.file_schema();
        let properties = writer_properties(Table::Metrics, profile)?;
        let writer = ArrowWriter::try_new(sink, SchemaRef::clone(&schema), Some(properties))?;
        let (file, columns) = writer.into_serialized_writer()?;
        let ids = factory(&schema, id_properties(profile)?)?;
        let times = Times::new(&schema, profile)?;
        Ok(MetricFile {
            schema,
            profile,
            file,
            columns,
            ids,
            times,
            pending: Vec::new(),
            pending_rows: 0,
            groups: 0,
        })
    }

    /// Takes rows in; writes a row group whenever there are enough.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let group_rows = self.profile.group_rows(Table::Metrics);
        let mut offset = 0;
        while offset < batch.num_rows() {
            let count = (group_rows - self.pending_rows).min(batch.num_rows() - offset);
            self.pending.push(batch.slice(offset, count));
            self.pending_rows += count;
            offset += count;
            if self.pending_rows == group_rows {
                self.write_full_group()?;
            }
        }
        Ok(())
    }

    /// Bytes so far, about.
    pub(super) fn bytes(&self) -> u64 {
        (self.file.bytes_written() + self.pending_rows * PENDING_ROW_BYTES) as u64
    }

    /// Writes what is left and gives back the sink.
    pub(super) fn finish(mut self) -> Result<W> {
        if let Some(first) = self.pending.first().filter(|_| self.pending_rows > 0) {
            let rows = concat_batches(&first.schema(), &self.pending)?;
            let (metrics, series) = starts(&rows);
            self.write_group(&rows, Starts { metrics: &metrics, series: &series })?;
        }
        self.file.into_inner()
    }

    fn write_full_group(&mut self) -> Result<()> {
        let Some(first) = self.pending.first() else { return Ok(()) };
        let rows = concat_batches(&first.schema(), &self.pending)?;
        let (mut metrics, mut series) = starts(&rows);
        let end = metrics.pop_if(|start| *start > rows.num_rows() / 2).unwrap_or(rows.num_rows());
        series.retain(|start| *start < end);
        self.write_group(&rows.slice(0, end), Starts { metrics: &metrics, series: &series })?;
        self.pending = vec![rows.slice(end, rows.num_rows() - end)];
        self.pending_rows = rows.num_rows() - end;
        Ok(())
    }

    fn write_group(&mut self, rows: &RecordBatch, starts: Starts<'_>) -> Result<()> {
        let effort = self.profile.value_effort();
        // No column is nested: a column's place is that of its leaf.
        let descriptors = self.file.schema_descr().columns().to_vec();
        let writers = self.columns.create_column_writers(self.groups)?;
        let ids = self.ids.create_column_writers(self.groups)?;
        let mut writers = writers.into_iter().zip(ids);
        let mut group = self.file.next_row_group()?;
        for ((field, column), descriptor) in self.schema.fields().iter().zip(rows.columns()).zip(descriptors)
        {
            let (writer, of_ids) = writers.next().ok_or_else(|| missing(field.name()))?;
            match field.name().as_str() {
                "metric" | "tsid" => encoded(of_ids, field, column)?.append_to_row_group(&mut group)?,
                "ts" => self.times.smallest(self.groups, field, column)?.append_to_row_group(&mut group)?,
                "value" => {
                    let values = column.as_primitive::<Float64Type>().values();
                    values::append(&mut group, descriptor, values, starts, effort)?;
                }
                _ => encoded(writer, field, column)?.append_to_row_group(&mut group)?,
            }
        }
        group.close()?;
        self.groups += 1;
        Ok(())
    }
}

/// Writers of columns with these properties.
fn factory(schema: &SchemaRef, properties: WriterProperties) -> Result<ArrowRowGroupWriterFactory> {
    let unused = ArrowWriter::try_new(std::io::sink(), SchemaRef::clone(schema), Some(properties))?;
    unused.into_serialized_writer().map(|(_, factory)| factory)
}

/// Writers of the column of times, one for each encoding.
struct Times(Vec<ArrowRowGroupWriterFactory>);

impl Times {
    fn new(schema: &SchemaRef, profile: WriteProfile) -> Result<Times> {
        let factory = |encoding: &Encoding| factory(schema, time_properties(profile, *encoding)?);
        TIME_ENCODINGS.iter().map(factory).collect::<Result<_>>().map(Times)
    }

    /// `column` in the encoding that takes the fewest bytes.
    fn smallest(&self, group: usize, field: &Field, column: &ArrayRef) -> Result<ArrowColumnChunk> {
        let mut best: Option<ArrowColumnChunk> = None;
        for factory in &self.0 {
            let mut writers = factory.create_column_writers(group)?;
            let writer = writers.swap_remove(TIME_COLUMN);
            let chunk = encoded(writer, field, column)?;
            let size = |chunk: &ArrowColumnChunk| chunk.close().bytes_written;
            if best.as_ref().is_none_or(|best| size(&chunk) < size(best)) {
                best = Some(chunk);
            }
        }
        best.ok_or_else(|| missing(field.name()))
    }
}

fn encoded(mut writer: ArrowColumnWriter, field: &Field, column: &ArrayRef) -> Result<ArrowColumnChunk> {
    for leaf in compute_leaves(field, column)? {
        writer.write(&leaf)?;
    }
    writer.close()
}

/// Rows at which a metric and rows at which a series begins, 0 among both. Names are texts, or places in a
/// dictionary.
fn starts(rows: &RecordBatch) -> (Vec<usize>, Vec<usize>) {
    let (Some(metrics), Some(ids)) = (rows.column_by_name("metric"), rows.column_by_name("tsid")) else {
        return (vec![0], vec![0]);
    };
    let ids = ids.as_primitive::<Int64Type>().values();
    if let Some(dictionary) = metrics.as_any_dictionary_opt() {
        let (keys, names) = (dictionary.normalized_keys(), dictionary.values());
        let Some(names) = names.as_string_opt::<i32>() else { return (vec![0], vec![0]) };
        return changes(ids, |a, b| keys[a] == keys[b] || names.value(keys[a]) == names.value(keys[b]));
    }
    let Some(names) = metrics.as_string_opt::<i32>() else { return (vec![0], vec![0]) };
    changes(ids, |a, b| names.value(a) == names.value(b))
}

/// Rows whose name, and rows whose name or id, is not that of the row before.
fn changes(ids: &[i64], same_name: impl Fn(usize, usize) -> bool) -> (Vec<usize>, Vec<usize>) {
    let renamed = |&i: &usize| i == 0 || !same_name(i - 1, i);
    let series: Vec<usize> =
        (0..ids.len()).filter(|i| *i == 0 || ids[i - 1] != ids[*i] || renamed(i)).collect();
    (series.iter().copied().filter(renamed).collect(), series)
}

fn missing(column: &str) -> ParquetError {
    ParquetError::General(format!("no writer for column `{column}`"))
}
