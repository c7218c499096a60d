//! Signatures of the edge protocol: HMAC-SHA256 over a text that names everything that must not be changed.
//!
//! Both sides use this module, so there is one spelling of the signed text. Keys and the time are arguments.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Header with the name of the key.
pub const KEY_ID_HEADER: &str = "x-atl-key-id";
/// Header with the time of signing, seconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "x-atl-timestamp";
/// Header with the batch id; of the probe list, a nonce.
pub const BATCH_ID_HEADER: &str = "x-atl-batch-id";
/// Header with the signature, lowercase hex.
pub const SIGNATURE_HEADER: &str = "x-atl-signature";
/// How far the clocks of the two sides may differ, seconds.
pub const SKEW_SECONDS_MAX: i64 = 300;

/// What a request's signature covers.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// `POST`, `GET`.
    pub method: &'a str,
    /// Path of the API, without the prefix a proxy may put in front, and without a query.
    pub path: &'a str,
    /// Name of the key.
    pub key_id: &'a str,
    /// Seconds since the Unix epoch.
    pub timestamp_seconds: i64,
    /// Batch id or nonce.
    pub batch_id: &'a str,
    /// The body exactly as sent, compressed if it is sent compressed.
    pub body: &'a [u8],
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Signed too long ago, or in the future.
    #[error("signed {skew_seconds} s away from this clock, and at most {SKEW_SECONDS_MAX} s are allowed")]
    Stale {
        /// The receiver's time minus the time of signing, seconds.
        skew_seconds: i64,
    },
    /// Signed with another key, or something was changed.
    #[error("signature does not match")]
    Mismatch,
    /// Not 64 hex digits.
    #[error("signature is not 64 lowercase hex digits")]
    Form,
    /// Not a batch id.
    #[error("batch id must be 1 to 128 letters, digits, `.`, `_`, `:` or `-`")]
    BatchId,
}

/// Signs a request; lowercase hex.
pub fn sign_request(secret: &[u8], request: &SignedRequest<'_>) -> String {
    sign_text(secret, &request_text(request))
}

/// Checks a request's signature, in constant time, and that it was made within [`SKEW_SECONDS_MAX`] of
/// `now_seconds`. The signature is checked first, so that only somebody with the key learns of our clock.
pub fn verify_request(
    secret: &[u8],
    request: &SignedRequest<'_>,
    signature: &str,
    now_seconds: i64,
) -> Result<(), SignatureError> {
    check_batch_id(request.batch_id)?;
    verify_text(secret, &request_text(request), signature)?;
    let skew_seconds = now_seconds.saturating_sub(request.timestamp_seconds);
    if skew_seconds.unsigned_abs() > SKEW_SECONDS_MAX.unsigned_abs() {
        return Err(SignatureError::Stale { skew_seconds });
    }
    Ok(())
}

/// Signs a probe list for the asker who sent `nonce`; lowercase hex.
pub fn sign_config(secret: &[u8], nonce: &str, body: &[u8]) -> String {
    sign_text(secret, &config_text(nonce, body))
}

/// Checks that a probe list is the answer to `nonce` and unchanged, in constant time.
pub fn verify_config(secret: &[u8], nonce: &str, body: &[u8], signature: &str) -> Result<(), SignatureError> {
    verify_text(secret, &config_text(nonce, body), signature)
}

/// Checks the form of a batch id or nonce.
pub fn check_batch_id(batch_id: &str) -> Result<(), SignatureError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
    if (1..=128).contains(&batch_id.len()) && batch_id.bytes().all(allowed) {
        Ok(())
    } else {
        Err(SignatureError::BatchId)
    }
}

/// A batch id made of `parts`, joined by `:`. What an id cannot hold becomes `-`; an id that would be too long
/// ends in a digest of the whole.
pub fn batch_id(parts: &[&str]) -> String {
    let text = parts.join(":");
    let mut id: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "._:-".contains(c) { c } else { '-' }).collect();
    if id.len() > 128 {
        id.truncate(95);
        id.push(':');
        id.push_str(&body_digest(text.as_bytes())[..32]);
    }
    id
}

/// SHA-256 of a body, lowercase hex.
pub fn body_digest(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

fn request_text(request: &SignedRequest<'_>) -> String {
    let SignedRequest { method, path, key_id, timestamp_seconds, batch_id, body } = request;
    format!("v1\n{method}\n{path}\n{key_id}\n{timestamp_seconds}\n{batch_id}\n{}", body_digest(body))
}

fn config_text(nonce: &str, body: &[u8]) -> String {
    format!("v1-config\n{nonce}\n{}", body_digest(body))
}

fn sign_text(secret: &[u8], text: &str) -> String {
    hex::encode(mac(secret, text).finalize().into_bytes())
}

fn verify_text(secret: &[u8], text: &str, signature: &str) -> Result<(), SignatureError> {
    let lowercase = signature.len() == 64 && !signature.bytes().any(|b| b.is_ascii_uppercase());
    let bytes = hex::decode(signature).ok().filter(|_| lowercase).ok_or(SignatureError::Form)?;
    mac(secret, text).verify_slice(&bytes).map_err(|_| SignatureError::Mismatch)
}

fn mac(secret: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests;
