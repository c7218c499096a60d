//! Evaluates a PromQL query when its rows are asked for, and turns the answer into record batches.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, MapArray, MapBuilder, MapFieldNames, RecordBatch, RecordBatchOptions,
    StringBuilder, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::{self, StreamExt, TryStreamExt};
use model::Labels;
use promql::{Cell, Value};

use crate::catalog::PromqlQuery;
use crate::error::QueryError;
use crate::prom::PromOptions;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// Gives the answer to a PromQL query, series by series.
#[derive(Debug)]
pub(crate) struct PromqlExec {
    query: PromqlQuery,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PromqlExec {
    /// A plan that gives the columns of `schema`, which are some of those of the table function.
    pub(crate) fn new(query: PromqlQuery, schema: SchemaRef) -> PromqlExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        PromqlExec { query, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for PromqlExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PromqlExec: {}, {:?}", self.query.expression, self.query.time)
    }
}

impl ExecutionPlan for PromqlExec {
    fn name(&self) -> &'static str {
        "PromqlExec"
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
        let (query, schema) = (self.query.clone(), self.schema());
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = stream::once(async move {
            let PromqlQuery { engine, snapshot, expression, time } = query;
            let asked = engine.query(snapshot, &expression, time, &PromOptions::default()).await;
            let answer = asked.map_err(QueryError::from)?;
            let batches = pieces(rows(answer.value)).map(move |piece| batch(&schema, &piece));
            Ok::<_, DataFusionError>(stream::iter(batches))
        });
        let counted = batches
            .try_flatten()
            .map(move |batch| batch.map(|batch: RecordBatch| batch.record_output(&baseline)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The samples of one series.
struct SeriesRows {
    labels: Labels,
    samples: Vec<(i64, Cell)>,
}

/// The answer, series by series.
fn rows(value: Value) -> Vec<SeriesRows> {
    match value {
        Value::Scalar(time, value) => {
            vec![SeriesRows { labels: Labels::empty(), samples: vec![(time, Cell::Float(value))] }]
        }
        // Has no number; the text is known to whoever wrote it.
        Value::String(..) => Vec::new(),
        Value::Vector(samples) => samples
            .into_iter()
            .map(|sample| SeriesRows {
                labels: sample.labels,
                samples: vec![(sample.timestamp_ms, sample.value)],
            })
            .collect(),
        Value::Matrix(series) => series
            .into_iter()
            .map(|series| {
                let floats = series.floats.into_iter().map(|(time, value)| (time, Cell::Float(value)));
                let histograms = series.histograms.into_iter();
                let histograms = histograms.map(|(time, histogram)| (time, Cell::Histogram(histogram)));
                let mut samples: Vec<(i64, Cell)> = floats.chain(histograms).collect();
                samples.sort_by_key(|(time, _)| *time);
                SeriesRows { labels: series.labels, samples }
            })
            .collect(),
    }
}

/// The rows in pieces of at most [`BATCH_ROWS`], a piece being parts of series.
fn pieces(series: Vec<SeriesRows>) -> impl Iterator<Item = Vec<SeriesRows>> {
    let mut left = series.into_iter();
    let mut rest: Option<SeriesRows> = None;
    std::iter::from_fn(move || {
        let (mut piece, mut room) = (Vec::new(), BATCH_ROWS);
        while room > 0 {
            let Some(mut next) = rest.take().or_else(|| left.next()) else { break };
            if next.samples.len() > room {
                let samples = next.samples.split_off(room);
                rest = Some(SeriesRows { labels: next.labels.clone(), samples });
            }
            room -= next.samples.len();
            piece.push(next);
        }
        (!piece.is_empty()).then_some(piece)
    })
}

fn batch(schema: &SchemaRef, piece: &[SeriesRows]) -> Result<RecordBatch> {
    let rows: usize = piece.iter().map(|series| series.samples.len()).sum();
    let columns =
        schema.fields().iter().map(|field| column(field.name(), piece, rows)).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn column(name: &str, piece: &[SeriesRows], rows: usize) -> Result<ArrayRef> {
    let samples = || piece.iter().flat_map(|series| &series.samples);
    let text = |value: fn(&Labels) -> Option<&str>| -> ArrayRef {
        let mut texts = StringBuilder::with_capacity(rows, 0);
        for series in piece {
            let value = value(&series.labels);
            series.samples.iter().for_each(|_| texts.append_option(value));
        }
        Arc::new(texts.finish())
    };
    Ok(match name {
        "ts" => {
            let times = samples().map(|(time, _)| time.saturating_mul(1_000));
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        "metric" => text(|labels| Some(labels.name()).filter(|name| !name.is_empty())),
        "job" => text(|labels| labels.get("job")),
        "instance" => text(|labels| labels.get("instance")),
        "labels" => repeated(&maps(piece)?, piece)?,
        "value" => {
            let mut values = Float64Builder::with_capacity(rows);
            for (_, cell) in samples() {
                match cell {
                    Cell::Float(value) => values.append_value(*value),
                    Cell::Histogram(_) => values.append_null(),
                }
            }
            Arc::new(values.finish())
        }
        "histogram" => {
            let mut texts = StringBuilder::new();
            for (_, cell) in samples() {
                match cell {
                    Cell::Float(_) => texts.append_null(),
                    Cell::Histogram(histogram) => texts.append_value(histogram.to_string()),
                }
            }
            Arc::new(texts.finish())
        }
        other => return Err(DataFusionError::Internal(format!("`promql` has no column `{other}`"))),
    })
}

/// The labels of every series, once.
fn maps(piece: &[SeriesRows]) -> Result<MapArray> {
    let names =
        MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for series in piece {
        for (name, value) in series.labels.iter() {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true)?;
    }
    Ok(maps.finish())
}

/// A row of `maps` for every sample of its series.
fn repeated(maps: &MapArray, piece: &[SeriesRows]) -> Result<ArrayRef> {
    let places = piece
        .iter()
        .zip(0_u32..)
        .flat_map(|(series, place)| std::iter::repeat_n(place, series.samples.len()));
    Ok(take(maps, &UInt32Array::from_iter_values(places), None)?)
}
