//! A client of the edge protocol, written from its description and not from the product's code: it signs, packs
//! and sends what a worker would, and what a forger would.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::{self, Answer};
use super::wait::now_ms;

/// The key all tests use.
pub(crate) const KEY_ID: &str = "edge-test";
/// Its secret.
pub(crate) const SECRET: &str = "4fb1f8e1c0a04d6f9f6c0e1b2a3d4c5e";

/// Configuration that lets this client in.
pub(crate) fn key_config() -> String {
    format!("edge:\n  keys:\n    - {{ id: {KEY_ID}, secret: {SECRET} }}\n")
}

/// A request that is signed and not yet sent, so that a test can spoil it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) key_id: String,
    pub(crate) timestamp: i64,
    pub(crate) batch_id: String,
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) gzip: bool,
}

impl Signed {
    /// A push of `push` under `batch_id`, as a worker makes it.
    pub(crate) fn push(batch_id: &str, push: &Value) -> Signed {
        Signed::push_bytes(batch_id, gzip(push.to_string().as_bytes()))
    }

    /// A push of a body that is packed already.
    pub(crate) fn push_bytes(batch_id: &str, body: Vec<u8>) -> Signed {
        Signed::new("POST", "/api/edge/v1/push", batch_id, body).signed_at(now_ms() / 1000)
    }

    /// A question for the probe list.
    pub(crate) fn config(nonce: &str) -> Signed {
        Signed::new("GET", "/api/edge/v1/config", nonce, Vec::new()).signed_at(now_ms() / 1000)
    }

    fn new(method: &'static str, path: &'static str, batch_id: &str, body: Vec<u8>) -> Signed {
        let (key_id, batch_id) = (KEY_ID.to_owned(), batch_id.to_owned());
        Signed { method, path, key_id, timestamp: 0, batch_id, signature: None, gzip: !body.is_empty(), body }
    }

    /// Signs again, as of this second.
    pub(crate) fn signed_at(mut self, timestamp: i64) -> Signed {
        self.timestamp = timestamp;
        let Signed { method, path, key_id, batch_id, body, .. } = &self;
        let digest = hex::encode(Sha256::digest(body));
        self.signature =
            Some(mac(&format!("v1\n{method}\n{path}\n{key_id}\n{timestamp}\n{batch_id}\n{digest}")));
        self
    }

    /// Sends it to a server.
    pub(crate) async fn send(&self, base_url: &str) -> Result<Answer, reqwest::Error> {
        http::send(self.request(base_url)).await
    }

    /// The request, for headers beside the protocol's.
    pub(crate) fn request(&self, base_url: &str) -> reqwest::RequestBuilder {
        let url = format!("{base_url}{}", self.path);
        let mut request = match self.method {
            "POST" => http::client().post(url).body(self.body.clone()),
            _ => http::client().get(url),
        };
        request = request
            .header("x-atl-key-id", &self.key_id)
            .header("x-atl-timestamp", self.timestamp.to_string())
            .header("x-atl-batch-id", &self.batch_id);
        if let Some(signature) = &self.signature {
            request = request.header("x-atl-signature", signature);
        }
        if self.gzip {
            request = request.header("content-encoding", "gzip");
        }
        request
    }
}

/// Hex HMAC-SHA256 of a text under the tests' secret.
pub(crate) fn mac(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length of key");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A push with `count` results and as many log lines, each found again by its own name: `NAME-0`, `NAME-1` …
pub(crate) fn sample_push(name: &str, count: usize) -> Value {
    let now = now_ms();
    let results: Vec<Value> =
        (0..count).map(|index| sample_result(&format!("{name}-{index}"), now)).collect();
    let logs: Vec<Value> = (0..count)
        .map(|index| {
            json!({
                "timestamp_ms": now, "level": "info", "script": "atl-edge",
                "message": format!("{name}-{index}"), "attributes": { "batch": name },
            })
        })
        .collect();
    json!({ "worker": "atl-edge", "location": "TST", "sent_at_ms": now, "results": results, "logs": logs })
}

/// One good result; its id and its probe are made of `name`.
pub(crate) fn sample_result(name: &str, now_ms: i64) -> Value {
    let id = hex::encode(Sha256::digest(name.as_bytes()));
    json!({
        "result_id": id[..32], "probe": name, "target": "https://example.com/", "kind": "http", "location": "TST",
        "scheduled_ms": now_ms, "started_ms": now_ms, "success": true, "duration_seconds": 0.125,
        "status_code": 200, "redirects": 0, "body_bytes": 1256, "http_version": "2",
        "phases": { "first_byte_seconds": 0.1, "transfer_seconds": 0.025 }, "attributes": { "colo": "TST" },
    })
}
