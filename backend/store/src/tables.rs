//! The tables: names, columns, sort orders. This is the public format; `README.md` of this crate tells
//! it to users. Knows Arrow types and Delta's way of writing them down, and no files.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{MapBuilder, MapFieldNames, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Name of the partition column; it stands in the path of a file, not in the file.
pub const DAY_COLUMN: &str = "day";

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// One row a sample.
    Metrics,
    /// One row a series and day: the labels behind `metrics.tsid`.
    Series,
    /// One row a log entry.
    Logs,
    /// One row a log stream and day: the labels behind `logs.stream_id`.
    LogStreams,
    /// One row a probe result.
    Probes,
    /// One row a native histogram.
    Histograms,
    /// One row a float sample of which is known when counting began.
    StartTimes,
    /// One row an exemplar.
    Exemplars,
}

impl Table {
    /// All tables, in the order of their discriminants.
    pub const ALL: [Table; 8] = [
        Table::Metrics,
        Table::Series,
        Table::Logs,
        Table::LogStreams,
        Table::Probes,
        Table::Histograms,
        Table::StartTimes,
        Table::Exemplars,
    ];

    /// Tables whose rows come in; those of the others follow from them.
    pub(crate) const WITH_ROWS: [Table; 6] =
        [Table::Metrics, Table::Logs, Table::Probes, Table::Histograms, Table::StartTimes, Table::Exemplars];

    /// Tables whose rows belong to series.
    pub(crate) const OF_SERIES: [Table; 4] =
        [Table::Metrics, Table::Histograms, Table::StartTimes, Table::Exemplars];

    /// Name in SQL and first part of the path under the store's prefix.
    pub fn name(self) -> &'static str {
        match self {
            Table::Metrics => "metrics",
            Table::Series => "series",
            Table::Logs => "logs",
            Table::LogStreams => "log_streams",
            Table::Probes => "probes",
            Table::Histograms => "histograms",
            Table::StartTimes => "start_times",
            Table::Exemplars => "exemplars",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Columns of a data file, without `day`.
    pub fn file_schema(self) -> SchemaRef {
        Arc::clone(&SCHEMAS[self as usize].file)
    }

    /// Columns as SQL shows them: `day` (Date32) first, then those of the file.
    pub fn sql_schema(self) -> SchemaRef {
        Arc::clone(&SCHEMAS[self as usize].sql)
    }

    /// Columns by which the rows of a file are sorted, ascending, nulls never among them.
    pub fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Table::Metrics | Table::Histograms | Table::StartTimes | Table::Exemplars => {
                &["metric", "tsid", "ts"]
            }
            Table::Series => &["metric", "tsid"],
            Table::Logs => &["service", "stream_id", "ts", "ts_ns"],
            Table::LogStreams => &["service", "stream_id"],
            Table::Probes => &["probe", "location", "ts"],
        }
    }

    /// The string column files are pruned by: the first sort column.
    pub fn key_column(self) -> &'static str {
        self.sort_columns()[0]
    }

    /// The 64-bit id of a series or stream, in the tables that have one.
    pub fn id_column(self) -> Option<&'static str> {
        match self {
            Table::Metrics | Table::Series | Table::Histograms | Table::StartTimes | Table::Exemplars => {
                Some("tsid")
            }
            Table::Logs | Table::LogStreams => Some("stream_id"),
            Table::Probes => None,
        }
    }

    /// The column that says when a row happened; `series` and `log_streams` have a span instead.
    pub fn time_column(self) -> Option<&'static str> {
        match self {
            Table::Series | Table::LogStreams => None,
            _ => Some("ts"),
        }
    }

    /// Columns that hold the earliest and the latest time of a row.
    pub(crate) fn time_span_columns(self) -> (&'static str, &'static str) {
        match self {
            Table::Series | Table::LogStreams => ("first_ts", "last_ts"),
            _ => ("ts", "ts"),
        }
    }

    /// Columns with minimum and maximum in the Delta log.
    pub(crate) fn stats_columns(self) -> &'static [&'static str] {
        match self {
            Table::Metrics | Table::Histograms | Table::StartTimes | Table::Exemplars => {
                &["metric", "tsid", "ts"]
            }
            Table::Series => &["metric", "tsid", "first_ts", "last_ts"],
            Table::Logs => &["service", "stream_id", "severity", "ts"],
            Table::LogStreams => &["service", "stream_id", "first_ts", "last_ts"],
            Table::Probes => &["probe", "location", "ts"],
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Type of every time column: microseconds since the Unix epoch, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Type of the map columns `labels` and `attributes`, with the inner names Parquet and Delta give maps.
pub fn map_type() -> DataType {
    let entry = DataType::Struct(
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into(),
    );
    DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
}

/// The element of a list column, with the name Parquet gives it.
pub(crate) fn list_field(element: DataType) -> Field {
    Field::new("element", element, false)
}

/// A builder whose arrays have [`map_type`].
pub fn map_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

struct Schemas {
    file: SchemaRef,
    sql: SchemaRef,
}

static SCHEMAS: LazyLock<[Schemas; Table::ALL.len()]> = LazyLock::new(|| {
    Table::ALL.map(|table| {
        let file = Schema::new(columns(table));
        let mut with_day = vec![Field::new(DAY_COLUMN, DataType::Date32, false)];
        with_day.extend(columns(table));
        Schemas { file: Arc::new(file), sql: Arc::new(Schema::new(with_day)) }
    })
});

fn columns(table: Table) -> Vec<Field> {
    use DataType::{Boolean, Float64, Int8, Int16, Int32, Int64, Utf8};
    let must = |name: &str, data_type: DataType| Field::new(name, data_type, false);
    let may = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    let list = |element: DataType| DataType::List(Arc::new(list_field(element)));
    match table {
        Table::Metrics => vec![
            must("metric", Utf8),
            must("tsid", Int64),
            must("ts", timestamp_type()),
            must("value", Float64),
            may("job", Utf8),
            may("instance", Utf8),
        ],
        Table::Series => vec![
            must("tsid", Int64),
            must("metric", Utf8),
            must("labels", map_type()),
            must("first_ts", timestamp_type()),
            must("last_ts", timestamp_type()),
        ],
        Table::Logs => vec![
            must("ts", timestamp_type()),
            must("ts_ns", Int16),
            must("service", Utf8),
            must("host", Utf8),
            must("source", Utf8),
            must("severity", Int8),
            must("stream_id", Int64),
            must("body", Utf8),
            must("attributes", map_type()),
            may("trace_id", Utf8),
            may("span_id", Utf8),
        ],
        Table::LogStreams => vec![
            must("stream_id", Int64),
            must("service", Utf8),
            must("labels", map_type()),
            must("first_ts", timestamp_type()),
            must("last_ts", timestamp_type()),
        ],
        Table::Probes => vec![
            must("ts", timestamp_type()),
            must("probe", Utf8),
            must("target", Utf8),
            must("kind", Utf8),
            must("location", Utf8),
            must("success", Boolean),
            may("reason", Utf8),
            must("duration_seconds", Float64),
            may("status_code", Int32),
            may("redirects", Int32),
            may("body_bytes", Int64),
            may("http_version", Utf8),
            may("resolve_seconds", Float64),
            may("connect_seconds", Float64),
            may("tls_seconds", Float64),
            may("first_byte_seconds", Float64),
            may("transfer_seconds", Float64),
            may("ip", Utf8),
            may("tls_version", Utf8),
            may("tls_cipher", Utf8),
            may("cert_not_after", timestamp_type()),
            must("attributes", map_type()),
            must("result_id", Utf8),
        ],
        Table::Histograms => vec![
            must("metric", Utf8),
            must("tsid", Int64),
            must("ts", timestamp_type()),
            may("start_ts", timestamp_type()),
            must("reset_hint", Int8),
            must("schema", Int32),
            must("zero_threshold", Float64),
            must("zero_count", Float64),
            must("count", Float64),
            must("sum", Float64),
            must("positive_offsets", list(Int32)),
            must("positive_lengths", list(Int32)),
            must("positive_counts", list(Float64)),
            must("negative_offsets", list(Int32)),
            must("negative_lengths", list(Int32)),
            must("negative_counts", list(Float64)),
            must("custom_bounds", list(Float64)),
            may("job", Utf8),
            may("instance", Utf8),
        ],
        Table::StartTimes => vec![
            must("metric", Utf8),
            must("tsid", Int64),
            must("ts", timestamp_type()),
            must("start_ts", timestamp_type()),
        ],
        Table::Exemplars => vec![
            must("metric", Utf8),
            must("tsid", Int64),
            must("ts", timestamp_type()),
            must("value", Float64),
            must("labels", map_type()),
            may("trace_id", Utf8),
            may("job", Utf8),
            may("instance", Utf8),
        ],
    }
}

/// The `schemaString` of the table's Delta metadata (Delta protocol, "Schema Serialization Format").
pub(crate) fn delta_schema(table: Table) -> Result<String> {
    let fields = table
        .sql_schema()
        .fields()
        .iter()
        .map(|field| {
            let kind = delta_type(table, field.data_type())?;
            Ok(json!({"name": field.name(), "type": kind, "nullable": field.is_nullable(), "metadata": {}}))
        })
        .collect::<Result<Vec<Value>>>()?;
    Ok(json!({"type": "struct", "fields": fields}).to_string())
}

fn delta_type(table: Table, data_type: &DataType) -> Result<Value> {
    Ok(match data_type {
        DataType::Utf8 => json!("string"),
        DataType::Int64 => json!("long"),
        DataType::Int32 => json!("integer"),
        DataType::Int16 => json!("short"),
        DataType::Int8 => json!("byte"),
        DataType::Float64 => json!("double"),
        DataType::Boolean => json!("boolean"),
        DataType::Date32 => json!("date"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => json!("timestamp"),
        DataType::Map(_, _) => {
            json!({"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": true})
        }
        DataType::List(element) => json!({
            "type": "array",
            "elementType": delta_type(table, element.data_type())?,
            "containsNull": element.is_nullable(),
        }),
        other => {
            let reason = format!("no delta type for `{other}`");
            return Err(Error::Schema { table: table.name(), reason });
        }
    })
}

/// Checks that a table on the store has every column of this program, with the same type. Columns of
/// other programs beside ours are let be.
pub(crate) fn check_delta_schema(table: Table, schema_string: &str) -> Result<()> {
    let misfit = |reason: String| Error::Schema { table: table.name(), reason };
    let theirs: Value = serde_json::from_str(schema_string).map_err(|error| misfit(error.to_string()))?;
    let ours: Value =
        serde_json::from_str(&delta_schema(table)?).map_err(|error| misfit(error.to_string()))?;
    let no_fields = Vec::new();
    let theirs = theirs["fields"].as_array().unwrap_or(&no_fields);
    for column in ours["fields"].as_array().unwrap_or(&no_fields) {
        let Some(found) = theirs.iter().find(|field| field["name"] == column["name"]) else {
            return Err(misfit(format!("column `{}` is missing", column["name"].as_str().unwrap_or(""))));
        };
        if found["type"] != column["type"] {
            let (name, kind) = (column["name"].as_str().unwrap_or(""), &found["type"]);
            return Err(misfit(format!("column `{name}` has the type `{kind}`, not `{}`", column["type"])));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
