//! What a query gives.

use promql::{Annotations, Value};

/// The answer to a query.
#[derive(Clone, Debug)]
pub struct PromAnswer {
    /// The value.
    pub value: Value,
    /// Warnings and infos; their texts need the query's text.
    pub annotations: Annotations,
    /// How much it took.
    pub stats: PromStats,
}

/// How much a query took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PromStats {
    /// Series selected, over all selectors.
    pub series: usize,
    /// Samples read, over all selectors.
    pub samples: usize,
    /// Most samples in memory at once of those read, or more: what was read before evaluation, and what was
    /// streamed during it.
    pub samples_held_max: usize,
    /// Bytes read of files.
    pub bytes_read: u64,
    /// Files read from.
    pub files: usize,
    /// Files left out by what the catalog knows of them.
    pub files_pruned: usize,
    /// Steps of the answer that were known from earlier queries.
    pub steps_cached: usize,
    /// Time spent waiting for a place, milliseconds.
    pub queue_ms: f64,
    /// Time spent finding series, milliseconds; selectors that were looked up at once are summed up.
    pub select_ms: f64,
    /// Time spent reading samples, milliseconds, summed up likewise.
    pub read_ms: f64,
    /// Time spent evaluating, milliseconds.
    pub eval_ms: f64,
}

impl PromStats {
    /// Adds what one selector, or one part of the answer, took.
    pub(super) fn add(&mut self, other: &PromStats) {
        self.series += other.series;
        self.samples += other.samples;
        self.samples_held_max += other.samples_held_max;
        self.bytes_read += other.bytes_read;
        self.files += other.files;
        self.files_pruned += other.files_pruned;
        self.steps_cached += other.steps_cached;
        self.queue_ms += other.queue_ms;
        self.eval_ms += other.eval_ms;
        self.select_ms += other.select_ms;
        self.read_ms += other.read_ms;
    }
}
