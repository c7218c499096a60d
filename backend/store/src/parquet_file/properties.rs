//! How the columns of each table are encoded. The measurements behind the choices stand in `README.md` of this
//! crate. The values of `metrics` are not among them: `values` lays out their pages itself.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::values::Effort;
use crate::tables::Table;

/// What a file is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteProfile {
    /// Fresh from the head: written often, soon replaced, read for recent times.
    Flush,
    /// The result of a compaction: written once, kept and read for long.
    Compacted,
}

/// Version of the columns and sort orders, written into every file.
pub(super) const FORMAT_VERSION: &str = "1";
/// Where it stands among a file's key-value metadata.
pub(super) const FORMAT_KEY: &str = "atl.format";
/// Largest page of text, in bytes before compression: smaller pages compress worse, larger ones make a
/// search read more than it needs.
const TEXT_PAGE_BYTES: usize = 256 * 1024;
/// Largest page of numbers, in bytes before compression. Above `rows a page × 8`, so that rows decide.
const NUMBER_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Largest row group of tables whose rows are large, in bytes as the writer counts them.
const WIDE_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// Wrong yes-answers of a bloom filter.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

impl WriteProfile {
    /// Rows in a row group.
    pub(super) fn group_rows(self, table: Table) -> usize {
        match (self, table) {
            (WriteProfile::Compacted, Table::Metrics) => 1 << 20,
            (WriteProfile::Compacted, _) => 256 * 1024,
            (WriteProfile::Flush, _) => 128 * 1024,
        }
    }

    /// Rows in a page.
    fn page_rows(self, table: Table) -> usize {
        match (self, table) {
            // Names and ids take next to nothing; their bounds tell a reader where its series are.
            (_, Table::Metrics) | (WriteProfile::Flush, _) => 65_000,
            (WriteProfile::Compacted, _) => 200_000,
        }
    }

    /// How hard zstd tries on `metrics.value`.
    pub(super) fn value_effort(self) -> Effort {
        match self {
            WriteProfile::Flush => Effort::Quick,
            WriteProfile::Compacted => Effort::Thorough,
        }
    }

    /// Level of zstd.
    fn zstd_level(self, table: Table) -> i32 {
        match (self, table) {
            (WriteProfile::Compacted, Table::Metrics) => 9,
            (WriteProfile::Compacted, Table::Logs) => 6,
            _ => 3,
        }
    }
}

/// Writer properties for a file of `table`.
pub(super) fn writer_properties(table: Table, profile: WriteProfile) -> Result<WriterProperties> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(profile.zstd_level(table))?);
    let metadata = [
        ("atl.writer", concat!("atl ", env!("CARGO_PKG_VERSION"))),
        ("atl.table", table.name()),
        (FORMAT_KEY, FORMAT_VERSION),
    ];
    let metadata = metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let builder = WriterProperties::builder()
        .set_compression(zstd)
        .set_max_row_group_row_count(Some(profile.group_rows(table)))
        .set_data_page_row_count_limit(profile.page_rows(table))
        .set_data_page_size_limit(NUMBER_PAGE_BYTES)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting_columns(table)))
        .set_key_value_metadata(Some(metadata.to_vec()));
    Ok(columns(table, builder).build())
}

/// Writer properties for `metrics.metric` and `metrics.tsid`. The bounds of their pages tell a reader which rows it
/// needs; fresh files, of which many are read for few rows each, have more of them.
pub(super) fn id_properties(profile: WriteProfile) -> Result<WriterProperties> {
    let rows = match profile {
        WriteProfile::Flush => 16 << 10,
        WriteProfile::Compacted => profile.page_rows(Table::Metrics),
    };
    let properties = writer_properties(Table::Metrics, profile)?.into_builder();
    Ok(properties.set_data_page_row_count_limit(rows).build())
}

/// Writer properties for `metrics.ts` in `encoding`: one page a row group. The series of a target share their
/// times, and zstd sees that only within a page.
pub(super) fn time_properties(profile: WriteProfile, encoding: Encoding) -> Result<WriterProperties> {
    let rows = profile.group_rows(Table::Metrics);
    let properties = writer_properties(Table::Metrics, profile)?.into_builder();
    Ok(properties
        .set_data_page_row_count_limit(rows)
        .set_data_page_size_limit(rows * size_of::<i64>() + 1)
        .set_column_encoding(ColumnPath::from("ts"), encoding)
        .build())
}

fn columns(table: Table, mut builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    match table {
        Table::Metrics => {
            builder = dictionary(builder, &["metric", "tsid", "job", "instance"]);
            builder = without_bounds(builder, "value");
        }
        Table::Series => {
            builder = dictionary(builder, &["metric"]);
            builder = times(map(builder, "labels"), &["first_ts", "last_ts"]);
        }
        Table::LogStreams => {
            builder = dictionary(builder, &["service"]);
            builder = times(map(builder, "labels"), &["first_ts", "last_ts"]);
        }
        Table::Logs => {
            builder = dictionary(builder, &["service", "host", "source", "severity", "stream_id"]);
            builder = times(map(builder, "attributes"), &["ts"]);
            builder = without_bounds(builder, "body").set_max_row_group_bytes(Some(WIDE_GROUP_BYTES));
            builder = builder.set_column_data_page_size_limit(ColumnPath::from("body"), TEXT_PAGE_BYTES);
            builder = without_bounds(builder, "span_id");
            builder = bloom(builder, "trace_id");
        }
        Table::Probes => {
            let names = [
                "probe",
                "target",
                "kind",
                "location",
                "reason",
                "status_code",
                "redirects",
                "http_version",
                "ip",
                "tls_version",
                "tls_cipher",
                "cert_not_after",
            ];
            builder = dictionary(builder, &names);
            builder = times(map(builder, "attributes"), &["ts"]);
            let seconds = [
                "duration_seconds",
                "resolve_seconds",
                "connect_seconds",
                "tls_seconds",
                "first_byte_seconds",
                "transfer_seconds",
            ];
            builder = split(builder, &seconds);
        }
        Table::Histograms => {
            let names =
                ["metric", "tsid", "job", "instance", "start_ts", "reset_hint", "schema", "zero_threshold"];
            builder = dictionary(builder, &names);
            builder = times(builder, &["ts"]);
            let numbers = ["zero_threshold", "zero_count", "count", "sum"];
            builder = numbers.into_iter().fold(builder, without_bounds);
            let lists = ["positive_offsets", "positive_lengths", "negative_offsets", "negative_lengths"];
            builder = lists.into_iter().fold(builder, |builder, name| list(builder, name, true));
            builder = list(builder, "custom_bounds", true);
            let counts = ["positive_counts", "negative_counts"];
            builder = counts.into_iter().fold(builder, |builder, name| list(builder, name, false));
            builder = builder.set_max_row_group_bytes(Some(WIDE_GROUP_BYTES));
        }
        Table::StartTimes => {
            builder = dictionary(builder, &["metric", "tsid", "start_ts"]);
            builder = times(builder, &["ts"]);
        }
        Table::Exemplars => {
            builder = dictionary(builder, &["metric", "tsid", "job", "instance"]);
            builder = times(map(builder, "labels"), &["ts"]);
            builder = bloom(without_bounds(builder, "value"), "trace_id");
            builder = builder.set_max_row_group_bytes(Some(WIDE_GROUP_BYTES));
        }
    }
    builder
}

fn dictionary(builder: WriterPropertiesBuilder, names: &[&str]) -> WriterPropertiesBuilder {
    names
        .iter()
        .fold(builder, |builder, name| builder.set_column_dictionary_enabled(ColumnPath::from(*name), true))
}

fn times(builder: WriterPropertiesBuilder, names: &[&str]) -> WriterPropertiesBuilder {
    names.iter().fold(builder, |builder, name| {
        builder.set_column_encoding(ColumnPath::from(*name), Encoding::DELTA_BINARY_PACKED)
    })
}

fn split(builder: WriterPropertiesBuilder, names: &[&str]) -> WriterPropertiesBuilder {
    names.iter().fold(builder, |builder, name| {
        builder.set_column_encoding(ColumnPath::from(*name), Encoding::BYTE_STREAM_SPLIT)
    })
}

/// Names repeat, values often do; bounds over the names or the values of all rows say nothing.
fn map(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    ["key", "value"].iter().fold(builder, |builder, part| {
        let path = ColumnPath::new(vec![name.to_owned(), "key_value".to_owned(), (*part).to_owned()]);
        builder
            .set_column_dictionary_enabled(path.clone(), true)
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
            .set_column_data_page_size_limit(path, TEXT_PAGE_BYTES)
    })
}

/// Bounds over the elements of all rows say nothing. `repeats`: whether elements are few different ones.
fn list(builder: WriterPropertiesBuilder, name: &str, repeats: bool) -> WriterPropertiesBuilder {
    let path = ColumnPath::new(vec![name.to_owned(), "list".to_owned(), "element".to_owned()]);
    builder
        .set_column_dictionary_enabled(path.clone(), repeats)
        .set_column_statistics_enabled(path, EnabledStatistics::None)
}

fn without_bounds(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None)
}

fn bloom(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(name);
    without_bounds(builder, name)
        .set_column_bloom_filter_enabled(path.clone(), true)
        .set_column_bloom_filter_fpp(path, BLOOM_FALSE_POSITIVES)
}

/// Positions count leaf columns; every sort column stands before the table's lists and maps, or behind a map,
/// which is two leaves wide.
fn sorting_columns(table: Table) -> Vec<SortingColumn> {
    let schema = table.file_schema();
    let leaf = |name: &str| -> i32 {
        let before = schema.fields().iter().take_while(|field| field.name() != name);
        before.map(|field| if field.data_type().is_nested() { 2 } else { 1 }).sum()
    };
    let column =
        |name: &&str| SortingColumn { column_idx: leaf(name), descending: false, nulls_first: false };
    table.sort_columns().iter().map(column).collect()
}
