//! Rows of `series` and `log_streams` from generations: which label sets were in use on a day.
//!
//! A flush writes a label set of a day when it first sees it that day, and once more when its newest row has
//! moved on by an hour or the day is over. So `last_ts` is right within an hour while the day lasts, and right
//! for every set in use when it ended. [`Committed`] remembers what stands in the tables; the rest is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Int64Builder, MapBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use model::Labels;

use super::generation::Generation;
use super::log_rows::{range_ns, service};
use super::logs::{StreamRows, day_of_ns};
use super::metric_rows::{BATCH_ROWS, Selection, with_day_column};
use super::metrics::{DAY_MS, Series, map_bytes};
use crate::error::Result;
use crate::ids::IdHasher;
use crate::tables::{Table, map_builder};

/// Days of which committed rows are remembered; rows of other days may be written once more.
const DAYS_MAX: usize = 4;

/// How far `last_ts` of a committed row may lag behind while its day lasts.
const LAG_MS: u32 = 3_600_000;

/// Ids whose row of a day is committed, with the `last_ts` it has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    /// Milliseconds of the day by id.
    days: BTreeMap<i32, Arc<HashMap<i64, u32, BuildHasherDefault<IdHasher>>>>,
}

impl Committed {
    /// Whether a row need not be written. `today`: days before it are over.
    fn covers(&self, row: &LabelRow, today: i32) -> bool {
        let written = self.days.get(&row.day).and_then(|ids| ids.get(&row.id));
        let lag_max = if row.day < today { 0 } else { LAG_MS };
        written.is_some_and(|written| row.last_in_day_ms() <= written.saturating_add(lag_max))
    }

    /// Days of which rows are remembered.
    pub(crate) fn days(&self) -> impl Iterator<Item = i32> + '_ {
        self.days.keys().copied()
    }

    /// Forgets the rows of some days.
    pub(crate) fn forget(&mut self, gone: impl Fn(i32) -> bool) {
        self.days.retain(|day, _| !gone(*day));
    }

    /// Notes rows that were committed.
    pub(crate) fn add(&mut self, rows: &CommittedRows) {
        for (day, rows) in rows {
            let known = Arc::make_mut(self.days.entry(*day).or_default());
            for (id, last_ms) in rows {
                let written = known.entry(*id).or_insert(*last_ms);
                *written = (*written).max(*last_ms);
            }
        }
        while self.days.len() > DAYS_MAX {
            self.days.pop_first();
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> u64 {
        self.days.values().map(|ids| map_bytes(ids.capacity(), size_of::<(i64, u32)>()) as u64).sum()
    }
}

/// Rows of `series` or `log_streams` by day: id, and `last_ts` in milliseconds of the day.
pub(crate) type CommittedRows = HashMap<i32, Vec<(i64, u32)>>;

/// One row of `series` or `log_streams`.
#[derive(Clone, Debug)]
pub(crate) struct LabelRow {
    /// Day it belongs to.
    pub(crate) day: i32,
    /// `tsid` or `stream_id`.
    pub(crate) id: i64,
    /// The label set.
    pub(crate) labels: Labels,
    /// Earliest time of the day in the generations, microseconds.
    pub(crate) first_us: i64,
    /// Latest time.
    pub(crate) last_us: i64,
}

impl LabelRow {
    /// Latest time, milliseconds since the day began.
    pub(crate) fn last_in_day_ms(&self) -> u32 {
        self.last_us.div_euclid(1_000).rem_euclid(DAY_MS) as u32
    }
}

/// Walks over the rows of one of the two tables, one record batch at a time.
#[derive(Debug)]
pub(crate) struct LabelScan {
    table: Table,
    generations: Vec<Arc<Generation>>,
    selection: Selection,
    committed: Arc<Committed>,
    today: i32,
    /// Metrics, or services, that are left.
    keys: std::vec::IntoIter<String>,
    /// Rows of series for their histograms, start times and exemplars, by metric.
    sparse: HashMap<String, BTreeMap<(i64, i32), LabelRow>>,
    rows: std::vec::IntoIter<LabelRow>,
}

impl LabelScan {
    /// Starts a scan over `generations`, oldest first. Rows in `committed` are left out, but for those whose
    /// `last_ts` has moved on; of days before `today` however little it has.
    pub(crate) fn new(
        table: Table,
        generations: Vec<Arc<Generation>>,
        selection: Selection,
        committed: Arc<Committed>,
        today: i32,
    ) -> LabelScan {
        let (keys, rows, sparse) = if table == Table::Series {
            let sparse = sparse_rows(&generations, &selection);
            let mut keys: BTreeSet<String> = selection.metric_names(&generations).into_iter().collect();
            keys.extend(sparse.keys().cloned());
            (keys.into_iter().collect(), Vec::new(), sparse)
        } else {
            (Vec::new(), stream_rows(&generations, &selection, &committed, today), HashMap::new())
        };
        let (keys, rows) = (keys.into_iter(), rows.into_iter());
        LabelScan { table, generations, selection, committed, today, keys, sparse, rows }
    }

    /// The next rows and the record batch made of them; `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(Vec<LabelRow>, RecordBatch)>> {
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS {
            if self.rows.len() == 0 {
                let Some(metric) = self.keys.next() else { break };
                let sparse = self.sparse.remove(&metric).unwrap_or_default();
                let mut rows = series_rows(&self.generations, &metric, &self.selection, sparse);
                rows.retain(|row| !self.committed.covers(row, self.today));
                self.rows = rows.into_iter();
            }
            let room = BATCH_ROWS - rows.len();
            rows.extend(self.rows.by_ref().take(room));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let batch = record_batch(self.table, &rows, self.selection.with_day)?;
        Ok(Some((rows, batch)))
    }
}

/// Rows of series that have histograms, start times or exemplars, for those, by metric and (tsid, day).
fn sparse_rows(
    generations: &[Arc<Generation>],
    selection: &Selection,
) -> HashMap<String, BTreeMap<(i64, i32), LabelRow>> {
    let (start_ms, end_ms) = (selection.start_us.div_euclid(1_000), selection.end_us.div_euclid(1_000));
    let mut by_metric: HashMap<String, BTreeMap<(i64, i32), LabelRow>> = HashMap::new();
    for table in generations.iter().flat_map(|generation| generation.sparse.tables()) {
        table.each_row(&mut |tsid, labels, ms| {
            let metric = labels.name();
            let of_metric = selection.metric.as_ref().is_none_or(|wanted| wanted == metric);
            if !of_metric || !(start_ms..=end_ms).contains(&ms) || !selection.wants_id(tsid) {
                return;
            }
            let (day, span) = (ms.div_euclid(DAY_MS) as i32, (ms * 1_000, ms * 1_000));
            match by_metric.get_mut(metric) {
                Some(rows) => merge(rows, day, tsid, labels, span),
                None => merge(by_metric.entry(metric.to_owned()).or_default(), day, tsid, labels, span),
            }
        });
    }
    by_metric
}

/// Rows of one metric, by (tsid, day): those of samples and `rows`.
fn series_rows(
    generations: &[Arc<Generation>],
    metric: &str,
    selection: &Selection,
    mut rows: BTreeMap<(i64, i32), LabelRow>,
) -> Vec<LabelRow> {
    let (start_ms, end_ms) = (selection.start_us.div_euclid(1_000), selection.end_us.div_euclid(1_000));
    for generation in generations {
        let keep = |series: &Series| series.overlaps(start_ms, end_ms) && selection.wants_id(series.tsid);
        for series in generation.metrics.series_of(metric, keep) {
            let spans = if same_day(series.min_ms, series.max_ms) {
                vec![(series.min_ms, series.max_ms)]
            } else {
                let times = series.chunk.iter().map(|sample| sample.0);
                spans_by_day(times.filter(|ms| (start_ms..=end_ms).contains(ms)), |ms| ms.div_euclid(DAY_MS))
            };
            for (first_ms, last_ms) in spans {
                let day = first_ms.div_euclid(DAY_MS) as i32;
                let span = (first_ms * 1_000, last_ms * 1_000);
                merge(&mut rows, day, series.tsid, &series.labels, span);
            }
        }
    }
    rows.into_values().collect()
}

/// Rows of all streams, by (service, stream_id, day).
fn stream_rows(
    generations: &[Arc<Generation>],
    selection: &Selection,
    committed: &Committed,
    today: i32,
) -> Vec<LabelRow> {
    let (start_ns, end_ns) = range_ns(selection);
    let mut rows = BTreeMap::new();
    for generation in generations {
        for stream in generation.logs.streams(start_ns, end_ns, |id| selection.wants_id(id)) {
            for (first_ns, last_ns) in stream_spans(&stream, start_ns, end_ns) {
                let span = (first_ns.div_euclid(1_000), last_ns.div_euclid(1_000));
                merge(&mut rows, day_of_ns(first_ns), stream.stream_id, &stream.labels, span);
            }
        }
    }
    let mut rows: Vec<LabelRow> = rows.into_values().filter(|row| !committed.covers(row, today)).collect();
    rows.sort_by(|a, b| (service(&a.labels), a.id, a.day).cmp(&(service(&b.labels), b.id, b.day)));
    rows
}

fn stream_spans(stream: &StreamRows, start_ns: i64, end_ns: i64) -> Vec<(i64, i64)> {
    if day_of_ns(stream.min_ns) == day_of_ns(stream.max_ns) {
        return vec![(stream.min_ns, stream.max_ns)];
    }
    let times = stream.runs.iter().flat_map(|run| run.iter()).map(|entry| entry.timestamp_ns);
    spans_by_day(times.filter(|ns| (start_ns..=end_ns).contains(ns)), |ns| i64::from(day_of_ns(ns)))
}

fn same_day(first_ms: i64, last_ms: i64) -> bool {
    first_ms.div_euclid(DAY_MS) == last_ms.div_euclid(DAY_MS)
}

/// First and last time of every day.
fn spans_by_day(times: impl Iterator<Item = i64>, day: fn(i64) -> i64) -> Vec<(i64, i64)> {
    let mut spans: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for time in times {
        let span = spans.entry(day(time)).or_insert((time, time));
        *span = (span.0.min(time), span.1.max(time));
    }
    spans.into_values().collect()
}

fn merge(
    rows: &mut BTreeMap<(i64, i32), LabelRow>,
    day: i32,
    id: i64,
    labels: &Labels,
    (first_us, last_us): (i64, i64),
) {
    let row = rows.entry((id, day)).or_insert_with(|| {
        let labels = Labels::clone(labels);
        LabelRow { day, id, labels, first_us, last_us }
    });
    row.first_us = row.first_us.min(first_us);
    row.last_us = row.last_us.max(last_us);
}

fn record_batch(table: Table, rows: &[LabelRow], with_day: bool) -> Result<RecordBatch> {
    let (mut day, mut id, mut key) = (Date32Builder::new(), Int64Builder::new(), StringBuilder::new());
    let mut labels = map_builder();
    let (mut first, mut last) = (TimestampMicrosecondBuilder::new(), TimestampMicrosecondBuilder::new());
    for row in rows {
        if with_day {
            day.append_value(row.day);
        }
        id.append_value(row.id);
        key.append_value(if table == Table::Series { row.labels.name() } else { service(&row.labels) });
        append_labels(&mut labels, &row.labels)?;
        first.append_value(row.first_us);
        last.append_value(row.last_us);
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(id.finish()),
        Arc::new(key.finish()),
        Arc::new(labels.finish()),
        Arc::new(first.finish().with_timezone("UTC")),
        Arc::new(last.finish().with_timezone("UTC")),
    ];
    with_day_column(table, with_day.then_some(day), &mut columns)
}

fn append_labels(map: &mut MapBuilder<StringBuilder, StringBuilder>, labels: &Labels) -> Result<()> {
    for (name, value) in labels.iter() {
        map.keys().append_value(name);
        map.values().append_value(value);
    }
    Ok(map.append(true)?)
}
