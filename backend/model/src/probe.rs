//! The result of one synthetic check, as it is stored.

use serde::{Deserialize, Serialize};

/// How long each phase of a probe took, in seconds; `None` where the vantage point cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbePhases {
    /// Name resolution.
    pub resolve_seconds: Option<f64>,
    /// TCP connect.
    pub connect_seconds: Option<f64>,
    /// TLS handshake.
    pub tls_seconds: Option<f64>,
    /// From the request sent to the first byte of the answer.
    pub first_byte_seconds: Option<f64>,
    /// From the first byte to the last.
    pub transfer_seconds: Option<f64>,
}

/// One row of the `probes` table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// When the probe was due, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Name of the probe.
    pub probe: String,
    /// What was probed, a URL or `host:port`.
    pub target: String,
    /// Kind of probe: `http`, `tls` …
    pub kind: String,
    /// Where it was probed from.
    pub location: String,
    /// Whether every expectation was met.
    pub success: bool,
    /// Why not, from the fixed vocabulary of the crate `probes`.
    pub reason: Option<String>,
    /// The whole probe, seconds.
    pub duration_seconds: f64,
    /// HTTP status of the last answer.
    pub status_code: Option<u16>,
    /// Redirects followed.
    pub redirects: Option<u32>,
    /// Bytes of body read.
    pub body_bytes: Option<u64>,
    /// `1.1`, `2`, `3`.
    pub http_version: Option<String>,
    /// Durations of the phases.
    pub phases: ProbePhases,
    /// Address that answered.
    pub ip: Option<String>,
    /// TLS version.
    pub tls_version: Option<String>,
    /// TLS cipher suite.
    pub tls_cipher: Option<String>,
    /// Earliest end of validity in the certificate chain, milliseconds since the Unix epoch.
    pub cert_not_after_ms: Option<i64>,
    /// Anything else worth keeping.
    pub attributes: Vec<(String, String)>,
    /// Deterministic id: the same check sent twice has the same id.
    pub result_id: String,
}
