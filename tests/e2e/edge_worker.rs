//! The edge worker in workerd beside the real backend: a real cron event, real probes of a real nginx, and rows on
//! SQL. The worker is started the way a developer does, by `wrangler dev`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::atl::NO_BUILTIN;
use crate::harness::edge::{KEY_ID, SECRET, key_config};
use crate::harness::exporter::NodeExporter;
use crate::harness::nginx::Nginx;
use crate::harness::process::Process;
use crate::harness::s3::free_port;
use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually, http, tools};

/// `wrangler dev` over `edge-worker/`.
#[derive(Debug)]
struct Worker {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl Worker {
    async fn start(backend_url: &str) -> Worker {
        let source = tools::checkout().join("edge-worker");
        let wrangler = source.join("node_modules/wrangler/bin/wrangler.js");
        assert!(wrangler.exists(), "wrangler is not installed: run `tests/run --only edge` first");
        let folder = TempDir::with_prefix("atl-worker-").expect("temporary folder");
        let port = free_port();
        let mut command = Command::new("node");
        command.current_dir(&source).arg(wrangler).args(["dev", "--local", "--ip", "127.0.0.1", "--port"]);
        command.arg(port.to_string()).arg("--inspector-port").arg(free_port().to_string());
        command.arg("--persist-to").arg(folder.path());
        for (name, value) in [
            ("ATL_BACKEND_URL", backend_url),
            ("ATL_EDGE_SECRET", SECRET),
            ("ATL_KEY_ID", KEY_ID),
            ("ATL_LOCATION", "TST"),
        ] {
            command.arg("--var").arg(format!("{name}:{value}"));
        }
        command.env("CI", "true").env("WRANGLER_SEND_METRICS", "false").env("NO_COLOR", "1");
        let process = Process::spawn("wrangler", command, &folder.path().join("wrangler.log"));
        let url = format!("http://127.0.0.1:{port}");
        // The first start may have to compile the worker.
        eventually("the worker serves", Duration::from_secs(600), || async {
            http::get(&url).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        Worker { url, _folder: folder, _process: process }
    }

    /// What the platform does once a minute.
    async fn cron(&self) {
        let url = format!("{}/cdn-cgi/handler/scheduled?cron=*+*+*+*+*", self.url);
        let answer = http::get(&url).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn probes(nginx: &Nginx) -> String {
    let closed = format!("http://127.0.0.1:{}/", free_port());
    format!(
        "  probes:
    - {{ name: page, target: \"{page}\", expect: {{ body_contains: [\"nginx says hello\"] }} }}
    - {{ name: moved, target: \"{moved}\", expect: {{ max_redirects: 1 }} }}
    - {{ name: broken, target: \"{broken}\" }}
    - {{ name: wrong-body, target: \"{page}\", expect: {{ body_not_contains: [\"hello\"] }} }}
    - {{ name: closed, target: \"{closed}\", timeout_ms: 3000 }}
",
        page = nginx.plain_url("/"),
        moved = nginx.plain_url("/moved"),
        broken = nginx.plain_url("/broken"),
    )
}

#[tokio::test]
async fn a_cron_event_in_workerd_becomes_probe_rows_and_log_lines() {
    let unused = NodeExporter::start(&["loadavg"]).await.recorded().await;
    let nginx = Nginx::start(unused.server.address()).await;
    let atl = Atl::start(&format!("{NO_BUILTIN}{}{}", key_config(), probes(&nginx))).await;
    let worker = Worker::start(&atl.base_url()).await;
    worker.cron().await;
    let rows = eventually("five results are stored", Duration::from_secs(60), || async {
        let rows = atl
            .sql("SELECT probe, success, reason, status_code, redirects, location, kind FROM probes ORDER BY probe, ts")
            .await;
        ensure(rows.rows.len() >= 5, || format!("{rows:?}"))?;
        Ok(rows)
    })
    .await;
    let summary: Vec<String> = rows
        .rows
        .iter()
        .map(|row| format!("{} {} {} {}", row[0].as_str().unwrap_or("?"), row[1], row[3], row[4]))
        .collect();
    let find = |name: &str| {
        summary.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{summary:?}")).as_str()
    };
    assert_eq!(find("page"), "page true 200 0");
    assert_eq!(find("moved"), "moved true 200 1");
    assert_eq!(find("broken"), "broken false 500 0");
    assert!(find("wrong-body").starts_with("wrong-body false 200"));
    assert!(find("closed").starts_with("closed false null"));
    for row in &rows.rows {
        assert_eq!((&row[5], &row[6]), (&json!("TST"), &json!("http")));
        assert_eq!(row[1] == json!(true), row[2].is_null(), "a failure has a reason: {row:?}");
    }
    let metrics =
        atl.sql("SELECT job, max(value) AS v FROM prom.probe_success GROUP BY job ORDER BY job").await;
    assert_eq!(metrics.texts("job"), ["broken", "closed", "moved", "page", "wrong-body"]);
    let values: Vec<f64> =
        metrics.column("v").iter().map(|value| value.as_f64().expect("a number")).collect();
    assert_eq!(values, [0.0, 0.0, 1.0, 1.0, 0.0]);
    let logs = atl.sql("SELECT body FROM logs WHERE service = 'atl-edge'").await;
    assert!(!logs.rows.is_empty(), "the worker's own log lines came with the results");
    let doubled =
        "SELECT count(*) FROM (SELECT result_id FROM probes GROUP BY result_id HAVING count(*) > 1)";
    assert_eq!(atl.sql(doubled).await.number(), 0);
}

#[tokio::test]
async fn the_built_worker_is_small() {
    let build = tools::checkout().join("edge-worker/build");
    let wasm = wasm_in(&build);
    assert!(!wasm.is_empty(), "no wasm in {}: run `tests/run --only edge` first", build.display());
    for file in wasm {
        let packed = crate::harness::edge::gzip(&std::fs::read(&file).expect("a file"));
        assert!(packed.len() <= 400 * 1024, "{} is {} bytes gzipped", file.display(), packed.len());
    }
}

fn wasm_in(folder: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| path.is_dir());
    let mut found: Vec<PathBuf> =
        files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "wasm")).collect();
    for inner in folders {
        found.extend(wasm_in(&inner));
    }
    found
}
