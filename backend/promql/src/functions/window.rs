//! What functions over ranges work on: the samples of one series within one window. One pass over a series
//! moves the window's ends forward; the functions only see slices.

use std::ops::Range;

use crate::annotations::Annotations;
use crate::ast::RangeMode;
use crate::error::{Error, Span};
use crate::source::HistogramSample;
use crate::value::Cell;

/// The samples of a series in a window of time, left end excluded, right end included. With `anchored` and
/// `smoothed` also samples around it. No stale markers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// Times of the floats.
    pub(crate) timestamps: &'a [i64],
    /// The floats.
    pub(crate) values: &'a [f64],
    /// When counting began, a time a float; empty where not known.
    pub(crate) starts: &'a [i64],
    /// What is known of counter resets.
    pub(crate) resets: Resets<'a>,
    /// Exact sums of all floats up to each; empty unless asked for and the floats are whole numbers.
    pub(crate) sums: &'a [f64],
    pub(crate) histograms: &'a [HistogramSample],
    /// True where start timestamps of histograms may be used.
    pub(crate) use_starts: bool,
    /// The evaluation time.
    pub(crate) time_ms: i64,
    /// The window's ends, without what `anchored` and `smoothed` add.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) mode: RangeMode,
    /// Scalar arguments at this step, in order.
    pub(crate) parameters: [f64; 2],
    /// The metric's name, for notes.
    pub(crate) metric: &'a str,
    /// Where the first argument stands, for notes.
    pub(crate) span: Span,
}

impl Window<'_> {
    /// Length of the window in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.end_ms - self.start_ms)
    }

    /// True where no sample is in the window.
    pub(crate) fn is_empty(&self) -> bool {
        self.timestamps.is_empty() && self.histograms.is_empty()
    }

    /// The sum of the floats, where it is known without adding them up.
    pub(crate) fn exact_sum(&self) -> Option<f64> {
        Some(self.sums.last()? - self.sums.first()? + self.values.first()?)
    }

    /// Start timestamp of a histogram, 0 where not known.
    pub(crate) fn histogram_start(&self, index: usize) -> i64 {
        if self.use_starts { self.histograms[index].start_ms } else { 0 }
    }

    /// Start timestamp of a float, 0 where not known.
    pub(crate) fn float_start(&self, index: usize) -> i64 {
        self.starts.get(index).copied().unwrap_or(0)
    }
}

/// Milliseconds as float seconds.
#[expect(clippy::cast_precision_loss, reason = "the language's times are float seconds")]
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "the language's numbers are floats")]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}

/// Largest whole number up to which all whole numbers are floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The sums of all values up to each, if they are exact in any order of adding: whole numbers that add up to no
/// more than 2^53. Compensated summation would give the very same then.
pub(crate) fn exact_sums(values: &[f64]) -> Vec<f64> {
    let magnitude: f64 = values.iter().map(|value| value.abs()).sum();
    if magnitude.is_nan() || magnitude > EXACT_MAX || values.iter().any(|value| value.fract() != 0.0) {
        return Vec::new();
    }
    let mut sum = 0.0;
    values
        .iter()
        .map(|value| {
            sum += value;
            sum
        })
        .collect()
}

/// What is known of the falls of a counter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Resets<'a> {
    /// They were not looked for.
    #[default]
    Unknown,
    /// There is none.
    None,
    /// How many there are up to each float.
    Counted(&'a [u32]),
}

impl<'a> Resets<'a> {
    /// What is known of those of some of the floats.
    pub(crate) fn within(self, floats: Range<usize>) -> Resets<'a> {
        match self {
            Resets::Counted(resets) => resets.get(floats).map_or(Resets::Unknown, Resets::Counted),
            known => known,
        }
    }

    /// Whether there is none after the first float.
    pub(crate) fn are_none(self) -> bool {
        match self {
            Resets::Unknown => false,
            Resets::None => true,
            Resets::Counted(resets) => resets.first() == resets.last(),
        }
    }
}

/// Values compared without a branch.
const FALLS_IN_BLOCK: usize = 64;

/// How many falls there are up to each value; `None` where there is none at all.
pub(crate) fn counter_resets(values: &[f64]) -> Option<Vec<u32>> {
    let falls = |(before, after): (&[f64], &[f64])| {
        before.iter().zip(after).fold(false, |falls, (before, after)| falls | (after < before))
    };
    let after = values.get(1..).unwrap_or(&[]);
    if !values.chunks(FALLS_IN_BLOCK).zip(after.chunks(FALLS_IN_BLOCK)).any(falls) {
        return None;
    }
    let mut resets = 0;
    let mut previous = f64::NAN;
    let counted = values.iter().map(|value| {
        resets += u32::from(*value < previous);
        previous = *value;
        resets
    });
    Some(counted.collect())
}

/// Computes one value of a window, or none.
pub(crate) type WindowFn = fn(&Window<'_>, &mut Annotations) -> Result<Option<Cell>, Error>;

/// The floats of a series and where its windows lie, one a step. Nothing is known of when counting began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatSeries<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) resets: Resets<'a>,
    /// The first float of each window, and one past the last.
    pub(crate) ends: &'a [(usize, usize)],
    /// Start and end of each window in milliseconds.
    pub(crate) windows: &'a [(i64, i64)],
}

/// Computes what a [`WindowFn`] says of every window of a series of floats; a stale marker stands for nothing.
pub(crate) type FloatsFn = fn(&FloatSeries<'_>) -> Vec<f64>;

/// A function over windows with what the evaluator needs to know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowFunction {
    pub(crate) run: WindowFn,
    /// True if the result is still the metric it was.
    pub(crate) keeps_name: bool,
    pub(crate) anchored: bool,
    pub(crate) smoothed: bool,
    /// True if [`Window::resets`] is wanted.
    pub(crate) counts_resets: bool,
    /// True if [`Window::sums`] is wanted.
    pub(crate) sums: bool,
    /// The same for all windows of a series at once, which is faster.
    pub(crate) of_floats: Option<FloatsFn>,
}

impl WindowFunction {
    pub(crate) const fn new(run: WindowFn) -> WindowFunction {
        WindowFunction {
            run,
            keeps_name: false,
            anchored: false,
            smoothed: false,
            counts_resets: false,
            sums: false,
            of_floats: None,
        }
    }

    pub(crate) const fn of_floats(mut self, run: FloatsFn) -> WindowFunction {
        self.of_floats = Some(run);
        self
    }

    pub(crate) const fn keeping_name(mut self) -> WindowFunction {
        self.keeps_name = true;
        self
    }

    pub(crate) const fn anchored(mut self) -> WindowFunction {
        self.anchored = true;
        self
    }

    pub(crate) const fn smoothed(mut self) -> WindowFunction {
        self.smoothed = true;
        self
    }

    pub(crate) const fn summing(mut self) -> WindowFunction {
        self.sums = true;
        self
    }

    pub(crate) const fn counting_resets(mut self) -> WindowFunction {
        self.counts_resets = true;
        self
    }
}

/// True if a counter began anew between two samples, by their start timestamps. Prometheus
/// `isStartTimestampReset`: a start at the previous sample's time is a reset for deltas, whose starts are known,
/// but not for a cumulative counter whose start became known only now.
pub(crate) fn starts_anew(previous_start: i64, previous: i64, start: i64, time: i64) -> bool {
    if start == 0 || start >= time || start < previous {
        return false;
    }
    start > previous || (previous_start != 0 && previous_start < previous)
}

/// True if a sample claims to count from within the time of the one before: the data is wrong somewhere.
/// Prometheus `checkStartTimeOverlap`.
pub(crate) fn start_overlaps(previous_start: i64, previous: i64, start: i64) -> bool {
    start != 0 && start < previous && start != previous_start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_by_start_timestamps() {
        let check = |previous_start, start, expect| {
            assert_eq!(starts_anew(previous_start, 100, start, 200), expect, "{previous_start} {start}");
        };
        check(0, 0, false); // not known
        check(0, 50, false); // same counter
        check(0, 150, true); // began between the two
        check(50, 100, true); // delta
        check(0, 100, false); // cumulative, start was not known
        check(100, 100, false); // cumulative, start was not known (start = time)
        check(130, 100, false); // nonsense before
        check(50, 200, false); // start = time: not known
        check(50, 250, false); // nonsense
    }

    #[test]
    fn resets_are_counted_where_there_are_any() {
        assert_eq!(counter_resets(&[]), None);
        assert_eq!(counter_resets(&[1.0, f64::NAN, 0.0, 0.0]), None);
        for at in 1..200 {
            let values: Vec<f64> =
                (0..200).map(|i| f64::from(i) - if i >= at { 0.5 + 1.0 } else { 0.0 }).collect();
            let counted = counter_resets(&values).unwrap();
            let expected: Vec<u32> = (0..200).map(|i| u32::from(i >= at)).collect();
            assert_eq!(counted, expected);
            let resets = Resets::Counted(&counted);
            let at = usize::try_from(at).unwrap();
            assert!(resets.within(at..200).are_none() && !resets.within(at - 1..200).are_none());
        }
    }

    #[test]
    fn overlaps_of_start_timestamps() {
        assert!(start_overlaps(10, 100, 50));
        assert!(!start_overlaps(50, 100, 50));
        assert!(!start_overlaps(10, 100, 100));
        assert!(!start_overlaps(10, 100, 0));
    }
}
