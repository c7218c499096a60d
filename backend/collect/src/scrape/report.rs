//! The series the scraper itself writes about each scrape.

use std::time::Duration;

use model::{Labels, METRIC_NAME, Point, stale_nan};

use super::append::Counts;

/// Names in the order of [`ScrapeReport::values`].
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// What is written about one scrape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScrapeReport {
    pub(crate) up: bool,
    pub(crate) duration: Duration,
    pub(crate) counts: Counts,
    pub(crate) timeout: Duration,
    pub(crate) sample_limit: Option<u64>,
    /// Uncompressed; `None` where the body was larger than its limit.
    pub(crate) body_bytes: Option<usize>,
}

/// The report series of one target.
#[derive(Debug)]
pub(crate) struct ReportSeries {
    labels: [Labels; NAMES.len()],
}

impl ReportSeries {
    pub(crate) fn new(target: &Labels) -> ReportSeries {
        let labels = NAMES.map(|name| target.to_builder().set(METRIC_NAME, name).build());
        ReportSeries { labels }
    }

    pub(crate) fn points(&self, report: &ScrapeReport, timestamp_ms: i64) -> impl Iterator<Item = Point> {
        self.at(timestamp_ms, report.values())
    }

    /// Staleness markers for all of them.
    pub(crate) fn stale_points(&self, timestamp_ms: i64) -> impl Iterator<Item = Point> {
        self.at(timestamp_ms, [stale_nan(); NAMES.len()])
    }

    fn at(&self, timestamp_ms: i64, values: [f64; NAMES.len()]) -> impl Iterator<Item = Point> {
        let labels = self.labels.iter().cloned();
        labels.zip(values).map(move |(labels, value)| Point { labels, timestamp_ms, value })
    }
}

impl ScrapeReport {
    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
    fn values(&self) -> [f64; NAMES.len()] {
        [
            f64::from(u8::from(self.up)),
            self.duration.as_secs_f64(),
            self.counts.scraped as f64,
            self.counts.kept as f64,
            self.counts.series_added as f64,
            self.timeout.as_secs_f64(),
            self.sample_limit.unwrap_or(0) as f64,
            self.body_bytes.map_or(-1.0, |bytes| bytes as f64),
        ]
    }
}
