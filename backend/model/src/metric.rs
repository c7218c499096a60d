//! Metric points and what is known of a metric family.

use serde::{Deserialize, Serialize};

use crate::Labels;

/// Bit pattern of the NaN that marks the end of a series, as Prometheus writes it. Other NaNs are values.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker as a float. Compare with [`is_stale`], never with `==`.
#[inline]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// True for the staleness marker, false for every other value and every other NaN.
#[inline]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One sample of one series.
#[derive(Clone, Debug)]
pub struct Point {
    /// The series, metric name included.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The value; NaN payloads are kept bit for bit.
    pub value: f64,
}

/// When counting began for one float sample of one series; histograms carry theirs themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartTime {
    /// The series, metric name included.
    pub labels: Labels,
    /// The sample's time, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// When counting began, milliseconds since the Unix epoch; not 0, which stands for "not told".
    pub start_ms: i64,
}

/// One observation that stands for many, often with the trace it came from.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// The series it belongs to, metric name included.
    pub labels: Labels,
    /// Its own labels, such as `trace_id`.
    pub exemplar_labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The value observed.
    pub value: f64,
}

/// What kind of thing a metric family counts, as the exposition says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only goes up, or back to zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Classic histogram: `_bucket`, `_sum`, `_count`.
    Histogram,
    /// Histogram of current values.
    GaugeHistogram,
    /// Quantiles with `_sum` and `_count`.
    Summary,
    /// Labels carry the information, the value is 1.
    Info,
    /// One series a state, one of them 1.
    StateSet,
    /// Not told.
    #[default]
    Unknown,
}

/// Type, help and unit of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricMetadata {
    /// Family name, without `_total`, `_bucket` and the like.
    pub family: String,
    /// Kind of metric.
    pub kind: MetricKind,
    /// Help text, unescaped.
    pub help: String,
    /// Unit, empty where not told.
    pub unit: String,
}
