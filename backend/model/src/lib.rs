//! The nouns every stage shares: label sets, matchers, points, log entries, probe results, batches.
//!
//! Comes in: nothing. Goes out: plain values, cheap to clone and compare. Knows nothing of wire formats,
//! files, Arrow or clocks other than the [`Clock`] it defines so that tests can stop the time.

mod batch;
mod clock;
mod histogram;
mod labels;
mod log;
mod matcher;
mod metric;
mod probe;

pub use batch::Batch;
pub use clock::{Clock, ManualClock, SystemClock};
pub use histogram::{
    BucketSpan, Buckets, CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMAS, HistogramError, HistogramPoint,
    NativeHistogram, ResetHint,
};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use log::{LogEntry, LogStream, Severity};
pub use matcher::{MatchOp, Matcher, MatcherError, Pattern, Rest};
pub use metric::{
    Exemplar, MetricKind, MetricMetadata, Point, STALE_NAN_BITS, StartTime, is_stale, stale_nan,
};
pub use probe::{ProbePhases, ProbeResult};
