use model::ProbePhases;

use super::*;

fn render(result: &ProbeResult) -> Vec<String> {
    points(result)
        .iter()
        .map(|point| format!("{} {} @{}", point.labels, point.value, point.timestamp_ms))
        .collect()
}

#[test]
fn an_http_result_from_a_socket() {
    let result = ProbeResult {
        timestamp_ms: 7000,
        probe: "wiki".into(),
        target: "https://w.example/".into(),
        kind: "http".into(),
        location: "FRA".into(),
        success: true,
        duration_seconds: 0.5,
        status_code: Some(200),
        redirects: Some(1),
        body_bytes: Some(1234),
        http_version: Some("1.1".into()),
        phases: ProbePhases {
            resolve_seconds: Some(0.01),
            connect_seconds: Some(0.02),
            tls_seconds: Some(0.03),
            first_byte_seconds: Some(0.04),
            transfer_seconds: Some(0.05),
        },
        ip: Some("2001:db8::1".into()),
        tls_version: Some("TLS 1.3".into()),
        cert_not_after_ms: Some(1_700_000_000_500),
        ..ProbeResult::default()
    };
    let common = r#"instance="https://w.example/", job="wiki", location="FRA""#;
    let expect: Vec<String> = [
        ("probe_success", "", "1"),
        ("probe_duration_seconds", "", "0.5"),
        ("probe_dns_lookup_time_seconds", "", "0.01"),
        ("probe_http_status_code", "", "200"),
        ("probe_http_redirects", "", "1"),
        ("probe_http_duration_seconds", r#", phase="resolve""#, "0.01"),
        ("probe_http_duration_seconds", r#", phase="connect""#, "0.02"),
        ("probe_http_duration_seconds", r#", phase="tls""#, "0.03"),
        ("probe_http_duration_seconds", r#", phase="processing""#, "0.04"),
        ("probe_http_duration_seconds", r#", phase="transfer""#, "0.05"),
        ("probe_http_content_length", "", "1234"),
        ("probe_http_version", "", "1.1"),
        ("probe_http_ssl", "", "1"),
        ("probe_ssl_earliest_cert_expiry", "", "1700000000.5"),
        ("probe_tls_version_info", r#", version="TLS 1.3""#, "1"),
        ("probe_ip_protocol", "", "6"),
    ]
    .iter()
    .map(|(name, extra, value)| format!("{name}{{{common}{extra}}} {value} @7000"))
    .collect();
    assert_eq!(render(&result), expect);
}

#[test]
fn what_was_not_measured_is_not_told() {
    let result = ProbeResult {
        kind: "http".into(),
        probe: "p".into(),
        target: "http://t".into(),
        ..ProbeResult::default()
    };
    let names: Vec<String> = points(&result).iter().map(|point| point.labels.name().to_owned()).collect();
    let expect = ["probe_success", "probe_duration_seconds", "probe_http_status_code", "probe_http_ssl"];
    assert_eq!(names, expect);
    let tcp = ProbeResult { kind: "tcp".into(), ..result };
    assert_eq!(points(&tcp).len(), 2);
}
