//! A newcomer's first minute: no configuration, this host on SQL, a clean stop that loses nothing.

use std::time::Duration;

use crate::harness::exporter::{NodeExporter, samples};
use crate::harness::wait::{ensure, now_ms};
use crate::harness::{Atl, eventually, http};

#[tokio::test]
async fn without_configuration_this_host_is_on_sql_within_15_seconds() {
    let started_ms = now_ms();
    let atl = Atl::start_bare().await;
    let wanted = [
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_load1",
        "node_filesystem_size_bytes",
        "node_network_receive_bytes_total",
        "node_uname_info",
        "up",
        "scrape_duration_seconds",
    ];
    eventually("this host's metrics are on SQL", Duration::from_secs(15), || async {
        let answer = atl.sql("SELECT DISTINCT metric FROM metrics WHERE job = 'host'").await;
        let names = answer.texts("metric");
        ensure(wanted.iter().all(|name| names.contains(name)), || format!("so far {names:?}"))
    })
    .await;
    let took_ms = now_ms() - started_ms;
    assert!(took_ms < 15_000, "took {took_ms} ms from the start of the process");

    let modes = atl.sql("SELECT DISTINCT mode FROM prom.node_cpu_seconds_total WHERE cpu = '0'").await;
    assert!(modes.texts("mode").contains(&"idle"), "{modes:?}");
    eventually("it scrapes itself too", Duration::from_secs(15), || async {
        let up = atl.sql("SELECT DISTINCT job, value FROM prom.up ORDER BY job").await;
        let all_up = up.column("value").iter().all(|value| value.as_f64() == Some(1.0));
        ensure(up.texts("job") == ["atl", "host"] && all_up, || format!("{up:?}"))
    })
    .await;
    assert!(atl.folder().join("atl-data").is_dir(), "data goes to ./atl-data");
}

#[tokio::test]
async fn the_page_and_the_operations_endpoints_answer() {
    let atl = Atl::start_bare().await;
    let page = http::get(&atl.url("/")).await.expect("an answer");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe-eval"), "policy: `{policy}`");
    for path in ["/-/healthy", "/-/ready", "/api/status", "/api/targets", "/api/catalog", "/api/objects"] {
        let answer = http::get(&atl.url(path)).await.expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let metrics = http::get(&atl.url("/metrics")).await.expect("an answer").text();
    assert!(samples(&metrics).iter().any(|(name, ..)| name.starts_with("atl_")), "own metrics:\n{metrics}");
    let nowhere = http::get(&atl.url("/api/nothing")).await.expect("an answer");
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.json()["error"].is_string(), "errors are JSON: {}", nowhere.text());
}

#[tokio::test]
async fn ctrl_c_stops_cleanly_and_loses_nothing() {
    let mut atl = Atl::start_bare().await;
    let count = "SELECT count(*) FROM metrics WHERE ts <= to_timestamp_millis({t})";
    eventually("some scrapes are in", Duration::from_secs(30), || async {
        let scrapes = atl.count("SELECT count(*) FROM prom.up").await?;
        ensure(scrapes >= 4, || format!("{scrapes} scrapes"))
    })
    .await;
    let statement = count.replace("{t}", &now_ms().to_string());
    let before = atl.sql(&statement).await.number();
    assert!(before > 100, "{before} rows");
    atl.stop_by("INT").await;
    assert!(atl.output().contains("stopped"), "{}", atl.output());
    atl.start_again().await;
    let after = atl.sql(&statement).await.number();
    // A scrape that was under way when the first count was made may have been stored after it.
    assert!(after >= before, "{before} rows before, {after} after");
    let doubled = atl
        .sql("SELECT count(*) FROM (SELECT tsid, ts FROM metrics GROUP BY tsid, ts HAVING count(*) > 1)")
        .await;
    assert_eq!(doubled.number(), 0, "no sample twice");
}

#[tokio::test]
async fn host_exporter_has_every_name_of_node_exporter_for_the_same_collectors() {
    let theirs = NodeExporter::start(&["cpu", "meminfo", "loadavg", "filesystem", "netdev", "uname"])
        .await
        .page()
        .await;
    let theirs = samples(&theirs);
    let atl = Atl::start_bare().await;
    eventually("the host has been scraped", Duration::from_secs(15), || async {
        let rows = atl.count("SELECT count(*) FROM prom.up WHERE job = 'host'").await?;
        ensure(rows > 0, || "not yet".to_owned())
    })
    .await;
    let ours = atl.sql("SELECT DISTINCT metric FROM metrics WHERE job = 'host'").await;
    let ours = ours.texts("metric");
    let missing: Vec<&str> = theirs
        .iter()
        .map(|(name, ..)| name.as_str())
        .filter(|name| name.starts_with("node_") && !name.starts_with("node_exporter_"))
        .filter(|name| !name.starts_with("node_scrape_collector_") && !ours.contains(name))
        .collect();
    assert!(missing.is_empty(), "node_exporter has these and the built-in exporter has not: {missing:?}");

    // Values that do not move between two readings must be the same to the last bit.
    for steady in ["node_memory_MemTotal_bytes", "node_memory_SwapTotal_bytes"] {
        let expected = theirs.iter().find(|(name, ..)| name == steady).expect("it has it").2;
        let found = atl.sql(&format!("SELECT DISTINCT value FROM metrics WHERE metric = '{steady}'")).await;
        assert_eq!(found.rows.len(), 1, "{found:?}");
        assert_eq!(found.rows[0][0].as_f64(), Some(expected), "{steady}");
    }
    let expected = &theirs.iter().find(|(name, ..)| name == "node_uname_info").expect("it has it").1;
    let found =
        atl.sql("SELECT DISTINCT sysname, release, machine, nodename FROM prom.node_uname_info").await;
    for name in ["sysname", "release", "machine", "nodename"] {
        assert_eq!(found.texts(name), [expected[name].as_str()], "{name}");
    }
    let series = |wanted: &str| theirs.iter().filter(|(name, ..)| name == wanted).count() as i64;
    let cpus = atl.sql("SELECT count(DISTINCT tsid) FROM prom.node_cpu_seconds_total").await.number();
    assert_eq!(cpus, series("node_cpu_seconds_total"), "every mode of every processor");
    // node_exporter may look from another mount namespace (process 1's), which can have fewer.
    let ours = atl.sql("SELECT DISTINCT mountpoint FROM prom.node_filesystem_size_bytes").await;
    for (_, labels, _) in theirs.iter().filter(|(name, ..)| name == "node_filesystem_size_bytes") {
        assert!(
            ours.texts("mountpoint").contains(&labels["mountpoint"].as_str()),
            "{labels:?} is not in {ours:?}"
        );
    }
}
