//! The names SQL can use: our tables in `public`, a table for every metric in `prom`, and what
//! `information_schema` tells about them. Everything is read from one snapshot.

mod facts;
mod prom;
mod promql;
mod read_file;
mod series;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::TableType;
use store::{Snapshot, Table};

pub(crate) use prom::{IN_LIST_MAX, PromSchema, SeriesColumns, metric_fields};
pub(crate) use promql::{Promql, PromqlQuery};
pub(crate) use read_file::{ReadFile, open as open_files};

use crate::scan::TableScan;

/// Name of the one catalog.
pub(crate) const CATALOG: &str = "atl";
/// Schema of the stored tables, and the default.
pub(crate) const PUBLIC: &str = "public";
/// Schema of the metrics.
pub(crate) const PROM: &str = "prom";
/// Schema that lists the others.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";
/// What may be read of it: the table of settings tells paths of this machine.
pub(crate) const INFORMATION_TABLES: [&str; 6] =
    ["tables", "columns", "schemata", "views", "routines", "parameters"];
/// The table function that reads one data file.
pub(crate) const READ_FILE: &str = "read_file";
/// The table function that evaluates a PromQL expression.
pub(crate) const PROMQL: &str = "promql";
/// Table functions that may be called.
pub(crate) const TABLE_FUNCTIONS: [&str; 5] = [PROMQL, READ_FILE, "generate_series", "range", "unnest"];

/// Schemas `public` and `prom` of one snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotCatalog {
    public: Arc<PublicSchema>,
    prom: Arc<PromSchema>,
}

impl SnapshotCatalog {
    pub(crate) fn new(snapshot: Arc<Snapshot>, prom: Arc<PromSchema>) -> SnapshotCatalog {
        SnapshotCatalog { public: Arc::new(PublicSchema { snapshot }), prom }
    }
}

impl CatalogProvider for SnapshotCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![PUBLIC.to_owned(), PROM.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            PUBLIC => Some(Arc::clone(&self.public) as _),
            PROM => Some(Arc::clone(&self.prom) as _),
            _ => None,
        }
    }
}

/// The stored tables.
#[derive(Debug)]
struct PublicSchema {
    snapshot: Arc<Snapshot>,
}

#[async_trait]
impl SchemaProvider for PublicSchema {
    fn table_names(&self) -> Vec<String> {
        Table::ALL.iter().map(|table| table.name().to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(Table::from_name(name).map(|table| {
            let scan = TableScan { snapshot: Arc::clone(&self.snapshot), table };
            match table.time_column() {
                Some(_) => Arc::new(facts::FactTable::new(scan)) as Arc<dyn TableProvider>,
                None => Arc::new(series::SeriesTable::new(scan)),
            }
        }))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(Table::from_name(name).map(|_| TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        Table::from_name(name).is_some()
    }
}

/// Whether all columns `expr` names are among `names`.
pub(crate) fn names_only(expr: &datafusion::logical_expr::Expr, names: &[&str]) -> bool {
    expr.column_refs().iter().all(|column| names.contains(&column.name.as_str()))
}
