//! What a query can fail with, worded as Prometheus words it, so that tools which match on texts keep working.
//! Messages of other crates' errors are passed on; nothing here is ever a panic.

use thiserror::Error;

use crate::format::line_column;

/// A byte range of the query text, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.end) }
    }
}

/// Text that is not a query: where and why. The caller shows it to whoever typed the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, without the position.
    pub message: String,
    /// The bytes to underline.
    pub span: Span,
    /// Line of `span.start`, from one.
    pub line: usize,
    /// Column of `span.start` in bytes, from one.
    pub column: usize,
}

impl ParseError {
    /// An error at `span` of `query`.
    pub(crate) fn new(query: &str, span: Span, message: impl Into<String>) -> ParseError {
        let (line, column) = line_column(query, span.start);
        ParseError { message: message.into(), span, line, column }
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Why the caller wants an evaluation to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The query's time is up.
    Timeout,
    /// Nobody waits for the answer any more.
    Canceled,
}

/// A failed evaluation. Variants tell the caller what to do, texts are Prometheus's.
#[derive(Debug, Error)]
pub enum Error {
    /// The query text is wrong: fix it.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query cannot be answered over this data: change it.
    #[error("{0}")]
    Evaluation(String),
    /// The deadline passed: ask for less, or allow more time.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The caller went away.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// More samples than allowed: ask for fewer series, fewer steps or a shorter time.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The data could not be read: retry later.
    #[error("expanding series: {0}")]
    Source(#[source] SourceError),
}

impl Error {
    /// An evaluation error with this text.
    pub(crate) fn evaluation(message: impl Into<String>) -> Error {
        Error::Evaluation(message.into())
    }
}

impl From<Interrupt> for Error {
    fn from(interrupt: Interrupt) -> Error {
        match interrupt {
            Interrupt::Timeout => Error::Timeout,
            Interrupt::Canceled => Error::Canceled,
        }
    }
}

/// Whatever went wrong where the data lives.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
