//! A source that keeps everything in memory: for tests and scripts.

use std::collections::HashMap;
use std::sync::Arc;

use model::Labels;

use crate::error::SourceError;
use crate::source::{HistogramSample, Selection, SeriesData, SeriesSource};
use crate::value::Cell;

/// Series in the order they first came.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: Vec<Arc<SeriesData>>,
    by_labels: HashMap<Labels, usize>,
}

impl MemorySource {
    /// A source without series.
    pub fn new() -> MemorySource {
        MemorySource::default()
    }

    /// A source of whole series; of equal label sets the last wins.
    pub fn from_series(series: impl IntoIterator<Item = SeriesData>) -> MemorySource {
        let mut source = MemorySource::new();
        for data in series {
            let at = source.slot(&data.labels);
            source.series[at] = Arc::new(data);
        }
        source
    }

    /// Adds a sample. `start_ms` is when counting began, 0 where not known. A sample at a time already taken
    /// replaces the one there.
    pub fn push(&mut self, labels: &Labels, timestamp_ms: i64, start_ms: i64, value: Cell) {
        let at = self.slot(labels);
        let data = Arc::make_mut(&mut self.series[at]);
        match value {
            Cell::Float(value) => push_float(data, timestamp_ms, start_ms, value),
            Cell::Histogram(histogram) => {
                let sample = HistogramSample { timestamp_ms, start_ms, histogram };
                match data.histograms.binary_search_by_key(&timestamp_ms, |sample| sample.timestamp_ms) {
                    Ok(i) => data.histograms[i] = sample,
                    Err(i) => data.histograms.insert(i, sample),
                }
            }
        }
    }

    /// All series.
    pub fn series(&self) -> &[Arc<SeriesData>] {
        &self.series
    }

    fn slot(&mut self, labels: &Labels) -> usize {
        let next = self.series.len();
        let at = *self.by_labels.entry(labels.clone()).or_insert(next);
        if at == next {
            self.series.push(Arc::new(SeriesData { labels: labels.clone(), ..SeriesData::default() }));
        }
        at
    }
}

fn push_float(data: &mut SeriesData, timestamp_ms: i64, start_ms: i64, value: f64) {
    if start_ms != 0 && data.starts.is_empty() {
        data.starts = vec![0; data.timestamps.len()];
    }
    let known = start_ms != 0 || !data.starts.is_empty();
    match data.timestamps.binary_search(&timestamp_ms) {
        Ok(i) => {
            data.values[i] = value;
            if known {
                data.starts[i] = start_ms;
            }
        }
        Err(i) => {
            Arc::make_mut(&mut data.timestamps).insert(i, timestamp_ms);
            data.values.insert(i, value);
            if known {
                data.starts.insert(i, start_ms);
            }
        }
    }
}

impl SeriesSource for MemorySource {
    fn select(&self, selection: &Selection) -> Result<Vec<Arc<SeriesData>>, SourceError> {
        let wanted = |data: &SeriesData| {
            let labels = &data.labels;
            selection.matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")))
                && has_samples_within(data, selection.start_ms, selection.end_ms)
        };
        Ok(self.series.iter().filter(|data| wanted(data)).map(Arc::clone).collect())
    }
}

fn has_samples_within(data: &SeriesData, start_ms: i64, end_ms: i64) -> bool {
    let float = data.timestamps.partition_point(|t| *t < start_ms);
    let histogram = data.histograms.partition_point(|sample| sample.timestamp_ms < start_ms);
    data.timestamps.get(float).is_some_and(|t| *t <= end_ms)
        || data.histograms.get(histogram).is_some_and(|sample| sample.timestamp_ms <= end_ms)
}
