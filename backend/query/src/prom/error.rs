//! Why a PromQL query was not answered, in the words and by the types of the Prometheus API.

use promql::ParseError;
use thiserror::Error;

use crate::error::{QueryError, QueryErrorKind, from_store};

/// `errorType` of the Prometheus API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PromErrorType {
    /// The request is wrong: HTTP status 400.
    BadData,
    /// The query cannot be answered over this data: 422.
    Execution,
    /// Its time is up: 503.
    Timeout,
    /// Nobody waits for it any more: 503 (499 would be the honest one).
    Canceled,
    /// Our fault, or the object store's: 500.
    Internal,
    /// Too many queries: 503, try again.
    Unavailable,
}

impl PromErrorType {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            PromErrorType::BadData => "bad_data",
            PromErrorType::Execution => "execution",
            PromErrorType::Timeout => "timeout",
            PromErrorType::Canceled => "canceled",
            PromErrorType::Internal => "internal",
            PromErrorType::Unavailable => "unavailable",
        }
    }
}

/// A PromQL query that was not answered. Texts are those of Prometheus where it has one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PromError {
    /// The text is no query; the error has its place.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Times or step make no sense.
    #[error("{0}")]
    Request(String),
    /// The query cannot be answered over this data.
    #[error("{0}")]
    Execution(String),
    /// The query needs more samples than it may hold.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// A selector selects more series than it may.
    #[error("a selector of the query selects more than {limit} series")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// The process has no memory left for it.
    #[error("the query needs more memory than the process has left")]
    OutOfMemory,
    /// Its time was up during this.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// It was called off during this.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// Too many queries wait already.
    #[error("too many queries wait for their turn, more than the limit of {limit}")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// The store could not be read.
    #[error("expanding series: {0}")]
    Store(#[source] store::Error),
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

/// Where a query waits.
pub(super) const IN_QUEUE: &str = "query queue";
/// Where a query reads.
pub(super) const IN_EXECUTION: &str = "query execution";
/// Where a query computes.
pub(super) const IN_EVALUATION: &str = "expression evaluation";

impl PromError {
    /// The type of error the API tells.
    pub fn error_type(&self) -> PromErrorType {
        match self {
            PromError::Parse(_) | PromError::Request(_) => PromErrorType::BadData,
            PromError::Execution(_) | PromError::TooManySamples | PromError::TooManySeries { .. } => {
                PromErrorType::Execution
            }
            PromError::Timeout(_) => PromErrorType::Timeout,
            PromError::Canceled(_) => PromErrorType::Canceled,
            PromError::Busy { .. } | PromError::OutOfMemory => PromErrorType::Unavailable,
            PromError::Store(_) | PromError::Internal(_) => PromErrorType::Internal,
        }
    }
}

impl From<promql::Error> for PromError {
    fn from(error: promql::Error) -> PromError {
        match error {
            promql::Error::Parse(error) => PromError::Parse(error),
            promql::Error::Evaluation(text) => PromError::Execution(text),
            promql::Error::Timeout => PromError::Timeout(IN_EVALUATION),
            promql::Error::Canceled => PromError::Canceled(IN_EVALUATION),
            promql::Error::TooManySamples => PromError::TooManySamples,
            // What failed in reading is known to the source, and told by it.
            promql::Error::Source(error) => PromError::Internal(error.to_string()),
        }
    }
}

impl From<store::Error> for PromError {
    fn from(error: store::Error) -> PromError {
        match error {
            store::Error::TooManySamples { .. } => PromError::TooManySamples,
            store::Error::Stopped => PromError::Canceled(IN_EXECUTION),
            error => PromError::Store(error),
        }
    }
}

/// What it tells somebody who wrote SQL around it.
impl From<PromError> for QueryError {
    fn from(error: PromError) -> QueryError {
        let text = match &error {
            PromError::Parse(error) => {
                format!("PromQL expression, line {}, column {}: {}", error.line, error.column, error.message)
            }
            error => format!("PromQL: {error}"),
        };
        let kind = match error {
            PromError::Parse(_) | PromError::Request(_) | PromError::Execution(_) => QueryErrorKind::Plan,
            PromError::TooManySamples | PromError::TooManySeries { .. } | PromError::OutOfMemory => {
                QueryErrorKind::Memory
            }
            PromError::Timeout(_) => QueryErrorKind::Timeout,
            PromError::Canceled(_) => QueryErrorKind::Cancelled,
            PromError::Busy { .. } => QueryErrorKind::Busy,
            PromError::Store(error) => return from_store(error),
            PromError::Internal(_) => QueryErrorKind::Internal,
        };
        QueryError::new(kind, text)
    }
}
