use super::*;

#[test]
fn content_types() {
    for (content_type, expect) in [
        ("text/plain; version=0.0.4", Format::Text),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
        ("Application/OpenMetrics-Text", Format::OpenMetrics),
        ("", Format::Text),
        ("text/html", Format::Text),
        ("nonsense;;;", Format::Text),
    ] {
        assert_eq!(format_of(content_type, Format::Text).unwrap(), expect, "{content_type}");
    }
    assert_eq!(format_of("", Format::OpenMetrics).unwrap(), Format::OpenMetrics);
    let error = format_of("application/vnd.google.protobuf; proto=x", Format::Text).expect_err("not text");
    assert_eq!(error.to_string(), "content type `application/vnd.google.protobuf; proto=x` is not supported");
}

#[test]
fn a_body_of_the_limit_is_too_large() {
    let mut body = BoundedBody { bytes: Vec::new(), limit: 4, exceeded: false };
    assert!(body.write_all(b"abc").is_ok());
    assert!(body.write_all(b"d").is_err() && body.exceeded);
    assert_eq!(body.bytes, b"abc");
}

#[tokio::test]
async fn authorization_headers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "s3cret\n").unwrap();
    let header = async |config: serde_json::Value| {
        let job = crate::testing::job(config);
        authorization(&job.http).await.map(|value| value.map(|value| value.to_str().unwrap().to_owned()))
    };
    use serde_json::json;
    assert_eq!(header(json!({})).await.unwrap(), None);
    let basic = json!({"basic_auth": {"username": "u", "password": "p"}});
    assert_eq!(header(basic).await.unwrap().as_deref(), Some("Basic dTpw"));
    let basic = json!({"basic_auth": {"username": "u", "password_file": file}});
    assert_eq!(header(basic).await.unwrap().as_deref(), Some("Basic dTpzM2NyZXQ="));
    let token = json!({"authorization": {"type": "Token", "credentials_file": file}});
    assert_eq!(header(token.clone()).await.unwrap().as_deref(), Some("Token s3cret"));
    std::fs::write(&file, "rotated").unwrap();
    assert_eq!(header(token.clone()).await.unwrap().as_deref(), Some("Token rotated"), "read every time");
    assert_eq!(header(json!({"bearer_token": "b"})).await.unwrap().as_deref(), Some("Bearer b"));
    std::fs::write(&file, "two\nlines").unwrap();
    let error = header(token).await.expect_err("a newline in a header").to_string();
    assert!(!error.contains("lines"), "{error}");
    let missing = json!({"bearer_token_file": dir.path().join("none")});
    assert!(matches!(header(missing).await, Err(ScrapeError::File { .. })));
}
