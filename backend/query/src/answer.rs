//! The rows of one query, as they come. Limits of time, rows and memory hold while they do.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant as Deadline, Sleep, sleep_until, timeout_at};

use crate::config::PastLimit;
use crate::error::{DAMAGED, LimitNames, QueryError, QueryErrorKind, Result, translate};
use crate::scan::Reading;
use crate::types::plain_schema;
use crate::workers::Workers;

/// Batches made ahead of the reader.
const AHEAD: usize = 2;

/// What an answer has cost so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AnswerStats {
    /// Rows handed out.
    pub rows: usize,
    /// Whether rows were left out at the row limit.
    pub truncated: bool,
    /// Time since the query was admitted; stands still once the answer has ended.
    pub elapsed: Duration,
    /// What was read for it.
    pub scanned: Scanned,
}

/// What a query read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scanned {
    /// Data files that could hold rows of the answer, by the statistics known before they were opened.
    pub files: usize,
    /// Row groups read of them.
    pub row_groups: usize,
    /// Rows that came out of files and head, before conditions that could not be pushed into the scan.
    pub rows: usize,
    /// Bytes fetched from the object store.
    pub bytes: usize,
}

/// Everything needed to run a planned query.
pub(crate) struct Job {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
    pub(crate) reading: Arc<Reading>,
    pub(crate) limit: usize,
    pub(crate) past_limit: PastLimit,
    pub(crate) started: Instant,
    pub(crate) deadline: Deadline,
    pub(crate) timed_out: QueryError,
    pub(crate) limits: LimitNames,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A running query: a stream of record batches with [`Answer::schema`].
///
/// The stream ends after the last row, or after one error. Dropping the answer ends the query and gives back
/// what it holds.
pub struct Answer {
    schema: SchemaRef,
    rows: mpsc::Receiver<Result<RecordBatch>>,
    alarm: Pin<Box<Sleep>>,
    timed_out: QueryError,
    past_limit: PastLimit,
    progress: Arc<Progress>,
    task: AbortHandle,
    ended: bool,
}

/// Reads an answer's statistics while something else reads its rows.
#[derive(Clone, Debug)]
pub struct StatsHandle(Arc<Progress>);

impl StatsHandle {
    /// The statistics now; final once the answer has ended.
    pub fn stats(&self) -> AnswerStats {
        self.0.stats()
    }
}

struct Progress {
    plan: Arc<dyn ExecutionPlan>,
    started: Instant,
    limit: usize,
    rows: AtomicUsize,
    truncated: AtomicBool,
    elapsed: OnceLock<Duration>,
    /// How the query's task ended, where that was not with its last row.
    failure: Mutex<Option<QueryError>>,
    complete: AtomicBool,
}

impl Answer {
    /// Starts the job on `workers`; the deadline is kept by the caller's runtime, which is never that busy.
    pub(crate) fn start(job: Job, workers: &Workers) -> Result<Answer> {
        let schema = plain_schema(&job.plan.schema());
        let (send, rows) = mpsc::channel(AHEAD);
        let progress = Arc::new(Progress {
            plan: Arc::clone(&job.plan),
            started: job.started,
            limit: job.limit,
            rows: AtomicUsize::new(0),
            truncated: AtomicBool::new(false),
            elapsed: OnceLock::new(),
            failure: Mutex::new(None),
            complete: AtomicBool::new(false),
        });
        let (alarm, timed_out, past_limit) =
            (Box::pin(sleep_until(job.deadline)), job.timed_out.clone(), job.past_limit);
        let task = workers.spawn(run(job, Arc::clone(&schema), send, Arc::clone(&progress))).abort_handle();
        Ok(Answer { schema, rows, alarm, timed_out, past_limit, progress, task, ended: false })
    }

    /// Columns of the answer: plain Arrow types, times as microseconds in UTC.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What the answer has cost so far; final once the stream has ended.
    pub fn stats(&self) -> AnswerStats {
        self.progress.stats()
    }

    /// The statistics for whoever hands the answer on.
    pub fn stats_handle(&self) -> StatsHandle {
        StatsHandle(Arc::clone(&self.progress))
    }

    /// All rows at once, for small answers.
    pub async fn collect(mut self) -> Result<(Vec<RecordBatch>, AnswerStats)> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok((batches, self.stats()))
    }

    fn end(&mut self) {
        self.ended = true;
        self.progress.stop_clock();
        self.task.abort();
    }

    /// Cuts a batch off at the row limit.
    fn admit(&mut self, batch: RecordBatch) -> Option<Result<RecordBatch>> {
        let before = self.progress.rows.load(Ordering::Relaxed);
        let room = self.progress.limit - before;
        if batch.num_rows() <= room {
            self.progress.rows.store(before + batch.num_rows(), Ordering::Relaxed);
            return Some(Ok(batch));
        }
        self.progress.truncated.store(true, Ordering::Relaxed);
        self.progress.rows.store(before + room, Ordering::Relaxed);
        self.end();
        if self.past_limit == PastLimit::Fail {
            let message = format!("query exceeded the row limit of {}", self.progress.limit);
            return Some(Err(QueryError::new(QueryErrorKind::RowLimit, message)));
        }
        (room > 0).then(|| Ok(batch.slice(0, room)))
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match self.rows.poll_recv(context) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                ready!(self.alarm.as_mut().poll(context));
                Some(Err(self.timed_out.clone()))
            }
        };
        Poll::Ready(match next {
            Some(Ok(batch)) => self.admit(batch),
            Some(Err(error)) => {
                self.end();
                Some(Err(error))
            }
            None => {
                self.end();
                self.progress.why_ended().map(Err)
            }
        })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("schema", &self.schema)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Runs the plan and hands its batches on until the end, the deadline, or nobody listens. The place among
/// the running queries is kept until the work has really ended.
async fn run(job: Job, schema: SchemaRef, send: mpsc::Sender<Result<RecordBatch>>, progress: Arc<Progress>) {
    let Job { plan, context, reading, deadline, timed_out, limits, permit, .. } = job;
    let work = async {
        let mut batches = execute_stream(plan, context).map_err(|error| translate(&error, limits))?;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| name_damaged(translate(&error, limits), &reading))?;
            if send.send(plain(&batch, &schema)).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    match timeout_at(deadline, work).await {
        Ok(Ok(())) => progress.complete.store(true, Ordering::Release),
        Ok(Err(error)) => progress.fail(error),
        Err(_) => progress.fail(timed_out),
    }
    drop(permit);
}

/// Adds the file to "a data file is damaged", or the files that come into question.
fn name_damaged(mut error: QueryError, reading: &Reading) -> QueryError {
    let files = reading.files();
    if let (Some(reason), false) = (error.message.strip_prefix(DAMAGED), files.is_empty()) {
        let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
        error.message = match files.as_slice() {
            [file] => format!("data file {file} is damaged{reason}"),
            several => format!("one of the data files {} is damaged{reason}", several.join(", ")),
        };
    }
    error
}

/// The batch with the types of `schema`.
fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let failed =
        |error: arrow::error::ArrowError| QueryError::plan(format!("cannot convert an answer: {error}"));
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()).map_err(failed),
        })
        .collect::<Result<Vec<_>>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(failed)
}

impl Progress {
    fn fail(&self, error: QueryError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The error the task ended with; a task that left neither rows nor an error has panicked.
    fn why_ended(&self) -> Option<QueryError> {
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Some(error);
        }
        let complete = self.complete.load(Ordering::Acquire);
        (!complete).then(|| QueryError::internal("the query engine failed; the log of the server says why"))
    }

    fn stop_clock(&self) {
        self.elapsed.get_or_init(|| self.started.elapsed());
    }

    fn stats(&self) -> AnswerStats {
        let mut scanned = Scanned::default();
        let mut seen = HashSet::new();
        add_scans(&self.plan, &mut scanned, &mut seen);
        AnswerStats {
            rows: self.rows.load(Ordering::Relaxed),
            truncated: self.truncated.load(Ordering::Relaxed),
            elapsed: self.elapsed.get().copied().unwrap_or_else(|| self.started.elapsed()),
            scanned,
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Adds up the leaves of a plan.
fn add_scans(plan: &Arc<dyn ExecutionPlan>, scanned: &mut Scanned, seen: &mut HashSet<String>) {
    for child in plan.children() {
        add_scans(child, scanned, seen);
    }
    if !plan.children().is_empty() {
        return;
    }
    let Some(metrics) = plan.metrics() else { return };
    let sum = |name: &str| metrics.sum_by_name(name).map_or(0, |value| value.as_usize());
    scanned.rows += metrics.output_rows().unwrap_or(0);
    scanned.bytes += sum("bytes_scanned");
    let config = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|exec| exec.data_source().downcast_ref::<FileScanConfig>());
    let Some(config) = config else { return };
    // A large file stands in several groups, a range of it in each.
    let files = config.file_groups.iter().flat_map(|group| group.iter().map(|file| file.path().to_string()));
    seen.clear();
    seen.extend(files);
    scanned.files += seen.len();
    scanned.row_groups += row_groups_read(&metrics);
}

fn row_groups_read(metrics: &datafusion::physical_plan::metrics::MetricsSet) -> usize {
    use datafusion::physical_plan::metrics::MetricValue;
    metrics
        .iter()
        .filter_map(|metric| match metric.value() {
            MetricValue::PruningMetrics { name, pruning_metrics }
                if name == "row_groups_pruned_bloom_filter" =>
            {
                Some(pruning_metrics.matched())
            }
            _ => None,
        })
        .sum()
}
