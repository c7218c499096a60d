//! The configuration file: refused with the line and a suggestion, by `atl check` and by the server alike; every
//! example in `infra/` is accepted.

use std::process::{Command, Output};
use std::time::Duration;

use crate::harness::atl::NO_BUILTIN;
use crate::harness::exporter::NodeExporter;
use crate::harness::process::Process;
use crate::harness::s3::free_port;
use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually, http, tools};

fn run(arguments: &[&str], config: &str) -> Output {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("atl.yaml"), config).expect("configuration is written");
    Command::new(tools::atl_binary()).args(arguments).current_dir(folder.path()).output().expect("atl runs")
}

/// The text of a refusal; it must be one, by exit code 1 and on standard error.
fn refusal(config: &str) -> String {
    let output = run(&["check", "--config", "atl.yaml"], config);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "`{config}` was not refused: {text}");
    assert!(output.stdout.is_empty(), "talk goes to standard error");
    text
}

#[test]
fn a_wrong_key_is_named_with_its_line_and_the_right_one() {
    let text = refusal("listen: 127.0.0.1:0\nscrape_config:\n  - job_name: a\n");
    assert!(text.contains("atl.yaml:2"), "{text}");
    assert!(text.contains("`scrape_config`") && text.contains("did you mean `scrape_configs`"), "{text}");
    let text = refusal("scrape_configs:\n  - job_name: a\n    scrape_intervall: 5s\n");
    assert!(text.contains("atl.yaml:3") && text.contains("did you mean `scrape_interval`"), "{text}");
    let text = refusal("store:\n  url: file:/tmp/x\n  flush_intervals: 5m\n");
    assert!(text.contains("atl.yaml:3") && text.contains("did you mean `flush_interval`"), "{text}");
}

#[test]
fn wrong_types_and_values_are_named_with_their_line() {
    let wrong = [
        ("listen: [1, 2]\n", 1, ""),
        ("listen: not-an-address\n", 1, ""),
        ("global:\n  scrape_interval: 15\n", 2, "30s"),
        ("global:\n  scrape_interval: soon\n", 2, ""),
        ("store:\n  flush_interval: 5 minutes\n", 2, "duration"),
        ("store:\n  url: ftp://somewhere/else\n", 2, "s3://"),
        ("store:\n  retention:\n    metrics: a while\n", 3, "30d"),
        ("query:\n  memory_limit: lots\n", 2, "size"),
        ("query:\n  row_limit: 0\n", 2, "at least 1"),
        ("scrape_configs:\n  - job_name: a\n  - job_name: a\n", 3, "twice"),
        ("scrape_configs:\n  - scrape_interval: 5s\n", 2, "job_name"),
        ("scrape_configs:\n  - job_name: a\n    scrape_interval: 5s\n    scrape_timeout: 6s\n", 0, "timeout"),
        (
            "scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - { action: replac }\n",
            4,
            "replace",
        ),
        (
            "scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - { regex: \"(\", target_label: x }\n",
            0,
            "",
        ),
        ("edge:\n  probes:\n    - { name: x, target: \"gopher://x\" }\n", 0, "gopher"),
        ("edge:\n  keys:\n    - { id: a }\n", 3, "secret"),
        ("store:\n\turl: file:x\n", 2, ""),
    ];
    for (config, line, hint) in wrong {
        let text = refusal(config);
        assert!(text.contains("atl.yaml"), "names no file for `{config}`: {text}");
        if line > 0 {
            assert!(
                text.contains(&format!("atl.yaml:{line}:")),
                "`{config}` is wrong on line {line}: {text}"
            );
        }
        assert!(text.contains(hint), "`{hint}` is not in: {text}");
    }
}

#[test]
fn the_server_refuses_what_check_refuses_and_a_secret_is_never_repeated() {
    let config = "edge:\n  keys:\n    - { id: a, secret: hunter2-canary, extra: 1 }\n";
    let checked = run(&["check", "--config", "atl.yaml"], config);
    let served = run(&["serve", "--config", "atl.yaml", "--listen", "127.0.0.1:0"], config);
    assert_eq!(served.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&checked.stderr), String::from_utf8_lossy(&served.stderr));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("`extra`") && !said.contains("hunter2-canary"), "{said}");
    let missing = run(&["check", "--config", "nowhere.yaml"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nowhere.yaml"));
    let usage = run(&["check", "--no-such-flag"], "");
    assert_eq!(usage.status.code(), Some(2), "wrong usage is another exit code");
}

#[test]
fn every_example_configuration_is_accepted() {
    let folder = tools::checkout().join("infra");
    let mut checked = 0;
    for entry in std::fs::read_dir(&folder).expect("infra/ is there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
        if !(name.starts_with("atl.") && name.ends_with(".yaml")) {
            continue;
        }
        let output = Command::new(tools::atl_binary())
            .arg("check")
            .arg("--config")
            .arg(&path)
            .output()
            .expect("atl runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("ok"), "{name}");
        checked += 1;
    }
    assert!(checked >= 3, "only {checked} examples found in {}", folder.display());
}

#[tokio::test]
async fn reload_takes_a_good_file_and_keeps_the_old_one_over_a_bad_one() {
    let exporter = NodeExporter::start(&["loadavg"]).await.recorded().await;
    let job = |name: &str| {
        format!(
            "builtin: {{ host: false, own_metrics: false }}\nscrape_configs:\n  - job_name: {name}\n    scrape_interval: 1s\n    \
             scrape_timeout: 1s\n    static_configs: [{{ targets: [\"{}\"] }}]\n",
            exporter.server.address()
        )
    };
    let mut atl = Atl::start(&job("first")).await;
    let reload = |url: String| async move { http::send(http::client().post(url)).await.expect("an answer") };

    atl.write_config("scrape_configs: nonsense\n");
    let refused = reload(atl.url("/-/reload")).await;
    assert!((400..600).contains(&refused.status), "{}", refused.text());
    assert!(refused.text().contains("atl.yaml:1"), "{}", refused.text());
    let jobs = |body: serde_json::Value| -> Vec<String> {
        let targets = body["targets"].as_array().expect("targets").iter();
        targets.map(|target| target["job"].as_str().expect("a job").to_owned()).collect()
    };
    let targets = http::get(&atl.url("/api/targets")).await.expect("an answer").json();
    assert_eq!(jobs(targets), ["first"], "the old one goes on running");

    atl.write_config(&job("second"));
    let taken = reload(atl.url("/-/reload")).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    eventually("the new job is scraped", Duration::from_secs(20), || async {
        let rows = atl.count("SELECT count(*) FROM prom.up WHERE job = 'second' AND value = 1").await?;
        ensure(rows > 0, || "not yet".to_owned())
    })
    .await;
    let targets = http::get(&atl.url("/api/targets")).await.expect("an answer").json();
    assert_eq!(jobs(targets), ["second"]);
}

#[tokio::test]
async fn while_it_starts_it_says_what_it_waits_for() {
    // A bucket server that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = silent.local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = format!(
        "{NO_BUILTIN}store:\n  url: s3://bucket/prefix\n  endpoint: http://{endpoint}\n  access_key_id: a\n  \
         secret_access_key: b\n"
    );
    std::fs::write(folder.path().join("atl.yaml"), config).expect("configuration is written");
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(tools::atl_binary());
    command.current_dir(folder.path()).args(["serve", "--listen", &listen, "--config", "atl.yaml"]);
    let mut atl = Process::spawn("atl", command, &folder.path().join("atl.log"));
    let url = format!("http://{listen}/-/ready");
    eventually("it says that it starts", Duration::from_secs(20), || async {
        let answer = http::get(&url).await.map_err(|error| error.to_string())?;
        ensure(answer.status == 503 && answer.text().starts_with("starting: "), || answer.text())
    })
    .await;
    let healthy = http::get(&format!("http://{listen}/-/healthy")).await.expect("an answer");
    assert_eq!(healthy.status, 200);
    let query = http::get(&format!("http://{listen}/api/v1/query?query=up")).await.expect("an answer");
    assert_eq!(query.status, 503);
    assert_eq!(query.json()["errorType"], "unavailable");
    atl.kill9();
}
