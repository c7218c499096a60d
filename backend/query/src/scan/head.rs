//! Samples and log entries still in the head, read metric by metric (service by service) while the query
//! runs, so that a query over everything never holds more than one of them a task.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::{self, StreamExt};
use store::{HeadFilter, Snapshot, Table};

use super::bounds::Bounds;
use super::{TableScan, ordering, ordering_within_key};
use crate::error::from_store;

/// Rows of a batch handed on.
const BATCH_ROWS: usize = 8192;

/// Reads the head's part of `metrics` or `logs`. Partitions hold runs of keys in order, so every partition is
/// in the table's order.
#[derive(Debug)]
pub(super) struct HeadExec {
    snapshot: Arc<Snapshot>,
    table: Table,
    bounds: Bounds,
    partitions: Vec<Arc<[Part]>>,
    projection: Arc<[usize]>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// What is read at once: the rows with one key.
#[derive(Clone, Debug)]
struct Part {
    /// Metric or service.
    key: String,
    /// Streams of the service.
    ids: Option<Arc<HashSet<i64>>>,
}

impl HeadExec {
    /// A plan over the keys the bounds allow; `None` where the head has none of them.
    pub(super) fn plan(
        scan: &TableScan,
        bounds: Bounds,
        projection: &[usize],
        partitions: usize,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let parts = parts(scan, &bounds);
        if parts.is_empty() {
            return Ok(None);
        }
        let each = parts.len().div_ceil(partitions.max(1));
        let partitions: Vec<Arc<[Part]>> = parts.chunks(each).map(Arc::from).collect();
        let schema = scan.projected_schema(projection)?;
        let mut orders: Vec<_> = ordering(scan.table, &schema).into_iter().collect();
        if each == 1 {
            orders.extend(ordering_within_key(scan.table, &schema));
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(Arc::clone(&schema), orders),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Some(Arc::new(HeadExec {
            snapshot: Arc::clone(&scan.snapshot),
            table: scan.table,
            bounds,
            partitions,
            projection: Arc::from(projection),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })))
    }
}

impl DisplayAs for HeadExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: usize = self.partitions.iter().map(|parts| parts.len()).sum();
        write!(f, "HeadExec: table={}, keys={keys}, partitions={}", self.table, self.partitions.len())
    }
}

impl ExecutionPlan for HeadExec {
    fn name(&self) -> &'static str {
        "HeadExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let parts = Arc::clone(&self.partitions[partition]);
        let (snapshot, table, bounds) = (Arc::clone(&self.snapshot), self.table, self.bounds.clone());
        let projection = Arc::clone(&self.projection);
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = stream::iter(0..parts.len()).flat_map(move |i| {
            let read = read(&snapshot, table, &bounds, &parts[i], &projection);
            stream::iter(match read {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        let counted =
            batches.map(move |batch| batch.map(|batch: RecordBatch| batch.record_output(&baseline)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The keys to read, in order.
fn parts(scan: &TableScan, bounds: &Bounds) -> Vec<Part> {
    let wanted = |key: &str| bounds.keys.as_ref().is_none_or(|keys| keys.contains(key));
    if scan.table == Table::Metrics {
        let mut names = scan.snapshot.head_metric_names();
        names.retain(|name| wanted(name));
        names.sort_unstable();
        names.dedup();
        return names.into_iter().map(|key| Part { key, ids: None }).collect();
    }
    let mut services: BTreeMap<String, HashSet<i64>> = BTreeMap::new();
    for stream in scan.snapshot.head_streams(None) {
        let service = stream.labels.get("service").unwrap_or_default();
        if wanted(service) && bounds.ids.as_ref().is_none_or(|ids| ids.contains(&stream.tsid)) {
            services.entry(service.to_owned()).or_default().insert(stream.tsid);
        }
    }
    services.into_iter().map(|(key, ids)| Part { key, ids: Some(Arc::new(ids)) }).collect()
}

/// Rows with one key in the table's order, in batches of at most [`BATCH_ROWS`] rows.
fn read(
    snapshot: &Snapshot,
    table: Table,
    bounds: &Bounds,
    part: &Part,
    projection: &[usize],
) -> Result<Vec<RecordBatch>> {
    let filter = HeadFilter {
        metric: (table == Table::Metrics).then(|| part.key.clone()),
        tsids: part.ids.clone().or_else(|| bounds.ids.clone()),
        start_us: bounds.start_us,
        end_us: bounds.end_us,
    };
    let batches = snapshot.head_batches(table, &filter).map_err(from_store)?;
    // The filter is a hint; rows with other keys would come out once for every key.
    let batches =
        batches.into_iter().map(|batch| only(table, &part.key, batch)).collect::<Result<Vec<_>>>()?;
    let mut pieces = Vec::new();
    for batch in batches {
        let batch = batch.project(projection)?;
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            pieces.push(batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start)));
        }
    }
    Ok(pieces)
}

/// The rows with this key, in a batch sorted by key.
fn only(table: Table, key: &str, batch: RecordBatch) -> Result<RecordBatch> {
    let column = batch.schema().index_of(table.key_column())?;
    let names = batch.column(column).as_string::<i32>();
    let rows = 0..names.len();
    let start = partition_point(rows.clone(), |row| names.value(row) < key);
    let end = partition_point(rows, |row| names.value(row) <= key);
    Ok(batch.slice(start, end - start))
}

/// The first place of `range` where `before` no longer holds; it holds for a prefix.
fn partition_point(range: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
