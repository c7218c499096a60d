//! `POST /api/sql`: SQL in, rows out in the format the client asked for. Errors before the first row are a
//! status and a text; an error after it breaks the answer off, so that no half answer looks whole.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use query::{Format, QueryOptions, formats};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Content, Parameters};
use crate::app::App;

/// Tells that the answer has been cut at the row limit; only sent where it is known before the rows are.
const TRUNCATED: HeaderName = HeaderName::from_static("x-atl-truncated");

/// `?format=csv` instead of an `Accept` header, for links and shells.
#[derive(Debug, Deserialize)]
pub(super) struct FormatParameter {
    format: Option<String>,
}

/// The JSON form of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    query: String,
    limit: Option<usize>,
}

/// Runs one statement.
pub(super) async fn run(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<FormatParameter>,
    headers: HeaderMap,
    Content(body): Content,
) -> Result<Response, ApiError> {
    let format = chosen_format(parameters.format.as_deref(), &headers)?;
    let request = read_request(&headers, &body)?;
    let options = QueryOptions { limit: request.limit, ..QueryOptions::default() };
    let answer = app.query().sql(&request.query, options).await?;
    let stats = answer.stats_handle();
    let mut bytes = formats::encode(answer, format);
    // Waits for the first rows, so that what fails before them is a status and not a broken answer.
    let first = bytes.next().await.transpose()?.unwrap_or_default();
    let truncated = stats.stats().truncated;
    // A compressed body is polled once more after its end, which a bare stream does not allow.
    let rest = stream::once(std::future::ready(Ok(first))).chain(bytes).fuse();
    let mut response = Body::from_stream(rest).into_response();
    let response_headers = response.headers_mut();
    response_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if truncated {
        response_headers.insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn read_request(headers: &HeaderMap, body: &[u8]) -> Result<Request, ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if content_type.starts_with("application/json") {
        return serde_json::from_slice(body).map_err(|error| {
            ApiError::bad_request(format!("the body is not the JSON expected here: {error}"))
                .with_hint(r#"send {"query": "SELECT 1", "limit": 100}, or the SQL alone as text/plain"#)
        });
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| ApiError::bad_request(format!("the SQL text is not UTF-8: {error}")))?;
    Ok(Request { query: text.to_owned(), limit: None })
}

fn chosen_format(parameter: Option<&str>, headers: &HeaderMap) -> Result<Format, ApiError> {
    if let Some(name) = parameter {
        return Format::from_name(name).ok_or_else(|| {
            ApiError::bad_request(format!("unknown format `{name}`"))
                .with_hint("formats: json, ndjson, csv, arrow, parquet")
        });
    }
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return Ok(Format::Json);
    };
    if let Some(format) = Format::from_accept(accept) {
        return Ok(format);
    }
    Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, format!("no format for `Accept: {accept}`"))
        .with_hint("formats: application/json, application/x-ndjson, text/csv, application/vnd.apache.arrow.stream, application/vnd.apache.parquet"))
}
