//! What the two versions have in common: the parts of one series, and how they join the batch.

use std::sync::Arc;

use model::{Exemplar, HistogramPoint, Labels, Point, StartTime};

use super::exemplar::ExemplarLabels;
use super::histogram::{self, Decoded as DecodedHistogram};
use super::labels::{LabelCache, LabelReader, Pair};
use super::refused::Reason;
use super::{Counts, Decoded, Error, Limits, in_message};
use crate::protobuf::{ProtobufError, Reader};

/// One series as it stands in the body, with its parts not looked into; used again for the next.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    /// Labels; where there are more than allowed, one more than allowed.
    pub(super) pairs: Vec<Pair<'a>>,
    /// A hash of how the labels are written.
    pub(super) key: u64,
    /// Why the labels cannot be used.
    pub(super) labels_fault: Option<Reason>,
    /// Samples, without their start times.
    pub(super) samples: Vec<(i64, f64)>,
    /// When counting began, for samples that tell: place in `samples`, milliseconds.
    pub(super) starts: Vec<(usize, i64)>,
    pub(super) histograms: Vec<&'a [u8]>,
    pub(super) exemplars: Vec<&'a [u8]>,
    /// When counting began, for samples and histograms that do not tell; 0 for not told.
    pub(super) start_ms: i64,
}

impl Parts<'_> {
    fn clear(&mut self) {
        self.pairs.clear();
        self.key = 0;
        self.labels_fault = None;
        self.samples.clear();
        self.starts.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.start_ms = 0;
    }
}

/// Takes series into a batch, under the limits.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    pub(super) limits: &'a Limits,
    pub(super) parts: Parts<'a>,
    pub(super) decoded: Decoded,
    labels: LabelReader<'a>,
    seen: Counts,
    buckets_left: usize,
}

impl<'a> Collector<'a> {
    /// Fails where there are more series than allowed.
    pub(super) fn new(
        limits: &'a Limits,
        cache: Option<&'a LabelCache>,
        series: usize,
    ) -> Result<Collector<'a>, Error> {
        check_count("series", series, limits.series_max)?;
        let mut decoded = Decoded::default();
        // Most series come with one sample.
        decoded.batch.points.reserve(series.min(limits.samples_max));
        Ok(Collector {
            limits,
            parts: Parts::default(),
            decoded,
            labels: LabelReader::new(limits, cache),
            seen: Counts::default(),
            buckets_left: limits.buckets_max,
        })
    }

    /// Notes the field `Sample` of a series.
    #[inline]
    pub(super) fn sample(&mut self, message: &[u8]) -> Result<(), Error> {
        self.seen.samples += 1;
        check_count("samples", self.seen.samples, self.limits.samples_max)?;
        let (timestamp_ms, value, start_ms) = in_message("Sample", read_sample(message))?;
        if start_ms != 0 {
            self.parts.starts.push((self.parts.samples.len(), start_ms));
        }
        self.parts.samples.push((timestamp_ms, value));
        Ok(())
    }

    /// Notes the field `Histogram` of a series.
    pub(super) fn histogram(&mut self, message: &'a [u8]) -> Result<(), Error> {
        self.seen.histograms += 1;
        self.parts.histograms.push(message);
        check_count("histograms", self.seen.histograms, self.limits.histograms_max)
    }

    /// Notes the field `Exemplar` of a series.
    pub(super) fn exemplar(&mut self, message: &'a [u8]) -> Result<(), Error> {
        self.seen.exemplars += 1;
        self.parts.exemplars.push(message);
        check_count("exemplars", self.seen.exemplars, self.limits.exemplars_max)
    }

    /// Takes the series in and makes room for the next. Gives its labels where they can be used.
    pub(super) fn finish_series(
        &mut self,
        exemplar_labels: &mut impl ExemplarLabels<'a>,
    ) -> Result<Option<Labels>, Error> {
        let labels = match self.parts.labels_fault {
            Some(reason) => Err(reason),
            None => self.labels.series(self.parts.key, &mut self.parts.pairs),
        };
        let mut first_fault = None;
        match &labels {
            Ok(labels) => {
                self.add_samples(labels, &mut first_fault);
                self.add_histograms(labels, &mut first_fault)?;
                self.add_exemplars(labels, exemplar_labels, &mut first_fault)?;
            }
            Err(reason) => {
                let (parts, refused) = (&self.parts, &mut self.decoded.refused);
                refused.samples += parts.samples.len() as u64;
                refused.histograms += parts.histograms.len() as u64;
                refused.exemplars += parts.exemplars.len() as u64;
                first_fault = Some(*reason);
            }
        }
        if let Some(reason) = first_fault {
            self.decoded.refused.note(reason, &self.parts.pairs);
        }
        self.parts.clear();
        Ok(labels.ok())
    }

    #[inline]
    fn add_samples(&mut self, labels: &Labels, first_fault: &mut Option<Reason>) {
        let mut latest_ms = i64::MIN;
        let mut starts = self.parts.starts.iter().peekable();
        for (place, &(timestamp_ms, value)) in self.parts.samples.iter().enumerate() {
            let own_start = starts.next_if(|start| start.0 == place).map(|start| start.1);
            if timestamp_ms < latest_ms {
                self.decoded.refused.samples += 1;
                first_fault.get_or_insert(Reason::SampleOutOfOrder);
                continue;
            }
            latest_ms = timestamp_ms;
            let start_ms = own_start.unwrap_or(self.parts.start_ms);
            if start_ms != 0 {
                let labels = Labels::clone(labels);
                self.decoded.batch.starts.push(StartTime { labels, timestamp_ms, start_ms });
            }
            self.decoded.batch.points.push(Point { labels: Labels::clone(labels), timestamp_ms, value });
        }
    }

    fn add_histograms(&mut self, labels: &Labels, first_fault: &mut Option<Reason>) -> Result<(), Error> {
        let mut latest_ms = i64::MIN;
        for message in &self.parts.histograms {
            let read = histogram::read(message, self.limits, &mut self.buckets_left)?;
            let read = read.and_then(|read| {
                if read.timestamp_ms < latest_ms { Err(Reason::HistogramOutOfOrder) } else { Ok(read) }
            });
            let DecodedHistogram { timestamp_ms, start_ms, histogram } = match read {
                Ok(read) => read,
                Err(reason) => {
                    self.decoded.refused.histograms += 1;
                    first_fault.get_or_insert(reason);
                    continue;
                }
            };
            latest_ms = timestamp_ms;
            let start_ms = if start_ms == 0 { self.parts.start_ms } else { start_ms };
            let histogram = Arc::new(histogram);
            let labels = Labels::clone(labels);
            self.decoded.batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms, histogram });
        }
        Ok(())
    }

    fn add_exemplars(
        &mut self,
        labels: &Labels,
        exemplar_labels: &mut impl ExemplarLabels<'a>,
        first_fault: &mut Option<Reason>,
    ) -> Result<(), Error> {
        for message in &self.parts.exemplars {
            match in_message("Exemplar", exemplar_labels.read(message))? {
                Ok((own, timestamp_ms, value)) => {
                    let labels = Labels::clone(labels);
                    let exemplar = Exemplar { labels, exemplar_labels: own, timestamp_ms, value };
                    self.decoded.batch.exemplars.push(exemplar);
                }
                Err(fault) => {
                    self.decoded.refused.exemplars += 1;
                    first_fault.get_or_insert(Reason::Exemplar(fault));
                }
            }
        }
        Ok(())
    }
}

/// Fails where `count` is above `limit`.
#[inline]
pub(super) fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit { Err(Error::TooMany { what, limit }) } else { Ok(()) }
}

/// Timestamp, value and time at which counting began (0 for not told) of a message `Sample`, which both versions
/// share.
#[inline]
fn read_sample(message: &[u8]) -> Result<(i64, f64, i64), ProtobufError> {
    // As everybody writes it: the value, then the time.
    if let [0x09, a, b, c, d, e, f, g, h, 0x10, rest @ ..] = message {
        let mut reader = Reader::new(rest);
        let timestamp_ms = reader.varint()?.cast_signed();
        if reader.is_empty() {
            return Ok((timestamp_ms, f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 0));
        }
    }
    let (mut timestamp_ms, mut value, mut start_ms) = (0, 0.0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => value = field.double(number)?,
            2 => timestamp_ms = field.int(number)?,
            3 => start_ms = field.int(number)?,
            _ => {}
        }
    }
    Ok((timestamp_ms, value, start_ms))
}
