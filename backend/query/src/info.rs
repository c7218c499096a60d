//! What the catalog page shows: schemas, tables, columns, sizes, functions.

use serde::Serialize;
use store::{Snapshot, Table};

use crate::catalog::{PROM, PUBLIC, metric_fields};
use crate::engine::{Engine, function_names};
use crate::error::{QueryError, Result, from_store};
use crate::hint::did_you_mean;
use crate::types::type_name;
use arrow::datatypes::FieldRef;

/// All schemas and functions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CatalogInfo {
    /// `public` with the stored tables, then `prom` with the metrics.
    pub schemas: Vec<SchemaInfo>,
    /// Names of all functions, sorted.
    pub functions: Vec<String>,
}

/// One schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SchemaInfo {
    /// Its name.
    pub name: String,
    /// Its tables.
    pub tables: Vec<TableInfo>,
}

/// One table. A metric in `prom` has its name only; [`Engine::metric_info`] tells its columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// Its columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnInfo>,
    /// Rows in committed files and those in none yet; about, since repeated samples of these count twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of committed files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Committed files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
    /// Earliest time in committed files, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ts: Option<String>,
    /// Latest time in committed files, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ts: Option<String>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type, as a CAST spells it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it can be NULL.
    pub nullable: bool,
}

/// Columns of one metric's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableColumns {
    /// The metric.
    pub name: String,
    /// `ts`, `value`, the labels, `day`, `tsid`.
    pub columns: Vec<ColumnInfo>,
}

impl Engine {
    /// What there is to query in the newest snapshot.
    pub async fn catalog_info(&self) -> Result<CatalogInfo> {
        let snapshot = self.snapshot();
        let mut metrics = snapshot.metric_names().await.map_err(from_store)?;
        metrics.sort_unstable();
        metrics.dedup();
        let public = Table::ALL.iter().map(|table| table_info(&snapshot, *table)).collect();
        let prom = metrics.into_iter().map(|name| TableInfo { name, ..TableInfo::default() }).collect();
        Ok(CatalogInfo {
            schemas: vec![
                SchemaInfo { name: PUBLIC.to_owned(), tables: public },
                SchemaInfo { name: PROM.to_owned(), tables: prom },
            ],
            functions: function_names(),
        })
    }

    /// Columns of `prom.<metric>`. Fails where no series has that name.
    pub async fn metric_info(&self, metric: &str) -> Result<TableColumns> {
        let snapshot = self.snapshot();
        let entries = snapshot.series(metric, None).await.map_err(from_store)?;
        if entries.is_empty() {
            let names = snapshot.metric_names().await.map_err(from_store)?;
            let error = QueryError::plan(format!("metric `{metric}` does not exist"));
            return Err(match did_you_mean(metric, names.iter().map(String::as_str)) {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        Ok(TableColumns {
            name: metric.to_owned(),
            columns: metric_fields(&entries).iter().map(column).collect(),
        })
    }
}

fn table_info(snapshot: &Snapshot, table: Table) -> TableInfo {
    // Not the files a query reads: those leave out what is in memory and in files.
    let files = snapshot.all_files(table);
    TableInfo {
        name: table.name().to_owned(),
        columns: table.sql_schema().fields().iter().map(column).collect(),
        rows: Some(files.iter().map(|file| file.rows).sum::<u64>() + snapshot.unflushed_rows(table)),
        bytes: Some(files.iter().map(|file| file.size).sum()),
        files: Some(files.len()),
        min_ts: files.iter().filter_map(|file| file.stats.min_ts_us).min().and_then(crate::formats::rfc3339),
        max_ts: files.iter().filter_map(|file| file.stats.max_ts_us).max().and_then(crate::formats::rfc3339),
    }
}

fn column(field: &FieldRef) -> ColumnInfo {
    ColumnInfo {
        name: field.name().clone(),
        type_name: type_name(field.data_type()),
        nullable: field.is_nullable(),
    }
}
