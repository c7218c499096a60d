//! Where samples read from the store become series of the language: everything read passes through here, whether
//! it is all a selector needs or a slice of it. Histograms and start times, which lie in tables of their own, join
//! here.

use std::sync::Arc;

use model::Labels;
use promql::SeriesData;
use store::samples::{SampleOptions, SeriesSamples};
use store::{SeriesEntry, Snapshot};

use super::error::PromError;
use super::histograms::attach_histograms;

/// The series with samples in `range`, first and last millisecond, in the order of `entries`; `samples` has the
/// floats of each of them. Also how many samples the histograms count as, which `options` limits.
pub(super) async fn series_data(
    snapshot: &Snapshot,
    entries: &[SeriesEntry],
    samples: Vec<SeriesSamples>,
    range: (i64, i64),
    options: &SampleOptions,
) -> Result<(Vec<Arc<SeriesData>>, usize), PromError> {
    let series = entries.iter().zip(samples).map(|(entry, samples)| SeriesData {
        labels: Labels::clone(&entry.labels),
        timestamps: samples.timestamps,
        values: samples.values,
        ..SeriesData::default()
    });
    let mut series: Vec<SeriesData> = series.collect();
    let histograms = attach_histograms(snapshot, entries, &mut series, range, options).await?;
    let has_samples = |data: &SeriesData| !data.timestamps.is_empty() || !data.histograms.is_empty();
    Ok((series.into_iter().filter(has_samples).map(Arc::new).collect(), histograms))
}
