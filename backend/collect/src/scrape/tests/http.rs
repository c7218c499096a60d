//! Scrapes over HTTP from a server that misbehaves. Real time, short timeouts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::{Reply, Server, gzip};
use crate::scrape::{Health, Manager, Options, TargetStatus};
use crate::testing::{MemorySink, job};

/// What one or more scrapes of a server gave.
struct Scraped {
    sink: Arc<MemorySink>,
    status: TargetStatus,
    requests: Vec<String>,
}

impl Scraped {
    fn error(&self) -> &str {
        self.status.error.as_deref().unwrap_or("")
    }

    /// Points that are not reports.
    fn points(&self) -> Vec<String> {
        let points = self.sink.points(|name| name != "up" && !name.starts_with("scrape_"));
        points.into_iter().map(|point| point.split(" @").next().expect("a part").to_owned()).collect()
    }
}

/// Scrapes `path` of a server that answers with `reply` until there are `scrapes` reports.
async fn scrape_many(
    mut config: Value,
    scrapes: usize,
    reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> Scraped {
    // Fails where another test was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start(reply).await;
    config["static_configs"] = json!([{"targets": [server.address]}]);
    config["scrape_interval"] = json!("150ms");
    config["scrape_timeout"] = json!("150ms");
    let sink = Arc::new(MemorySink::default());
    let clock = Arc::new(model::SystemClock);
    let manager = Manager::start(vec![job(config)], Options::default(), Arc::clone(&sink) as _, clock);
    let start = Instant::now();
    while sink.values("up").len() < scrapes {
        assert!(start.elapsed() < Duration::from_secs(30), "the scrapes end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = manager.targets().remove(0);
    manager.stop().await;
    let requests = server.requests.lock().unwrap().clone();
    Scraped { sink, status, requests }
}

async fn scrape(config: Value, reply: Reply) -> Scraped {
    scrape_many(config, 1, move |_, _| reply.clone()).await
}

#[track_caller]
fn check_down(scraped: &Scraped, expect: &str) {
    assert_eq!(scraped.sink.values("up")[0], 0.0);
    assert_eq!(scraped.status.health, Health::Down);
    assert!(scraped.error().contains(expect), "{}", scraped.error());
    assert!(scraped.points().is_empty(), "a failed scrape stores nothing");
}

#[tokio::test]
async fn a_good_page_is_stored_with_its_reports() {
    let page = "# TYPE a gauge\na{x=\"1\"} 5\nb 6\n";
    let scraped = scrape(json!({}), Reply::Page(page.into())).await;
    assert_eq!(scraped.points(), ["a{x=\"1\"} 5", "b 6"]);
    for (name, value) in [
        ("up", 1.0),
        ("scrape_samples_scraped", 2.0),
        ("scrape_samples_post_metric_relabeling", 2.0),
        ("scrape_series_added", 2.0),
        ("scrape_timeout_seconds", 0.15),
        ("scrape_sample_limit", 0.0),
        ("scrape_body_size_bytes", 30.0),
    ] {
        assert_eq!(scraped.sink.values(name)[0], value, "{name}");
    }
    assert!(scraped.sink.values("scrape_duration_seconds")[0] > 0.0);
    let batches = scraped.sink.0.lock().unwrap();
    assert_eq!((batches[0].source.as_str(), batches[0].metadata.len()), ("scrape/test", 1));
    let labels = &batches[0].points[0].labels;
    assert_eq!(
        (labels.get("job"), labels.get("instance")),
        (Some("test"), Some(scraped.status.instance.as_str()))
    );
    assert_eq!((scraped.status.health, scraped.status.samples), (Health::Up, 2));
}

#[tokio::test]
async fn the_request_is_that_of_prometheus() {
    let config = json!({
        "metrics_path": "/m", "params": {"q": ["1"]}, "basic_auth": {"username": "u", "password": "p"},
        "http_headers": {"X-Org": {"values": ["o"]}},
    });
    let scraped = scrape(config, Reply::Page(String::new())).await;
    let request = scraped.requests[0].to_ascii_lowercase();
    assert!(request.starts_with("get /m?q=1 http/1.1\r\n"), "{request}");
    for line in [
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,",
        "accept-encoding: gzip\r\n",
        "x-prometheus-scrape-timeout-seconds: 0.15\r\n",
        "user-agent: atl/",
        "authorization: basic dtpw\r\n",
        "x-org: o\r\n",
    ] {
        assert!(request.contains(&format!("\r\n{line}")), "{line} is missing in {request}");
    }
    let plain = scrape(json!({"enable_compression": false}), Reply::Page(String::new())).await;
    assert!(plain.requests[0].to_ascii_lowercase().contains("accept-encoding: identity\r\n"));
}

#[tokio::test]
async fn a_target_that_hangs_or_drips_or_hangs_up_is_down() {
    let timeout = "no complete answer within the scrape timeout of 150ms";
    check_down(&scrape(json!({}), Reply::Hang).await, timeout);
    check_down(&scrape(json!({}), Reply::Drip).await, timeout);
    check_down(&scrape(json!({}), Reply::HangUp).await, "request failed: ");
}

#[tokio::test]
async fn a_target_nobody_listens_at_is_down() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let rule = json!({"target_label": "__address__", "replacement": closed});
    let scraped = scrape(json!({"relabel_configs": [rule]}), Reply::Hang).await;
    check_down(&scraped, "request failed: connection failed: ");
    assert!(scraped.error().contains("Connection refused"), "{}", scraped.error());
}

#[tokio::test]
async fn other_targets_stay_on_time_while_one_hangs() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hangs = Server::start(|_, _| Reply::Hang).await;
    let works = Server::start(|_, _| Reply::Page("a 1\n".into())).await;
    let config = json!({
        "static_configs": [{"targets": [hangs.address, works.address]}],
        "scrape_interval": "100ms", "scrape_timeout": "100ms",
    });
    let sink = Arc::new(MemorySink::default());
    let manager = Manager::start(
        vec![job(config)],
        Options::default(),
        Arc::clone(&sink) as _,
        Arc::new(model::SystemClock),
    );
    tokio::time::sleep(Duration::from_millis(1500)).await;
    manager.stop().await;
    let ups = sink.values("up");
    assert!(ups.iter().filter(|up| **up == 1.0).count() >= 8, "{ups:?}");
    assert!(ups.iter().filter(|up| **up == 0.0).count() >= 5, "{ups:?}");
}

#[tokio::test]
async fn bodies_that_are_too_large_end_at_the_limit() {
    let limited = json!({"body_size_limit": "1MB"});
    let scraped = scrape(limited.clone(), Reply::Flood).await;
    check_down(&scraped, "body is larger than the limit of 1048576 bytes");
    assert_eq!(scraped.sink.values("scrape_body_size_bytes")[0], -1.0);
    // 64 MiB of spaces in 64 kB, in members of 1 MiB.
    let bomb = gzip(&vec![b' '; 1 << 20]).repeat(64);
    let head = "200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n";
    check_down(&scrape(limited, Reply::Raw(head.into(), bomb)).await, "body is larger than the limit");
}

#[tokio::test]
async fn gzip_is_unpacked_and_checked() {
    let head = "200 OK\r\nContent-Encoding: gzip\r\n".to_owned();
    let good = scrape(json!({}), Reply::Raw(head.clone(), gzip(b"a 1\n"))).await;
    assert_eq!(good.points(), ["a 1"]);
    let mut broken = gzip(b"a 1\n");
    broken.truncate(broken.len() - 4);
    check_down(&scrape(json!({}), Reply::Raw(head.clone(), broken)).await, "body is not valid gzip");
    check_down(&scrape(json!({}), Reply::Raw(head, b"a 1\n".to_vec())).await, "body is not valid gzip");
    let head = "200 OK\r\nContent-Encoding: br\r\n".to_owned();
    check_down(
        &scrape(json!({}), Reply::Raw(head, vec![1])).await,
        "content encoding `br` was not asked for",
    );
}

#[tokio::test]
async fn only_status_200_is_a_success() {
    for status in ["404 Not Found", "204 No Content", "500 Oops"] {
        let scraped = scrape(json!({}), Reply::Raw(format!("{status}\r\n"), b"a 1\n".to_vec())).await;
        check_down(&scraped, &format!("server returned http status {}", &status[..3]));
    }
}

#[tokio::test]
async fn redirects_are_followed_where_allowed() {
    let reply = |path: &str, _: usize| match path {
        "/metrics" => Reply::Raw("302 Found\r\nLocation: /there?secret=1\r\n".into(), Vec::new()),
        "/there?secret=1" => Reply::Page("a 1\n".into()),
        _ => Reply::Raw("302 Found\r\nLocation: /loop?secret=1\r\n".into(), Vec::new()),
    };
    assert_eq!(scrape_many(json!({}), 1, reply).await.points(), ["a 1"]);
    check_down(&scrape_many(json!({"follow_redirects": false}), 1, reply).await, "http status 302");
    let looping = scrape_many(json!({"metrics_path": "/loop"}), 1, reply).await;
    check_down(&looping, "too many redirects");
    assert!(!looping.error().contains("secret"), "{}", looping.error());
}

#[tokio::test]
async fn garbage_is_a_parse_error_with_its_place() {
    let html = Reply::Raw("200 OK\r\nContent-Type: text/html\r\n".into(), b"a 1\n<html>\n".to_vec());
    check_down(&scrape(json!({}), html).await, "line 2, byte 4: expected a metric name");
    let openmetrics = "200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0\r\n";
    check_down(
        &scrape(json!({}), Reply::Raw(openmetrics.into(), b"a 1\n".to_vec())).await,
        "does not end with `# EOF`",
    );
    let protobuf = "200 OK\r\nContent-Type: application/vnd.google.protobuf\r\n";
    check_down(&scrape(json!({}), Reply::Raw(protobuf.into(), vec![0; 9])).await, "content type");
}

#[tokio::test]
async fn secrets_are_not_in_errors() {
    let config = json!({
        "params": {"token": ["t0ps3cret"]}, "http_headers": {"X-Key": {"secrets": ["t0ps3cret"]}},
        "authorization": {"credentials": "t0ps3cret"},
    });
    for reply in [
        Reply::HangUp,
        Reply::Hang,
        Reply::Raw("404 No\r\n".into(), vec![]),
        Reply::Raw("no http".into(), vec![]),
    ] {
        let scraped = scrape(config.clone(), reply).await;
        assert!(!scraped.error().is_empty() && !scraped.error().contains("t0ps3cret"), "{}", scraped.error());
    }
}

#[tokio::test]
async fn series_that_change_get_staleness_markers() {
    let scraped = scrape_many(json!({}), 4, |_, number| match number {
        0 => Reply::Page("a 1\nb 1\n".into()),
        1 => Reply::Page("b 2\n".into()),
        2 => Reply::Raw("500 Oops\r\n".into(), vec![]),
        _ => Reply::Page("b 4\n".into()),
    })
    .await;
    assert_eq!(scraped.points()[..6], ["a 1", "b 1", "b 2", "a stale", "b stale", "b 4"]);
    assert_eq!(scraped.sink.values("up")[..4], [1.0, 1.0, 0.0, 1.0]);
}

#[tokio::test]
async fn labels_and_rules_apply() {
    let page = Reply::Page("a{job=\"own\"} 1\ngo_x 1\n".into());
    let rule = json!({"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"});
    let scraped = scrape(json!({"metric_relabel_configs": [rule]}), page.clone()).await;
    assert_eq!(scraped.points(), ["a{exported_job=\"own\"} 1"]);
    let scraped = scrape(json!({"honor_labels": true}), page).await;
    let batches = scraped.sink.0.lock().unwrap();
    assert_eq!(batches[0].points[0].labels.get("job"), Some("own"));
}

#[tokio::test]
async fn too_many_targets_fail_all_of_them() {
    let config = json!({"target_limit": 1, "static_configs": [{"targets": ["127.0.0.1:1", "127.0.0.1:2"]}],
        "scrape_interval": "50ms", "scrape_timeout": "50ms"});
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sink = Arc::new(MemorySink::default());
    let manager = Manager::start(
        vec![job(config)],
        Options::default(),
        Arc::clone(&sink) as _,
        Arc::new(model::SystemClock),
    );
    while sink.values("up").len() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for status in manager.targets() {
        assert_eq!(status.error.as_deref(), Some("target_limit of 1 exceeded: the job has 2 targets"));
    }
    manager.stop().await;
}
