//! `POST /api/v1/read`: remote read, samples as they are stored for another Prometheus to evaluate.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use codecs::remote_read::{
    self, CHUNKED_CONTENT_TYPE, Query, ReadRequest, ResponseType, SAMPLES_CONTENT_TYPE, Series,
};
use promql::SeriesData;
use query::prom::storable;

use super::envelope::{ErrorType, PromError};
use crate::app::App;

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The route, with its own limit.
pub(super) fn route() -> MethodRouter<Arc<App>> {
    post(read).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn read(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, PromError> {
    let ReadRequest { queries, mut response_type, samples_accepted } =
        remote_read::decode(&body).map_err(|error| PromError::bad_data(error.to_string()))?;
    let snapshot = app.store().snapshot();
    let mut results = Vec::with_capacity(queries.len());
    for Query { matchers, start_ms, end_ms, .. } in &queries {
        let found = app.prom().samples(Arc::clone(&snapshot), matchers, *start_ms, *end_ms).await?;
        let mut series: Vec<Series> = found.iter().map(|series| answer(series)).collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        results.push(series);
    }
    let has_histograms = results.iter().flatten().any(|series| !series.histograms.is_empty());
    if has_histograms && response_type == ResponseType::StreamedXorChunks {
        if !samples_accepted {
            let message = "native histograms are sent to clients that accept the response type SAMPLES only";
            return Err(PromError::new(ErrorType::Execution, message));
        }
        response_type = ResponseType::Samples;
    }
    // Packing megabytes takes milliseconds that other connections would wait for.
    let encoded = tokio::task::spawn_blocking(move || encode(&results, response_type)).await;
    match encoded {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(PromError::internal(error)),
        Err(error) => Err(PromError::internal(error.to_string())),
    }
}

fn answer(data: &SeriesData) -> Series {
    let samples = data.timestamps.iter().copied().zip(data.values.iter().copied()).collect();
    let histograms = data.histograms.iter();
    let histograms = histograms.map(|sample| (sample.timestamp_ms, Arc::new(storable(&sample.histogram))));
    Series { labels: model::Labels::clone(&data.labels), samples, histograms: histograms.collect() }
}

fn encode(results: &[Vec<Series>], response_type: ResponseType) -> Result<Response, String> {
    let header = |text: &'static str| HeaderValue::from_static(text);
    match response_type {
        ResponseType::Samples => {
            let body = remote_read::encode_samples(results).map_err(|error| error.to_string())?;
            let headers = [
                (header::CONTENT_TYPE, header(SAMPLES_CONTENT_TYPE)),
                (header::CONTENT_ENCODING, header("snappy")),
            ];
            Ok((StatusCode::OK, headers, body).into_response())
        }
        ResponseType::StreamedXorChunks => {
            let mut body = Vec::new();
            for (query, series) in results.iter().enumerate() {
                for one in series {
                    remote_read::put_frames(&mut body, query, one).map_err(|error| error.to_string())?;
                }
            }
            Ok((StatusCode::OK, [(header::CONTENT_TYPE, header(CHUNKED_CONTENT_TYPE))], body).into_response())
        }
    }
}
