//! Turns "these columns of this table, where …" into a DataFusion plan over one snapshot: the committed files
//! that can hold such rows, united with the rows still in the head.
//!
//! Files are left out by their statistics here, in memory, and log files and their row groups by the words
//! they hold; row groups and pages of the rest by DataFusion's Parquet reader. Both sides declare the tables'
//! sort order, so `ORDER BY metric, tsid, ts` merges and does not sort. A sample that several files hold (a
//! sender repeated itself long after the first time) comes out once: files that may share samples are merged
//! before anything looks at their values.

mod bounds;
mod files;
mod head;
pub(crate) mod label_exec;
pub(crate) mod merge_exec;
mod merge_rows;
mod merge_samples;
mod needles;
mod order;
pub(crate) mod promql_exec;
mod reading;
mod repeats;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;
use store::{DataFile, HeadFilter, Snapshot, Table};

use crate::catalog::names_only;
use crate::error::from_store;
pub(crate) use files::{STORE_URL, source};
pub(crate) use order::{ordering, ordering_within_key};
pub(crate) use reading::Reading;

/// Most file groups or batches read as separate sorted runs. With more, reading them all at once to merge
/// them costs more memory than the order is worth, and a query that wants the order sorts instead.
const SORTED_RUNS_MAX: usize = 64;

/// What is wanted of a table.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    /// Conditions every wanted row meets, over the columns of the SQL schema. They prune; rows that do not
    /// meet them may still come out, unless they are in `predicate` and `exact`.
    pub(crate) filters: &'a [Expr],
    /// More such conditions, which the Parquet reader is given at once, since nobody pushes them down later.
    pub(crate) predicate: Vec<Expr>,
    /// Whether the reader drops single rows that fail its predicate. Worth it where the other columns are
    /// wide; elsewhere a filter after the scan is faster.
    pub(crate) late_columns: bool,
    /// Columns wanted, as places in the SQL schema.
    pub(crate) projection: Vec<usize>,
    /// Ids of the series wanted, if they are known.
    pub(crate) ids: Option<Arc<std::collections::HashSet<i64>>>,
    /// Rows after which the reader may stop.
    pub(crate) limit: Option<usize>,
}

/// One table of one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct TableScan {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) table: Table,
}

impl TableScan {
    /// The plan that reads what `request` wants. Its columns are those of `request.projection`, in order.
    pub(crate) fn plan(&self, state: &dyn Session, request: &Request<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let condition = conjunction(request.filters.iter().chain(&request.predicate).cloned());
        let condition = condition.map(|expr| physical(state, expr, &exec_schema(self.table))).transpose()?;
        let bounds = bounds::Bounds::of(self.table, request, condition.as_ref());
        let files = files::chosen(self, condition.as_ref());
        let repeats = repeats::split(&self.snapshot, self.table, files);
        let mut parts = Vec::with_capacity(3);
        parts.extend(files::plan(self, state, request, repeats.plain)?);
        if !repeats.with_head {
            parts.extend(self.head(state, request, &bounds)?);
        }
        if !repeats.repeating.is_empty() {
            parts.push(self.merged(state, request, &bounds, repeats.repeating, repeats.with_head)?);
        }
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(self.projected_schema(&request.projection)?))),
            _ => UnionExec::try_new(parts),
        }
    }

    /// The rows of files that may share samples, and of the head where it may, every sample once. Nothing but
    /// what tells samples apart is looked at before they are merged: a condition on values would choose among
    /// the rows of one sample.
    fn merged(
        &self,
        state: &dyn Session,
        request: &Request<'_>,
        bounds: &bounds::Bounds,
        files: Vec<Arc<DataFile>>,
        with_head: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.table.sql_schema();
        let names = merge_samples::SAMPLE_COLUMNS;
        let needed = |i: &usize| {
            // Rows of the other tables are compared as a whole.
            self.table != Table::Metrics
                || request.projection.contains(i)
                || names.contains(&schema.field(*i).name().as_str())
        };
        let about_samples =
            |filter: &&Expr| names_only(filter, &["day", "metric", "tsid", "ts"]) && !filter.is_volatile();
        let conditions = request.filters.iter().chain(&request.predicate);
        let inner = Request {
            predicate: conditions.filter(about_samples).cloned().collect(),
            projection: (0..schema.fields().len()).filter(needed).collect(),
            ids: request.ids.clone(),
            ..Request::default()
        };
        let mut parts = Vec::with_capacity(2);
        parts.extend(files::plan(self, state, &inner, files)?);
        if with_head {
            parts.extend(self.head(state, &inner, bounds)?);
        }
        let merged = Arc::new(merge_exec::MergeExec::new(self.table, UnionExec::try_new(parts)?));
        let below = merged.schema();
        let expressions = request
            .projection
            .iter()
            .map(|i| {
                let name = schema.field(*i).name();
                Ok(ProjectionExpr { expr: col(name, &below)?, alias: name.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(expressions, merged as Arc<dyn ExecutionPlan>)?))
    }

    fn head(
        &self,
        state: &dyn Session,
        request: &Request<'_>,
        bounds: &bounds::Bounds,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if matches!(self.table, Table::Metrics | Table::Logs) {
            let partitions = state.config().target_partitions();
            return head::HeadExec::plan(self, bounds.clone(), &request.projection, partitions);
        }
        let filter = HeadFilter {
            metric: None,
            tsids: bounds.ids.clone(),
            start_us: bounds.start_us,
            end_us: bounds.end_us,
        };
        let batches = self.snapshot.head_batches(self.table, &filter).map_err(from_store)?;
        let runs = order::sorted_runs(self.table, batches)?;
        if runs.is_empty() {
            return Ok(None);
        }
        let schema = self.table.sql_schema();
        let sorted = runs.len() <= SORTED_RUNS_MAX;
        let partitions = if sorted { runs } else { vec![runs.into_iter().flatten().collect()] };
        let mut source =
            MemorySourceConfig::try_new(&partitions, Arc::clone(&schema), Some(request.projection.clone()))?;
        if sorted {
            source = source.try_with_sort_information(ordering(self.table, &schema).into_iter().collect())?;
        }
        Ok(Some(DataSourceExec::from_data_source(source)))
    }

    /// The SQL schema reduced to `projection`.
    pub(crate) fn projected_schema(&self, projection: &[usize]) -> Result<SchemaRef> {
        Ok(Arc::new(self.table.sql_schema().project(projection)?))
    }
}

/// The schema DataFusion reads files with: the columns of the file, then `day`, which stands in the path.
pub(crate) fn exec_schema(table: Table) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = table.file_schema().fields().iter().map(Arc::clone).collect();
    fields.push(Arc::clone(&table.sql_schema().fields()[0]));
    Arc::new(Schema::new(fields))
}

/// Makes an expression over `schema` executable.
pub(crate) fn physical(state: &dyn Session, expr: Expr, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    state.create_physical_expr(expr, &DFSchema::try_from(Arc::clone(schema))?)
}
