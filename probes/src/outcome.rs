//! The verdict on one run of a probe, as it travels and is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Reason;

/// How long the phases of a probe took, seconds; `None` where the vantage point cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// Name resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve_seconds: Option<f64>,
    /// TCP connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_seconds: Option<f64>,
    /// TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_seconds: Option<f64>,
    /// From the request sent to the first byte of the answer, summed over the redirects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_seconds: Option<f64>,
    /// From the first byte of the last answer to the end of its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_seconds: Option<f64>,
}

/// The verdict on one run of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeOutcome {
    /// Deterministic: the same run told twice has the same id. See [`crate::result_id`].
    pub result_id: String,
    /// Name of the probe.
    pub probe: String,
    /// What was probed.
    pub target: String,
    /// Kind of probe.
    pub kind: String,
    /// Where it ran.
    pub location: String,
    /// When it was due, milliseconds since the Unix epoch.
    pub scheduled_ms: i64,
    /// When it began, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Whether every expectation was met.
    pub success: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The whole probe, seconds.
    pub duration_seconds: f64,
    /// HTTP status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Redirects followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirects: Option<u32>,
    /// Bytes of body read, after decompression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// `1.1`, `2`, `3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_version: Option<String>,
    /// Durations of the phases.
    #[serde(default)]
    pub phases: Phases,
    /// Address that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// TLS version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// TLS cipher suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cipher: Option<String>,
    /// Earliest end of validity in the certificate chain, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_not_after_ms: Option<i64>,
    /// What else is worth keeping: `error` (words of a failure), `final_url`, `hops`, `body_cut`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}
