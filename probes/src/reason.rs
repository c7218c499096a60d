//! Why a probe failed: a bounded vocabulary, because reasons become label values.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::clip;

/// Longest detail kept of a failure, bytes.
const DETAIL_BYTES_MAX: usize = 300;

/// Why a probe failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The whole probe took longer than its timeout.
    Timeout,
    /// The name did not resolve.
    Dns,
    /// No connection: refused, reset, unreachable.
    Connect,
    /// The handshake failed or the certificate was not accepted.
    Tls,
    /// What came back was not HTTP, or ended early.
    Protocol,
    /// The status code was not among the expected ones.
    Status,
    /// The body lacks a text it must contain.
    BodyMissing,
    /// The body contains a text it must not contain.
    BodyForbidden,
    /// The body was cut at the size limit before it could be judged.
    BodyTooLarge,
    /// More redirects than allowed.
    TooManyRedirects,
    /// A URL, the target's or a redirect's, that cannot be probed.
    InvalidUrl,
    /// None of the above; also a reason this version does not know.
    #[serde(other)]
    Other,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Reason; 12] = [
        Reason::Timeout,
        Reason::Dns,
        Reason::Connect,
        Reason::Tls,
        Reason::Protocol,
        Reason::Status,
        Reason::BodyMissing,
        Reason::BodyForbidden,
        Reason::BodyTooLarge,
        Reason::TooManyRedirects,
        Reason::InvalidUrl,
        Reason::Other,
    ];

    /// The name that is stored, the same as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Timeout => "timeout",
            Reason::Dns => "dns",
            Reason::Connect => "connect",
            Reason::Tls => "tls",
            Reason::Protocol => "protocol",
            Reason::Status => "status",
            Reason::BodyMissing => "body_missing",
            Reason::BodyForbidden => "body_forbidden",
            Reason::BodyTooLarge => "body_too_large",
            Reason::TooManyRedirects => "too_many_redirects",
            Reason::InvalidUrl => "invalid_url",
            Reason::Other => "other",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kept a probe from coming to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class of failure.
    pub reason: Reason,
    /// In words, for people; at most 300 bytes.
    pub detail: String,
}

impl Failure {
    /// A failure of a known class.
    pub fn new(reason: Reason, detail: impl AsRef<str>) -> Failure {
        Failure { reason, detail: clip(detail.as_ref(), DETAIL_BYTES_MAX).to_owned() }
    }

    /// Classifies an error of which only the text is known, which is all that `fetch` gives.
    ///
    /// The words are those of workerd, of Cloudflare's network and of common operating systems. The order
    /// matters: "TLS connection timed out" is a timeout, "connect: certificate …" is a matter of TLS.
    pub fn from_message(message: &str) -> Failure {
        const WORDS: [(Reason, &[&str]); 6] = [
            (Reason::Timeout, &["timed out", "timeout", "aborted", "deadline"]),
            (Reason::Dns, &["dns", "getaddrinfo", "resolve", "name or service", "unknown host", "enotfound"]),
            (Reason::Tls, &["tls", "ssl", "certificate", "handshake", "x509"]),
            (Reason::InvalidUrl, &["invalid url", "url must", "fetch api cannot load", "unsupported scheme"]),
            (
                Reason::Connect,
                &["connect", "refused", "reset", "unreachable", "disconnected", "broken pipe", "no route"],
            ),
            (Reason::Protocol, &["http", "header", "parse", "premature", "protocol", "chunk", "decod"]),
        ];
        let lower = message.to_lowercase();
        let reason = WORDS
            .iter()
            .find(|(_, words)| words.iter().any(|word| lower.contains(word)))
            .map_or(Reason::Other, |(reason, _)| *reason);
        Failure::new(reason, message)
    }
}

#[cfg(test)]
mod tests;
