//! Errors as a client sees them: a status, a text, and where it applies line, column and a hint. Causes that
//! only the operator may see are logged here and nowhere else.

use axum::Json;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error answer.
#[derive(Debug, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Seconds, for the `Retry-After` header.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> ApiError {
        ApiError { status, error: error.into(), line: None, column: None, hint: None, retry_after: None }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> ApiError {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> ApiError {
        self.retry_after = Some(seconds.max(1));
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after);
        let mut response = (status, Json(self)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<query::QueryError> for ApiError {
    fn from(error: query::QueryError) -> ApiError {
        use query::QueryErrorKind as ErrorKind;
        let status = match error.kind {
            ErrorKind::Syntax | ErrorKind::Plan | ErrorKind::Sandbox | ErrorKind::BadFile => {
                StatusCode::BAD_REQUEST
            }
            ErrorKind::Timeout | ErrorKind::Memory | ErrorKind::RowLimit => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Cancelled | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError {
            status,
            error: error.message,
            line: error.line,
            column: error.column,
            hint: error.hint,
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        }
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> ApiError {
        tracing::warn!(%error, "store refused a request");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).retry_after(5)
    }
}

impl From<ingest::IngestError> for ApiError {
    fn from(error: ingest::IngestError) -> ApiError {
        let seconds = match &error {
            ingest::IngestError::Overloaded { retry_after } => retry_after.as_secs(),
            ingest::IngestError::Store(_) => 5,
        };
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).retry_after(seconds)
    }
}

/// The answer for a path under `/api/` that does not exist.
pub(super) async fn unknown_api(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("there is no `{}`", uri.path()))
}
