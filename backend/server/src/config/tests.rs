use std::path::Path;

use super::days::parse_days;
use super::*;

#[track_caller]
fn refused(text: &str, expect: &[&str]) {
    let error = Config::parse(text, Path::new("atl.yaml")).expect_err("refused").to_string();
    for part in expect {
        assert!(error.contains(part), "`{part}` is not in:\n{error}");
    }
}

#[test]
fn empty_files_are_the_default() {
    for text in ["", "\n", "# nothing\n\n# here\n"] {
        let config = Config::parse(text, Path::new("atl.yaml")).expect("valid");
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(config.store_url(), "file:./atl-data/store");
        assert!(config.builtin.host);
    }
}

#[test]
fn every_example_parses() {
    let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra");
    let mut seen = 0;
    for entry in std::fs::read_dir(&infra).expect("infra is there") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.starts_with("atl") && name.ends_with(".yaml") {
            if let Err(error) = Config::load(&path) {
                panic!("{error}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 2, "only {seen} examples found in {}", infra.display());
}

#[test]
fn the_cache_has_a_size_or_none() {
    let size = |text: &str| {
        let config = Config::parse(text, Path::new("atl.yaml")).expect("valid");
        config.store.cache_bytes_max.map(|size| size.0)
    };
    assert_eq!(size(""), None);
    assert_eq!(size("store:\n  cache_bytes_max: 20GiB\n"), Some(20 << 30));
    assert_eq!(size("store:\n  cache_bytes_max: 0\n"), Some(0));
}

#[test]
fn unknown_keys_get_a_place_and_a_suggestion() {
    refused(
        "listn: 127.0.0.1:1\n",
        &["atl.yaml:1:1: unknown key `listn`", "did you mean `listen`?", "1 | listn"],
    );
    refused("store:\n  flush_intervall: 5m\n", &["atl.yaml:2:3", "did you mean `flush_interval`?"]);
    refused("grafana: {}\n", &["unknown key `grafana`", "known keys here: ", "scrape_configs"]);
}

#[test]
fn wrong_types_and_bad_values_get_a_place() {
    refused("query:\n  timeout: fast\n", &["atl.yaml:2:", "`fast` is not a duration", "1m30s"]);
    refused("query:\n  memory_limit: 10 apples\n", &["atl.yaml:2:", "is not a size"]);
    refused("store:\n  retention:\n    metrics: 36h\n", &["atl.yaml:3:", "whole number of days"]);
    refused("listen: nowhere\n", &["atl.yaml:1:"]);
    refused("query:\n  row_limit: 0\n", &["atl.yaml:2:14", "query.row_limit: must be at least 1"]);
    refused("scrape_configs: 7\n", &["atl.yaml:1:"]);
    refused("listen: [\n", &["atl.yaml:"]);
}

#[test]
fn things_that_must_agree_are_checked() {
    let twice = "scrape_configs:\n  - job_name: a\n  - job_name: a\n";
    refused(twice, &["atl.yaml:3:", "scrape_configs[1]", "used twice"]);
    refused("edge:\n  keys:\n    - id: k\n", &["atl.yaml:3:", "exactly one of `secret` and `secret_file`"]);
    refused("store:\n  url: ftp://x/y\n", &["atl.yaml:2:", "store.url"]);
    let slow = "scrape_configs:\n  - job_name: a\n    scrape_interval: 5s\n    scrape_timeout: 10s\n";
    refused(slow, &["atl.yaml:2:", "timeout"]);
}

#[test]
fn errors_never_repeat_a_secret() {
    let text = "edge:\n  keys:\n    - {id: k, secret: hunter2, secrte: x}\n";
    let error = Config::parse(text, Path::new("atl.yaml")).expect_err("refused").to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let config =
        Config::parse("edge:\n  keys:\n    - {id: k, secret: hunter2}\n", Path::new("a")).expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn days_are_whole() {
    for (text, days) in [("30d", 30), ("2w", 14), ("48h", 2), ("0d", 0)] {
        assert_eq!(parse_days(text), Ok(days), "{text}");
    }
    for text in ["", "30", "36h", "1d1ms", "-1d"] {
        assert!(parse_days(text).is_err(), "{text}");
    }
}
