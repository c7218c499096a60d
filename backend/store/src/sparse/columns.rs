//! Rows of the three tables to Arrow columns and back, bit for bit.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Builder, Float64Array, Float64Builder, Int8Array, Int32Array,
    Int32Builder, Int64Builder, ListArray, ListBuilder, MapArray, RecordBatch, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType};
use model::{BucketSpan, Buckets, Labels, LabelsBuilder, NativeHistogram, ResetHint};

use super::{ExemplarRow, HistogramRow, SparseRow, StartRow};
use crate::error::{Error, Result};
use crate::head::metric_rows::with_day_column;
use crate::head::metrics::DAY_MS;
use crate::tables::{Table, list_field, map_builder};

/// Labels that tell of a trace, in the order they are looked for.
const TRACE_LABELS: [&str; 2] = ["trace_id", "traceID"];

/// Rows of one series with its names.
#[derive(Debug)]
pub(crate) struct Line<'a, R> {
    pub(crate) tsid: i64,
    pub(crate) labels: &'a Labels,
    pub(crate) rows: &'a [R],
}

/// The lines as a batch of the table, with the column `day` where wanted.
pub(crate) fn record_batch<R: SparseRow>(lines: &[Line<'_, R>], with_day: bool) -> Result<RecordBatch> {
    let (mut day, mut metric, mut tsid) = (Date32Builder::new(), StringBuilder::new(), Int64Builder::new());
    let (mut job, mut instance) = (StringBuilder::new(), StringBuilder::new());
    let mut rows: Vec<&R> = Vec::new();
    for line in lines {
        let (name, job_label, instance_label) =
            (line.labels.name(), line.labels.get("job"), line.labels.get("instance"));
        for row in line.rows {
            if with_day {
                day.append_value(row.timestamp_ms().div_euclid(DAY_MS) as i32);
            }
            metric.append_value(name);
            tsid.append_value(line.tsid);
            job.append_option(job_label);
            instance.append_option(instance_label);
            rows.push(row);
        }
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(metric.finish()),
        Arc::new(tsid.finish()),
        times(rows.iter().map(|row| Some(row.timestamp_ms()))),
    ];
    columns.append(&mut R::encode(&rows)?);
    if R::TABLE.file_schema().index_of("job").is_ok() {
        columns.push(Arc::new(job.finish()));
        columns.push(Arc::new(instance.finish()));
    }
    with_day_column(R::TABLE, with_day.then_some(day), &mut columns)
}

/// Times in milliseconds as a column.
pub(super) fn times(ms: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let us: TimestampMicrosecondArray = ms.map(|ms| ms.map(|ms| ms.saturating_mul(1_000))).collect();
    Arc::new(us.with_timezone("UTC"))
}

pub(super) fn histogram_columns(rows: &[&HistogramRow]) -> Vec<ArrayRef> {
    let number = |get: fn(&NativeHistogram) -> f64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| get(&row.histogram)).collect::<Float64Array>())
    };
    let floats = |get: fn(&NativeHistogram) -> &[f64]| -> ArrayRef {
        let mut list = ListBuilder::new(Float64Builder::new()).with_field(list_field(DataType::Float64));
        for row in rows {
            list.values().append_slice(get(&row.histogram));
            list.append(true);
        }
        Arc::new(list.finish())
    };
    let spans = |side: fn(&NativeHistogram) -> &Buckets, get: fn(&BucketSpan) -> i32| -> ArrayRef {
        let mut list = ListBuilder::new(Int32Builder::new()).with_field(list_field(DataType::Int32));
        for row in rows {
            side(&row.histogram).spans.iter().for_each(|span| list.values().append_value(get(span)));
            list.append(true);
        }
        Arc::new(list.finish())
    };
    let offset: fn(&BucketSpan) -> i32 = |span| span.offset;
    let length: fn(&BucketSpan) -> i32 = |span| span.length.cast_signed();
    vec![
        times(rows.iter().map(|row| Some(row.start_ms).filter(|start_ms| *start_ms != 0))),
        Arc::new(rows.iter().map(|row| row.histogram.reset_hint.number()).collect::<Int8Array>()),
        Arc::new(rows.iter().map(|row| row.histogram.schema).collect::<Int32Array>()),
        number(|histogram| histogram.zero_threshold),
        number(|histogram| histogram.zero_count),
        number(|histogram| histogram.count),
        number(|histogram| histogram.sum),
        spans(|histogram| &histogram.positive, offset),
        spans(|histogram| &histogram.positive, length),
        floats(|histogram| &histogram.positive.counts),
        spans(|histogram| &histogram.negative, offset),
        spans(|histogram| &histogram.negative, length),
        floats(|histogram| &histogram.negative.counts),
        floats(|histogram| &histogram.custom_bounds),
    ]
}

pub(super) fn exemplar_columns(rows: &[&ExemplarRow]) -> Result<Vec<ArrayRef>> {
    let (mut labels, mut trace) = (map_builder(), StringBuilder::new());
    for row in rows {
        for (name, value) in row.labels.iter() {
            labels.keys().append_value(name);
            labels.values().append_value(value);
        }
        labels.append(true)?;
        trace.append_option(TRACE_LABELS.iter().find_map(|name| row.labels.get(name)));
    }
    Ok(vec![
        Arc::new(rows.iter().map(|row| row.value).collect::<Float64Array>()),
        Arc::new(labels.finish()),
        Arc::new(trace.finish()),
    ])
}

/// The columns of a batch in the types of the table.
struct Columns<'a> {
    table: Table,
    batch: &'a RecordBatch,
}

impl Columns<'_> {
    fn get(&self, name: &str) -> Result<ArrayRef> {
        let misfit = |reason: String| Error::Schema { table: self.table.name(), reason };
        let column = self.batch.column_by_name(name);
        let column = column.ok_or_else(|| misfit(format!("rows have no column `{name}`")))?;
        let schema = self.table.file_schema();
        let wanted = schema.field_with_name(name).map_err(|error| misfit(error.to_string()))?.data_type();
        if column.data_type() == wanted {
            return Ok(Arc::clone(column));
        }
        cast(column, wanted).map_err(|error| misfit(format!("column `{name}`: {error}")))
    }

    /// Milliseconds; 0 for null.
    fn times(&self, name: &str) -> Result<Vec<i64>> {
        let column = self.get(name)?;
        let times = column.as_primitive::<TimestampMicrosecondType>();
        Ok(times.iter().map(|us| us.map_or(0, |us| us.div_euclid(1_000))).collect())
    }

    fn numbers(&self, name: &str) -> Result<Float64Array> {
        Ok(self.get(name)?.as_primitive::<Float64Type>().clone())
    }

    fn list(&self, name: &str) -> Result<ListArray> {
        Ok(self.get(name)?.as_list::<i32>().clone())
    }

    fn buckets(&self, offsets: &str, lengths: &str, counts: &str) -> Result<Vec<Buckets>> {
        let (offsets, lengths, counts) = (self.list(offsets)?, self.list(lengths)?, self.list(counts)?);
        let side = |row: usize| {
            let spans = integers(&offsets, row).into_iter().zip(integers(&lengths, row));
            let span = |(offset, length): (i32, i32)| BucketSpan { offset, length: length.cast_unsigned() };
            Buckets { spans: spans.map(span).collect(), counts: floats(&counts, row) }
        };
        Ok((0..self.batch.num_rows()).map(side).collect())
    }
}

fn integers(list: &ListArray, row: usize) -> Vec<i32> {
    if list.is_null(row) { Vec::new() } else { list.value(row).as_primitive::<Int32Type>().values().to_vec() }
}

fn floats(list: &ListArray, row: usize) -> Vec<f64> {
    if list.is_null(row) {
        Vec::new()
    } else {
        list.value(row).as_primitive::<Float64Type>().values().to_vec()
    }
}

pub(super) fn histograms(batch: &RecordBatch) -> Result<Vec<HistogramRow>> {
    let columns = Columns { table: Table::Histograms, batch };
    let (times, starts) = (columns.times("ts")?, columns.times("start_ts")?);
    let (hints, schemas) = (columns.get("reset_hint")?, columns.get("schema")?);
    let (hints, schemas) = (hints.as_primitive::<Int8Type>(), schemas.as_primitive::<Int32Type>());
    let zero_threshold = columns.numbers("zero_threshold")?;
    let (zero_count, count, sum) =
        (columns.numbers("zero_count")?, columns.numbers("count")?, columns.numbers("sum")?);
    let positive = columns.buckets("positive_offsets", "positive_lengths", "positive_counts")?;
    let negative = columns.buckets("negative_offsets", "negative_lengths", "negative_counts")?;
    let bounds = columns.list("custom_bounds")?;
    let rows = positive.into_iter().zip(negative).enumerate().map(|(row, (positive, negative))| {
        let histogram = NativeHistogram {
            reset_hint: ResetHint::from_number(hints.value(row)),
            schema: schemas.value(row),
            zero_threshold: zero_threshold.value(row),
            zero_count: zero_count.value(row),
            count: count.value(row),
            sum: sum.value(row),
            positive,
            negative,
            custom_bounds: floats(&bounds, row),
        };
        HistogramRow { timestamp_ms: times[row], start_ms: starts[row], histogram: Arc::new(histogram) }
    });
    Ok(rows.collect())
}

pub(super) fn starts(batch: &RecordBatch) -> Result<Vec<StartRow>> {
    let columns = Columns { table: Table::StartTimes, batch };
    let rows = columns.times("ts")?.into_iter().zip(columns.times("start_ts")?);
    Ok(rows.map(|(timestamp_ms, start_ms)| StartRow { timestamp_ms, start_ms }).collect())
}

pub(super) fn exemplars(batch: &RecordBatch) -> Result<Vec<ExemplarRow>> {
    let columns = Columns { table: Table::Exemplars, batch };
    let (times, values, labels) = (columns.times("ts")?, columns.numbers("value")?, columns.get("labels")?);
    let maps = labels.as_map();
    let row = |row: usize| ExemplarRow {
        timestamp_ms: times[row],
        value: values.value(row),
        labels: labels_of(maps, row),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

fn labels_of(maps: &MapArray, row: usize) -> Labels {
    let mut builder = LabelsBuilder::default();
    if maps.is_valid(row) {
        let entries = maps.value(row);
        let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        for (name, value) in names.iter().flatten().zip(values) {
            builder.set(name, value.unwrap_or_default());
        }
    }
    builder.build()
}

/// The series of every row.
pub(crate) fn tsids(table: Table, batch: &RecordBatch) -> Result<Vec<i64>> {
    Ok(Columns { table, batch }.get("tsid")?.as_primitive::<Int64Type>().values().to_vec())
}
