//! Tables in which one row is one thing that happened: all but those of label sets.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use store::Table;

use crate::scan::{Request, TableScan};

/// A table whose rows need no merging here.
#[derive(Debug)]
pub(super) struct FactTable {
    scan: TableScan,
}

impl FactTable {
    pub(super) fn new(scan: TableScan) -> FactTable {
        FactTable { scan }
    }
}

#[async_trait]
impl TableProvider for FactTable {
    fn schema(&self) -> SchemaRef {
        self.scan.table.sql_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Inexact: they choose files here; the filter above the scan is pushed into it later, by DataFusion.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema().fields().len()).collect();
        self.scan.plan(
            state,
            &Request {
                filters,
                late_columns: self.scan.table == Table::Logs && !filters.is_empty(),
                projection: projection.cloned().unwrap_or_else(all),
                limit: if filters.is_empty() { limit } else { None },
                ..Request::default()
            },
        )
    }
}
