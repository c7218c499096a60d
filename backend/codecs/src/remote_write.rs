//! Prometheus remote write 1.0 and 2.0: what other Prometheus-like programs push.
//!
//! Comes in: the headers and the body of a request, snappy-packed protobuf. Goes out: a [`Batch`] of what is
//! sound, and what was refused, series by series, with the reason. A body that is not snappy or not protobuf
//! gives an error and nothing else. Knows nothing of HTTP beyond the two headers, and keeps nothing between
//! requests but memory and known label sets.
//!
//! Sources: the remote-write specifications 1.0 and 2.0 (messages of 2.0-rc.4, with the series' start time of
//! earlier drafts). As Prometheus' receiver does, label sets that are not sorted are sorted, and labels with an
//! empty value are taken as not set.

use std::sync::Arc;

use model::{Batch, MetricKind};
use thiserror::Error;

use crate::protobuf::ProtobufError;
use crate::snappy::{self, SnappyError};

mod encode;
mod exemplar;
mod histogram;
mod labels;
mod negotiate;
mod refused;
mod series;
mod v1;
mod v2;

pub use encode::{encode_v1, encode_v2};
pub(crate) use encode::{put_histogram, put_label};
pub use labels::LabelCache;
pub use negotiate::{Unsupported, Version, negotiate};
pub use refused::{ExemplarFault, Reason, Refused, SeriesError};

/// Header of an answer to 2.0: samples that were stored.
pub const SAMPLES_WRITTEN_HEADER: &str = "x-prometheus-remote-write-samples-written";
/// Header of an answer to 2.0: histograms that were stored.
pub const HISTOGRAMS_WRITTEN_HEADER: &str = "x-prometheus-remote-write-histograms-written";
/// Header of an answer to 2.0: exemplars that were stored.
pub const EXEMPLARS_WRITTEN_HEADER: &str = "x-prometheus-remote-write-exemplars-written";

/// Bodies up to this size leave their memory for the next one.
const BUFFER_KEPT_BYTES: usize = 4 << 20;

/// What one request may hold. Counts above fail the whole request, so that no body takes much more memory
/// than its own unpacked size; sizes of one series or histogram refuse that one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes a body may unpack to.
    pub unpacked_bytes_max: usize,
    /// Series.
    pub series_max: usize,
    /// Samples.
    pub samples_max: usize,
    /// Native histograms.
    pub histograms_max: usize,
    /// Buckets, spans and bounds of all histograms together.
    pub buckets_max: usize,
    /// Exemplars.
    pub exemplars_max: usize,
    /// Symbols (2.0), and metric families told of (1.0).
    pub symbols_max: usize,
    /// Labels of one series.
    pub labels_max: usize,
    /// Bytes of one series' label names and values.
    pub label_set_bytes_max: usize,
    /// Buckets, spans and bounds of one histogram.
    pub histogram_buckets_max: usize,
    /// Whether label sets that are not sorted are sorted (as Prometheus does) or refused.
    pub unsorted_labels_accepted: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            unpacked_bytes_max: 32 << 20,
            series_max: 1_000_000,
            samples_max: 1_000_000,
            histograms_max: 100_000,
            buckets_max: 2_000_000,
            exemplars_max: 100_000,
            symbols_max: 1_000_000,
            labels_max: 512,
            label_set_bytes_max: 128 << 10,
            histogram_buckets_max: 16_384,
            unsorted_labels_accepted: true,
        }
    }
}

/// Why nothing of a request can be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The body does not unpack.
    #[error(transparent)]
    Snappy(#[from] SnappyError),
    /// The body is not the message it should be.
    #[error("malformed protobuf: message `{message}` {source}")]
    Malformed {
        /// Name of the message.
        message: &'static str,
        /// What is wrong with it.
        source: ProtobufError,
    },
    /// The body is a message of the other version of the protocol.
    #[error("body is a message of remote write {found}, not of {expected} as the content type says")]
    OtherVersion {
        /// Version of the message.
        found: &'static str,
        /// Version the content type says.
        expected: &'static str,
    },
    /// The request carries more than is allowed.
    #[error("request carries more than {limit} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl Error {
    /// True where the request is too large (status 413), false where it is malformed (status 400).
    pub fn is_too_large(&self) -> bool {
        matches!(self, Error::TooMany { .. } | Error::Snappy(SnappyError::TooLarge { .. }))
    }
}

/// How many of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Float samples.
    pub samples: usize,
    /// Native histograms.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

/// What a request holds.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// What is sound; its source is for the caller to name.
    pub batch: Batch,
    /// What is not.
    pub refused: Refused,
}

impl Decoded {
    /// What the batch holds, for the headers of an answer to 2.0.
    pub fn written(&self) -> Counts {
        Counts {
            samples: self.batch.points.len(),
            histograms: self.batch.histograms.len(),
            exemplars: self.batch.exemplars.len(),
        }
    }
}

/// Decodes requests one after the other, with memory and label sets kept from one to the next.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    cache: Option<Arc<LabelCache>>,
    unpacked: Vec<u8>,
}

impl Decoder {
    /// A decoder with a cache of label sets, which may be shared by several decoders.
    pub fn new(limits: Limits, cache: Option<Arc<LabelCache>>) -> Decoder {
        Decoder { limits, cache, unpacked: Vec::new() }
    }

    /// Decodes a body of either version.
    pub fn decode(&mut self, version: Version, body: &[u8]) -> Result<Decoded, Error> {
        snappy::unpack(body, self.limits.unpacked_bytes_max, &mut self.unpacked)?;
        let cache = self.cache.as_deref();
        let decoded = match version {
            Version::V1 => v1::decode(&self.unpacked, &self.limits, cache),
            Version::V2 => v2::decode(&self.unpacked, &self.limits, cache),
        };
        if self.unpacked.capacity() > BUFFER_KEPT_BYTES {
            self.unpacked = Vec::new();
        }
        decoded
    }
}

/// Decodes a body of remote write 1.0 with the default limits.
pub fn decode_v1(body: &[u8]) -> Result<Decoded, Error> {
    Decoder::default().decode(Version::V1, body)
}

/// Decodes a body of remote write 2.0 with the default limits.
pub fn decode_v2(body: &[u8]) -> Result<Decoded, Error> {
    Decoder::default().decode(Version::V2, body)
}

/// Gives errors the name of the message they occurred in.
fn in_message<T>(message: &'static str, result: Result<T, ProtobufError>) -> Result<T, Error> {
    result.map_err(|source| Error::Malformed { message, source })
}

/// The kind with this number in both versions' metadata.
fn kind_from_number(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

/// The number of a kind in both versions' metadata.
fn kind_number(kind: MetricKind) -> u64 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::GaugeHistogram => 4,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}

/// The family a series' metric belongs to: parts of histograms and summaries have an ending.
fn family_of(metric: &str, kind: MetricKind) -> &str {
    let endings: &[&str] = match kind {
        MetricKind::Histogram => &["_bucket", "_sum", "_count"],
        MetricKind::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    endings.iter().find_map(|ending| metric.strip_suffix(ending)).unwrap_or(metric)
}

#[cfg(test)]
mod tests;
