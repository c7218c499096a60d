//! What an operator and a supervisor ask: healthy, ready, reload.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::app::App;

/// 200 as long as the process answers at all.
pub(super) async fn healthy() -> &'static str {
    "healthy\n"
}

/// 200 once writes are taken and queries answered; 503 while stopping.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    "ready\n".into_response()
}

/// Reads the configuration file again. A file with an error changes nothing.
pub(super) async fn reload(State(app): State<Arc<App>>) -> Result<String, ApiError> {
    match app.reload() {
        Ok(summary) => Ok(format!("{summary}\n")),
        Err(error) => Err(ApiError::bad_request(error.to_string())
            .with_hint("the configuration that ran before goes on running")),
    }
}
