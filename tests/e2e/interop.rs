//! The tables are open: DuckDB's Delta reader and Sail (a Spark-compatible engine) find the same rows in the
//! files as our SQL does, on a folder and on both S3 servers.

use std::process::Command;
use std::time::Duration;

use codecs::remote_write::encode_v2;
use tempfile::TempDir;

use crate::harness::atl::NO_BUILTIN;
use crate::harness::edge::{Signed, key_config, sample_push};
use crate::harness::exporter::NodeExporter;
use crate::harness::process::Process;
use crate::harness::s3::{ACCESS_KEY, BUCKET, Kind, S3, SECRET_KEY, free_port, on_both};
use crate::harness::wait::{ensure, now_ms};
use crate::harness::{Atl, eventually, tools};
use crate::remote_write::{V2, histograms, push};

on_both!(duckdb_and_sail_read_the_same_rows_from_s3);

/// Fills every table from a real exporter and pushes, with several flushes, and then stands still.
async fn filled(store: &str) -> Atl {
    let mut exporter = NodeExporter::start(&[]).await.recorded().await;
    let scrape = format!(
        "scrape_configs:\n  - {{ job_name: node, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{{ targets: [\"{}\"] }}] }}\n",
        exporter.server.address()
    );
    let still = format!("{NO_BUILTIN}{}{store}", key_config());
    let mut atl = Atl::start(&format!("{still}{scrape}")).await;
    for number in 0..4 {
        let name = format!("push-{number}");
        let answer =
            Signed::push(&name, &sample_push(&name, 25)).send(&atl.base_url()).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        // Nothing is sent twice: other engines see repetitions until files are merged.
        let mut batch = histograms(&name, now_ms());
        let last = batch.histograms.last_mut().expect("three");
        std::sync::Arc::make_mut(&mut last.histogram).sum = model::stale_nan();
        let answer = push(&atl, V2, encode_v2(&batch).expect("small")).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    // The target goes away: stale markers, NaNs of a special kind, are in the files too.
    exporter.server.close();
    eventually("the target's series are marked stale", Duration::from_secs(20), || async {
        let markers = atl.count("SELECT count(*) FROM metrics WHERE isnan(value)").await?;
        ensure(markers > 100, || format!("{markers} markers"))
    })
    .await;
    // A clean stop writes what is in memory; started without targets, nothing is added any more.
    atl.stop().await;
    atl.write_config(&still);
    atl.start_again().await;
    assert!(atl.sql("SELECT count(*) FROM metrics").await.number() > 2000);
    assert_eq!(atl.sql("SELECT count(*) FROM probes").await.number(), 100);
    for table in ["histograms", "start_times", "exemplars"] {
        assert_eq!(atl.sql(&format!("SELECT count(*) FROM {table}")).await.number(), 12, "{table}");
    }
    atl
}

/// Runs the comparison; the script prints a line a table.
async fn compare(arguments: &[&str], s3: Option<&S3>) {
    let mut command = Command::new(tools::tool("ATL_PYTHON"));
    command.arg(tools::checkout().join("tests/interop/compare.py")).args(arguments);
    if let Some(s3) = s3 {
        command.envs(s3_environment(s3));
    }
    let output =
        tokio::task::spawn_blocking(move || command.output().expect("python runs")).await.expect("no panic");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().filter(|line| line.ends_with("rows are the same")).count(), 8, "{text}");
}

fn s3_environment(s3: &S3) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", s3.endpoint()),
        ("AWS_ENDPOINT", s3.endpoint()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ]
}

/// A Sail server with these variables, and its Spark Connect address.
async fn sail(environment: Vec<(&'static str, String)>) -> (Process, TempDir, String) {
    let folder = TempDir::with_prefix("atl-sail-").expect("temporary folder");
    let port = free_port();
    let mut command = Command::new(tools::tool("ATL_SAIL"));
    command.args(["spark", "server", "--ip", "127.0.0.1", "--port", &port.to_string()]).envs(environment);
    let process = Process::spawn("sail", command, &folder.path().join("sail.log"));
    eventually("Sail listens", Duration::from_secs(60), || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    (process, folder, format!("sc://127.0.0.1:{port}"))
}

#[tokio::test]
async fn duckdb_and_sail_read_the_same_rows_from_a_folder() {
    let atl = filled("store: { flush_interval: 2s }\n").await;
    let store = atl.folder().join("atl-data/store");
    let store = store.to_str().expect("a plain path");
    compare(&["duckdb", &atl.base_url(), store], None).await;
    let (_sail, _folder, address) = sail(Vec::new()).await;
    compare(&["sail", &atl.base_url(), store, &address], None).await;
}

async fn duckdb_and_sail_read_the_same_rows_from_s3(kind: Kind) {
    let s3 = S3::start(kind).await;
    let atl = filled(&s3.store_config("open/tables")).await;
    let store = format!("s3://{BUCKET}/open/tables");
    compare(&["duckdb", &atl.base_url(), &store], Some(&s3)).await;
    let (_sail, _folder, address) = sail(s3_environment(&s3)).await;
    compare(&["sail", &atl.base_url(), &store, &address], Some(&s3)).await;
}
