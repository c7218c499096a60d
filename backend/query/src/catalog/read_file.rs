//! `read_file('<key>')`: one data file of ours as a table, as it is, for people who look into the bucket.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfigBuilder;
use datafusion::datasource::physical_plan::parquet::{
    DefaultParquetFileReaderFactory, ParquetFileReaderFactory,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use store::{Snapshot, Table};

use super::READ_FILE;
use crate::error::{QueryError, QueryErrorKind, Result as QueryResult};
use crate::scan::{STORE_URL, TableScan, source};

/// Files a query reads by name, opened before it is planned, since planning a table function cannot wait.
pub(crate) type FileScans = HashMap<String, Arc<FileTable>>;

/// The table function.
#[derive(Debug)]
pub(crate) struct ReadFile(pub(crate) FileScans);

impl TableFunctionImpl for ReadFile {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [Expr::Literal(ScalarValue::Utf8(Some(key)), _)] = args.exprs() else {
            return Err(QueryError::plan(format!("`{READ_FILE}` takes one key in single quotes")).into());
        };
        match self.0.get(key) {
            Some(table) => Ok(Arc::clone(table) as _),
            None => Err(QueryError::plan(format!("`{key}` is not a data file here")).into()),
        }
    }
}

/// Reads the footers of `keys`, which are relative to the store's prefix.
pub(crate) async fn open(snapshot: &Arc<Snapshot>, keys: &[String]) -> QueryResult<FileScans> {
    let mut files = FileScans::new();
    for key in keys {
        files.insert(key.clone(), Arc::new(open_one(snapshot, key).await?));
    }
    Ok(files)
}

async fn open_one(snapshot: &Arc<Snapshot>, key: &str) -> QueryResult<FileTable> {
    let no_such = |reason: &str| {
        QueryError::plan(format!("`{key}` {reason}"))
            .with_hint("keys look like metrics/day=2026-11-22/….parquet")
    };
    let (table, path) =
        resolve(snapshot.prefix(), key).ok_or_else(|| no_such("is not a data file of our tables"))?;
    let objects = snapshot.objects();
    let size = match objects.head(&path).await {
        Ok(meta) => meta.size,
        Err(object_store::Error::NotFound { .. }) => return Err(no_such("does not exist")),
        Err(error) => {
            tracing::warn!(%error, "object store failed while opening a data file");
            return Err(QueryError::new(QueryErrorKind::BadFile, "the object store did not answer"));
        }
    };
    let damaged = |error: &dyn std::fmt::Display| {
        QueryError::new(QueryErrorKind::BadFile, format!("data file `{key}` is damaged: {error}"))
    };
    let file = PartitionedFile::new(path.as_ref(), size);
    let mut reader = DefaultParquetFileReaderFactory::new(Arc::clone(objects))
        .create_reader(0, file, None, &ExecutionPlanMetricsSet::new())
        .map_err(|error| damaged(&error))?;
    let footer = reader.get_metadata(None).await.map_err(|error| damaged(&error))?;
    let metadata =
        ArrowReaderMetadata::try_new(footer, ArrowReaderOptions::new()).map_err(|error| damaged(&error))?;
    let scan = TableScan { snapshot: Arc::clone(snapshot), table };
    Ok(FileTable { scan, path, size, schema: Arc::clone(metadata.schema()) })
}

/// The table and full path of a key like `metrics/day=2026-11-22/part-….parquet`; `None` for every other
/// shape, whatever it points at.
fn resolve(prefix: &Path, key: &str) -> Option<(Table, Path)> {
    let [table, day, name] = <[&str; 3]>::try_from(key.split('/').collect::<Vec<_>>()).ok()?;
    let table = Table::from_name(table)?;
    let date: Vec<&str> = day.strip_prefix("day=")?.split('-').collect();
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let [year, month, day_of_month] = date.as_slice() else { return None };
    if !(digits(year, 4) && digits(month, 2) && digits(day_of_month, 2)) {
        return None;
    }
    let stem = name.strip_suffix(".parquet")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if stem.is_empty() || stem.starts_with('.') || !stem.bytes().all(plain) {
        return None;
    }
    let parts = prefix.parts().chain([table.name(), day, name].map(Into::into));
    Some((table, Path::from_iter(parts)))
}

/// One data file with the columns of its footer.
#[derive(Debug)]
pub(crate) struct FileTable {
    scan: TableScan,
    path: Path,
    size: u64,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = TableSchema::from(Arc::clone(&self.schema));
        let source = source(state, &self.scan, schema)?;
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
            .with_file(PartitionedFile::new(self.path.as_ref(), self.size))
            .with_limit(if filters.is_empty() { limit } else { None })
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_files_of_our_tables_have_a_path() {
        let prefix = Path::from("team/atl");
        let resolved = |key: &str| resolve(&prefix, key).map(|(_, path)| path.to_string());
        assert_eq!(
            resolved("metrics/day=2026-11-22/part-1_a.parquet").as_deref(),
            Some("team/atl/metrics/day=2026-11-22/part-1_a.parquet")
        );
        for key in [
            "",
            "metrics",
            "../metrics/day=2026-11-22/a.parquet",
            "metrics/../../secret/a.parquet",
            "metrics/day=2026-11-22/../a.parquet",
            "metrics/day=2026-11-22/..parquet",
            "metrics/day=2026-11-22/.parquet",
            "metrics/day=2026-11-22/a/b.parquet",
            "metrics/day=2026-11-22/a%2Fb.parquet",
            "metrics/day=2026-11-22/a.parquet.txt",
            "metrics/_delta_log/00000000000000000000.json",
            "metrics/day=tomorrow/a.parquet",
            "metrics//a.parquet",
            "/metrics/day=2026-11-22/a.parquet",
            "users/day=2026-11-22/a.parquet",
            "s3://bucket/metrics/day=2026-11-22/a.parquet",
            "file:///etc/passwd",
            "metrics/day=2026-11-22/a\0.parquet",
            "metrics\\day=2026-11-22\\a.parquet",
        ] {
            assert_eq!(resolved(key), None, "{key}");
        }
    }
}
