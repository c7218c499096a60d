//! What went through the door: totals since start and the rate over the last minute.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds the rates look back.
const WINDOW_SECONDS: usize = 60;

/// Totals and rates, updated at every acknowledged batch.
#[derive(Debug, Default)]
pub struct Counters {
    points: AtomicU64,
    histograms: AtomicU64,
    exemplars: AtomicU64,
    log_entries: AtomicU64,
    probe_results: AtomicU64,
    batches: AtomicU64,
    duplicates: AtomicU64,
    rejected: AtomicU64,
    refused_batches: AtomicU64,
    window: Mutex<Window>,
}

/// How many rows of each kind one batch stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) points: usize,
    pub(crate) histograms: usize,
    pub(crate) exemplars: usize,
    pub(crate) log_entries: usize,
    pub(crate) probe_results: usize,
}

/// Points and log entries a second, in a ring of seconds.
#[derive(Debug)]
struct Window {
    points: [u64; WINDOW_SECONDS],
    log_entries: [u64; WINDOW_SECONDS],
    /// The newest second in the ring, seconds since the epoch.
    newest: i64,
    /// The first second anything was counted.
    started: i64,
}

impl Default for Window {
    fn default() -> Window {
        Window { points: [0; WINDOW_SECONDS], log_entries: [0; WINDOW_SECONDS], newest: 0, started: 0 }
    }
}

impl Window {
    fn advance(&mut self, second: i64) {
        if self.started == 0 {
            self.started = second;
            self.newest = second;
        }
        let steps = (second - self.newest).clamp(0, WINDOW_SECONDS as i64);
        for step in 1..=steps {
            let slot = slot(self.newest + step);
            self.points[slot] = 0;
            self.log_entries[slot] = 0;
        }
        if steps == WINDOW_SECONDS as i64 {
            self.points = [0; WINDOW_SECONDS];
            self.log_entries = [0; WINDOW_SECONDS];
        }
        self.newest = self.newest.max(second);
    }

    /// Whole seconds the ring covers so far.
    fn covered(&self) -> f64 {
        (self.newest - self.started + 1).clamp(1, WINDOW_SECONDS as i64) as f64
    }
}

fn slot(second: i64) -> usize {
    second.rem_euclid(WINDOW_SECONDS as i64) as usize
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountersSnapshot {
    /// Metric points acknowledged since start.
    pub points_total: u64,
    /// Native histograms acknowledged since start.
    pub histograms_total: u64,
    /// Exemplars acknowledged since start.
    pub exemplars_total: u64,
    /// Points a second over the last minute.
    pub points_per_second: f64,
    /// Log entries acknowledged since start.
    pub log_entries_total: u64,
    /// Log entries a second over the last minute.
    pub log_entries_per_second: f64,
    /// Probe results acknowledged since start.
    pub probe_results_total: u64,
    /// Batches acknowledged since start, duplicates not counted.
    pub batches_total: u64,
    /// Batches recognised as sent before.
    pub duplicates_total: u64,
    /// Rows refused by a limit.
    pub rejected_total: u64,
    /// Whole batches refused: too much in flight, or the store could not take them.
    pub refused_batches_total: u64,
}

impl Counters {
    pub(crate) fn stored(&self, stored: &Stored, now_ms: i64) {
        let Stored { points, histograms, exemplars, log_entries, probe_results } = *stored;
        self.points.fetch_add(points as u64, Ordering::Relaxed);
        self.histograms.fetch_add(histograms as u64, Ordering::Relaxed);
        self.exemplars.fetch_add(exemplars as u64, Ordering::Relaxed);
        self.log_entries.fetch_add(log_entries as u64, Ordering::Relaxed);
        self.probe_results.fetch_add(probe_results as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        let second = now_ms.div_euclid(1000);
        if let Ok(mut window) = self.window.lock() {
            window.advance(second);
            window.points[slot(second)] += points as u64;
            window.log_entries[slot(second)] += log_entries as u64;
        }
    }

    pub(crate) fn duplicate(&self) {
        self.duplicates.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self, rows: u64) {
        self.rejected.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn refused_batch(&self) {
        self.refused_batches.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters as they stand at `now_ms`.
    pub fn snapshot(&self, now_ms: i64) -> CountersSnapshot {
        let (points_per_second, log_entries_per_second) = self.rates(now_ms);
        CountersSnapshot {
            points_total: self.points.load(Ordering::Relaxed),
            histograms_total: self.histograms.load(Ordering::Relaxed),
            exemplars_total: self.exemplars.load(Ordering::Relaxed),
            points_per_second,
            log_entries_total: self.log_entries.load(Ordering::Relaxed),
            log_entries_per_second,
            probe_results_total: self.probe_results.load(Ordering::Relaxed),
            batches_total: self.batches.load(Ordering::Relaxed),
            duplicates_total: self.duplicates.load(Ordering::Relaxed),
            rejected_total: self.rejected.load(Ordering::Relaxed),
            refused_batches_total: self.refused_batches.load(Ordering::Relaxed),
        }
    }

    fn rates(&self, now_ms: i64) -> (f64, f64) {
        let Ok(mut window) = self.window.lock() else { return (0.0, 0.0) };
        if window.started == 0 {
            return (0.0, 0.0);
        }
        window.advance(now_ms.div_euclid(1000));
        let seconds = window.covered();
        let sum = |slots: &[u64]| slots.iter().sum::<u64>() as f64 / seconds;
        (sum(&window.points), sum(&window.log_entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_over_the_last_minute_only() {
        let counters = Counters::default();
        counters.stored(&Stored { points: 600, log_entries: 60, ..Stored::default() }, 1_000_000);
        assert_eq!(counters.snapshot(1_000_000).points_per_second, 600.0);
        assert_eq!(counters.snapshot(1_059_000).points_per_second, 10.0);
        assert_eq!(counters.snapshot(1_059_000).log_entries_per_second, 1.0);
        assert_eq!(counters.snapshot(1_060_000).points_per_second, 0.0);
        assert_eq!(counters.snapshot(9_000_000).points_total, 600);
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_panic() {
        let counters = Counters::default();
        counters.stored(&Stored { points: 1, ..Stored::default() }, 5_000_000);
        counters.stored(&Stored { points: 1, ..Stored::default() }, 1_000_000);
        assert_eq!(counters.snapshot(1_000_000).points_total, 2);
    }
}
