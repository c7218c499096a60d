//! Pages of metrics: what an exporter answers to a scrape.
//!
//! Comes in: the bytes of one page, Prometheus text 0.0.4 or OpenMetrics 1.0. Goes out: its entries in order,
//! borrowed from the page. A sample is handed out with the raw text of its series, so that a caller who has
//! seen that text before need not read the labels again; labels are read (and their syntax checked) on
//! demand.
//!
//! Sources: Prometheus "Exposition formats" and the OpenMetrics 1.0 specification, with quoted UTF-8 names as
//! in Prometheus 3. More lenient than either in one point: any run of blanks separates tokens.

use std::borrow::Cow;

use memchr::memchr;
use model::MetricKind;
use thiserror::Error;

use crate::{openmetrics, text};

pub(crate) mod lexer;
pub(crate) mod series;

use lexer::{Cursor, Fault};
pub use series::{Exemplar, LabelPair, SeriesText};

/// The NaN that stands for every NaN on a page, so that no page can write a staleness marker.
const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Text,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

/// One thing a page says.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// `# TYPE family kind`
    Type {
        /// Name of the family.
        family: Cow<'a, str>,
        /// Kind of metric.
        kind: MetricKind,
    },
    /// `# HELP family text`
    Help {
        /// Name of the family.
        family: Cow<'a, str>,
        /// The text, unescaped.
        text: Cow<'a, str>,
    },
    /// `# UNIT family unit`, OpenMetrics only.
    Unit {
        /// Name of the family.
        family: Cow<'a, str>,
        /// The unit.
        unit: Cow<'a, str>,
    },
    /// A sample line.
    Sample(Sample<'a>),
}

/// One sample line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name and labels as written; the same text always means the same labels.
    pub series: SeriesText<'a>,
    /// The value; every NaN is the same quiet NaN, never a staleness marker.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where the page tells.
    pub timestamp_ms: Option<i64>,
    /// Exemplar, OpenMetrics only.
    pub exemplar: Option<Exemplar<'a>>,
}

/// Why a page cannot be read on, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, byte {offset}: {reason}")]
pub struct ParseError {
    /// Line, counted from 1.
    pub line: usize,
    /// Offset from the start of the page, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message of each variant is its description")]
pub enum Reason {
    #[error("not valid utf-8")]
    NotUtf8,
    #[error("expected a metric name")]
    NameExpected,
    #[error("metric name given twice")]
    NameTwice,
    #[error("expected a label name")]
    LabelNameExpected,
    #[error("label name given twice")]
    LabelNameTwice,
    #[error("expected `=` after the label name")]
    EqualsExpected,
    #[error("expected a quoted label value")]
    LabelValueExpected,
    #[error("expected `,` or `}}` after the label")]
    CommaExpected,
    #[error("quoted text is not closed")]
    QuoteOpen,
    #[error("label set is not closed")]
    BraceOpen,
    #[error("expected a value")]
    ValueExpected,
    #[error("value is not a number")]
    ValueInvalid,
    #[error("timestamp is not a number in range")]
    TimestampInvalid,
    #[error("unexpected text after the sample")]
    TextAfterSample,
    #[error("unknown metric type")]
    TypeUnknown,
    #[error("unit is not the ending of the family name")]
    UnitMismatch,
    #[error("exemplar labels expected")]
    ExemplarExpected,
    #[error("empty line is not allowed in openmetrics")]
    LineEmpty,
    #[error("comment is not allowed in openmetrics")]
    Comment,
    #[error("page does not end with `# EOF`")]
    EofMissing,
    #[error("text after `# EOF`")]
    TextAfterEof,
}

/// Reads a page entry by entry. After an error it yields nothing more.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    format: Format,
    page: &'a str,
    /// Offset of the next line.
    position: usize,
    /// Number of the next line, from 1.
    line: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    AfterEof,
    Done,
}

/// What one line means.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    Nothing,
    Entry(Entry<'a>),
    Eof,
}

impl<'a> Parser<'a> {
    /// Starts on `page`. Fails where it is not UTF-8.
    pub fn new(format: Format, page: &'a [u8]) -> Result<Parser<'a>, ParseError> {
        let page = std::str::from_utf8(page).map_err(|error| {
            let offset = error.valid_up_to();
            let line = 1 + memchr::memchr_iter(b'\n', &page[..offset]).count();
            ParseError { line, offset, reason: Reason::NotUtf8 }
        })?;
        Ok(Parser { format, page, position: 0, line: 1, state: State::Reading })
    }

    /// Like `next`, for a caller who expects the page to go on as the last page from the same target did:
    /// where the next line is a sample of exactly the series `expected`, its labels are not looked at again.
    ///
    /// `expected` must be the text of a series this parser (or one for the same format) handed out before.
    pub fn next_expecting(&mut self, expected: &str) -> Option<Result<Entry<'a>, ParseError>> {
        if self.state == State::Reading
            && !expected.is_empty()
            && let Some(rest) = self.page[self.position..].strip_prefix(expected)
            && let Some(&[b' ', next]) = rest.as_bytes().first_chunk::<2>()
            // `name {…}` may continue what looked like a finished name.
            && !matches!(next, b' ' | b'\t' | b'{')
        {
            let (start, line) = self.take_line();
            let series = SeriesText::new(&line[..expected.len()], self.line - 1, start);
            let mut cursor = Cursor::at(line, expected.len());
            let sample = match self.format {
                Format::Text => text::after_series(&mut cursor, series),
                Format::OpenMetrics => openmetrics::after_series(&mut cursor, series),
            };
            return Some(self.located(start, sample.map(Entry::Sample)));
        }
        self.next()
    }

    fn finish(&mut self) -> Option<Result<Entry<'a>, ParseError>> {
        let missing_eof = self.format == Format::OpenMetrics && self.state == State::Reading;
        self.state = State::Done;
        missing_eof.then(|| Err(self.error_at(self.page.len(), Reason::EofMissing)))
    }

    /// The next line without its newline (and carriage return), and where it starts.
    fn take_line(&mut self) -> (usize, &'a str) {
        let start = self.position;
        let rest = &self.page[start..];
        let length = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        self.position = (start + length + 1).min(self.page.len());
        self.line += 1;
        let line = &rest[..length];
        (start, line.strip_suffix('\r').unwrap_or(line))
    }

    fn located<T>(&mut self, start: usize, result: Result<T, Fault>) -> Result<T, ParseError> {
        result.map_err(|fault| {
            self.state = State::Done;
            ParseError { line: self.line - 1, offset: start + fault.at, reason: fault.reason }
        })
    }

    fn error_at(&self, offset: usize, reason: Reason) -> ParseError {
        ParseError { line: self.line.saturating_sub(1).max(1), offset, reason }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.state {
                State::Done => return None,
                _ if self.position >= self.page.len() => return self.finish(),
                State::AfterEof => {
                    self.state = State::Done;
                    return Some(Err(self.error_at(self.position, Reason::TextAfterEof)));
                }
                State::Reading => {}
            }
            let number = self.line;
            let (start, line) = self.take_line();
            let parsed = match self.format {
                Format::Text => text::line(line, number, start),
                Format::OpenMetrics => openmetrics::line(line, number, start),
            };
            match self.located(start, parsed) {
                Ok(Line::Nothing) => {}
                Ok(Line::Entry(entry)) => return Some(Ok(entry)),
                Ok(Line::Eof) => self.state = State::AfterEof,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Reads a sample value: Go's and Rust's spellings of decimal numbers, infinities and NaN.
pub(crate) fn parse_value(token: &str) -> Option<f64> {
    if let Some(integer) = parse_short_integer(token.as_bytes()) {
        return Some(integer);
    }
    let value: f64 = token.parse().ok()?;
    Some(if value.is_nan() { f64::from_bits(NORMAL_NAN_BITS) } else { value })
}

/// Most values are small integers; up to 15 digits are exact in a double.
fn parse_short_integer(token: &[u8]) -> Option<f64> {
    if token.is_empty() || token.len() > 15 {
        return None;
    }
    let mut number = 0u64;
    for byte in token {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    #[expect(clippy::cast_precision_loss, reason = "15 digits fit the mantissa")]
    Some(number as f64)
}

#[cfg(test)]
mod tests;
