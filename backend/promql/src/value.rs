//! What a query answers with.

use std::sync::Arc;

use model::Labels;

use crate::histogram::Histogram;

/// Seconds as a float in the JSON API; milliseconds here.
pub type TimestampMs = i64;

/// A sample of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// The evaluation time.
    pub timestamp_ms: TimestampMs,
    /// Float or histogram.
    pub value: Cell,
}

/// A float or a histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// A series of a range vector or of a range query's result. A time has a float or a histogram, never both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Times and floats, by time.
    pub floats: Vec<(TimestampMs, f64)>,
    /// Times and histograms, by time.
    pub histograms: Vec<(TimestampMs, Arc<Histogram>)>,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One float.
    Scalar(TimestampMs, f64),
    /// A text.
    String(TimestampMs, String),
    /// At most one sample a series, in the order the query asked for.
    Vector(Vec<Sample>),
    /// Samples over time, series by labels.
    Matrix(Vec<Series>),
}
