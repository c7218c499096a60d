//! Rows of `metrics` from generations: sorted by (metric, tsid, ts), one row a series and timestamp.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};

use super::chunk::Sample;
use super::generation::Generation;
use super::metrics::{DAY_MS, Series};
use crate::duplicates::wins;
use crate::error::Result;
use crate::paths::DAY_US;
use crate::tables::Table;

/// Most rows in a record batch.
pub(crate) const BATCH_ROWS: usize = 64 * 1024;

/// Which rows a scan gives; a hint that is honoured for everything but duplicates.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// Only this metric.
    pub(crate) metric: Option<String>,
    /// Only these ids.
    pub(crate) ids: Option<Arc<HashSet<i64>>>,
    /// Earliest time, inclusive, microseconds.
    pub(crate) start_us: i64,
    /// Latest time, inclusive, microseconds.
    pub(crate) end_us: i64,
    /// Whether rows begin with the column `day`.
    pub(crate) with_day: bool,
}

impl Selection {
    /// All rows of these days; of one day as a data file holds them, of several with the column `day`.
    pub(crate) fn days(days: RangeInclusive<i32>) -> Selection {
        let start_us = i64::from(*days.start()) * DAY_US;
        let end_us = (i64::from(*days.end()) + 1) * DAY_US - 1;
        Selection { metric: None, ids: None, start_us, end_us, with_day: days.start() != days.end() }
    }

    /// Whether the id is asked for.
    pub(crate) fn wants_id(&self, id: i64) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&id))
    }

    /// The metrics to look at, in order.
    pub(crate) fn metric_names(&self, generations: &[Arc<Generation>]) -> Vec<String> {
        if let Some(metric) = &self.metric {
            return vec![metric.clone()];
        }
        let mut names = std::collections::BTreeSet::new();
        for generation in generations {
            names.append(&mut generation.metrics.metric_names());
        }
        names.into_iter().collect()
    }
}

/// Walks over the rows, one record batch at a time.
#[derive(Debug)]
pub(crate) struct MetricScan {
    generations: Vec<Arc<Generation>>,
    selection: Selection,
    metrics: std::vec::IntoIter<String>,
    metric: String,
    /// Series of `metric` that are left, by falling tsid; of one tsid the older generation comes last.
    series: Vec<Series>,
    samples: std::vec::IntoIter<Sample>,
    tsid: i64,
    job: Option<String>,
    instance: Option<String>,
}

impl MetricScan {
    /// Starts a scan over `generations`, oldest first.
    pub(crate) fn new(generations: Vec<Arc<Generation>>, selection: Selection) -> MetricScan {
        let metrics = selection.metric_names(&generations).into_iter();
        MetricScan {
            generations,
            selection,
            metrics,
            metric: String::new(),
            series: Vec::new(),
            samples: Vec::new().into_iter(),
            tsid: 0,
            job: None,
            instance: None,
        }
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = Rows::default();
        while rows.count < BATCH_ROWS {
            if self.samples.len() == 0 && !self.next_series() {
                break;
            }
            let room = BATCH_ROWS - rows.count;
            for (timestamp_ms, value) in self.samples.by_ref().take(room) {
                rows.push(self.selection.with_day, timestamp_ms, value);
                rows.metric.append_value(&self.metric);
                rows.tsid.append_value(self.tsid);
                rows.job.append_option(self.job.as_deref());
                rows.instance.append_option(self.instance.as_deref());
            }
        }
        if rows.count == 0 { Ok(None) } else { rows.finish(self.selection.with_day).map(Some) }
    }

    /// Moves on to the next series that has samples in the range.
    fn next_series(&mut self) -> bool {
        loop {
            while let Some(series) = self.series.pop() {
                let samples = self.merged_samples(&series);
                if samples.is_empty() {
                    continue;
                }
                self.samples = samples.into_iter();
                self.tsid = series.tsid;
                self.job = series.labels.get("job").map(str::to_owned);
                self.instance = series.labels.get("instance").map(str::to_owned);
                return true;
            }
            let Some(metric) = self.metrics.next() else { return false };
            self.load_metric(metric);
        }
    }

    fn load_metric(&mut self, metric: String) {
        let (start_ms, end_ms) = self.range_ms();
        let selection = &self.selection;
        // Newest generation first and a stable sort: popping from the end gives the oldest of a tsid first.
        for generation in self.generations.iter().rev() {
            let keep = |series: &Series| series.overlaps(start_ms, end_ms) && selection.wants_id(series.tsid);
            self.series.append(&mut generation.metrics.series_of(&metric, keep));
        }
        self.series.sort_by_key(|series| std::cmp::Reverse(series.tsid));
        self.metric = metric;
    }

    fn range_ms(&self) -> (i64, i64) {
        (self.selection.start_us.div_euclid(1_000), self.selection.end_us.div_euclid(1_000))
    }

    /// Samples of `first` and of the same series in later generations; one a timestamp.
    fn merged_samples(&mut self, first: &Series) -> Vec<Sample> {
        let (start_ms, end_ms) = self.range_ms();
        let mut samples: Vec<Sample> = first.samples(start_ms, end_ms).collect();
        let (mut in_order, mut max_ms) = (first.in_order, first.max_ms);
        while let Some(later) = self.series.pop_if(|series| series.tsid == first.tsid) {
            in_order &= later.in_order && later.min_ms > max_ms;
            max_ms = max_ms.max(later.max_ms);
            samples.extend(later.samples(start_ms, end_ms));
        }
        if !in_order {
            keep_one(&mut samples);
        }
        samples
    }
}

/// Sorts by time; of samples with the same time one stays, by [`wins`].
pub(crate) fn keep_one(samples: &mut Vec<Sample>) {
    samples.sort_unstable_by_key(|sample| sample.0);
    samples.dedup_by(|other, kept| {
        let same = other.0 == kept.0;
        if same {
            kept.1 = wins(kept.1, other.1);
        }
        same
    });
}

#[derive(Debug, Default)]
struct Rows {
    count: usize,
    day: Date32Builder,
    metric: StringBuilder,
    tsid: Int64Builder,
    ts: TimestampMicrosecondBuilder,
    value: Float64Builder,
    job: StringBuilder,
    instance: StringBuilder,
}

impl Rows {
    fn push(&mut self, with_day: bool, timestamp_ms: i64, value: f64) {
        self.count += 1;
        if with_day {
            self.day.append_value(timestamp_ms.div_euclid(DAY_MS) as i32);
        }
        self.ts.append_value(timestamp_ms * 1_000);
        self.value.append_value(value);
    }

    fn finish(mut self, with_day: bool) -> Result<RecordBatch> {
        let ts = self.ts.finish().with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.metric.finish()),
            Arc::new(self.tsid.finish()),
            Arc::new(ts),
            Arc::new(self.value.finish()),
            Arc::new(self.job.finish()),
            Arc::new(self.instance.finish()),
        ];
        with_day_column(Table::Metrics, with_day.then_some(self.day), &mut columns)
    }
}

/// Puts the columns of `table` together, `day` in front where there is one.
pub(crate) fn with_day_column(
    table: Table,
    day: Option<Date32Builder>,
    columns: &mut Vec<ArrayRef>,
) -> Result<RecordBatch> {
    let schema = match day {
        Some(mut day) => {
            columns.insert(0, Arc::new(day.finish()));
            table.sql_schema()
        }
        None => table.file_schema(),
    };
    Ok(RecordBatch::try_new(schema, std::mem::take(columns))?)
}
