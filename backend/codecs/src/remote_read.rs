//! Prometheus remote read: what other Prometheus-like programs ask for, and the two forms of the answer.
//!
//! Comes in: the body of a request, snappy-packed protobuf; series for the answer. Goes out: queries with their
//! matchers; bodies. Knows nothing of HTTP or of how series are found. Source: Prometheus `prompb/remote.proto`
//! and "Remote Read API".

use std::sync::Arc;

use model::{Labels, MatchOp, Matcher, MatcherError, NativeHistogram};
use thiserror::Error;

use crate::protobuf::write::{put_double, put_int, put_message};
use crate::protobuf::{ProtobufError, Reader};
use crate::remote_write::{put_histogram, put_label};
use crate::snappy::{self, SnappyError};

mod bits;
mod chunked;
mod xor;

pub use chunked::{FrameError, put_frames};

/// Content type of an answer in [`ResponseType::Samples`]; its content encoding is `snappy`.
pub const SAMPLES_CONTENT_TYPE: &str = "application/x-protobuf";
/// Content type of an answer in [`ResponseType::StreamedXorChunks`]; it has no content encoding.
pub const CHUNKED_CONTENT_TYPE: &str =
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Bytes a request may unpack to.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Queries in a request.
const QUERIES_MAX: usize = 100;
/// Matchers in a request.
const MATCHERS_MAX: usize = 1_000;

/// Form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// One message with all samples.
    #[default]
    Samples,
    /// Messages of compressed chunks, one after the other.
    StreamedXorChunks,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadRequest {
    /// What is asked for, in order.
    pub queries: Vec<Query>,
    /// Form of the answer: the first one the client accepts that there is.
    pub response_type: ResponseType,
    /// Whether the client accepts [`ResponseType::Samples`], which alone carries native histograms.
    pub samples_accepted: bool,
}

/// One question for series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Earliest sample, inclusive, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Latest sample, inclusive, milliseconds since the Unix epoch.
    pub end_ms: i64,
    /// Series must satisfy all.
    pub matchers: Vec<Matcher>,
    /// What the client will do with the samples, where it tells.
    pub hints: Option<Hints>,
}

/// What a client will do with samples; no more than advice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Step of the query, milliseconds.
    pub step_ms: i64,
    /// Function or aggregation around the selector.
    pub function: String,
    /// Start of the selector's time range, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// End of the selector's time range.
    pub end_ms: i64,
    /// Labels of the aggregation.
    pub grouping: Vec<String>,
    /// Whether the grouping says `by`, not `without`.
    pub by: bool,
    /// Range of the selector, milliseconds.
    pub range_ms: i64,
}

/// Why a request cannot be read.
#[derive(Debug, Error)]
pub enum Error {
    /// The body does not unpack.
    #[error(transparent)]
    Snappy(#[from] SnappyError),
    /// The body is not the message it should be.
    #[error("malformed protobuf: read request {0}")]
    Malformed(#[from] ProtobufError),
    /// A matcher that is not valid.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// A kind of matcher nobody defined.
    #[error("unknown kind of matcher {0}")]
    MatcherKind(u64),
    /// Text that is not UTF-8.
    #[error("text is not valid utf-8")]
    NotUtf8,
    /// The request carries more than is allowed.
    #[error("request carries more than {limit} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// The client accepts no form of answer there is.
    #[error("none of the accepted response types is supported")]
    ResponseType,
}

/// One series of an answer.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Its labels, metric name included.
    pub labels: Labels,
    /// Float samples, rising in time: milliseconds since the Unix epoch, value.
    pub samples: Vec<(i64, f64)>,
    /// Native histograms, rising in time.
    pub histograms: Vec<(i64, Arc<NativeHistogram>)>,
}

/// Decodes the body of a request.
pub fn decode(body: &[u8]) -> Result<ReadRequest, Error> {
    let mut unpacked = Vec::new();
    snappy::unpack(body, REQUEST_BYTES_MAX, &mut unpacked)?;
    let mut request = ReadRequest::default();
    let (mut accepted, mut matchers) = (Vec::new(), 0);
    let mut reader = Reader::new(&unpacked);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => {
                let query = read_query(value.bytes(number)?)?;
                matchers += query.matchers.len();
                request.queries.push(query);
                check_count("queries", request.queries.len(), QUERIES_MAX)?;
                check_count("matchers", matchers, MATCHERS_MAX)?;
            }
            2 => value.each_varint(number, |kind| accepted.push(kind))?,
            _ => {}
        }
    }
    request.samples_accepted = accepted.is_empty() || accepted.contains(&0);
    if !accepted.is_empty() {
        let known = accepted.iter().find_map(|kind| match kind {
            0 => Some(ResponseType::Samples),
            1 => Some(ResponseType::StreamedXorChunks),
            _ => None,
        });
        request.response_type = known.ok_or(Error::ResponseType)?;
    }
    Ok(request)
}

fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit { Err(Error::TooMany { what, limit }) } else { Ok(()) }
}

fn read_query(message: &[u8]) -> Result<Query, Error> {
    let mut query = Query::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => query.start_ms = value.int(number)?,
            2 => query.end_ms = value.int(number)?,
            3 => {
                check_count("matchers", query.matchers.len() + 1, MATCHERS_MAX)?;
                query.matchers.push(read_matcher(value.bytes(number)?)?);
            }
            4 => query.hints = Some(read_hints(value.bytes(number)?)?),
            _ => {}
        }
    }
    Ok(query)
}

fn read_matcher(message: &[u8]) -> Result<Matcher, Error> {
    let (mut kind, mut name, mut text) = (0, String::new(), String::new());
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => kind = value.uint(number)?,
            2 => name = read_text(value.bytes(number)?)?,
            3 => text = read_text(value.bytes(number)?)?,
            _ => {}
        }
    }
    let op = match kind {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        kind => return Err(Error::MatcherKind(kind)),
    };
    Ok(Matcher::new(name, op, text)?)
}

fn read_hints(message: &[u8]) -> Result<Hints, Error> {
    let mut hints = Hints::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => hints.step_ms = value.int(number)?,
            2 => hints.function = read_text(value.bytes(number)?)?,
            3 => hints.start_ms = value.int(number)?,
            4 => hints.end_ms = value.int(number)?,
            5 => hints.grouping.push(read_text(value.bytes(number)?)?),
            6 => hints.by = value.uint(number)? != 0,
            7 => hints.range_ms = value.int(number)?,
            _ => {}
        }
    }
    Ok(hints)
}

fn read_text(bytes: &[u8]) -> Result<String, Error> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Error::NotUtf8)
}

/// The body of an answer in [`ResponseType::Samples`], packed. `results`: the series of every query, in the
/// queries' order; series sorted by labels, as clients expect.
pub fn encode_samples(results: &[Vec<Series>]) -> Result<Vec<u8>, SnappyError> {
    let mut out = Vec::new();
    for result in results {
        put_message(&mut out, 1, |out| {
            for series in result {
                put_message(out, 1, |out| put_series(out, series));
            }
        });
    }
    snappy::pack(&out)
}

fn put_series(out: &mut Vec<u8>, series: &Series) {
    series.labels.iter().for_each(|pair| put_label(out, 1, pair));
    for (timestamp_ms, value) in &series.samples {
        put_message(out, 2, |out| {
            put_double(out, 1, *value);
            put_int(out, 2, *timestamp_ms);
        });
    }
    for (timestamp_ms, histogram) in &series.histograms {
        put_message(out, 4, |out| put_histogram(out, *timestamp_ms, histogram));
    }
}

#[cfg(test)]
mod tests;
