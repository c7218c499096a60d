//! Limits on what one source may write.
//!
//! Comes in: a batch and the current time. Goes out: the part of the batch within the limits, and how much
//! was refused for which reason. A log line that is too long is cut, not refused.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use model::{Batch, Labels, LogEntry};
use serde::Deserialize;

/// What ends a line that was cut.
pub const CUT_MARK: &str = "…[cut]";

/// The limits. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Labels a series or log stream may have, the metric name included.
    pub labels_max: usize,
    /// Length of a label name.
    pub label_name_bytes_max: usize,
    /// Length of a label value.
    pub label_value_bytes_max: usize,
    /// Points one batch may carry, and as many histograms and as many exemplars; those beyond are refused.
    pub points_max: usize,
    /// Log entries one batch may carry; those beyond are refused.
    pub log_entries_max: usize,
    /// Length of a log line; longer ones are cut at a character and marked with [`CUT_MARK`].
    pub log_line_bytes_max: usize,
    /// Attributes a log entry may have; those beyond are removed.
    pub attributes_max: usize,
    /// Series a source may have active, that is: may have written within the last one to two hours; 0 for
    /// no limit. Points of further series are refused, those of its other series are not. Held by the
    /// `ingest` crate, which remembers series.
    pub series_per_source: usize,
    /// Series all sources together may have active; a series two sources write counts twice; 0 for no limit.
    pub series_total: usize,
    /// How far in the future a timestamp may lie.
    #[serde(skip)]
    pub future_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            labels_max: 128,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 8 * 1024,
            points_max: 2_000_000,
            log_entries_max: 500_000,
            log_line_bytes_max: 256 * 1024,
            attributes_max: 256,
            // Six times what a team with 30 k series has; a label that takes any value gets there in minutes.
            series_per_source: 200_000,
            // What fits beside everything else into 4 GiB.
            series_total: 2_000_000,
            future_max: Duration::from_secs(600),
        }
    }
}

/// Why something was refused or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// More labels than allowed.
    TooManyLabels,
    /// A label name is too long.
    LabelNameTooLong,
    /// A label value is too long.
    LabelValueTooLong,
    /// A point without a metric name.
    NameMissing,
    /// More points or entries than a batch may carry.
    BatchTooLarge,
    /// The timestamp lies too far in the future.
    TooFarInFuture,
    /// A native histogram whose parts do not fit together.
    HistogramInvalid,
    /// The timestamp does not fit the tables (years −290,000 to 290,000).
    TimestampOutOfRange,
    /// A point of a series that is new, and the source has as many as it may have.
    SeriesPerSource,
    /// A point of a series that is new, and all sources together have as many as they may have.
    SeriesTotal,
    /// A log line was cut; it is still stored.
    LineCut,
    /// Attributes of a log entry were removed; it is still stored.
    AttributesRemoved,
}

impl Reason {
    /// Name for metrics: `too_many_labels` …
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::TooManyLabels => "too_many_labels",
            Reason::LabelNameTooLong => "label_name_too_long",
            Reason::LabelValueTooLong => "label_value_too_long",
            Reason::NameMissing => "name_missing",
            Reason::BatchTooLarge => "batch_too_large",
            Reason::TooFarInFuture => "too_far_in_future",
            Reason::HistogramInvalid => "histogram_invalid",
            Reason::TimestampOutOfRange => "timestamp_out_of_range",
            Reason::SeriesPerSource => "series_per_source",
            Reason::SeriesTotal => "series_total",
            Reason::LineCut => "line_cut",
            Reason::AttributesRemoved => "attributes_removed",
        }
    }

    /// True where the row was refused, false where it was changed and kept.
    pub fn is_loss(self) -> bool {
        !matches!(self, Reason::LineCut | Reason::AttributesRemoved)
    }
}

/// How many rows were refused or changed, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections(BTreeMap<Reason, u64>);

impl Rejections {
    /// Counts by reason, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }

    /// Rows with this reason.
    pub fn count(&self, reason: Reason) -> u64 {
        self.0.get(&reason).copied().unwrap_or(0)
    }

    /// Rows refused.
    pub fn lost(&self) -> u64 {
        self.iter().filter(|(reason, _)| reason.is_loss()).map(|(_, count)| count).sum()
    }

    /// True where nothing was refused or changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts `rows` more with this reason.
    pub fn add(&mut self, reason: Reason, rows: usize) {
        if rows > 0 {
            *self.0.entry(reason).or_default() += rows as u64;
        }
    }
}

/// `series_per_source: 40 rows, line_cut: 2 rows`, for an answer to the source.
impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (reason, count)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let rows = if count == 1 { "row" } else { "rows" };
            write!(f, "{comma}{}: {count} {rows}", reason.as_str())?;
        }
        Ok(())
    }
}

/// Refuses or cuts what crosses the limits. `now_ms`: milliseconds since the Unix epoch.
pub fn enforce(limits: &Limits, mut batch: Batch, now_ms: i64) -> (Batch, Rejections) {
    let mut rejections = Rejections::default();
    let future_ms = i64::try_from(limits.future_max.as_millis()).unwrap_or(i64::MAX);
    let latest_ms = now_ms.saturating_add(future_ms);

    let check_sample = |labels: &Labels, timestamp_ms: i64| {
        let name = if labels.name().is_empty() { Err(Reason::NameMissing) } else { Ok(()) };
        name.and_then(|()| check_labels(limits, labels)).and_then(|()| check_time(timestamp_ms, latest_ms))
    };
    cut_to(&mut batch.points, limits.points_max, &mut rejections);
    batch.points.retain(|point| kept(check_sample(&point.labels, point.timestamp_ms), 1, &mut rejections));
    cut_to(&mut batch.histograms, limits.points_max, &mut rejections);
    batch.histograms.retain_mut(|point| {
        if !is_start(point.start_ms, point.timestamp_ms) {
            point.start_ms = 0;
        }
        let sound = point.histogram.check().map_err(|_| Reason::HistogramInvalid);
        let verdict = check_sample(&point.labels, point.timestamp_ms).and(sound);
        kept(verdict, 1, &mut rejections)
    });
    cut_to(&mut batch.exemplars, limits.points_max, &mut rejections);
    batch.exemplars.retain(|exemplar| {
        let own = check_labels(limits, &exemplar.exemplar_labels);
        kept(check_sample(&exemplar.labels, exemplar.timestamp_ms).and(own), 1, &mut rejections)
    });
    // Not rows of their own to their sender: one without its sample is of no use, whatever the reason.
    batch.starts.retain(|start| {
        is_start(start.start_ms, start.timestamp_ms)
            && check_sample(&start.labels, start.timestamp_ms).is_ok()
    });

    let mut room = limits.log_entries_max;
    batch.log_streams.retain_mut(|stream| {
        if !kept(check_labels(limits, &stream.labels), stream.entries.len(), &mut rejections) {
            return false;
        }
        cut_to(&mut stream.entries, room, &mut rejections);
        room -= stream.entries.len();
        stream.entries.retain_mut(|entry| {
            let verdict = check_time(entry.timestamp_ns.div_euclid(1_000_000), latest_ms);
            kept(verdict, 1, &mut rejections) && {
                trim(limits, entry, &mut rejections);
                true
            }
        });
        !stream.entries.is_empty()
    });

    batch.probes.retain(|result| kept(check_time(result.timestamp_ms, latest_ms), 1, &mut rejections));
    (batch, rejections)
}

fn kept(verdict: Result<(), Reason>, rows: usize, rejections: &mut Rejections) -> bool {
    verdict.map_err(|reason| rejections.add(reason, rows)).is_ok()
}

fn cut_to<T>(rows: &mut Vec<T>, max: usize, rejections: &mut Rejections) {
    rejections.add(Reason::BatchTooLarge, rows.len().saturating_sub(max));
    rows.truncate(max);
}

fn check_labels(limits: &Limits, labels: &Labels) -> Result<(), Reason> {
    if labels.len() > limits.labels_max {
        return Err(Reason::TooManyLabels);
    }
    for (name, value) in labels.iter() {
        if name.len() > limits.label_name_bytes_max {
            return Err(Reason::LabelNameTooLong);
        }
        if value.len() > limits.label_value_bytes_max {
            return Err(Reason::LabelValueTooLong);
        }
    }
    Ok(())
}

fn check_time(timestamp_ms: i64, latest_ms: i64) -> Result<(), Reason> {
    // The tables hold microseconds in 64 bits.
    const RANGE_MS: i64 = i64::MAX / 1000;
    if timestamp_ms > latest_ms {
        return Err(Reason::TooFarInFuture);
    }
    if timestamp_ms < -RANGE_MS { Err(Reason::TimestampOutOfRange) } else { Ok(()) }
}

/// Whether counting can have begun at `start_ms` for a sample at `timestamp_ms`; what else is sent means "not told".
fn is_start(start_ms: i64, timestamp_ms: i64) -> bool {
    0 < start_ms && start_ms <= timestamp_ms
}

fn trim(limits: &Limits, entry: &mut LogEntry, rejections: &mut Rejections) {
    if entry.body.len() > limits.log_line_bytes_max {
        let keep = limits.log_line_bytes_max.saturating_sub(CUT_MARK.len());
        entry.body.truncate(entry.body.floor_char_boundary(keep));
        entry.body.push_str(CUT_MARK);
        // The cut line is stored long after the batch is gone; do not keep the whole buffer alive with it.
        entry.body.shrink_to_fit();
        rejections.add(Reason::LineCut, 1);
    }
    if entry.attributes.len() > limits.attributes_max {
        entry.attributes.truncate(limits.attributes_max);
        rejections.add(Reason::AttributesRemoved, 1);
    }
}

#[cfg(test)]
mod tests;
