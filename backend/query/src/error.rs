//! Why a query was not answered, told so that a person can mend it: kind, plain message, place in the text.

mod translate;

use datafusion::common::DataFusionError;
use thiserror::Error;

pub(crate) use translate::{DAMAGED, LimitNames, translate};

/// `Result` with this crate's [`QueryError`].
pub type Result<T, E = QueryError> = std::result::Result<T, E>;

/// What kind of failure it is, by what the asker can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryErrorKind {
    /// The text is not SQL.
    Syntax,
    /// SQL that means nothing here: unknown names, wrong types, a division by zero.
    Plan,
    /// SQL that is not allowed here.
    Sandbox,
    /// The time limit was hit.
    Timeout,
    /// The memory limit or the limit of temporary files was hit.
    Memory,
    /// More rows than asked for, where that was to be an error.
    RowLimit,
    /// Too many queries run already.
    Busy,
    /// The answer was dropped before it was complete.
    Cancelled,
    /// Our fault.
    Internal,
    /// A data file is missing or damaged, or the object store does not answer.
    BadFile,
}

/// A query that was not answered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct QueryError {
    /// What kind of failure it is.
    pub kind: QueryErrorKind,
    /// What is wrong, in lower case, without a final period.
    pub message: String,
    /// Line in the query text, from 1.
    pub line: Option<u32>,
    /// Column in that line, in characters, from 1.
    pub column: Option<u32>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl QueryError {
    /// An error without a place.
    pub(crate) fn new(kind: QueryErrorKind, message: impl Into<String>) -> QueryError {
        QueryError { kind, message: message.into(), line: None, column: None, hint: None }
    }

    pub(crate) fn sandbox(message: impl Into<String>) -> QueryError {
        QueryError::new(QueryErrorKind::Sandbox, message)
    }

    pub(crate) fn plan(message: impl Into<String>) -> QueryError {
        QueryError::new(QueryErrorKind::Plan, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> QueryError {
        QueryError::new(QueryErrorKind::Internal, message)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> QueryError {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the place; numbers that no text has are left out.
    pub(crate) fn at(mut self, line: u64, column: u64) -> QueryError {
        if line > 0 && column > 0 {
            self.line = u32::try_from(line).ok();
            self.column = u32::try_from(column).ok();
        }
        self
    }
}

/// Lets a [`QueryError`] travel through DataFusion; [`translate`] finds it again.
impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}

/// A failure of the store, as a query sees it.
pub(crate) fn from_store(error: store::Error) -> QueryError {
    QueryError::new(QueryErrorKind::BadFile, format!("cannot read the store: {error}"))
}
