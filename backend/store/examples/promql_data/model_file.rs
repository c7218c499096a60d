//! What was learned of one host, as `tests/bench/promql_model.py` writes it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Series of one host; `{host}` in label values stands for its name.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) series: Vec<SeriesModel>,
    pub(crate) histograms: Vec<HistogramModel>,
}

/// One series and how it moves.
#[derive(Debug, Deserialize)]
pub(crate) struct SeriesModel {
    /// `__name__` included.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) walk: Walk,
    /// Value recorded first.
    pub(crate) first: f64,
    /// Increase a second, of counters.
    pub(crate) pace: f64,
    /// Changes a second.
    pub(crate) often: f64,
    pub(crate) mean: f64,
    /// Standard deviation.
    pub(crate) spread: f64,
    /// Values times `per_unit` are multiples of `multiple`.
    pub(crate) per_unit: f64,
    pub(crate) multiple: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Walk {
    Constant,
    Counter,
    Gauge,
    /// Shows the time.
    Clock,
}

/// A classic histogram of durations.
#[derive(Debug, Deserialize)]
pub(crate) struct HistogramModel {
    /// Without `le`; `__name__` without an ending.
    pub(crate) labels: BTreeMap<String, String>,
    /// Upper bounds but for the last, which is infinite.
    pub(crate) bounds: Vec<f64>,
    /// Observations a second.
    pub(crate) per_second: f64,
    /// Median of what is observed.
    pub(crate) median: f64,
}
