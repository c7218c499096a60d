//! The evaluation times of a query or subquery, and how a selector's time follows from them.

/// Evenly spaced times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// First time, milliseconds.
    pub(crate) start_ms: i64,
    /// Distance; positive.
    pub(crate) step_ms: i64,
    /// How many times there are.
    pub(crate) steps: usize,
    /// Where the query says it ends, which may be after the last time: what `end()` means.
    pub(crate) until_ms: i64,
}

impl Grid {
    /// A single time.
    pub(crate) fn instant(time_ms: i64) -> Grid {
        Grid { start_ms: time_ms, step_ms: 1, steps: 1, until_ms: time_ms }
    }

    /// From `start_ms` in steps up to `end_ms`, both inclusive.
    pub(crate) fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Grid {
        let step_ms = step_ms.max(1);
        let steps = if end_ms < start_ms {
            0
        } else {
            usize::try_from(end_ms.saturating_sub(start_ms) / step_ms).unwrap_or(usize::MAX - 1) + 1
        };
        Grid { start_ms, step_ms, steps, until_ms: end_ms.max(start_ms) }
    }

    /// The time of a step.
    pub(crate) fn time(&self, step: usize) -> i64 {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.start_ms.saturating_add(step.saturating_mul(self.step_ms))
    }

    /// All times.
    pub(crate) fn times(&self) -> impl ExactSizeIterator<Item = i64> {
        let grid = *self;
        (0..grid.steps).map(move |step| grid.time(step))
    }

    /// The last time; the first one of an empty grid.
    pub(crate) fn end_ms(&self) -> i64 {
        self.time(self.steps.saturating_sub(1))
    }
}

/// `@` and `offset`, resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeShift {
    /// `@`: this time instead of the evaluation time.
    pub(crate) at_ms: Option<i64>,
    /// `offset`: so much earlier.
    pub(crate) offset_ms: i64,
}

impl TimeShift {
    /// The time looked at when evaluating at `time_ms`.
    pub(crate) fn apply(self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }
}
