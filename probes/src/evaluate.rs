//! From a specification and an observation to a verdict. Pure: the same input gives the same outcome, byte for
//! byte, natively and in wasm.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::sign::body_digest;
use crate::text::{bare_url, clip};
use crate::{BodyReport, Failure, Hop, Observation, Phases, ProbeOutcome, ProbeSpec, Reason, Vantage};

/// Judges one run of a probe.
///
/// The first of these is the reason: what kept the probe from coming to an end; the status; what the body lacks
/// or must not have. A status is judged before the body because an error page rarely holds the expected text,
/// and the status says more.
pub fn evaluate(spec: &ProbeSpec, observation: &Observation) -> ProbeOutcome {
    let failure = find_failure(spec, observation);
    let last_hop = observation.hops.last();
    ProbeOutcome {
        result_id: result_id(
            &spec.name,
            &observation.location,
            observation.scheduled_ms,
            observation.attempt,
        ),
        probe: spec.name.clone(),
        target: spec.target.clone(),
        kind: spec.kind.as_str().to_owned(),
        location: observation.location.clone(),
        scheduled_ms: observation.scheduled_ms,
        started_ms: observation.started_ms,
        success: failure.is_none(),
        reason: failure.as_ref().map(|failure| failure.reason),
        duration_seconds: observation.duration.as_secs_f64(),
        status_code: last_hop.map(|hop| hop.status),
        redirects: Some(observation.redirects),
        body_bytes: observation.body.as_ref().map(|body| body.bytes),
        http_version: observation.connection.http_version.clone(),
        phases: phases(observation),
        ip: observation.connection.ip.clone(),
        tls_version: observation.connection.tls_version.clone(),
        tls_cipher: observation.connection.tls_cipher.clone(),
        cert_not_after_ms: observation.connection.cert_not_after_ms,
        attributes: attributes(observation, failure.as_ref()),
    }
}

/// The id of one run: the first 32 hex digits of SHA-256 over `probe|location|scheduled_ms|attempt`. Names of
/// probes contain no `|`, so different runs of one location never share the text.
pub fn result_id(probe: &str, location: &str, scheduled_ms: i64, attempt: u32) -> String {
    let mut id = body_digest(format!("{probe}|{location}|{scheduled_ms}|{attempt}").as_bytes());
    id.truncate(32);
    id
}

fn find_failure(spec: &ProbeSpec, observation: &Observation) -> Option<Failure> {
    if let Some(failure) = &observation.failure {
        return Some(failure.clone());
    }
    let Some(answer) = observation.hops.last() else {
        return Some(Failure::new(Reason::Other, "no answer was observed"));
    };
    if !spec.expect.accepts(answer.status) {
        return Some(wrong_status(spec, observation.vantage, answer));
    }
    if !spec.expect.judges_body() {
        return None;
    }
    match &observation.body {
        Some(body) => wrong_body(spec, body),
        None => Some(Failure::new(Reason::Protocol, "the answer had no body to judge")),
    }
}

fn wrong_status(spec: &ProbeSpec, vantage: Vantage, answer: &Hop) -> Failure {
    if vantage == Vantage::CloudflareWorker
        && let Some((reason, detail)) = cloudflare_status(answer.status)
    {
        return Failure::new(reason, format!("status {}: {detail}", answer.status));
    }
    let expected = spec.expect.status.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Failure::new(Reason::Status, format!("status {}, expected {expected}", answer.status))
}

/// Answers that Cloudflare's network gives in place of a target it could not reach (Cloudflare's documentation
/// of 5xx errors).
fn cloudflare_status(status: u16) -> Option<(Reason, &'static str)> {
    Some(match status {
        520 => (Reason::Protocol, "the target sent an empty or unexpected answer"),
        521 => (Reason::Connect, "the target refused the connection"),
        522 => (Reason::Connect, "the connection to the target timed out"),
        523 => (Reason::Connect, "the target is unreachable"),
        524 => (Reason::Timeout, "the target took too long to answer"),
        525 => (Reason::Tls, "the TLS handshake with the target failed"),
        526 => (Reason::Tls, "the target's certificate is not valid"),
        530 => (Reason::Dns, "the target's name did not resolve"),
        _ => return None,
    })
}

fn wrong_body(spec: &ProbeSpec, body: &BodyReport) -> Option<Failure> {
    if let Some(text) = body.forbidden.first() {
        let detail = format!("body contains `{}`", clip(text, 100));
        return Some(Failure::new(Reason::BodyForbidden, detail));
    }
    // What was cut off could hold a required text, and could hold a forbidden one.
    let undecided = !body.missing.is_empty() || !spec.expect.body_not_contains.is_empty();
    if body.cut && undecided {
        let detail = format!("body is larger than the {} bytes that are read", body.bytes);
        return Some(Failure::new(Reason::BodyTooLarge, detail));
    }
    let text = body.missing.first()?;
    Some(Failure::new(Reason::BodyMissing, format!("body does not contain `{}`", clip(text, 100))))
}

fn phases(observation: &Observation) -> Phases {
    let connection = &observation.connection;
    let seconds = |duration: Option<Duration>| duration.map(|d| d.as_secs_f64());
    let first_byte =
        (!observation.hops.is_empty()).then(|| observation.hops.iter().map(|h| h.first_byte).sum());
    Phases {
        resolve_seconds: seconds(connection.resolve),
        connect_seconds: seconds(connection.connect),
        tls_seconds: seconds(connection.tls),
        first_byte_seconds: seconds(first_byte),
        transfer_seconds: seconds(observation.transfer),
    }
}

fn attributes(observation: &Observation, failure: Option<&Failure>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let mut put = |name: &str, value: String| attributes.insert(name.to_owned(), value);
    if let Some(failure) = failure {
        put("error", failure.detail.clone());
    }
    if observation.redirects > 0 {
        put("hops", hops_text(&observation.hops));
        if let Some(hop) = observation.hops.last() {
            put("final_url", bare_url(&hop.url));
        }
    }
    if observation.body.as_ref().is_some_and(|body| body.cut) {
        put("body_cut", "true".to_owned());
    }
    if observation.attempt > 1 {
        put("attempt", observation.attempt.to_string());
    }
    attributes
}

/// `301 0.012 http://a/ > 200 0.034 https://a/`: status, seconds and address of every answer.
fn hops_text(hops: &[Hop]) -> String {
    let mut text = String::new();
    for hop in hops {
        let separator = if text.is_empty() { "" } else { " > " };
        let seconds = hop.first_byte.as_secs_f64();
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}{} {seconds:.3} {}", hop.status, clip(&bare_url(&hop.url), 256));
    }
    text
}

#[cfg(test)]
mod tests;
