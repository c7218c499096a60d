//! `series` and `log_streams`: one row is one label set on one day, however many flushes wrote of it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::names_only;
use crate::scan::merge_exec::MergeExec;
use crate::scan::{Request, TableScan};

/// A table whose rows are merged by (day, id).
#[derive(Debug)]
pub(super) struct SeriesTable {
    scan: TableScan,
}

impl SeriesTable {
    pub(super) fn new(scan: TableScan) -> SeriesTable {
        SeriesTable { scan }
    }

    /// Columns that are the same in all rows that become one: conditions on them hold before the merge.
    fn identity(&self) -> [&'static str; 3] {
        let table = self.scan.table;
        ["day", table.key_column(), table.id_column().unwrap_or("day")]
    }

    /// Columns the merge needs, with those that are wanted.
    fn columns(&self, wanted: &[usize]) -> Vec<usize> {
        let schema = self.schema();
        let [day, key, id] = self.identity();
        let needed = [day, key, id, "first_ts", "last_ts"];
        (0..schema.fields().len())
            .filter(|i| wanted.contains(i) || needed.contains(&schema.field(*i).name().as_str()))
            .collect()
    }
}

#[async_trait]
impl TableProvider for SeriesTable {
    fn schema(&self) -> SchemaRef {
        self.scan.table.sql_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let identity = self.identity();
        let pushed = |filter: &&Expr| match names_only(filter, &identity) && !filter.is_volatile() {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(pushed).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let wanted = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let columns = self.columns(&wanted);
        let request = Request {
            predicate: filters.to_vec(),
            late_columns: true,
            projection: columns.clone(),
            ..Request::default()
        };
        let merged = Arc::new(MergeExec::new(self.scan.table, self.scan.plan(state, &request)?));
        if columns == wanted {
            return Ok(merged);
        }
        let below = merged.properties().eq_properties.schema();
        let expressions = wanted
            .iter()
            .map(|i| {
                let name = schema.field(*i).name();
                Ok(ProjectionExpr { expr: col(name, below)?, alias: name.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(expressions, Arc::clone(&merged) as _)?))
    }
}
