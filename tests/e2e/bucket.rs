//! The tables in a bucket: written there, readable without the server, and patient while the bucket is away. On both S3 servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::harness::atl::NO_BUILTIN;
use crate::harness::edge::{Signed, key_config, sample_push};
use crate::harness::process::Process;
use crate::harness::s3::{Kind, S3, on_both};
use crate::harness::server::{Reply, Request, Server};
use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually, http, tools};

on_both!(
    a_question_asked_again_asks_the_bucket_nothing,
    rows_reach_the_bucket_and_are_read_back_without_the_server,
    while_the_bucket_is_away_writes_are_acknowledged_and_arrive_later,
    a_crash_while_the_bucket_is_away_loses_nothing_either,
);

/// Rows of `probes` in the bucket itself, asked without the server.
fn probes_in_bucket(atl: &Atl, prefix: &str) -> Result<i64, String> {
    let store = format!("s3://{}/{prefix}", crate::harness::s3::BUCKET);
    let config = atl.config_path();
    let config = config.to_str().expect("a plain path");
    let statement = "SELECT count(*) AS n FROM probes";
    let arguments = ["query", "sql", statement, "--store", &store, "--config", config, "--output", "csv"];
    let output = atl.command(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.lines().nth(1).and_then(|line| line.trim().parse().ok());
    number.ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

async fn rows_reach_the_bucket_and_are_read_back_without_the_server(kind: Kind) {
    let s3 = S3::start(kind).await;
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}{}", key_config(), s3.store_config("team/atl"))).await;
    let push = Signed::push("one", &sample_push("one", 20));
    assert_eq!(push.send(&atl.base_url()).await.expect("an answer").status, 200);
    assert_eq!(atl.sql("SELECT count(*) FROM probes").await.number(), 20, "seen at once, before any flush");
    eventually("the rows are in the bucket", Duration::from_secs(30), || async {
        let rows = probes_in_bucket(&atl, "team/atl")?;
        ensure(rows == 20, || format!("{rows} rows"))
    })
    .await;
    let objects = http::get(&atl.url("/api/objects?prefix=probes/")).await.expect("an answer").json();
    let prefixes = objects["prefixes"].as_array().expect("prefixes");
    assert!(
        prefixes.iter().any(|prefix| prefix.as_str().is_some_and(|text| text.contains("day="))),
        "{objects}"
    );
    atl.stop().await;
    assert_eq!(probes_in_bucket(&atl, "team/atl"), Ok(20), "still there without a server");
    // Its own folder is gone, and the bucket has everything.
    std::fs::remove_dir_all(atl.folder().join("atl-data")).expect("data folder goes");
    atl.start_again().await;
    assert_eq!(atl.sql("SELECT count(*) FROM probes").await.number(), 20);
    assert_eq!(atl.sql("SELECT count(*) FROM logs").await.number(), 20);
    assert_eq!(atl.sql("SELECT count(*) FROM prom.probe_success").await.number(), 20);
}

/// A count of `/metrics`; `series` is its name with its labels.
async fn count(atl: &Atl, series: &str) -> u64 {
    let page = http::get(&atl.url("/metrics")).await.expect("an answer").text();
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
    value.unwrap_or_else(|| panic!("no `{series}` in:\n{page}")) as u64
}

const REQUESTS: &str = "atl_store_cache_requests_total ";
const ON_DISK: &str = "atl_store_cache_blocks{tier=\"disk\"} ";
const IN_MEMORY: &str = "atl_store_cache_blocks{tier=\"memory\"} ";

/// Waits until the cache has that many blocks on disk, written or found.
async fn wait_for_blocks(atl: &Atl, least: u64) {
    eventually("the blocks are on disk", Duration::from_secs(30), || async {
        let there = count(atl, ON_DISK).await;
        ensure(there >= least, || format!("{there} of {least}"))
    })
    .await;
}

/// Asks in SQL and in PromQL what only the bucket's files can tell.
async fn ask(atl: &Atl) {
    assert_eq!(atl.sql("SELECT count(DISTINCT result_id) FROM probes").await.number(), 20);
    assert_eq!(atl.sql("SELECT count(*) FROM prom.probe_success WHERE value >= 0").await.number(), 20);
    let question = "/api/v1/query?query=sum(count_over_time(probe_success%5B1d%5D))";
    let answer = http::get(&atl.url(question)).await.expect("an answer").json();
    assert_eq!(answer["data"]["result"][0]["value"][1], "20", "{answer}");
}

async fn a_question_asked_again_asks_the_bucket_nothing(kind: Kind) {
    let s3 = S3::start(kind).await;
    let store = format!("{}  hot_window: 0s\n  cache_bytes_max: 64MiB\n", s3.store_config("team/atl"));
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}{store}", key_config())).await;
    let push = Signed::push("one", &sample_push("one", 20));
    assert_eq!(push.send(&atl.base_url()).await.expect("an answer").status, 200);
    eventually("the rows are in the bucket", Duration::from_secs(30), || async {
        let rows = probes_in_bucket(&atl, "team/atl")?;
        ensure(rows == 20, || format!("{rows} rows"))
    })
    .await;
    atl.stop().await;
    // As if another process had written the files.
    std::fs::remove_dir_all(atl.folder().join("atl-data")).expect("data folder goes");
    atl.start_again().await;
    ask(&atl).await;
    let requests = count(&atl, REQUESTS).await;
    assert!(requests > 0);
    ask(&atl).await;
    assert_eq!(count(&atl, REQUESTS).await, requests, "the second time");
    let blocks = count(&atl, IN_MEMORY).await;
    wait_for_blocks(&atl, blocks).await;
    atl.stop().await;
    atl.start_again().await;
    wait_for_blocks(&atl, blocks).await;
    ask(&atl).await;
    assert_eq!(count(&atl, REQUESTS).await, 0, "after a restart");
}

async fn while_the_bucket_is_away_writes_are_acknowledged_and_arrive_later(kind: Kind) {
    let mut s3 = S3::start(kind).await;
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}{}", key_config(), s3.store_config("atl"))).await;
    let base_url = atl.base_url();
    let before = Signed::push("before", &sample_push("before", 10));
    assert_eq!(before.send(&base_url).await.expect("an answer").status, 200);
    eventually("the first rows are in the bucket", Duration::from_secs(30), || async {
        ensure(probes_in_bucket(&atl, "atl")? == 10, || "not yet".to_owned())
    })
    .await;
    s3.take_away();
    for number in 0..20 {
        let name = format!("during-{number}");
        let asked = Instant::now();
        let answer = Signed::push(&name, &sample_push(&name, 10)).send(&base_url).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(asked.elapsed() < Duration::from_secs(5), "an acknowledgement took {:?}", asked.elapsed());
        sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(
        http::get(&atl.url("/-/healthy")).await.expect("an answer").status,
        200,
        "alive all the while"
    );
    s3.bring_back().await;
    eventually("everything is in the bucket", Duration::from_secs(120), || async {
        let rows = probes_in_bucket(&atl, "atl")?;
        ensure(rows == 210, || format!("{rows} rows"))
    })
    .await;
    assert_eq!(atl.sql("SELECT count(*) FROM probes").await.number(), 210);
    let twice = "SELECT count(*) FROM (SELECT result_id FROM probes GROUP BY result_id HAVING count(*) > 1)";
    assert_eq!(atl.sql(twice).await.number(), 0);
    atl.stop().await;
}

async fn a_crash_while_the_bucket_is_away_loses_nothing_either(kind: Kind) {
    let mut s3 = S3::start(kind).await;
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}{}", key_config(), s3.store_config("atl"))).await;
    s3.take_away();
    for number in 0..5 {
        let name = format!("during-{number}");
        let answer =
            Signed::push(&name, &sample_push(&name, 10)).send(&atl.base_url()).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    sleep(Duration::from_secs(3)).await;
    atl.kill9();
    s3.bring_back().await;
    atl.start_again().await;
    assert_eq!(atl.sql("SELECT count(*), count(DISTINCT result_id) FROM probes").await.rows[0], [50, 50]);
    eventually("everything is in the bucket, once", Duration::from_secs(60), || async {
        let rows = probes_in_bucket(&atl, "atl")?;
        ensure(rows == 50, || format!("{rows} rows"))
    })
    .await;
}

/// An S3 server that keeps objects and takes no notice of `If-None-Match`.
async fn forgetful_s3() -> Server {
    let objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
    Server::start(move |request| {
        let objects = Arc::clone(&objects);
        async move { forgetful(&request, &mut objects.lock().expect("no test thread panicked")) }
    })
    .await
}

fn forgetful(request: &Request, objects: &mut BTreeMap<String, Vec<u8>>) -> Reply {
    let headers = |etag: &str| {
        vec![
            ("etag".to_owned(), format!("\"{etag}\"")),
            ("last-modified".to_owned(), "Sun, 22 Nov 2026 10:00:00 GMT".to_owned()),
        ]
    };
    let is_listing = request.target.contains("list-type=2");
    match request.method.as_str() {
        "PUT" => {
            objects.insert(request.path().to_owned(), request.body.clone());
            Reply::Full { status: 200, headers: headers("same"), body: Vec::new() }
        }
        "DELETE" => {
            objects.remove(request.path());
            Reply::text(204, "")
        }
        "GET" if is_listing => Reply::text(
            200,
            "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
        ),
        "GET" | "HEAD" => match objects.get(request.path()) {
            Some(body) => Reply::Full { status: 200, headers: headers("same"), body: body.clone() },
            None => Reply::text(404, "<Error><Code>NoSuchKey</Code></Error>"),
        },
        _ => Reply::text(200, ""),
    }
}

#[tokio::test]
async fn a_server_that_ignores_conditional_writes_is_refused_at_start() {
    let server = forgetful_s3().await;
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = folder.path().join("atl.yaml");
    let store = format!(
        "store: {{ url: s3://bucket-one/atl, endpoint: {}, region: us-east-1, access_key_id: a, secret_access_key: b }}\n",
        server.url(),
    );
    std::fs::write(&config, format!("{NO_BUILTIN}{store}")).expect("configuration is written");
    let mut command = std::process::Command::new(tools::atl_binary());
    command.current_dir(folder.path()).args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config);
    let mut process = Process::spawn("atl", command, &folder.path().join("atl.log"));
    let status = process.wait(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Some(1), "{}", process.output());
    assert!(process.output().contains("If-None-Match"), "it must say what is missing:\n{}", process.output());
}
