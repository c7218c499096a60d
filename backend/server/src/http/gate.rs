//! Answers from the moment the port is open. Comes in: requests while the store is being opened, and once it is open
//! the router that answers them. Goes out: until then, how far the log is read, with 503 for everything that needs the
//! store. Knows no stage but the store's progress.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;
use store::ReplayProgress;
use tower::ServiceExt;

/// Seconds after which a client may ask again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Lets requests through to the router once there is one.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    router: OnceLock<Router>,
    progress: Arc<ReplayProgress>,
}

impl Gate {
    /// Where the store tells how far it is.
    pub(crate) fn progress(&self) -> Arc<ReplayProgress> {
        Arc::clone(&self.progress)
    }

    /// From now on `router` answers.
    pub(crate) fn open(&self, router: Router) {
        // There is one router a process.
        let _ = self.router.set(router);
    }

    /// The service to put behind the listener.
    pub(crate) fn service(self: Arc<Gate>) -> Router {
        Router::new()
            .fallback(pass)
            .layer(axum::middleware::from_fn(super::headers::security))
            .with_state(self)
    }

    /// What is being done, for people.
    fn told(&self) -> String {
        let ((segments, segments_total), (bytes, bytes_total)) =
            (self.progress.segments(), self.progress.bytes());
        if segments_total == 0 {
            return "starting: the tables are being opened".to_owned();
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!(
            "starting: reading the log, segment {} of {segments_total}, {:.1} of {:.1} MiB",
            (segments + 1).min(segments_total),
            mib(bytes),
            mib(bytes_total)
        )
    }

    fn starting(&self, path: &str) -> Response {
        let told = self.told();
        match path {
            "/-/healthy" => "healthy\n".into_response(),
            "/api/v1/status/walreplay" => {
                let (current, max) = self.progress.segments();
                let data = json!({ "min": 0, "max": max, "current": current, "state": "in progress" });
                axum::Json(json!({ "status": "success", "data": data })).into_response()
            }
            "/" => unavailable(Html(page(&told))),
            path if path.starts_with("/api/") || path.starts_with("/loki/") => {
                unavailable(axum::Json(json!({
                    "status": "error", "errorType": "unavailable", "error": told,
                })))
            }
            _ => unavailable(format!("{told}\n")),
        }
    }
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request) -> Result<Response, Infallible> {
    match gate.router.get() {
        Some(router) => router.clone().oneshot(request).await,
        None => Ok(gate.starting(request.uri().path())),
    }
}

fn unavailable(body: impl IntoResponse) -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    response
}

/// A page that asks again by itself; `told` has no characters of others.
fn page(told: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" \
         content=\"{RETRY_AFTER_SECONDS}\"><title>atl is starting</title></head><body><h1>atl</h1><p role=\"status\">{told}</p></body></html>"
    )
}

#[cfg(test)]
mod tests;
