//! The committed files of a table as a Parquet scan, without those whose statistics rule them out.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetAccessPlan, RowGroupAccess,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use store::{DataFile, RowGroupSelection, Table};

use crate::catalog::IN_LIST_MAX;

use super::needles::needles;
use super::reading::NotingFactory;
use super::{Request, SORTED_RUNS_MAX, TableScan, exec_schema, ordering, physical};

/// Address of the snapshot's object store inside a query; nothing else has one.
pub(crate) const STORE_URL: &str = "atl://store/";

/// The files that can hold rows `condition` is true for.
pub(super) fn chosen(scan: &TableScan, condition: Option<&Arc<dyn PhysicalExpr>>) -> Vec<Arc<DataFile>> {
    prune(scan.table, scan.snapshot.files(scan.table), condition)
}

/// A scan of `files`; `None` where there is none.
pub(super) fn plan(
    scan: &TableScan,
    state: &dyn Session,
    request: &Request<'_>,
    files: Vec<Arc<DataFile>>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let files = prune_by_words(scan, request, files);
    if files.is_empty() {
        return Ok(None);
    }
    let schema = exec_schema(scan.table);
    let sorted = files.len() <= SORTED_RUNS_MAX;
    let total = total_statistics(scan.table, &files);
    let groups =
        groups(scan.table, files, if sorted { usize::MAX } else { state.config().target_partitions() });
    let day = Arc::clone(&scan.table.sql_schema().fields()[0]);
    let mut source = source(
        state,
        scan,
        TableSchema::builder(scan.table.file_schema()).with_table_partition_cols(vec![day]).build(),
    )?
    .with_pushdown_filters(request.late_columns);
    if let Some(predicate) = conjunction(request.predicate.iter().cloned()) {
        source = source.with_predicate(physical(state, predicate, &schema)?);
    }
    let mut config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
        .with_file_groups(groups)
        .with_statistics(total)
        .with_limit(request.limit);
    if sorted {
        config = config.with_output_ordering(ordering(scan.table, &schema).into_iter().collect());
    }
    let width = schema.fields().len();
    // `day` is first in SQL and last in the scan.
    let projection = request.projection.iter().map(|i| if *i == 0 { width - 1 } else { i - 1 }).collect();
    let config = config.with_projection_indices(Some(projection))?;
    Ok(Some(DataSourceExec::from_data_source(config.build())))
}

/// A file, and the row groups to read of it; `None` for all.
type Chosen = (Arc<DataFile>, Option<RowGroupSelection>);

/// Leaves out log files and row groups that lack a word the conditions demand.
fn prune_by_words(scan: &TableScan, request: &Request<'_>, files: Vec<Arc<DataFile>>) -> Vec<Chosen> {
    let needles = match scan.table {
        Table::Logs => needles(request.filters.iter().chain(&request.predicate)),
        _ => Vec::new(),
    };
    if needles.is_empty() {
        return files.into_iter().map(|file| (file, None)).collect();
    }
    scan.snapshot.prune_logs(&files, &needles)
}

/// A Parquet reader over the snapshot's store that shares footers with other queries.
pub(crate) fn source(state: &dyn Session, scan: &TableScan, schema: TableSchema) -> Result<ParquetSource> {
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let inner = CachedParquetFileReaderFactory::new(Arc::clone(scan.snapshot.objects()), cache);
    let factory = NotingFactory { inner, reading: state.config().get_extension().unwrap_or_default() };
    let options = state.table_options().parquet.clone();
    Ok(ParquetSource::new(schema)
        .with_table_parquet_options(options)
        .with_parquet_file_reader_factory(Arc::new(factory)))
}

/// The files that `condition` does not rule out.
fn prune(
    table: Table,
    files: &[Arc<DataFile>],
    condition: Option<&Arc<dyn PhysicalExpr>>,
) -> Vec<Arc<DataFile>> {
    let index = FileIndex { table, files };
    let keep = condition
        .and_then(|condition| {
            PruningPredicateBuilder::new()
                .with_file_schema(exec_schema(table))
                .with_max_in_list_size(IN_LIST_MAX)
                .build(Arc::clone(condition))
        })
        .and_then(|predicate| predicate.prune(&index).ok());
    match keep {
        Some(keep) => {
            files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| Arc::clone(file)).collect()
        }
        None => files.to_vec(),
    }
}

/// What the catalog knows of many files, one entry a file.
struct FileIndex<'a> {
    table: Table,
    files: &'a [Arc<DataFile>],
}

impl FileIndex<'_> {
    fn days(&self) -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(self.files.iter().map(|file| file.day)))
    }

    fn times(&self, time: impl Fn(&DataFile) -> Option<i64>) -> ArrayRef {
        let times: TimestampMicrosecondArray = self.files.iter().map(|file| time(file)).collect();
        Arc::new(times.with_timezone("UTC"))
    }

    fn ids(&self, id: impl Fn(&DataFile) -> Option<i64>) -> ArrayRef {
        Arc::new(self.files.iter().map(|file| id(file)).collect::<Int64Array>())
    }

    fn keys(&self, key: impl Fn(&DataFile) -> Option<&str>) -> ArrayRef {
        Arc::new(self.files.iter().map(|file| key(file)).collect::<StringArray>())
    }
}

impl PruningStatistics for FileIndex<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name.as_str() {
            "day" => Some(self.days()),
            name if Some(name) == self.table.time_column() => Some(self.times(|file| file.stats.min_ts_us)),
            name if name == self.table.key_column() => Some(self.keys(|file| file.stats.min_key.as_deref())),
            name if Some(name) == self.table.id_column() => Some(self.ids(|file| file.stats.min_id)),
            _ => None,
        }
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name.as_str() {
            "day" => Some(self.days()),
            name if Some(name) == self.table.time_column() => Some(self.times(|file| file.stats.max_ts_us)),
            name if name == self.table.key_column() => Some(self.keys(|file| file.stats.max_key.as_deref())),
            name if Some(name) == self.table.id_column() => Some(self.ids(|file| file.stats.max_id)),
            _ => None,
        }
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Files in groups, each read by one task: a file each where the order is kept, else `count` groups. Newest
/// files come first, since most queries that stop early want the newest rows.
fn groups(table: Table, mut files: Vec<Chosen>, count: usize) -> Vec<FileGroup> {
    files.sort_by_key(|(file, _)| std::cmp::Reverse((file.stats.max_ts_us, file.day)));
    let count = count.clamp(1, files.len().max(1));
    let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); count];
    for (i, file) in files.iter().enumerate() {
        groups[i % count].push(partitioned(table, file));
    }
    groups.into_iter().map(FileGroup::new).collect()
}

fn partitioned(table: Table, (file, selection): &Chosen) -> PartitionedFile {
    let mut statistics = statistics(table, file);
    statistics.num_rows = rows(file, selection.as_ref());
    let partitioned = PartitionedFile::new(file.key.as_ref(), file.size)
        .with_partition_values(vec![ScalarValue::Date32(Some(file.day))])
        .with_statistics(Arc::new(statistics));
    let Some(selection) = selection else { return partitioned };
    let access = |kept: &bool| if *kept { RowGroupAccess::Scan } else { RowGroupAccess::Skip };
    partitioned.with_extension(ParquetAccessPlan::new(selection.kept().iter().map(access).collect()))
}

/// Rows of a file; where row groups are left out only about, since then rows that fail the conditions are
/// missing from the scan.
fn rows(file: &DataFile, selection: Option<&RowGroupSelection>) -> Precision<usize> {
    let (rows, about) = selection.map_or((file.rows, false), |selection| (selection.rows(), true));
    let rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Exact);
    if about { rows.to_inexact() } else { rows }
}

/// A file's statistics, over the columns of the file. The bounds may be wider than the truth; they are called
/// exact because only exact ones prune, and are told of single files only, where they are used for nothing
/// else: `min(ts)` is answered from the statistics of the whole scan, which have none.
fn statistics(table: Table, file: &DataFile) -> Statistics {
    let mut statistics = Statistics::new_unknown(&table.file_schema());
    statistics.total_byte_size = Precision::Inexact(usize::try_from(file.size).unwrap_or(usize::MAX));
    let schema = table.file_schema();
    let mut set = |name: &str, min: Option<ScalarValue>, max: Option<ScalarValue>| {
        if let (Ok(at), Some(min), Some(max)) = (schema.index_of(name), min, max) {
            statistics.column_statistics[at] = ColumnStatistics {
                null_count: Precision::Exact(0),
                min_value: Precision::Exact(min),
                max_value: Precision::Exact(max),
                ..ColumnStatistics::new_unknown()
            };
        }
    };
    let text = |key: &Option<String>| key.as_ref().map(|key| ScalarValue::Utf8(Some(key.clone())));
    set(table.key_column(), text(&file.stats.min_key), text(&file.stats.max_key));
    if let Some(column) = table.time_column() {
        let time =
            |us: Option<i64>| us.map(|us| ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())));
        set(column, time(file.stats.min_ts_us), time(file.stats.max_ts_us));
    }
    statistics
}

/// Rows and bytes of all files together; their columns' ranges are told file by file.
fn total_statistics(table: Table, files: &[Chosen]) -> Statistics {
    let mut total = Statistics::new_unknown(&exec_schema(table));
    let rows = files.iter().map(|(file, selection)| rows(file, selection.as_ref()));
    total.num_rows = rows.fold(Precision::Exact(0), |sum, rows| sum.add(&rows));
    let bytes: u64 = files.iter().map(|(file, _)| file.size).sum();
    total.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
    total
}
