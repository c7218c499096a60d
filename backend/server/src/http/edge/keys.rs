//! Which keys may sign, and whether a request is signed by one of them, now.

use std::collections::HashMap;

use axum::http::{HeaderMap, StatusCode};
use probes::sign::{self, SignatureError, SignedRequest};

use crate::config::Secret;
use crate::http::error::ApiError;

/// The keys, by id.
#[derive(Debug, Default)]
pub(crate) struct EdgeKeys(HashMap<String, Secret>);

/// Who signed, and what they call the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) key_id: String,
    pub(super) batch_id: String,
}

impl EdgeKeys {
    pub(crate) fn add(&mut self, id: &str, secret: Secret) {
        self.0.insert(id.to_owned(), secret);
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Checks the four headers against the body as it was sent.
    pub(super) fn verify(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        now_ms: i64,
    ) -> Result<Signed, ApiError> {
        let header = |name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| {
                unauthorized(format!("the header `{name}` is missing; a request here must be signed"))
            })
        };
        let (key_id, batch_id) = (header(sign::KEY_ID_HEADER)?, header(sign::BATCH_ID_HEADER)?);
        let (timestamp, signature) = (header(sign::TIMESTAMP_HEADER)?, header(sign::SIGNATURE_HEADER)?);
        let timestamp_seconds: i64 = timestamp.parse().map_err(|_| {
            unauthorized(format!("`{}` is not a number of seconds since 1970", sign::TIMESTAMP_HEADER))
        })?;
        // An unknown key and a wrong signature read the same from outside, so that ids cannot be tried out.
        let refused = || unauthorized("unknown key or wrong signature".to_owned());
        let secret = self.0.get(key_id).ok_or_else(refused)?.reveal().as_bytes();
        let request = SignedRequest { method, path, key_id, timestamp_seconds, batch_id, body };
        match sign::verify_request(secret, &request, signature, now_ms.div_euclid(1000)) {
            Ok(()) => {}
            Err(SignatureError::Mismatch | SignatureError::Form) => return Err(refused()),
            Err(error @ SignatureError::BatchId) => return Err(ApiError::bad_request(error.to_string())),
            Err(error @ SignatureError::Stale { skew_seconds }) => return Err(stale(&error, skew_seconds)),
        }
        Ok(Signed { key_id: key_id.to_owned(), batch_id: batch_id.to_owned() })
    }

    /// Signs a probe list for the holder of `key_id`.
    pub(super) fn sign_config(&self, key_id: &str, nonce: &str, body: &[u8]) -> Result<String, ApiError> {
        let secret = self.0.get(key_id).ok_or_else(|| unauthorized("unknown key".to_owned()))?;
        Ok(sign::sign_config(secret.reveal().as_bytes(), nonce, body))
    }
}

/// Says whose clock is off, since that is what has to be mended.
fn stale(error: &SignatureError, skew_seconds: i64) -> ApiError {
    let direction = if skew_seconds > 0 { "behind" } else { "ahead of" };
    unauthorized(format!("stale request: {error}")).with_hint(format!(
        "the sender's clock is {} s {direction} the server's",
        skew_seconds.unsigned_abs()
    ))
}

fn unauthorized(message: String) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, message)
}
