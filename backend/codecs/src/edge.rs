//! What the edge worker pushes: `probes::wire::Push` as JSON, gzipped or not, to a [`Batch`].
//!
//! Comes in: the body of a push whose signature the caller has checked. Goes out: the message, and the batch
//! it means. Knows no signatures, no HTTP and no clock; size limits are those of the protocol.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use model::{Batch, Labels, LogEntry, LogStream, ProbePhases, ProbeResult, Severity};
use probes::ProbeOutcome;
use probes::wire::{Level, LogRecord, PUSH_BYTES_MAX, PUSH_COMPRESSED_BYTES_MAX, Push};
use thiserror::Error;

/// Value of the label `source` of log streams that came through the edge.
pub const LOG_SOURCE: &str = "cf-worker";

/// Why the body of a push is refused.
#[derive(Debug, Error)]
pub enum EdgeError {
    /// Larger than the protocol allows.
    #[error("push is larger than {limit_bytes} bytes{}", if *.unpacked { " unpacked" } else { "" })]
    TooLarge {
        /// The limit it crosses.
        limit_bytes: usize,
        /// Whether the limit is that of the unpacked body.
        unpacked: bool,
    },
    /// Not gzip.
    #[error("push is not valid gzip")]
    Gzip(#[source] std::io::Error),
    /// Not the JSON of a push.
    #[error("push is not valid: {0}")]
    Json(#[source] serde_json::Error),
}

/// Reads the body of a push as it was sent.
pub fn decode(body: &[u8], gzip: bool) -> Result<Push, EdgeError> {
    if body.len() > PUSH_COMPRESSED_BYTES_MAX {
        return Err(EdgeError::TooLarge { limit_bytes: PUSH_COMPRESSED_BYTES_MAX, unpacked: false });
    }
    if !gzip {
        return serde_json::from_slice(body).map_err(EdgeError::Json);
    }
    // Counted before any memory is taken: a few bytes may unpack to any number of them.
    let limit = PUSH_BYTES_MAX as u64 + 1;
    let mut counted = MultiGzDecoder::new(body).take(limit);
    let bytes = std::io::copy(&mut counted, &mut std::io::sink()).map_err(EdgeError::Gzip)?;
    if bytes == limit {
        return Err(EdgeError::TooLarge { limit_bytes: PUSH_BYTES_MAX, unpacked: true });
    }
    let mut unpacked = Vec::with_capacity(bytes as usize);
    MultiGzDecoder::new(body).take(bytes).read_to_end(&mut unpacked).map_err(EdgeError::Gzip)?;
    serde_json::from_slice(&unpacked).map_err(EdgeError::Json)
}

/// The batch a push means: probe results, and one log stream a script. Points are derived later, in
/// `process`.
pub fn batch(push: Push, batch_id: Option<String>) -> Batch {
    let mut batch = Batch::new(format!("edge/{}", push.worker));
    batch.batch_id = batch_id;
    batch.log_streams = log_streams(&push.worker, &push.location, push.logs);
    batch.probes = push.results.into_iter().map(probe_result).collect();
    batch
}

fn log_streams(worker: &str, location: &str, records: Vec<LogRecord>) -> Vec<LogStream> {
    let mut streams: Vec<LogStream> = Vec::new();
    let mut by_script: HashMap<String, usize> = HashMap::new();
    for record in records {
        let at = *by_script.entry(record.script.clone()).or_insert_with(|| {
            let service = if record.script.is_empty() { worker } else { &record.script };
            let pairs =
                [("service", service), ("host", location), ("source", LOG_SOURCE), ("worker", worker)];
            streams.push(LogStream { labels: Labels::from_pairs(pairs), entries: Vec::new() });
            streams.len() - 1
        });
        streams[at].entries.push(log_entry(record));
    }
    streams
}

fn log_entry(record: LogRecord) -> LogEntry {
    let mut attributes = record.attributes;
    LogEntry {
        timestamp_ns: record.timestamp_ms.saturating_mul(1_000_000),
        severity: match record.level {
            Level::Debug => Severity::Debug,
            Level::Info => Severity::Info,
            Level::Warn => Severity::Warn,
            Level::Error => Severity::Error,
        },
        trace_id: attributes.remove("trace_id"),
        span_id: attributes.remove("span_id"),
        attributes: attributes.into_iter().collect(),
        body: record.message,
    }
}

fn probe_result(outcome: ProbeOutcome) -> ProbeResult {
    ProbeResult {
        timestamp_ms: outcome.scheduled_ms,
        probe: outcome.probe,
        target: outcome.target,
        kind: outcome.kind,
        location: outcome.location,
        success: outcome.success,
        reason: outcome.reason.map(|reason| reason.as_str().to_owned()),
        duration_seconds: outcome.duration_seconds,
        status_code: outcome.status_code,
        redirects: outcome.redirects,
        body_bytes: outcome.body_bytes,
        http_version: outcome.http_version,
        phases: ProbePhases {
            resolve_seconds: outcome.phases.resolve_seconds,
            connect_seconds: outcome.phases.connect_seconds,
            tls_seconds: outcome.phases.tls_seconds,
            first_byte_seconds: outcome.phases.first_byte_seconds,
            transfer_seconds: outcome.phases.transfer_seconds,
        },
        ip: outcome.ip,
        tls_version: outcome.tls_version,
        tls_cipher: outcome.tls_cipher,
        cert_not_after_ms: outcome.cert_not_after_ms,
        attributes: outcome.attributes.into_iter().collect(),
        result_id: outcome.result_id,
    }
}

#[cfg(test)]
mod tests;
