//! When a target is scraped: at a fixed phase of its interval in absolute time, ticks skipped and never
//! queued.
//!
//! Comes in: interval, the target's hash, the server's seed, the wall clock. Goes out: due times and the
//! timestamps of scrapes. Pure; milliseconds since the Unix epoch. Unlike Prometheus' ticker the phase is
//! found anew from the wall clock each time, so that a clock step moves no target off its phase.

use std::time::Duration;

/// A wake-up later or earlier than its due time by at most this still counts as in time.
const TOLERANCE_MS: i64 = 2;

/// The rhythm of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval_ms: i64,
    phase_ms: i64,
}

impl Schedule {
    pub(crate) fn new(interval: Duration, target_hash: u64, seed: u64) -> Schedule {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let phase_ms = i64::try_from((target_hash ^ seed) % interval_ms.unsigned_abs()).unwrap_or(0);
        Schedule { interval_ms, phase_ms }
    }

    /// The first due time not before `now_ms`.
    pub(crate) fn first(&self, now_ms: i64) -> i64 {
        let since_phase = (now_ms - self.phase_ms).rem_euclid(self.interval_ms);
        if since_phase == 0 { now_ms } else { now_ms + self.interval_ms - since_phase }
    }

    /// The due time after a scrape that began at `started_ms`. A tick missed by little is due at once; one
    /// missed by more is skipped.
    pub(crate) fn next(&self, started_ms: i64, now_ms: i64) -> i64 {
        // After a clock step backwards `started_ms` lies in the future.
        let due = self.first(started_ms.min(now_ms) + self.interval_ms / 2 + 1);
        if now_ms <= due + self.interval_ms / 10 { due } else { self.first(now_ms) }
    }

    /// How long to sleep; never longer than an interval, even where the clock was set back.
    pub(crate) fn sleep(&self, due_ms: i64, now_ms: i64) -> Duration {
        Duration::from_millis((due_ms - now_ms).clamp(0, self.interval_ms).unsigned_abs())
    }

    /// The timestamp of a scrape that was due at `due_ms` and begins now: the due time where it is near
    /// enough.
    pub(crate) fn timestamp(&self, due_ms: i64, now_ms: i64) -> i64 {
        let tolerance_ms = TOLERANCE_MS.min(self.interval_ms / 100);
        if (now_ms - due_ms).abs() <= tolerance_ms { due_ms } else { now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        // 1234 ^ 0 modulo 1000: phase 234 ms.
        Schedule::new(Duration::from_secs(1), 1234, 0)
    }

    #[test]
    fn the_phase_is_fixed_in_absolute_time() {
        for (now, due) in [(0, 234), (234, 234), (235, 1234), (1000, 1234), (9_999, 10_234)] {
            assert_eq!(schedule().first(now), due);
        }
        assert_eq!(
            Schedule::new(Duration::from_secs(1), 1234, 1234).first(1),
            1000,
            "the seed moves the phase"
        );
    }

    #[test]
    fn ticks_are_skipped_not_queued() {
        let schedule = schedule();
        assert_eq!(schedule.next(234, 300), 1234, "a short scrape");
        assert_eq!(schedule.next(234, 1240), 1234, "one that took its whole interval");
        assert_eq!(schedule.next(234, 1400), 2234, "one that took more");
        assert_eq!(schedule.next(234, 9000), 9234, "one that took many");
        assert_eq!(schedule.next(240, 300), 1234, "begun a little late");
        assert_eq!(schedule.next(230, 300), 1234, "begun a little early");
    }

    #[test]
    fn clock_steps_do_not_stop_the_rhythm() {
        let schedule = schedule();
        let due = schedule.next(3_600_234, 500);
        assert_eq!((due, schedule.sleep(due, 500)), (1234, Duration::from_millis(734)));
        assert_eq!(schedule.sleep(3_600_234, 500), Duration::from_secs(1), "at most one interval");
        assert_eq!(schedule.sleep(0, 500), Duration::ZERO);
        assert_eq!(schedule.next(234, 3_600_000), 3_600_234);
    }

    #[test]
    fn timestamps_snap_to_the_due_time() {
        for (interval_ms, now, expect) in
            [(1000, 1236, 1234), (1000, 1232, 1234), (1000, 1237, 1237), (50, 1235, 1235)]
        {
            let schedule = Schedule::new(Duration::from_millis(interval_ms), 0, 0);
            assert_eq!(schedule.timestamp(1234, now), expect);
        }
    }
}
