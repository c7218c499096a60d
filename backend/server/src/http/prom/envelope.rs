//! The shape every answer of the Prometheus API has: `status`, `data`, and `errorType` with `error`, or `warnings`
//! and `infos`. Status codes and error types are Prometheus's.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Kinds of errors, as clients know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    /// A parameter is wrong.
    BadData,
    /// The query cannot be evaluated over this data.
    Execution,
    /// The client went away.
    Canceled,
    /// It took too long.
    Timeout,
    /// Our fault.
    Internal,
    /// Not now, or not here.
    Unavailable,
}

impl ErrorType {
    fn name(self) -> &'static str {
        match self {
            ErrorType::BadData => "bad_data",
            ErrorType::Execution => "execution",
            ErrorType::Canceled => "canceled",
            ErrorType::Timeout => "timeout",
            ErrorType::Internal => "internal",
            ErrorType::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            ErrorType::BadData => StatusCode::BAD_REQUEST,
            ErrorType::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            // What Prometheus and Nginx answer a client that has gone; it has no name.
            ErrorType::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            ErrorType::Timeout | ErrorType::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorType::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct PromError {
    kind: ErrorType,
    message: String,
}

impl PromError {
    pub(crate) fn new(kind: ErrorType, message: impl Into<String>) -> PromError {
        PromError { kind, message: message.into() }
    }

    pub(crate) fn internal(message: impl Into<String>) -> PromError {
        PromError::new(ErrorType::Internal, message)
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> PromError {
        PromError::new(ErrorType::BadData, message)
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'static str,
    error: &'a str,
}

impl IntoResponse for PromError {
    fn into_response(self) -> Response {
        let body = ErrorBody { status: "error", error_type: self.kind.name(), error: &self.message };
        let text = serde_json::to_string(&body).unwrap_or_default();
        (self.kind.status(), json(text)).into_response()
    }
}

impl From<query::prom::PromError> for PromError {
    fn from(error: query::prom::PromError) -> PromError {
        use query::prom::PromErrorType as Type;
        let kind = match error.error_type() {
            Type::BadData => ErrorType::BadData,
            Type::Execution => ErrorType::Execution,
            Type::Timeout => ErrorType::Timeout,
            Type::Canceled => ErrorType::Canceled,
            Type::Internal => ErrorType::Internal,
            Type::Unavailable => ErrorType::Unavailable,
        };
        let message = match &error {
            query::prom::PromError::Parse(parse) => format!("invalid parameter \"query\": {parse}"),
            other => other.to_string(),
        };
        PromError::new(kind, message)
    }
}

/// A JSON text as a response.
fn json(text: String) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

/// What comes beside the data.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

/// A good answer whose data is written by `write`, which appends JSON.
pub(super) fn success_with(notes: &Notes, write: impl FnOnce(&mut String)) -> Response {
    let mut text = String::from("{\"status\":\"success\",\"data\":");
    write(&mut text);
    for (name, list) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
        if !list.is_empty() {
            text.push_str(",\"");
            text.push_str(name);
            text.push_str("\":");
            text.push_str(&serde_json::to_string(list).unwrap_or_default());
        }
    }
    text.push('}');
    json(text)
}

/// A good answer.
pub(super) fn success<T: Serialize>(data: &T) -> Response {
    success_with(&Notes::default(), |text| text.push_str(&serde_json::to_string(data).unwrap_or_default()))
}

/// A list cut at `limit` (0: none), with the warning Prometheus gives.
pub(super) fn success_limited<T: Serialize>(mut list: Vec<T>, limit: usize) -> Response {
    let mut notes = Notes::default();
    if limit > 0 && list.len() > limit {
        list.truncate(limit);
        notes.warnings.push("results truncated due to limit".to_owned());
    }
    success_with(&notes, |text| text.push_str(&serde_json::to_string(&list).unwrap_or_default()))
}
