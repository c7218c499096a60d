//! Where samples read from the store become series of the language: everything read passes through here, whether
//! it is all a selector needs or a slice of it.

use std::sync::Arc;

use promql::SeriesData;
use store::SeriesEntry;
use store::samples::SeriesSamples;

use super::error::PromError;

/// The series with samples, in the order of `entries`; `samples` has one for each of them.
pub(super) async fn series_data(
    entries: &[SeriesEntry],
    samples: Vec<SeriesSamples>,
) -> Result<Vec<Arc<SeriesData>>, PromError> {
    let series = entries.iter().zip(samples).map(|(entry, samples)| SeriesData {
        labels: entry.labels.clone(),
        timestamps: samples.timestamps,
        values: samples.values,
        ..SeriesData::default()
    });
    let series: Vec<SeriesData> = series.collect();
    let with_samples = series.into_iter().filter(|data| !data.timestamps.is_empty());
    Ok(with_samples.map(Arc::new).collect())
}
