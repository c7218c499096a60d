use axum::body::{Body, to_bytes};
use axum::routing::get;

use super::*;

async fn ask(gate: &Arc<Gate>, path: &str) -> (StatusCode, String, bool) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let response = Arc::clone(gate).service().oneshot(request).await.unwrap();
    let (status, later) = (response.status(), response.headers().contains_key(header::RETRY_AFTER));
    let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), later)
}

#[tokio::test]
async fn before_the_store_is_open_the_reason_is_told() {
    let gate = Arc::new(Gate::default());
    assert_eq!(ask(&gate, "/-/healthy").await.0, StatusCode::OK);
    for path in ["/-/ready", "/", "/api/v1/query?query=up", "/metrics"] {
        let (status, body, later) = ask(&gate, path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(body.contains("starting: the tables are being opened") && later, "{path}: {body}");
    }
    let (status, body, _) = ask(&gate, "/api/v1/status/walreplay").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("in progress"), "{body}");
}

#[tokio::test]
async fn after_that_the_router_answers() {
    let gate = Arc::new(Gate::default());
    gate.open(Router::new().route("/-/ready", get(|| async { "ready\n" })));
    assert_eq!(ask(&gate, "/-/ready").await, (StatusCode::OK, "ready\n".to_owned(), false));
    assert_eq!(ask(&gate, "/other").await.0, StatusCode::NOT_FOUND);
}
