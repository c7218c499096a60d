use serde_json::{Value, json};

use super::*;
use crate::testing::{job, labels};

fn target(config: Value, address: &str, group_labels: &[(&str, &str)]) -> Result<Populated, TargetError> {
    let labels = group_labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    populate(&job(config), address, &labels, "thishost")
}

#[track_caller]
fn check(config: Value, address: &str, group_labels: &[(&str, &str)], url: &str, expect: &str) {
    match target(config, address, group_labels) {
        Ok(Populated::Target(target)) => {
            assert_eq!((target.url().as_str(), &target.labels), (url, &labels(expect)));
        }
        other => panic!("target expected, not {other:?}"),
    }
}

#[track_caller]
fn check_error(config: Value, address: &str, group_labels: &[(&str, &str)], expect: &str) {
    let error = target(config, address, group_labels).expect_err("not a target");
    assert_eq!(error.to_string(), expect);
}

#[test]
fn labels_and_urls() {
    check(json!({}), "a:1", &[], "http://a:1/metrics", "job=test instance=a:1");
    check(json!({}), "[::1]:1", &[("x", "y")], "http://[::1]:1/metrics", "job=test instance=[::1]:1 x=y");
    check(
        json!({"scheme": "https", "metrics_path": "/m", "params": {"p": ["1", "2"], "q": ["a b"]}}),
        "a",
        &[("job", "own"), ("instance", "i"), ("__meta_x", "m")],
        "https://a/m?p=1&p=2&q=a+b",
        "job=own instance=i",
    );
    check(json!({}), "builtin://host", &[], "builtin://host", "job=test instance=thishost");
}

#[test]
fn rules_see_and_set_the_special_labels() {
    let blackbox = json!({
        "params": {"module": ["http_2xx"]},
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": "prober:9115"},
            {"target_label": "__metrics_path__", "replacement": "/probe"},
            {"source_labels": ["__scrape_interval__"], "target_label": "every"},
            {"target_label": "__scrape_interval__", "replacement": "20s"},
        ],
    });
    let url = "http://prober:9115/probe?module=http_2xx&target=wiki.example";
    check(blackbox.clone(), "wiki.example", &[], url, "job=test instance=wiki.example every=1m");
    let Ok(Populated::Target(target)) = target(blackbox, "wiki.example", &[]) else {
        panic!("target expected")
    };
    assert_eq!(target.interval, Duration::from_secs(20));
    assert_eq!(target.discovered.get("__address__"), Some("wiki.example"));
}

#[test]
fn rules_may_drop_a_target() {
    let config =
        json!({"relabel_configs": [{"source_labels": ["__address__"], "regex": "a:.*", "action": "drop"}]});
    let Ok(Populated::Dropped(labels)) = target(config, "a:1", &[]) else {
        panic!("dropped target expected")
    };
    assert_eq!(labels.get("__address__"), Some("a:1"));
}

#[test]
fn what_is_not_a_target() {
    check_error(json!({}), "", &[], "no address");
    check_error(json!({}), "a/b", &[], "`a/b` is not a valid url");
    check_error(json!({}), "user@a", &[], "`user@a` is not a valid url");
    check_error(json!({}), "a", &[("__scheme__", "ftp")], "scheme `ftp` is neither `http` nor `https`");
    check_error(
        json!({}),
        "a",
        &[("__scrape_interval__", "x")],
        "`x` is not a duration such as `30s` or `1m30s`",
    );
    let expect = "scrape timeout 10s is greater than the scrape interval 5s";
    check_error(json!({}), "a", &[("__scrape_interval__", "5s")], expect);
}

#[test]
fn the_hash_is_stable_and_tells_targets_apart() {
    let hash = |address| match target(json!({}), address, &[]) {
        Ok(Populated::Target(target)) => target.hash,
        other => panic!("target expected, not {other:?}"),
    };
    assert_eq!(hash("a:1"), hash("a:1"));
    assert_ne!(hash("a:1"), hash("a:2"));
}
