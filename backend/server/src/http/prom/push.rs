//! `POST /api/v1/write`: remote write 1.0 and 2.0. Answered when everything sound in the request is on disk: 204,
//! or 400 with the reasons where a part was refused (sending it again would not help), or 5xx where it should be
//! sent again.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use codecs::remote_write::{
    Counts, Decoded, Decoder, EXEMPLARS_WRITTEN_HEADER, Error, HISTOGRAMS_WRITTEN_HEADER, LabelCache, Limits,
    SAMPLES_WRITTEN_HEADER, Version, negotiate,
};
use ingest::{IngestError, Receipt};

use crate::app::App;

/// Largest body, in bytes; unpacked it may have 32 MiB.
const BODY_BYTES_MAX: usize = 32 << 20;
/// Label sets remembered from request to request, beside those the head holds.
const LABEL_SETS_CACHED: usize = 200_000;
/// Decoders kept for the next requests.
const DECODERS_KEPT: usize = 8;
/// Who these batches come from.
const SOURCE: &str = "remote_write";

/// Decoders with their memory and the label sets they share.
#[derive(Debug)]
pub(crate) struct Decoders {
    idle: Mutex<Vec<Decoder>>,
    labels: Arc<LabelCache>,
}

impl Default for Decoders {
    fn default() -> Decoders {
        Decoders { idle: Mutex::default(), labels: Arc::new(LabelCache::new(LABEL_SETS_CACHED)) }
    }
}

impl Decoders {
    fn decode(&self, version: Version, body: &[u8]) -> Result<Decoded, Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut decoder = kept.unwrap_or_else(|| {
            // Labels out of order are a fault of the sender, which it should hear of.
            let limits = Limits { unsorted_labels_accepted: false, ..Limits::default() };
            Decoder::new(limits, Some(Arc::clone(&self.labels)))
        });
        let decoded = decoder.decode(version, body);
        let mut idle = idle();
        if idle.len() < DECODERS_KEPT {
            idle.push(decoder);
        }
        decoded
    }
}

/// The route, with its own limit.
pub(super) fn route() -> MethodRouter<Arc<App>> {
    post(write).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn write(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let version = match negotiate(text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING)) {
        Ok(version) => version,
        Err(error) => return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error),
    };
    let decoding = Arc::clone(&app);
    // Unpacking and reading megabytes takes milliseconds that other connections would wait for.
    let decoded = tokio::task::spawn_blocking(move || decoding.decoders().decode(version, &body)).await;
    let decoded = match decoded {
        Ok(Ok(decoded)) => decoded,
        Ok(Err(error)) => {
            let too_large = error.is_too_large();
            return refuse(
                if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST },
                &error,
            );
        }
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, &error),
    };
    store(&app, version, decoded).await
}

async fn store(app: &App, version: Version, decoded: Decoded) -> Response {
    let mut written = decoded.written();
    let Decoded { mut batch, refused } = decoded;
    batch.source = SOURCE.to_owned();
    let mut faults = Vec::new();
    if !refused.is_empty() {
        faults.push(refused.to_string());
    }
    match app.ingest().append(batch).await {
        Ok(Receipt::Stored { points, histograms, exemplars, rejections, .. }) => {
            written = Counts { samples: points, histograms, exemplars };
            let reasons = rejections.iter().filter(|(reason, _)| reason.is_loss());
            faults.extend(reasons.map(|(reason, rows)| format!("{rows} rows refused: {}", reason.as_str())));
        }
        Ok(Receipt::Duplicate) => {}
        Err(error) => return unavailable(&error),
    }
    let mut response = if faults.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::BAD_REQUEST, faults.join("\n")).into_response()
    };
    if version == Version::V2 {
        let counts = [
            (SAMPLES_WRITTEN_HEADER, written.samples),
            (HISTOGRAMS_WRITTEN_HEADER, written.histograms),
            (EXEMPLARS_WRITTEN_HEADER, written.exemplars),
        ];
        for (name, count) in counts {
            response.headers_mut().insert(HeaderName::from_static(name), count.into());
        }
    }
    response
}

fn unavailable(error: &IngestError) -> Response {
    let (status, seconds) = match error {
        IngestError::Overloaded { retry_after } => (StatusCode::SERVICE_UNAVAILABLE, retry_after.as_secs()),
        IngestError::Store(store::Error::InvalidBatch(_) | store::Error::TooLarge { .. }) => {
            return refuse(StatusCode::BAD_REQUEST, error);
        }
        IngestError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, 5),
    };
    tracing::warn!(%error, "remote write is told to try again");
    let mut response = refuse(status, error);
    response.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
    response
}

fn refuse(status: StatusCode, error: &dyn std::fmt::Display) -> Response {
    (status, format!("{error}\n")).into_response()
}
