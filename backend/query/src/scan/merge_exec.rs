//! Makes one row of the rows several flushes wrote for one series (or log stream) of one day, or for one
//! sample.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Date32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, OrderingRequirements, Partitioning, PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::{self, StreamExt};
use store::Table;

use super::merge_rows::RowMerger;
use super::merge_samples::SampleMerger;
use super::ordering;

/// Merges adjacent rows. Of `series` and `log_streams` those with the same day and id: earliest `first_ts`,
/// latest `last_ts`, the rest of the first row. Of `metrics` those with the same series and time: the value
/// that [`store::duplicates::wins`]. Of `histograms`, `start_times` and `exemplars` those with the same series and
/// time: the rows that count by [`store::sparse::repeats`]. Needs its input in one partition, in the table's order.
#[derive(Debug)]
pub(crate) struct MergeExec {
    table: Table,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl MergeExec {
    /// Merges the rows of `input`, which has at least the columns day, key, id, `first_ts` and `last_ts`, or
    /// metric, tsid, ts and value, or all of the table.
    pub(crate) fn new(table: Table, input: Arc<dyn ExecutionPlan>) -> MergeExec {
        let schema = input.schema();
        let orders = ordering(table, &schema);
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, orders),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        MergeExec { table, input, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for MergeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MergeExec: table={}", self.table)
    }
}

impl ExecutionPlan for MergeExec {
    fn name(&self) -> &'static str {
        "MergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![ordering(self.table, &self.input.schema()).map(OrderingRequirements::from)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
            .map_err(|_| DataFusionError::Internal("MergeExec has one input".to_owned()))?;
        Ok(Arc::new(MergeExec::new(self.table, input)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let merger = Merger::new(self.table, &self.schema())?;
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let merged = stream::unfold(Some((input, merger)), |state| async move {
            let (mut input, mut merger) = state?;
            match input.next().await {
                Some(Ok(batch)) => Some((merger.push(&batch), Some((input, merger)))),
                Some(Err(error)) => Some((Err(error), None)),
                None => Some((merger.finish(), None)),
            }
        });
        let filled = merged.filter_map(move |result| {
            let kept = match result {
                Ok(batch) if batch.num_rows() == 0 => None,
                Ok(batch) => Some(Ok(batch.record_output(&baseline))),
                Err(error) => Some(Err(error)),
            };
            std::future::ready(kept)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), filled)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The ways of merging.
enum Merger {
    Labels(LabelMerger),
    Samples(SampleMerger),
    Rows(RowMerger),
}

impl Merger {
    fn new(table: Table, schema: &SchemaRef) -> Result<Merger> {
        Ok(match table {
            Table::Series | Table::LogStreams => Merger::Labels(LabelMerger::new(table, schema)?),
            Table::Metrics => Merger::Samples(SampleMerger::new(schema)?),
            _ => Merger::Rows(RowMerger::new(table, schema)?),
        })
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        match self {
            Merger::Labels(merger) => merger.push(batch),
            Merger::Samples(merger) => merger.push(batch),
            Merger::Rows(merger) => merger.push(batch),
        }
    }

    fn finish(self) -> Result<RecordBatch> {
        match self {
            Merger::Labels(merger) => Ok(merger.finish()),
            Merger::Samples(merger) => Ok(merger.finish()),
            Merger::Rows(merger) => merger.finish(),
        }
    }
}

/// Keeps the last series back until a different one shows that it is complete.
struct LabelMerger {
    schema: SchemaRef,
    day: usize,
    id: usize,
    first: usize,
    last: usize,
    pending: RecordBatch,
}

impl LabelMerger {
    fn new(table: Table, schema: &SchemaRef) -> Result<LabelMerger> {
        let id = table.id_column().unwrap_or("tsid");
        Ok(LabelMerger {
            schema: Arc::clone(schema),
            day: schema.index_of("day")?,
            id: schema.index_of(id)?,
            first: schema.index_of("first_ts")?,
            last: schema.index_of("last_ts")?,
            pending: RecordBatch::new_empty(Arc::clone(schema)),
        })
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let merged = self.merge(&concat_batches(&self.schema, [&self.pending, batch])?)?;
        let complete = merged.num_rows().saturating_sub(1);
        self.pending = merged.slice(complete, merged.num_rows() - complete);
        Ok(merged.slice(0, complete))
    }

    fn finish(self) -> RecordBatch {
        self.pending
    }

    fn merge(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let days = batch.column(self.day).as_primitive::<Date32Type>().values();
        let ids = batch.column(self.id).as_primitive::<Int64Type>().values();
        let firsts = batch.column(self.first).as_primitive::<TimestampMicrosecondType>().values();
        let lasts = batch.column(self.last).as_primitive::<TimestampMicrosecondType>().values();
        let mut kept: Vec<u32> = Vec::with_capacity(batch.num_rows());
        let (mut earliest, mut latest): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        for row in 0..batch.num_rows() {
            let same = row > 0 && days[row] == days[row - 1] && ids[row] == ids[row - 1];
            match (same, earliest.last_mut(), latest.last_mut()) {
                (true, Some(first), Some(last)) => {
                    *first = (*first).min(firsts[row]);
                    *last = (*last).max(lasts[row]);
                }
                _ => {
                    kept.push(u32::try_from(row).unwrap_or(u32::MAX));
                    earliest.push(firsts[row]);
                    latest.push(lasts[row]);
                }
            }
        }
        if kept.len() == batch.num_rows() {
            return Ok(batch.clone());
        }
        let merged = take_record_batch(batch, &UInt32Array::from(kept))?;
        let mut columns = merged.columns().to_vec();
        columns[self.first] = times(earliest, batch.column(self.first));
        columns[self.last] = times(latest, batch.column(self.last));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

fn times(values: Vec<i64>, like: &ArrayRef) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_data_type(like.data_type().clone()))
}
