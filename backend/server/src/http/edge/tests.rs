use probes::sign;

use super::*;
use crate::config::Secret;

const NOW_MS: i64 = 1_800_000_000_000;
const PATH: &str = "/api/edge/v1/push";

fn keys() -> EdgeKeys {
    let mut keys = EdgeKeys::default();
    keys.add("edge", Secret::new("s3cret"));
    keys
}

fn signed(seconds: i64, batch_id: &str, body: &[u8]) -> HeaderMap {
    let request = sign::SignedRequest {
        method: "POST",
        path: PATH,
        key_id: "edge",
        timestamp_seconds: seconds,
        batch_id,
        body,
    };
    let signature = sign::sign_request(b"s3cret", &request);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-atl-key-id", "edge"),
        ("x-atl-batch-id", batch_id),
        ("x-atl-timestamp", seconds.to_string().as_str()),
        ("x-atl-signature", signature.as_str()),
    ] {
        headers
            .insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[track_caller]
fn refused(headers: &HeaderMap, method: &str, path: &str, body: &[u8], expect: &str) {
    let error = keys().verify(method, path, headers, body, NOW_MS).expect_err("refused");
    let text = serde_json::to_string(&error).unwrap();
    assert!(text.contains(expect), "{text}");
}

#[test]
fn a_signed_request_passes() {
    let headers = signed(NOW_MS / 1000, "w:fra:1", b"body");
    let signed = keys().verify("POST", PATH, &headers, b"body", NOW_MS).expect("passes");
    assert_eq!(signed, Signed { key_id: "edge".to_owned(), batch_id: "w:fra:1".to_owned() });
}

#[test]
fn every_signed_part_is_covered() {
    let seconds = NOW_MS / 1000;
    let good = signed(seconds, "b", b"body");
    refused(&good, "POST", PATH, b"other", "wrong signature");
    refused(&good, "GET", PATH, b"body", "wrong signature");
    refused(&good, "POST", "/api/edge/v1/config", b"body", "wrong signature");
    for (name, value) in [
        ("x-atl-key-id", "edgx"),
        ("x-atl-batch-id", "c"),
        ("x-atl-timestamp", "1800000001"),
        ("x-atl-signature", "00"),
        ("x-atl-signature", ""),
    ] {
        let mut headers = good.clone();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        refused(&headers, "POST", PATH, b"body", "wrong signature");
    }
    for name in ["x-atl-key-id", "x-atl-batch-id", "x-atl-timestamp", "x-atl-signature"] {
        let mut headers = good.clone();
        headers.remove(name);
        refused(&headers, "POST", PATH, b"body", name);
    }
}

#[test]
fn the_skew_is_told() {
    refused(&signed(NOW_MS / 1000 - 421, "b", b""), "POST", PATH, b"", "421 s behind the server's");
    refused(&signed(NOW_MS / 1000 + 301, "b", b""), "POST", PATH, b"", "301 s ahead of the server's");
    assert!(keys().verify("POST", PATH, &signed(NOW_MS / 1000 + 300, "b", b""), b"", NOW_MS).is_ok());
    let mut headers = signed(NOW_MS / 1000, "b", b"");
    headers.insert("x-atl-timestamp", HeaderValue::from_static("soon"));
    refused(&headers, "POST", PATH, b"", "not a number of seconds");
}

#[test]
fn batch_ids_are_plain() {
    let mut headers = signed(NOW_MS / 1000, "b", b"");
    headers.insert("x-atl-batch-id", HeaderValue::from_static("a/../b"));
    refused(&headers, "POST", PATH, b"", "batch id must be");
}

#[test]
fn only_gzip_or_nothing() {
    let mut headers = HeaderMap::new();
    assert!(!is_gzip(&headers).expect("nothing is fine"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(is_gzip(&headers).expect("gzip is fine"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    assert!(is_gzip(&headers).is_err());
}
