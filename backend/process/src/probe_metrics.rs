//! Metrics of a probe result, under the names of the blackbox exporter, so that its dashboards and alerts
//! keep working.
//!
//! Comes in: a probe result. Goes out: points with `job` (name of the probe), `instance` (what was probed)
//! and `location`. A measure the vantage point cannot take (phases and certificates in a Worker) yields no
//! point, rather than a zero.

use model::{LabelsBuilder, METRIC_NAME, Point, ProbeResult};

/// Points of one result, at the time the probe was due.
pub fn points(result: &ProbeResult) -> Vec<Point> {
    let mut base = LabelsBuilder::default();
    base.set("job", &result.probe).set("instance", &result.target).set("location", &result.location);
    let mut writer = PointWriter { base, timestamp_ms: result.timestamp_ms, points: Vec::new() };

    writer.push("probe_success", &[], f64::from(u8::from(result.success)));
    writer.push("probe_duration_seconds", &[], result.duration_seconds);
    if let Some(seconds) = result.phases.resolve_seconds {
        writer.push("probe_dns_lookup_time_seconds", &[], seconds);
    }
    if result.kind == "http" {
        http(result, &mut writer);
    }
    if let Some(not_after_ms) = result.cert_not_after_ms {
        writer.push("probe_ssl_earliest_cert_expiry", &[], seconds(not_after_ms));
    }
    if let Some(version) = &result.tls_version {
        writer.push("probe_tls_version_info", &[("version", version)], 1.0);
    }
    if let Some(ip) = &result.ip {
        writer.push("probe_ip_protocol", &[], if ip.contains(':') { 6.0 } else { 4.0 });
    }
    writer.points
}

fn http(result: &ProbeResult, writer: &mut PointWriter) {
    // Without an answer the blackbox exporter says status 0.
    writer.push("probe_http_status_code", &[], f64::from(result.status_code.unwrap_or(0)));
    if let Some(redirects) = result.redirects {
        writer.push("probe_http_redirects", &[], f64::from(redirects));
    }
    let phases = [
        ("resolve", result.phases.resolve_seconds),
        ("connect", result.phases.connect_seconds),
        ("tls", result.phases.tls_seconds),
        ("processing", result.phases.first_byte_seconds),
        ("transfer", result.phases.transfer_seconds),
    ];
    for (phase, seconds) in phases {
        if let Some(seconds) = seconds {
            writer.push("probe_http_duration_seconds", &[("phase", phase)], seconds);
        }
    }
    if let Some(bytes) = result.body_bytes {
        #[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
        writer.push("probe_http_content_length", &[], bytes as f64);
    }
    if let Some(version) = result.http_version.as_deref().and_then(|version| version.parse().ok()) {
        writer.push("probe_http_version", &[], version);
    }
    writer.push("probe_http_ssl", &[], f64::from(u8::from(result.target.starts_with("https:"))));
}

struct PointWriter {
    base: LabelsBuilder,
    timestamp_ms: i64,
    points: Vec<Point>,
}

impl PointWriter {
    fn push(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut builder = self.base.clone();
        builder.set(METRIC_NAME, name);
        for (name, value) in labels {
            builder.set(name, value);
        }
        self.points.push(Point { labels: builder.build(), timestamp_ms: self.timestamp_ms, value });
    }
}

#[expect(clippy::cast_precision_loss, reason = "dates are far below 2^53 milliseconds")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests;
