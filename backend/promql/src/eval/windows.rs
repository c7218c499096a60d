//! Windows that move over the samples of series. Where the floats of each window begin and end is said by their times
//! alone, which many series share: that is found out once for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::RangeMode;
use crate::error::{Result, Span};
use crate::functions::window::{Resets, Window};
use crate::grid::Grid;
use crate::plan::RangeNode;
use crate::source::SeriesData;

/// For every step the first float of its window, and one past the last.
pub(super) type Ends = Arc<[(usize, usize)]>;

/// Most samples and steps that are remembered.
const KNOWN_MAX: usize = 1 << 20;
/// With fewer steps it is sooner found out than remembered.
const STEPS_MIN: usize = 8;

/// Where windows begin and end, by columns of times that several series share.
#[derive(Default)]
pub(super) struct KnownEnds {
    /// By the address of the times, which stay where they are because they are held.
    columns: HashMap<*const Vec<i64>, (Arc<Vec<i64>>, Ends)>,
    /// Samples and steps of all of them.
    held: usize,
}

impl KnownEnds {
    /// What `find` says of `times` for `steps` steps; none where no other series has these times.
    pub(super) fn of(
        &mut self,
        times: &Arc<Vec<i64>>,
        steps: usize,
        find: impl FnOnce(&[i64]) -> Ends,
    ) -> Option<Ends> {
        if Arc::strong_count(times) < 2 || steps < STEPS_MIN {
            return None;
        }
        if let Some((_, ends)) = self.columns.get(&Arc::as_ptr(times)) {
            return Some(Arc::clone(ends));
        }
        let size = times.len() + 2 * steps;
        if self.held + size > KNOWN_MAX {
            *self = KnownEnds::default();
        }
        let ends = find(times);
        self.held += size;
        self.columns.insert(Arc::as_ptr(times), (Arc::clone(times), Arc::clone(&ends)));
        Some(ends)
    }
}

/// For every window, given by its oldest and newest time, the oldest left out, where the times in it begin and end.
/// Neither goes back from window to window.
pub(super) fn ends_of(times: &[i64], mut windows: impl Iterator<Item = (i64, i64)>) -> Ends {
    let Some(first) = windows.next() else { return Ends::default() };
    let mut low = times.partition_point(|time| *time <= first.0);
    let mut high = low;
    std::iter::once(first)
        .chain(windows)
        .map(|(oldest, newest)| {
            while times.get(high).is_some_and(|time| *time <= newest) {
                high += 1;
            }
            while low < high && times[low] <= oldest {
                low += 1;
            }
            (low, high)
        })
        .collect()
}

/// A window moving over the steps of a grid.
pub(super) struct Moving<'a> {
    pub(super) grid: Grid,
    pub(super) range: &'a RangeNode,
    pub(super) lookback_ms: i64,
}

/// What windows of one series have in common.
#[derive(Clone, Copy, Default)]
pub(super) struct WindowSettings<'a> {
    pub(super) span: Span,
    pub(super) use_starts: bool,
    pub(super) resets: Resets<'a>,
    pub(super) sums: &'a [f64],
}

impl Moving<'_> {
    /// How long before and after the window samples are looked at.
    fn around(&self) -> (i64, i64) {
        let mode = self.range.mode;
        let before = if mode == RangeMode::Plain { 0 } else { self.lookback_ms };
        (before, if mode == RangeMode::Smoothed { self.lookback_ms } else { 0 })
    }

    /// Start and end of every window, without what is looked at around it.
    pub(super) fn windows(&self) -> Vec<(i64, i64)> {
        let window = |time_ms| {
            let end_ms = self.range.shift.apply(time_ms);
            (end_ms.saturating_sub(self.range.range_ms), end_ms)
        };
        self.grid.times().map(window).collect()
    }

    /// Where the floats at `times` begin and end that windows have.
    pub(super) fn ends(&self, times: &[i64]) -> Ends {
        let (before, after) = self.around();
        let windows = self.windows().into_iter();
        ends_of(times, windows.map(|(start, end)| (start.saturating_sub(before), end.saturating_add(after))))
    }

    /// Calls `f` with every step whose window has samples; `ends` is what [`Moving::ends`] says of the times.
    pub(super) fn each_window(
        &self,
        data: &SeriesData,
        ends: &[(usize, usize)],
        settings: WindowSettings<'_>,
        mut f: impl FnMut(usize, Window<'_>) -> Result<()>,
    ) -> Result<()> {
        let mode = self.range.mode;
        let (before, after) = self.around();
        let first_end = self.range.shift.apply(self.grid.start_ms);
        let first_start = first_end.saturating_sub(self.range.range_ms).saturating_sub(before);
        let mut low_histogram = data.histograms.partition_point(|sample| sample.timestamp_ms <= first_start);
        let mut high_histogram = low_histogram;
        let metric = data.labels.name();
        for (step, (time_ms, (low, high))) in self.grid.times().zip(ends.iter().copied()).enumerate() {
            let end_ms = self.range.shift.apply(time_ms);
            let start_ms = end_ms.saturating_sub(self.range.range_ms);
            let (oldest, newest) = (start_ms.saturating_sub(before), end_ms.saturating_add(after));
            while data.histograms.get(high_histogram).is_some_and(|s| s.timestamp_ms <= newest) {
                high_histogram += 1;
            }
            while low_histogram < high_histogram && data.histograms[low_histogram].timestamp_ms <= oldest {
                low_histogram += 1;
            }
            if low == high && low_histogram == high_histogram {
                continue;
            }
            let window = Window {
                timestamps: &data.timestamps[low..high],
                values: &data.values[low..high],
                starts: if settings.use_starts { data.starts.get(low..high).unwrap_or(&[]) } else { &[] },
                resets: settings.resets.within(low..high),
                sums: settings.sums.get(low..high).unwrap_or(&[]),
                histograms: &data.histograms[low_histogram..high_histogram],
                use_starts: settings.use_starts,
                time_ms,
                start_ms,
                end_ms,
                mode,
                parameters: [f64::NAN; 2],
                metric,
                span: settings.span,
            };
            f(step, window)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_those_of_each_window_by_itself() {
        let times = [1, 2, 5, 9, 9_000, 9_001];
        let windows: Vec<(i64, i64)> =
            vec![(-4, 0), (0, 1), (1, 5), (1, 5), (5, 9), (20, 8_000), (8_000, 9_000)];
        let ends = ends_of(&times, windows.iter().copied());
        for ((oldest, newest), (low, high)) in windows.into_iter().zip(ends.iter().copied()) {
            let within: Vec<i64> =
                times.iter().copied().filter(|time| *time > oldest && *time <= newest).collect();
            assert_eq!(times[low..high], within, "{oldest} {newest}");
        }
        assert!(ends_of(&times, std::iter::empty()).is_empty());
    }

    #[test]
    fn what_is_known_is_found_out_once_for_times_that_are_shared() {
        let mut known = KnownEnds::default();
        let times: Arc<Vec<i64>> = Arc::new(vec![1, 2, 3]);
        let find = |times: &[i64]| ends_of(times, (0..10).map(|end| (end - 2, end)));
        assert!(known.of(&times, 10, find).is_none(), "nobody else has them");
        let other = Arc::clone(&times);
        let found = known.of(&times, 10, find).unwrap();
        let again = known.of(&other, 10, |_| unreachable!("known already")).unwrap();
        assert!(Arc::ptr_eq(&found, &again));
        let equal = Arc::new(times.to_vec());
        let _other = Arc::clone(&equal);
        assert!(!Arc::ptr_eq(&known.of(&equal, 10, find).unwrap(), &found));
        // However many there are, little is kept.
        let long: Vec<Arc<Vec<i64>>> = (0..20).map(|i| Arc::new(vec![i; KNOWN_MAX / 10])).collect();
        for times in long.iter().flat_map(|times| [times, times]) {
            let _shared = Arc::clone(times);
            known.of(times, 10, find);
            assert!(known.held <= KNOWN_MAX);
        }
    }
}
