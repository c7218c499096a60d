//! Where samples come from. The engine says what it needs ([`Selection`]), a [`SeriesSource`] gives whole series.
//! Fetching may happen inside `select`, or before: [`crate::PreparedQuery::selections`] lists what a query will
//! ask for, so that an asynchronous caller fetches first and evaluates over [`Prefetched`] data.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::{Labels, Matcher};

use crate::error::SourceError;
use crate::histogram::Histogram;

/// One native-histogram sample.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// When counting began, milliseconds since the epoch; 0 where not known.
    pub start_ms: i64,
    /// The histogram. A stale marker is one whose sum is the stale NaN.
    pub histogram: Arc<Histogram>,
}

/// The samples of one series, as columns. Timestamps increase strictly, over floats and histograms together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesData {
    /// The series, metric name included.
    pub labels: Labels,
    /// Times of the float samples, milliseconds since the epoch. Series with the same times may share them; what is
    /// computed of the times alone is then computed once.
    pub timestamps: Arc<Vec<i64>>,
    /// Values of the float samples; stale markers included, bit-exact.
    pub values: Vec<f64>,
    /// When counting began, a time a float sample (0: not known), or empty where nothing is known.
    pub starts: Vec<i64>,
    /// Native-histogram samples; mostly none.
    pub histograms: Vec<HistogramSample>,
}

/// What a selection is for; a source may use it to read less, and may ignore it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Query step in milliseconds; 0 for instant queries.
    pub step_ms: i64,
    /// Length of the window of a range selector, 0 for instant selectors.
    pub range_ms: i64,
    /// Function or aggregation around the selector, if any.
    pub function: Option<&'static str>,
}

/// Series and time that a query needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Position in the query's list of selections.
    pub id: usize,
    /// All must hold.
    pub matchers: Arc<[Matcher]>,
    /// First millisecond needed.
    pub start_ms: i64,
    /// Last millisecond needed.
    pub end_ms: i64,
    /// What it is for.
    pub hints: Hints,
}

/// Gives series to the engine. It may give samples outside of the selection's time; the engine ignores them.
pub trait SeriesSource: Sync {
    /// All series with samples in the selection's time that satisfy its matchers, no series twice.
    fn select(&self, selection: &Selection) -> Result<Vec<Arc<SeriesData>>, SourceError>;

    /// Whether the selection's series are better not held all at once: the engine then asks for them with
    /// [`SeriesSource::for_each_chunk`] wherever it can do with some at a time, maybe more than once.
    fn is_streamed(&self, selection: &Selection) -> bool {
        let _ = selection;
        false
    }

    /// Hands what [`SeriesSource::select`] gives to `take`, some series at a time, in the same order. `take`
    /// keeps none of them; where it breaks, nothing more is handed to it, and that is no failure.
    fn for_each_chunk(
        &self,
        selection: &Selection,
        take: &mut dyn FnMut(Vec<Arc<SeriesData>>) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let _ = take(self.select(selection)?);
        Ok(())
    }
}

/// Data fetched beforehand: one list of series a selection, in the order of
/// [`crate::PreparedQuery::selections`].
#[derive(Clone, Debug, Default)]
pub struct Prefetched(pub Vec<Vec<Arc<SeriesData>>>);

impl SeriesSource for Prefetched {
    fn select(&self, selection: &Selection) -> Result<Vec<Arc<SeriesData>>, SourceError> {
        let missing = || format!("selection {} was not fetched", selection.id);
        Ok(self.0.get(selection.id).ok_or_else(missing)?.clone())
    }
}
