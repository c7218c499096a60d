use std::path::Path;
use std::time::Duration;

use codecs::exposition::Format;
use serde_json::{Value, json};

use super::job::Problem;
use super::*;

fn parse(config: Value) -> Result<Job, String> {
    let config: ScrapeConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    let mut jobs =
        jobs(&Global::default(), &[config], Path::new("/etc/atl")).map_err(|error| error.to_string())?;
    Ok(jobs.remove(0))
}

#[track_caller]
fn check_error(config: Value, expect: &str) {
    let error = parse(config).expect_err("configuration is not valid");
    assert!(error.contains(expect), "{error}");
}

#[test]
fn defaults_are_those_of_prometheus() {
    let job = parse(json!({"job_name": "a"})).unwrap();
    assert_eq!((job.interval, job.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!((job.metrics_path.as_str(), job.scheme), ("/metrics", Scheme::Http));
    assert!(job.honor_timestamps && !job.honor_labels && job.http.follow_redirects && job.http.http2);
    assert_eq!(job.limits.body_bytes, BODY_BYTES_DEFAULT);
    assert_eq!(job.fallback, Format::Text);
    assert_eq!(
        job.http.accept,
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
         text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
    );
}

#[test]
fn a_full_yaml_configuration_is_read() {
    let text = "
job_name: node
scrape_interval: 1m30s
scrape_timeout: 500ms
metrics_path: /m
scheme: https
params: {module: [a, b]}
honor_labels: true
honor_timestamps: false
static_configs:
  - targets: ['10.0.0.1:9100', 'builtin://host']
    labels: {env: prod}
relabel_configs:
  - source_labels: [__address__]
    target_label: x
metric_relabel_configs:
  - {source_labels: [__name__], regex: 'go_.*', action: drop}
basic_auth: {username: u, password: hunter2}
tls_config: {ca_file: ca.pem, insecure_skip_verify: true}
http_headers: {X-Org: {values: [a], secrets: [topsecret]}}
body_size_limit: 1MB
sample_limit: 10
keep_dropped_targets: 0
scrape_protocols: [PrometheusText0.0.4]
fallback_scrape_protocol: OpenMetricsText1.0.0
file_sd_configs: [{files: ['t/*.yml']}]
";
    let config: ScrapeConfig = serde_saphyr::from_str(text).unwrap();
    let job = jobs(&Global::default(), &[config], Path::new("/etc/atl")).unwrap().remove(0);
    assert_eq!((job.interval, job.timeout), (Duration::from_secs(90), Duration::from_millis(500)));
    assert_eq!(
        (job.limits.body_bytes, job.limits.samples, job.limits.dropped_targets),
        (1 << 20, Some(10), None)
    );
    assert_eq!(job.http.accept, "text/plain;version=0.0.4;q=0.2,*/*;q=0.1");
    assert_eq!(job.http.tls.ca_file.as_deref(), Some(Path::new("/etc/atl/ca.pem")));
    assert_eq!(job.fallback, Format::OpenMetrics);
    assert_eq!(job.file_sd, [(vec!["/etc/atl/t/*.yml".into()], Duration::from_secs(300))]);
    let shown = format!("{job:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("topsecret"), "{shown}");
}

#[test]
fn global_defaults_apply_and_a_short_interval_shortens_the_timeout() {
    let global: Global = serde_json::from_value(
        json!({"scrape_interval": "5s", "external_labels": {"a": "b"}, "sample_limit": 7, "body_size_limit": "1KB"}),
    )
    .unwrap();
    let config: ScrapeConfig = serde_json::from_value(json!({"job_name": "a"})).unwrap();
    let job = jobs(&global, &[config], Path::new("")).unwrap().remove(0);
    assert_eq!((job.interval, job.timeout), (Duration::from_secs(5), Duration::from_secs(5)));
    assert_eq!((job.limits.samples, job.limits.body_bytes), (Some(7), 1024));
}

#[test]
fn what_is_wrong_is_named() {
    check_error(json!({"job_name": ""}), "`job_name` is empty");
    check_error(
        json!({"job_name": "a", "scrape_interval": "0s"}),
        "`scrape_interval` must be greater than 0",
    );
    check_error(json!({"job_name": "a", "scrape_interval": "10"}), "`10` is not a duration");
    check_error(
        json!({"job_name": "a", "scrape_interval": "10s", "scrape_timeout": "1m"}),
        "scrape config `a`: scrape timeout 1m is greater than the scrape interval 10s",
    );
    check_error(
        json!({"job_name": "a", "static_configs": [{"targets": ["http://x:1/metrics"]}]}),
        "target `http://x:1/metrics` is not `host:port`",
    );
    check_error(json!({"job_name": "a", "metrics_path": "m"}), "must start with `/`");
    check_error(
        json!({"job_name": "a", "basic_auth": {}, "bearer_token": "x"}),
        "at most one of `basic_auth`",
    );
    check_error(json!({"job_name": "a", "authorization": {"type": "Basic"}}), "use `basic_auth`");
    check_error(
        json!({"job_name": "a", "tls_config": {"cert_file": "x"}}),
        "`cert_file` and `key_file` must be set together",
    );
    check_error(json!({"job_name": "a", "http_headers": {"Host": {"values": ["x"]}}}), "header `Host`");
    check_error(
        json!({"job_name": "a", "scrape_protocols": ["PrometheusProto"]}),
        "`PrometheusProto` is not supported",
    );
    check_error(
        json!({"job_name": "a", "file_sd_configs": [{"files": ["*/x.yml"]}]}),
        "`*` in the file name only",
    );
    check_error(json!({"job_name": "a", "body_size_limit": "many"}), "`many` is not a size");
    check_error(
        json!({"job_name": "a", "metric_name_validation_scheme": "legacy"}),
        "unknown variant `legacy`",
    );
    let twice: Vec<ScrapeConfig> =
        serde_json::from_value(json!([{"job_name": "a"}, {"job_name": "a"}])).unwrap();
    let error = jobs(&Global::default(), &twice, Path::new("")).expect_err("the name is used twice");
    assert_eq!(error.problem, Problem::NameTwice);
}

#[test]
fn what_is_not_supported_is_refused_by_name_with_advice() {
    for field in
        ["kubernetes_sd_configs", "docker_sd_configs", "oauth2", "proxy_url", "scrape_native_histograms"]
    {
        let mut config = json!({"job_name": "a"});
        config[field] = json!([{"anything": 1}]);
        check_error(config, &format!("`{field}` is not supported: "));
    }
    check_error(json!({"job_name": "a", "scrape_intervall": "1s"}), "unknown field `scrape_intervall`");
    check_error(
        json!({"job_name": "a", "static_configs": [{"targets": [], "label": {}}]}),
        "unknown field `label`",
    );
    let global = serde_json::from_value::<Global>(json!({"query_log_file": "x"})).expect_err("not supported");
    assert!(global.to_string().contains("`query_log_file` is not supported"), "{global}");

    let yaml = "job_name: a\nkubernetes_sd_configs: [{role: pod}]\n";
    let error = serde_saphyr::from_str::<ScrapeConfig>(yaml).expect_err("not supported").to_string();
    assert!(error.contains("`kubernetes_sd_configs` is not supported: list the targets"), "{error}");
}

#[test]
fn durations() {
    for (text, ms) in [
        ("0", 0),
        ("5ms", 5),
        ("1m30s", 90_000),
        ("1h0m", 3_600_000),
        ("1d", 86_400_000),
        ("1y2w", 32_745_600_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "1", "s", "1.5s", "1s1m", "1s1s", "-1s", "1 s", "1m ", "99999999999999y", "1µs"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    for text in ["0s", "5ms", "1m30s", "8d", "1w", "1y", "1d1h"] {
        assert_eq!(format_duration(parse_duration(text).unwrap()), text);
    }
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("0", 0),
        ("10", 10),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("1.5MB", 1_572_864),
        ("2 gb", 2 << 30),
        ("5B", 5),
    ] {
        assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)), "{text}");
    }
    for text in ["", "MB", "-1MB", "1TBs", "NaN", "1e400KB"] {
        assert_eq!(ByteSize::parse(text), None, "{text}");
    }
}
