//! One page to points.
//!
//! Comes in: a page, the target's cache and rules. Goes out: points, metadata, counts, and why the scrape
//! fails if it does. A scrape that fails on a limit is still counted to its end; one that fails to parse is
//! counted up to there.

use codecs::exposition::{Entry, Format, LabelPair, Parser, Sample};
use model::{Exemplar, Labels, MetricMetadata, Point, stale_nan};

use super::cache::{Fact, Meaning, SeriesCache, SeriesId};
use super::error::ScrapeError;
use super::sample_labels::LabelRules;

/// How far in the future a sample's own timestamp may lie.
const FUTURE_MS_MAX: i64 = 600_000;

/// Characters the labels of an exemplar may have, names and values together (OpenMetrics 1.0, "Exemplars").
const EXEMPLAR_CHARS_MAX: usize = 128;

/// How a page is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendRules<'a> {
    pub(crate) labels: LabelRules<'a>,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps_staleness: bool,
    pub(crate) sample_limit: Option<u64>,
}

/// What a page held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Samples on the page.
    pub(crate) scraped: usize,
    /// Samples after relabelling.
    pub(crate) kept: usize,
    /// Series not seen in the last scrape.
    pub(crate) series_added: usize,
    /// Samples dropped because their series came twice.
    pub(crate) duplicates: usize,
    /// Samples dropped because their timestamp lies too far in the future.
    pub(crate) too_far_in_future: usize,
}

/// What a scrape writes.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    pub(crate) points: Vec<Point>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) metadata: Vec<MetricMetadata>,
    pub(crate) counts: Counts,
    pub(crate) failure: Option<ScrapeError>,
}

/// Reads `page`, scraped at `timestamp_ms`. On failure the points are staleness markers for everything that
/// was live.
pub(crate) fn append(
    cache: &mut SeriesCache,
    rules: &AppendRules<'_>,
    page: &[u8],
    format: Format,
    timestamp_ms: i64,
) -> Appended {
    let mut appender = Appender { cache, rules, timestamp_ms, live: Vec::new(), out: Appended::default() };
    appender.cache.begin();
    if let Err(error) = appender.read(page, format) {
        appender.fail(error);
    }
    appender.finish()
}

/// Staleness markers for everything that was live, where there is no page to read.
pub(crate) fn append_nothing(cache: &mut SeriesCache, timestamp_ms: i64) -> Vec<Point> {
    cache.begin();
    stale_points(cache.fail(), timestamp_ms)
}

/// Staleness markers at `timestamp_ms`.
pub(crate) fn stale_points(gone: Vec<Labels>, timestamp_ms: i64) -> Vec<Point> {
    gone.into_iter().map(|labels| Point { labels, timestamp_ms, value: stale_nan() }).collect()
}

struct Appender<'a> {
    cache: &'a mut SeriesCache,
    rules: &'a AppendRules<'a>,
    timestamp_ms: i64,
    /// Series that take part in staleness.
    live: Vec<SeriesId>,
    out: Appended,
}

impl Appender<'_> {
    fn read(&mut self, page: &[u8], format: Format) -> Result<(), ScrapeError> {
        let mut parser = Parser::new(format, page)?;
        let mut pairs = Vec::new();
        loop {
            let (text, expected) = self.cache.expected();
            let Some(entry) = parser.next_expecting(text) else { return Ok(()) };
            match entry? {
                Entry::Type { family, kind } => self.cache.describe(&family, Fact::Kind(kind)),
                Entry::Help { family, text } => self.cache.describe(&family, Fact::Help(&text)),
                Entry::Unit { family, unit } => self.cache.describe(&family, Fact::Unit(&unit)),
                Entry::Sample(sample) => {
                    self.out.counts.scraped += 1;
                    if let Some(Meaning::Series(series)) =
                        match self.cache.find(sample.series.as_str(), expected) {
                            Some(meaning) => Some(meaning),
                            None => self.new_text(&sample, &mut pairs)?,
                        }
                    {
                        self.sample(series, &sample);
                    }
                }
            }
        }
    }

    /// Reads and relabels a series text not seen before. After a failure nothing is remembered, only counted.
    fn new_text<'p>(
        &mut self,
        sample: &Sample<'p>,
        pairs: &mut Vec<LabelPair<'p>>,
    ) -> Result<Option<Meaning>, ScrapeError> {
        sample.series.read_labels(pairs)?;
        let raw = sample.series.as_str();
        match self.rules.labels.apply(pairs) {
            Ok(labels) if self.out.failure.is_some() => {
                self.out.counts.kept += usize::from(labels.is_some());
                Ok(None)
            }
            Ok(Some(labels)) => {
                let (series, new) = self.cache.insert(raw, labels);
                self.out.counts.series_added += usize::from(new);
                Ok(Some(Meaning::Series(series)))
            }
            Ok(None) => {
                self.cache.insert_dropped(raw);
                Ok(Some(Meaning::Dropped))
            }
            Err(error) => {
                self.fail(error);
                Ok(None)
            }
        }
    }

    fn sample(&mut self, series: SeriesId, sample: &Sample<'_>) {
        self.out.counts.kept += 1;
        if self.out.failure.is_some() {
            return;
        }
        if let Some(limit) = self.rules.sample_limit.filter(|limit| self.out.counts.kept as u64 > *limit) {
            return self.fail(ScrapeError::SampleLimit(limit));
        }
        let own_timestamp = sample.timestamp_ms.filter(|_| self.rules.honor_timestamps);
        let first = self.cache.mark(series);
        if !first && own_timestamp.is_none() {
            self.out.counts.duplicates += 1;
            return;
        }
        let timestamp_ms = own_timestamp.unwrap_or(self.timestamp_ms);
        if timestamp_ms > self.timestamp_ms + FUTURE_MS_MAX {
            self.out.counts.too_far_in_future += 1;
            return;
        }
        if own_timestamp.is_none() || self.rules.track_timestamps_staleness {
            self.live.push(series);
        }
        if let Some(labels) = self.cache.labels(series) {
            self.out.points.push(Point { labels: labels.clone(), timestamp_ms, value: sample.value });
            if let Some(exemplar) = &sample.exemplar {
                let own_timestamp = exemplar.timestamp_ms.filter(|_| self.rules.honor_timestamps);
                let timestamp_ms = own_timestamp.unwrap_or(timestamp_ms);
                let exemplar_labels = exemplar_labels(exemplar);
                let acceptable = timestamp_ms <= self.timestamp_ms + FUTURE_MS_MAX;
                if let Some(exemplar_labels) = exemplar_labels.filter(|_| acceptable) {
                    let (labels, value) = (labels.clone(), exemplar.value);
                    self.out.exemplars.push(Exemplar { labels, exemplar_labels, timestamp_ms, value });
                }
            }
        }
    }

    fn fail(&mut self, error: ScrapeError) {
        // The first error is the cause; later ones may follow from it.
        self.out.failure.get_or_insert(error);
        self.out.points = Vec::new();
        self.out.exemplars = Vec::new();
    }

    fn finish(mut self) -> Appended {
        let gone = if self.out.failure.is_some() {
            self.cache.fail()
        } else {
            self.out.metadata = self.cache.new_metadata();
            self.cache.commit(&self.live)
        };
        self.out.points.extend(stale_points(gone, self.timestamp_ms));
        self.out
    }
}

/// `None` where they cannot be read or are too long: an exemplar is an extra, its sample counts without.
fn exemplar_labels(exemplar: &codecs::exposition::Exemplar<'_>) -> Option<Labels> {
    let mut pairs = Vec::new();
    exemplar.labels.read_exemplar_labels(&mut pairs).ok()?;
    let chars: usize = pairs.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    (chars <= EXEMPLAR_CHARS_MAX).then(|| Labels::from_pairs(pairs))
}

#[cfg(test)]
mod tests;
