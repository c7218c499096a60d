//! Schema `prom`: every metric is a table of its samples with the labels as columns.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewBuilder};
use arrow::compute::kernels::boolean::and_kleene;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::expressions::col as physical_col;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use model::METRIC_NAME;
use store::{SeriesEntry, Snapshot, Table};

use super::names_only;
use crate::error::from_store;
use crate::scan::label_exec::LabelExec;
use crate::scan::{Request, TableScan, physical};

/// Columns that are no labels; a label of the same name gets `label_` before it.
const OWN_COLUMNS: [&str; 4] = ["ts", "value", "day", "tsid"];
/// Most series a scan names to the Parquet reader one by one.
pub(crate) const IN_LIST_MAX: usize = 1024;
/// Most metrics whose labels `information_schema.columns` looks up; with more it shows the columns that
/// every metric has. `DESCRIBE prom.x` always shows all.
const DESCRIBED_MAX: usize = 200;

/// All metrics of a snapshot, looked up by name when a query names them.
#[derive(Debug)]
pub(crate) struct PromSchema {
    snapshot: Arc<Snapshot>,
    /// Names of all metrics, where the query asks for names.
    listed: Option<Vec<String>>,
}

impl PromSchema {
    /// A schema over `snapshot`; `listed` for queries that ask which metrics there are.
    pub(crate) async fn new(snapshot: Arc<Snapshot>, lists_names: bool) -> Result<PromSchema> {
        let listed = match lists_names {
            true => Some(snapshot.metric_names().await.map_err(from_store)?),
            false => None,
        };
        Ok(PromSchema { snapshot, listed })
    }

    /// The metric a name stands for: itself, or the only one that differs in nothing but case, since
    /// unquoted names reach us in lower case.
    async fn resolve(&self, name: &str) -> Result<Option<(String, Vec<SeriesEntry>)>> {
        let entries = self.snapshot.series(name, None).await.map_err(from_store)?;
        if !entries.is_empty() {
            return Ok(Some((name.to_owned(), entries)));
        }
        let names = self.snapshot.metric_names().await.map_err(from_store)?;
        let mut alike = names.iter().filter(|other| other.to_lowercase() == name.to_lowercase());
        match (alike.next(), alike.next()) {
            (Some(only), None) if only != name => {
                let entries = self.snapshot.series(only, None).await.map_err(from_store)?;
                Ok(Some((only.clone(), entries)))
            }
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl SchemaProvider for PromSchema {
    fn table_names(&self) -> Vec<String> {
        self.listed.clone().unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let many = self.listed.as_ref().is_some_and(|names| names.len() > DESCRIBED_MAX);
        let found = match &self.listed {
            Some(names) if many && names.iter().any(|listed| listed == name) => {
                Some((name.to_owned(), Vec::new()))
            }
            _ => self.resolve(name).await?,
        };
        Ok(found.map(|(metric, entries)| {
            Arc::new(PromTable::new(Arc::clone(&self.snapshot), metric, &entries)) as Arc<dyn TableProvider>
        }))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.listed.as_ref().is_some_and(|names| names.iter().any(|listed| listed == name))
    }
}

/// Columns of a metric's table: `ts`, `value`, the labels in order of name, `day`, `tsid`.
pub(crate) fn metric_fields(entries: &[SeriesEntry]) -> Vec<FieldRef> {
    table_fields(&SeriesColumns::new(entries))
}

fn table_fields(series: &SeriesColumns) -> Vec<FieldRef> {
    let samples = Table::Metrics.sql_schema();
    let own =
        |name: &str| -> Option<FieldRef> { samples.fields().find(name).map(|(_, field)| Arc::clone(field)) };
    let mut fields: Vec<FieldRef> = ["ts", "value"].into_iter().filter_map(own).collect();
    fields.extend(series.fields.iter().map(Arc::clone));
    fields.extend(["day", "tsid"].into_iter().filter_map(own));
    fields
}

/// The labels of a metric's series as columns with one row a series.
#[derive(Debug)]
pub(crate) struct SeriesColumns {
    fields: Vec<FieldRef>,
    columns: Vec<ArrayRef>,
    tsids: Vec<i64>,
    places: HashMap<i64, u32>,
}

impl SeriesColumns {
    fn new(entries: &[SeriesEntry]) -> SeriesColumns {
        let labels: BTreeSet<&str> = entries
            .iter()
            .flat_map(|entry| entry.labels.iter().map(|(name, _)| name))
            .filter(|name| *name != METRIC_NAME)
            .collect();
        let mut taken: BTreeSet<String> = labels.iter().map(|name| (*name).to_owned()).collect();
        let mut fields = Vec::with_capacity(labels.len());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(labels.len());
        for label in &labels {
            let name = column_name(label, &mut taken);
            fields.push(Arc::new(Field::new(name, DataType::Utf8View, true)));
            let mut values = StringViewBuilder::with_capacity(entries.len()).with_deduplicate_strings();
            entries.iter().for_each(|entry| values.append_option(entry.labels.get(label)));
            columns.push(Arc::new(values.finish()));
        }
        let tsids: Vec<i64> = entries.iter().map(|entry| entry.tsid).collect();
        let places = tsids.iter().zip(0..).map(|(tsid, place)| (*tsid, place)).collect();
        SeriesColumns { fields, columns, tsids, places }
    }

    /// The label columns.
    pub(crate) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// Values of one label, one a series, in the order of places.
    pub(crate) fn column(&self, label: usize) -> &ArrayRef {
        &self.columns[label]
    }

    /// The place of a series.
    pub(crate) fn place(&self, tsid: i64) -> Option<u32> {
        self.places.get(&tsid).copied()
    }

    fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|field| field.name().as_str()).collect()
    }

    /// Which series meet all `conditions`, which name labels only.
    fn select(&self, state: &dyn Session, conditions: &[Expr]) -> Result<Vec<bool>> {
        let schema: SchemaRef = Arc::new(Schema::new(self.fields.clone()));
        let options = RecordBatchOptions::new().with_row_count(Some(self.tsids.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), self.columns.clone(), &options)?;
        let mut selected = vec![true; self.tsids.len()];
        for condition in conditions {
            let met = physical(state, condition.clone(), &schema)?
                .evaluate(&batch)?
                .into_array(batch.num_rows())?;
            let met = met.as_boolean();
            let met = and_kleene(met, met)?;
            for (place, selected) in selected.iter_mut().enumerate() {
                *selected &= met.is_valid(place) && met.value(place);
            }
        }
        Ok(selected)
    }
}

/// A label's column name: its own, or with `label_` before it as often as it takes to be the only one.
fn column_name(label: &str, taken: &mut BTreeSet<String>) -> String {
    if !OWN_COLUMNS.contains(&label) {
        return label.to_owned();
    }
    let mut name = format!("label_{label}");
    while taken.contains(&name) {
        name.insert_str(0, "label_");
    }
    taken.insert(name.clone());
    name
}

/// One metric.
#[derive(Debug)]
pub(crate) struct PromTable {
    scan: TableScan,
    metric: String,
    series: Arc<SeriesColumns>,
    schema: SchemaRef,
}

impl PromTable {
    fn new(snapshot: Arc<Snapshot>, metric: String, entries: &[SeriesEntry]) -> PromTable {
        let series = Arc::new(SeriesColumns::new(entries));
        let schema = Arc::new(Schema::new(table_fields(&series)));
        PromTable { scan: TableScan { snapshot, table: Table::Metrics }, metric, series, schema }
    }

    /// Whether a condition is about labels only, so that it is decided once a series and not once a row.
    fn is_about_labels(&self, filter: &Expr) -> bool {
        !filter.column_refs().is_empty() && names_only(filter, &self.series.names()) && !filter.is_volatile()
    }

    /// Conditions for the Parquet reader: the metric, and the series where they are few.
    fn predicate(&self, selected: &[bool]) -> Vec<Expr> {
        let mut predicate = vec![col("metric").eq(lit(self.metric.clone()))];
        let count = selected.iter().filter(|selected| **selected).count();
        if count < selected.len() && count <= IN_LIST_MAX {
            let tsids = self.tsids(selected).map(lit).collect();
            predicate.push(col("tsid").in_list(tsids, false));
        }
        predicate
    }

    fn tsids<'a>(&'a self, selected: &'a [bool]) -> impl Iterator<Item = i64> + 'a {
        self.series.tsids.iter().zip(selected).filter(|(_, selected)| **selected).map(|(tsid, _)| *tsid)
    }

    fn project(&self, input: Arc<dyn ExecutionPlan>, wanted: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
        let below = input.schema();
        let expressions = wanted
            .iter()
            .map(|i| {
                let name = self.schema.field(*i).name();
                Ok(ProjectionExpr { expr: physical_col(name, &below)?, alias: name.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(expressions, input)?))
    }
}

#[async_trait]
impl TableProvider for PromTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = |filter: &&Expr| {
            if self.is_about_labels(filter) {
                TableProviderFilterPushDown::Exact
            } else if names_only(filter, &OWN_COLUMNS) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
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
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let (about_labels, others): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.is_about_labels(filter));
        let selected = self.series.select(state, &about_labels)?;
        if !selected.contains(&true) {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&wanted)?))));
        }
        let samples = self.scan.table.sql_schema();
        let names: HashSet<&str> = wanted.iter().map(|i| self.schema.field(*i).name().as_str()).collect();
        let is_needed = |name: &str| name == "tsid" || (OWN_COLUMNS.contains(&name) && names.contains(name));
        let request = Request {
            filters: &others,
            predicate: self.predicate(&selected),
            ids: selected.contains(&false).then(|| Arc::new(self.tsids(&selected).collect())),
            projection: (0..samples.fields().len()).filter(|i| is_needed(samples.field(*i).name())).collect(),
            ..Request::default()
        };
        let input = self.scan.plan(state, &request)?;
        let labels = (0..self.series.fields.len())
            .filter(|i| names.contains(self.series.fields[*i].name().as_str()))
            .collect();
        let labelled = LabelExec::try_new(input, Arc::clone(&self.series), labels, selected.into())?;
        self.project(Arc::new(labelled), &wanted)
    }
}

#[cfg(test)]
mod tests;
