//! The edge workers' door: signed pushes in, the signed probe list out. Nothing of a body is looked at before
//! its signature holds, and no unpacked byte beyond the limit is ever held.

mod keys;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use codecs::edge::EdgeError;
use ingest::Receipt;
use probes::wire::{self, PushAnswer, PushStatus};

use super::error::ApiError;
use super::extract::Content;
use crate::app::App;

pub(crate) use keys::EdgeKeys;
use keys::Signed;

/// Largest body read from the network, in bytes. A little more than a push may have, so that it is the codec
/// that refuses it and says why.
pub(super) const BODY_BYTES_MAX: usize = wire::PUSH_COMPRESSED_BYTES_MAX + 1024;

const SIGNATURE: HeaderName = HeaderName::from_static("x-atl-signature");

/// Takes one batch; answers when it is on disk. The same batch id again is answered `duplicate`.
pub(super) async fn push(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Content(body): Content,
) -> Result<Json<PushAnswer>, ApiError> {
    let signed = app.edge().keys.verify("POST", wire::PUSH_PATH, &headers, &body, app.now_ms())?;
    let push = codecs::edge::decode(&body, is_gzip(&headers)?).map_err(refused)?;
    let (results, logs) = (push.results.len(), push.logs.len());
    let mut batch = codecs::edge::batch(push, Some(signed.batch_id));
    batch.source = format!("edge/{}", signed.key_id);
    let status = match app.ingest().append(batch).await? {
        Receipt::Stored { .. } => PushStatus::Stored,
        Receipt::Duplicate => PushStatus::Duplicate,
    };
    Ok(Json(PushAnswer { status, results: results as u64, logs: logs as u64 }))
}

/// The probe list, signed over the request's nonce so that an old answer cannot be played again.
pub(super) async fn config(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let edge = app.edge();
    let Signed { key_id, batch_id: nonce } =
        edge.keys.verify("GET", wire::CONFIG_PATH, &headers, b"", app.now_ms())?;
    let etag = format!("\"{}\"", edge.probes.version);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged = known == Some(etag.as_str());
    let body = if unchanged {
        Vec::new()
    } else {
        serde_json::to_vec(&edge.probes)
            .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
    };
    let signature = edge.keys.sign_config(&key_id, &nonce, &body)?;
    let status = if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = (status, body).into_response();
    let response_headers = response.headers_mut();
    response_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [(header::ETAG, etag), (SIGNATURE, signature)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response_headers.insert(name, value);
        }
    }
    Ok(response)
}

/// Whether the body is gzipped; any other encoding is refused.
fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => {
            let message = "the content encoding must be gzip or none";
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

fn refused(error: EdgeError) -> ApiError {
    let status = match error {
        EdgeError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        EdgeError::Gzip(_) | EdgeError::Json(_) => StatusCode::BAD_REQUEST,
    };
    ApiError::new(status, error.to_string())
}

#[cfg(test)]
mod tests;
