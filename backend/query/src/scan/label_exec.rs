//! Puts labels beside samples: a `tsid` comes in on every row, the labels of that series go out.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::stream::StreamExt;

use crate::catalog::SeriesColumns;

/// Appends label columns to its input and drops the rows of series that are not wanted.
///
/// Rows of other metrics have no entry among the series and are dropped too, so the scan below need not
/// filter by metric row by row.
#[derive(Debug)]
pub(crate) struct LabelExec {
    input: Arc<dyn ExecutionPlan>,
    series: Arc<SeriesColumns>,
    /// Label columns to append, as places among the labels of `series`.
    labels: Vec<usize>,
    /// Whether the series at a place is wanted.
    wanted: Arc<[bool]>,
    tsid: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LabelExec {
    /// Appends `labels` of the `wanted` series to the rows of `input`, which has a column `tsid`.
    pub(crate) fn try_new(
        input: Arc<dyn ExecutionPlan>,
        series: Arc<SeriesColumns>,
        labels: Vec<usize>,
        wanted: Arc<[bool]>,
    ) -> Result<LabelExec> {
        let below = input.schema();
        let tsid = below.index_of("tsid")?;
        let mut fields: Vec<_> = below.fields().iter().map(Arc::clone).collect();
        fields.extend(labels.iter().map(|label| Arc::clone(&series.fields()[*label])));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let orders = input.output_ordering().cloned();
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, orders),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(LabelExec { input, series, labels, wanted, tsid, properties: Arc::new(properties), metrics })
    }
}

impl DisplayAs for LabelExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted.iter().filter(|wanted| **wanted).count();
        let names: Vec<&str> =
            self.labels.iter().map(|label| self.series.fields()[*label].name().as_str()).collect();
        write!(f, "LabelExec: series={wanted} of {}, labels=[{}]", self.wanted.len(), names.join(", "))
    }
}

impl ExecutionPlan for LabelExec {
    fn name(&self) -> &'static str {
        "LabelExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("LabelExec has one input".to_owned()))?;
        let (series, wanted) = (Arc::clone(&self.series), Arc::clone(&self.wanted));
        Ok(Arc::new(LabelExec::try_new(input, series, self.labels.clone(), wanted)?))
    }

    /// Conditions on columns of the input hold below as well; labels exist only above.
    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (series, wanted) = (Arc::clone(&self.series), Arc::clone(&self.wanted));
        let (labels, tsid, schema) = (self.labels.clone(), self.tsid, self.schema());
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let labelled = input.filter_map(move |batch| {
            let result = batch.and_then(|batch| {
                let _timer = baseline.elapsed_compute().timer();
                append(&batch, &series, &labels, &wanted, tsid, &schema)
            });
            std::future::ready(match result {
                Ok(batch) if batch.num_rows() == 0 => None,
                Ok(batch) => Some(Ok(batch.record_output(&baseline))),
                Err(error) => Some(Err(error)),
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), labelled)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

fn append(
    batch: &RecordBatch,
    series: &SeriesColumns,
    labels: &[usize],
    wanted: &[bool],
    tsid: usize,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let (places, keep) = places(batch.column(tsid).as_primitive::<Int64Type>().values(), series, wanted);
    let batch = match keep {
        None => batch.clone(),
        Some(keep) => filter_record_batch(batch, &keep)?,
    };
    let places = UInt32Array::from(places);
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    for label in labels {
        columns.push(take(series.column(*label), &places, None)?);
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The place of every wanted row's series, and which rows are wanted unless all are. Rows of one series
/// stand together, so the series is looked up once a run.
fn places(tsids: &[i64], series: &SeriesColumns, wanted: &[bool]) -> (Vec<u32>, Option<BooleanArray>) {
    let mut places = Vec::with_capacity(tsids.len());
    let mut keep = BooleanBufferBuilder::new(tsids.len());
    for run in tsids.chunk_by(|a, b| a == b) {
        let place = series.place(run[0]).filter(|place| wanted[*place as usize]);
        keep.append_n(run.len(), place.is_some());
        if let Some(place) = place {
            places.resize(places.len() + run.len(), place);
        }
    }
    let all = places.len() == tsids.len();
    (places, (!all).then(|| BooleanArray::new(keep.finish(), None)))
}
