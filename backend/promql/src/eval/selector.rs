//! Instant selectors: the last sample before each step, no older than the lookback; and smoothed ones, which
//! interpolate between neighbours. Prometheus `vectorSelectorSingle`, `smoothSeries`.

use std::borrow::Cow;
use std::sync::Arc;

use model::{is_stale, stale_nan};

use super::Evaluator;
use super::chunks::TakeChunk;
use super::windows::{Ends, KnownEnds, ends_of};
use crate::annotations::{self, Annotations, HistogramOperation};
use crate::error::{Result, Span};
use crate::functions::extended::{interpolate, interpolate_histograms};
use crate::functions::window::seconds;
use crate::histogram::{Histogram, ResetHint};
use crate::plan::{ResetHints, SelectorNode};
use crate::series::{Column, StepSeries};
use crate::source::SeriesData;
use crate::value::Cell;

/// A sample by position.
#[derive(Clone, Copy)]
enum Found {
    Float(usize),
    Histogram(usize),
}

/// Walks forward through a series; times asked for must not fall.
struct Cursor<'a> {
    data: &'a SeriesData,
    /// One past the last float at or before the time asked for last.
    float: usize,
    histogram: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor for times from `time` on.
    fn new(data: &'a SeriesData, time: i64) -> Cursor<'a> {
        Cursor {
            data,
            float: data.timestamps.partition_point(|t| *t <= time),
            histogram: data.histograms.partition_point(|sample| sample.timestamp_ms <= time),
        }
    }

    /// The last sample at or before `time` and after `oldest`, unless it ends the series.
    fn latest(&mut self, time: i64, oldest: i64) -> Option<(i64, Found)> {
        let data = self.data;
        while data.timestamps.get(self.float).is_some_and(|t| *t <= time) {
            self.float += 1;
        }
        while data.histograms.get(self.histogram).is_some_and(|sample| sample.timestamp_ms <= time) {
            self.histogram += 1;
        }
        let float = self.float.checked_sub(1).map(|i| (data.timestamps[i], Found::Float(i)));
        let histogram =
            self.histogram.checked_sub(1).map(|i| (data.histograms[i].timestamp_ms, Found::Histogram(i)));
        let (at, found) = match (float, histogram) {
            (Some(float), Some(histogram)) if histogram.0 >= float.0 => histogram,
            (Some(float), _) => float,
            (None, histogram) => histogram?,
        };
        let stale = match found {
            Found::Float(i) => is_stale(data.values[i]),
            Found::Histogram(i) => data.histograms[i].histogram.is_stale(),
        };
        (at > oldest && !stale).then_some((at, found))
    }
}

/// What to take of the samples found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    Value,
    /// The sample's time, in seconds.
    Time,
    /// When its counting began, in seconds; 0 where not known.
    Start,
}

/// What `take` says of the last float of each window, or the stale marker where there is none or it ends the series.
fn latest_floats(data: &SeriesData, take: Take, ends: &[(usize, usize)]) -> Vec<f64> {
    let last = |&(low, high): &(usize, usize)| {
        let value = if low < high { data.values[high - 1] } else { stale_nan() };
        match take {
            Take::Value => value,
            _ if is_stale(value) => value,
            Take::Time => seconds(data.timestamps[high - 1]),
            Take::Start => seconds(data.starts.get(high - 1).copied().unwrap_or(0)),
        }
    };
    ends.iter().map(last).collect()
}

/// The series, with reset hints derived if that is wanted; then custom buckets are left out, which nobody looks at, so
/// that nothing is said about bounds that change.
pub(super) fn with_hints(series: &[Arc<SeriesData>], hints: ResetHints) -> Cow<'_, [Arc<SeriesData>]> {
    let wanted = hints == ResetHints::Derived && series.iter().any(|data| !data.histograms.is_empty());
    if !wanted {
        return Cow::Borrowed(series);
    }
    series.iter().map(derive_hints).collect()
}

fn derive_hints(data: &Arc<SeriesData>) -> Arc<SeriesData> {
    let mut derived = Arc::clone(data);
    for i in 1..data.histograms.len() {
        let (before, at) = (&data.histograms[i - 1].histogram, &data.histograms[i].histogram);
        if at.reset_hint == ResetHint::Unknown && !at.is_stale() && !before.is_stale() {
            let hint = if at.is_reset_after(before) { ResetHint::Reset } else { ResetHint::NotReset };
            Arc::make_mut(&mut Arc::make_mut(&mut derived).histograms[i].histogram).reset_hint = hint;
        }
    }
    if derived.histograms.iter().any(|sample| sample.histogram.has_custom_buckets()) {
        for sample in &mut Arc::make_mut(&mut derived).histograms {
            if sample.histogram.has_custom_buckets() && !sample.histogram.is_stale() {
                let Histogram { reset_hint, schema, count, sum, .. } = *sample.histogram;
                sample.histogram =
                    Arc::new(Histogram { reset_hint, schema, count, sum, ..Histogram::default() });
            }
        }
    }
    derived
}

impl Evaluator<'_> {
    /// The series of an instant selector, handed to `chunk`.
    pub(super) fn selector(
        self,
        selector: &SelectorNode,
        span: Span,
        chunk: &mut TakeChunk<'_>,
    ) -> Result<()> {
        let mut known = KnownEnds::default();
        self.context.each_series_chunk(selector.selection, &mut |series| {
            chunk(if selector.smoothed {
                self.smoothed(selector, span, series)?
            } else {
                self.latest(selector, Take::Value, series, &mut known)?
            })
        })
    }

    /// What `take` says of the samples of an instant selector that is not smoothed, handed to `chunk`.
    pub(super) fn select(self, selector: &SelectorNode, take: Take, chunk: &mut TakeChunk<'_>) -> Result<()> {
        let mut known = KnownEnds::default();
        self.context.each_series_chunk(selector.selection, &mut |series| {
            chunk(self.latest(selector, take, series, &mut known)?)
        })
    }

    fn latest(
        self,
        selector: &SelectorNode,
        take: Take,
        series: &[Arc<SeriesData>],
        known: &mut KnownEnds,
    ) -> Result<Vec<StepSeries>> {
        let series = with_hints(series, selector.hints);
        let lookback = self.context.settings.lookback_ms;
        let (grid, shift) = (self.grid, selector.shift);
        let find = |times: &[i64]| {
            let newest = grid.times().map(|time| shift.apply(time));
            ends_of(times, newest.map(|time| (time.saturating_sub(lookback), time)))
        };
        let series: Vec<(&Arc<SeriesData>, Option<Ends>)> =
            series.iter().map(|data| (data, known.of(&data.timestamps, grid.steps, find))).collect();
        self.map_series(&series, grid.steps, |(data, ends), _| {
            let mut out = StepSeries::new(data.labels.clone(), false);
            if data.histograms.is_empty() {
                let ends = ends.as_ref().map_or_else(|| find(&data.timestamps), Arc::clone);
                out.floats = Column::from_slots(0, latest_floats(data, take, &ends));
                return Ok(Some(out));
            }
            let mut cursor = Cursor::new(data, shift.apply(grid.start_ms));
            for (step, time) in grid.times().enumerate() {
                let time = shift.apply(time);
                let Some((at, found)) = cursor.latest(time, time.saturating_sub(lookback)) else { continue };
                let cell = match (take, found) {
                    (Take::Value, Found::Float(i)) => Cell::Float(data.values[i]),
                    (Take::Value, Found::Histogram(i)) => {
                        Cell::Histogram(Arc::clone(&data.histograms[i].histogram))
                    }
                    (Take::Time, _) => Cell::Float(seconds(at)),
                    (Take::Start, Found::Float(i)) => {
                        Cell::Float(seconds(data.starts.get(i).copied().unwrap_or(0)))
                    }
                    (Take::Start, Found::Histogram(i)) => Cell::Float(seconds(data.histograms[i].start_ms)),
                };
                out.push(step, cell);
            }
            Ok(Some(out))
        })
    }

    fn smoothed(
        self,
        selector: &SelectorNode,
        span: Span,
        series: &[Arc<SeriesData>],
    ) -> Result<Vec<StepSeries>> {
        let lookback = self.context.settings.lookback_ms;
        let (grid, shift) = (self.grid, selector.shift);
        self.map_series(series, grid.steps, |data, notes| {
            let data = super::range::without_stale(data);
            let mut out = StepSeries::new(data.labels.clone(), false);
            for (step, time) in grid.times().enumerate() {
                if let Some(cell) = smoothed_value(&data, shift.apply(time), lookback, span, notes) {
                    out.push(step, cell);
                }
            }
            Ok(Some(out))
        })
    }
}

/// The value at `time`: on the line between the neighbours within the lookback, or the last one before.
fn smoothed_value(
    data: &SeriesData,
    time: i64,
    lookback: i64,
    span: Span,
    notes: &mut Annotations,
) -> Option<Cell> {
    let (from, to) = (time.saturating_sub(lookback), time.saturating_add(lookback));
    let floats =
        data.timestamps.partition_point(|t| *t <= from)..data.timestamps.partition_point(|t| *t <= to);
    let time_of = |i: usize| data.histograms[i].timestamp_ms;
    let histograms = data.histograms.partition_point(|sample| sample.timestamp_ms <= from)
        ..data.histograms.partition_point(|sample| sample.timestamp_ms <= to);
    if !floats.is_empty() && !histograms.is_empty() {
        notes.add(annotations::mixed_floats_histograms(data.labels.name()), span);
        return None;
    }
    if !histograms.is_empty() {
        let next = data.histograms.partition_point(|sample| sample.timestamp_ms < time);
        if next < histograms.end && time_of(next) == time {
            return Some(Cell::Histogram(Arc::clone(&data.histograms[next].histogram)));
        }
        let previous = next.checked_sub(1).filter(|i| *i >= histograms.start)?;
        if next == histograms.end {
            return Some(Cell::Histogram(Arc::clone(&data.histograms[previous].histogram)));
        }
        let (before, after) = (&data.histograms[previous], &data.histograms[next]);
        if before.histogram.has_custom_buckets() != after.histogram.has_custom_buckets() {
            notes.add(annotations::mixed_exponential_custom(data.labels.name()), span);
            return None;
        }
        let counter = after.histogram.reset_hint != ResetHint::Gauge;
        return match interpolate_histograms(before, after, time, counter) {
            Ok((histogram, reconciled)) => {
                if reconciled {
                    notes.add(annotations::reconciled_bounds(HistogramOperation::Subtraction), span);
                }
                Some(Cell::Histogram(Arc::new(histogram)))
            }
            Err(_) => {
                notes.add(annotations::mixed_exponential_custom(data.labels.name()), span);
                None
            }
        };
    }
    let next = data.timestamps.partition_point(|t| *t < time);
    if next < floats.end && data.timestamps[next] == time {
        return Some(Cell::Float(data.values[next]));
    }
    let previous = next.checked_sub(1).filter(|i| *i >= floats.start)?;
    if next == floats.end {
        return Some(Cell::Float(data.values[previous]));
    }
    let [before, after] = [previous, next].map(|i| (data.timestamps[i], data.values[i]));
    Some(Cell::Float(interpolate(before, after, time, false)))
}
