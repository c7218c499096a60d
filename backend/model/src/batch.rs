//! What one writer hands over at once; stored whole or not at all.

use crate::{Exemplar, HistogramPoint, Labels, LogStream, MetricMetadata, Point, ProbeResult, StartTime};

/// Everything one write carries.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Who wrote it, for limits and for finding batches sent twice: `scrape/node`, `edge/atl-edge`.
    pub source: String,
    /// Name of the batch, unique within `source`; a batch seen before is acknowledged and not stored again.
    pub batch_id: Option<String>,
    /// Metric points.
    pub points: Vec<Point>,
    /// Native histograms.
    pub histograms: Vec<HistogramPoint>,
    /// When counting began, for those of `points` of which that is known.
    pub starts: Vec<StartTime>,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
    /// Metric families told of by the source.
    pub metadata: Vec<MetricMetadata>,
    /// Log entries by stream.
    pub log_streams: Vec<LogStream>,
    /// Probe results.
    pub probes: Vec<ProbeResult>,
}

impl Batch {
    /// An empty batch of `source`.
    pub fn new(source: impl Into<String>) -> Batch {
        Batch { source: source.into(), ..Batch::default() }
    }

    /// True where there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
            && self.histograms.is_empty()
            && self.starts.is_empty()
            && self.exemplars.is_empty()
            && self.log_streams.iter().all(|s| s.entries.is_empty())
            && self.probes.is_empty()
    }

    /// Number of log entries over all streams.
    pub fn log_entries(&self) -> usize {
        self.log_streams.iter().map(|stream| stream.entries.len()).sum()
    }

    /// Rows this batch adds to the tables.
    pub fn rows(&self) -> usize {
        self.series().count() + self.log_entries() + self.probes.len()
    }

    /// The series of every point, histogram, start time and exemplar, in this order of kinds and within each in
    /// the order of the batch.
    pub fn series(&self) -> impl Iterator<Item = &Labels> {
        let points = self.points.iter().map(|point| &point.labels);
        let histograms = self.histograms.iter().map(|point| &point.labels);
        let starts = self.starts.iter().map(|start| &start.labels);
        points.chain(histograms).chain(starts).chain(self.exemplars.iter().map(|exemplar| &exemplar.labels))
    }
}
