//! What is known of the times of samples that were written before: whether a sample that arrives can be the
//! second one of its series and timestamp.
//!
//! Every series in the registry remembers its newest sample. For those that are not there any more, or were
//! written by an earlier run, one time stands in: the newest of them all. A sample from the far future must
//! not make every later one look old, so samples that lie ahead of the clock do not count as newest; the days
//! they lie on are remembered instead, and whatever arrives for such a day may repeat.

use std::collections::BTreeSet;

use super::metrics::DAY_MS;

/// How far ahead of the clock a sample may be and still count as the newest of its series.
const AHEAD_MS: i64 = 600_000;
/// Days with samples ahead of the clock that are remembered one by one.
const DAYS_MAX: usize = 4_096;

/// What arriving samples were like beside what their series had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// Behind the newest sample of their series, within the window.
    pub(crate) out_of_order: u64,
    /// Behind it by more than the window.
    pub(crate) too_old: u64,
    /// With the timestamp of the newest sample of their series.
    pub(crate) repeated: u64,
    /// Whether one of them may have the series and timestamp of a sample written before.
    pub(crate) may_repeat: bool,
}

/// Times of samples of all series that are not remembered series by series.
#[derive(Debug)]
pub(crate) struct Past {
    newest_ms: i64,
    days_ahead: BTreeSet<i32>,
    /// How far behind its series' newest sample one may be and count as out of order only.
    pub(crate) window_ms: i64,
}

impl Default for Past {
    fn default() -> Past {
        Past { newest_ms: i64::MIN, days_ahead: BTreeSet::new(), window_ms: 7_200_000 }
    }
}

impl Past {
    /// Notes that samples of the day of `newest_ms` were written, none later than that; `i64::MAX` says that
    /// nothing is known.
    pub(crate) fn note(&mut self, newest_ms: i64, now_ms: i64) {
        if newest_ms == i64::MAX {
            self.newest_ms = newest_ms;
        } else if is_ahead(newest_ms, now_ms) {
            self.days_ahead.insert(day_of(newest_ms));
            if self.days_ahead.len() > DAYS_MAX {
                self.newest_ms = i64::MAX;
            }
        } else {
            self.newest_ms = self.newest_ms.max(newest_ms);
        }
    }

    /// Notes the newest sample of a series that is forgotten.
    pub(crate) fn forget(&mut self, last_ms: i64) {
        self.newest_ms = self.newest_ms.max(last_ms);
    }

    /// Takes in a sample of a series whose newest one so far was at `last_ms`, `i64::MIN` where it had none;
    /// gives the new value of `last_ms`.
    pub(crate) fn arrive(
        &mut self,
        last_ms: i64,
        timestamp_ms: i64,
        received_ms: i64,
        arrivals: &mut Arrivals,
    ) -> i64 {
        if timestamp_ms <= last_ms {
            arrivals.may_repeat = true;
            match last_ms.saturating_sub(timestamp_ms) {
                0 => arrivals.repeated += 1,
                behind if behind <= self.window_ms => arrivals.out_of_order += 1,
                _ => arrivals.too_old += 1,
            }
            return last_ms;
        }
        let known_day = !self.days_ahead.is_empty() && self.days_ahead.contains(&day_of(timestamp_ms));
        arrivals.may_repeat |= timestamp_ms <= self.newest_ms || known_day;
        if is_ahead(timestamp_ms, received_ms) {
            arrivals.may_repeat = true;
            self.note(timestamp_ms, received_ms);
            return last_ms;
        }
        timestamp_ms
    }
}

fn is_ahead(timestamp_ms: i64, now_ms: i64) -> bool {
    timestamp_ms > now_ms.saturating_add(AHEAD_MS)
}

fn day_of(timestamp_ms: i64) -> i32 {
    timestamp_ms.div_euclid(DAY_MS) as i32
}

#[cfg(test)]
mod tests;
