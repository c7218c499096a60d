//! What a PromQL query may use up, and how one query is asked for.

use std::sync::Arc;
use std::time::Duration;

use store::memory::Ledger;

/// Limits of the engine; the defaults are those of Prometheus where it has one.
#[derive(Clone, Debug)]
pub struct PromConfig {
    /// Longest time from asking to the answer, waiting for its turn included.
    pub timeout: Duration,
    /// A sample counts as current for this long, unless the series ends before.
    pub lookback_delta: Duration,
    /// Samples a query may hold at a time, both those it reads and those it computes.
    pub samples_max: usize,
    /// Series a selector may select.
    pub series_max: usize,
    /// Memory the samples of one query may take while they are read, in bytes.
    pub memory_limit: usize,
    /// Samples read before a query is evaluated, about; selectors with more are read while it is, some series at
    /// a time.
    pub prefetch_samples: usize,
    /// Samples read at a time in that case. Three times as many are in memory.
    pub slice_samples: usize,
    /// Queries that run at once; others wait until their time is up.
    pub concurrent_max: usize,
    /// Queries that wait at once; others are turned away.
    pub waiting_max: usize,
    /// Threads one query may use.
    pub threads: usize,
    /// Bytes of answers to range queries kept for the next ones; 0 keeps none.
    pub result_cache: usize,
    /// The account of the process's memory, which samples are taken from.
    pub ledger: Option<Arc<Ledger>>,
    /// Tell counters by the label `__type__` rather than by the metric's name.
    pub type_and_unit_labels: bool,
}

impl Default for PromConfig {
    fn default() -> PromConfig {
        PromConfig {
            timeout: Duration::from_secs(120),
            lookback_delta: Duration::from_secs(300),
            samples_max: 50_000_000,
            series_max: 1_000_000,
            memory_limit: 1 << 30,
            prefetch_samples: 4 << 20,
            slice_samples: 1 << 20,
            concurrent_max: 20,
            waiting_max: 160,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            result_cache: 16 << 20,
            ledger: None,
            type_and_unit_labels: false,
        }
    }
}

/// Bytes a sample takes in memory.
pub(super) const SAMPLE_BYTES: usize = 16;

/// Slices of a selector in memory at once: one is evaluated, one waits, one is read.
pub(super) const SLICES_HELD: usize = 3;

impl PromConfig {
    /// Samples a query may read.
    pub(super) fn samples_read_max(&self) -> usize {
        let available = self.ledger.as_ref().map_or(u64::MAX, |ledger| ledger.available());
        let bytes = self.memory_limit.min(usize::try_from(available).unwrap_or(usize::MAX));
        self.samples_max.min(bytes / SAMPLE_BYTES)
    }

    /// Samples a query may read before it is evaluated.
    pub(super) fn prefetch_max(&self) -> usize {
        self.prefetch_samples.min(self.samples_read_max() / 2)
    }

    /// Samples of a slice.
    pub(super) fn slice_len(&self) -> usize {
        self.slice_samples.min(self.samples_read_max() / (SLICES_HELD + 1)).max(1)
    }
}

/// How one query is to be answered; `None` is the engine's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromOptions {
    /// Longest time; never more than [`PromConfig::timeout`].
    pub timeout: Option<Duration>,
    /// How long a sample counts as current.
    pub lookback_delta: Option<Duration>,
}
