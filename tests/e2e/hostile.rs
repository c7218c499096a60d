//! Targets that misbehave: they are told apart, they cost nobody else a scrape, and they cost no memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::server::{Reply, Server};
use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually, http};

/// A target that behaves: one counter.
async fn good_target() -> Server {
    let scrapes = Arc::new(AtomicU64::new(0));
    Server::start(move |_| {
        let number = scrapes.fetch_add(1, Ordering::SeqCst);
        async move { Reply::text(200, format!("# TYPE work_total counter\nwork_total {number}\n")) }
    })
    .await
}

/// Every kind of bad target, by job name.
async fn bad_targets() -> Vec<(&'static str, Server)> {
    vec![
        ("hangs", Server::start(|_| async { Reply::Silence }).await),
        ("drips", Server::start(|_| async { Reply::Drip }).await),
        ("garbage", Server::start(|_| async { Reply::text(200, vec![0xff; 4096]) }).await),
        (
            "html",
            Server::start(|_| async { Reply::text(200, "<html><body>It works!</body></html>\n") }).await,
        ),
        ("broken", Server::start(|_| async { Reply::text(503, "no") }).await),
        ("no-http", Server::start(|_| async { Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()) }).await),
        (
            "huge",
            Server::start(|_| async { Reply::Repeat { text: "huge_metric 1\n", bytes: Some(100 << 20) } })
                .await,
        ),
        (
            "endless",
            Server::start(|_| async { Reply::Repeat { text: "endless_metric 1\n", bytes: None } }).await,
        ),
    ]
}

const INTERVAL_MS: i64 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_targets_fail_by_themselves_while_others_are_scraped_on_time_and_memory_stays_flat() {
    let good = good_target().await;
    let bad = bad_targets().await;
    let mut config = "builtin: { host: false, own_metrics: false }\n\
         global: { scrape_interval: 1s, scrape_timeout: 900ms }\nscrape_configs:\n"
        .to_owned();
    for (job, server) in bad.iter().map(|(job, server)| (*job, server)).chain([("good", &good)]) {
        config.push_str(&format!(
            "  - {{ job_name: {job}, body_size_limit: 10MB, static_configs: [{{ targets: [\"{}\"] }}] }}\n",
            server.address(),
        ));
    }
    let atl = Atl::start(&config).await;
    eventually("twenty scrapes of the good target", Duration::from_secs(60), || async {
        let scrapes = atl.count("SELECT count(*) FROM prom.up WHERE job = 'good'").await?;
        ensure(scrapes >= 20, || format!("{scrapes} scrapes"))
    })
    .await;
    let memory = atl.process().memory();

    let up = atl
        .sql("SELECT job, max(value) AS best, min(value) AS worst FROM prom.up GROUP BY job ORDER BY job")
        .await;
    for (job, (best, worst)) in up.texts("job").iter().zip(up.column("best").iter().zip(up.column("worst"))) {
        let expected = if *job == "good" { 1.0 } else { 0.0 };
        assert_eq!((best.as_f64(), worst.as_f64()), (Some(expected), Some(expected)), "up of `{job}`");
    }
    assert_eq!(up.rows.len(), bad.len() + 1, "every target has its `up`: {up:?}");

    // On time: the good one's samples stand on a grid of its own, one interval apart, none left out.
    let times = atl
        .sql("SELECT CAST(date_part('epoch', ts) * 1000 AS BIGINT) AS ms FROM metrics WHERE metric = 'work_total' ORDER BY ts")
        .await;
    let times: Vec<i64> = times.column("ms").iter().map(|value| value.as_i64().expect("a number")).collect();
    let late: Vec<i64> = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|gap| (gap - INTERVAL_MS).abs() > 250)
        .collect();
    assert!(
        late.len() <= times.len() / 10,
        "gaps off by more than a quarter of the interval: {late:?} of {}",
        times.len()
    );
    let values = atl.sql("SELECT value FROM metrics WHERE metric = 'work_total' ORDER BY ts").await;
    let values: Vec<f64> =
        values.column("value").iter().map(|value| value.as_f64().expect("a number")).collect();
    let counted: Vec<f64> = (0..values.len()).map(|number| number as f64).collect();
    assert_eq!(values, counted, "every answer of the good target, in order, once");

    // Nothing of the bad ones is stored but the report on them.
    let stored = atl.sql("SELECT DISTINCT metric FROM metrics WHERE job <> 'good'").await;
    let is_report = |name: &&str| *name == "up" || name.starts_with("scrape_");
    let foreign: Vec<&str> = stored.texts("metric").into_iter().filter(|name| !is_report(name)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");

    // Eight bad targets a second for twenty seconds would be gigabytes if anybody kept them.
    assert!(memory.peak < 400 << 20, "memory: {memory:?}");

    let targets = http::get(&atl.url("/api/targets")).await.expect("an answer").json();
    for target in targets["targets"].as_array().expect("targets") {
        let (job, error) = (target["job"].as_str().expect("a job"), target["error"].as_str().unwrap_or(""));
        let says_why = match job {
            "good" => target["health"] == "up" && error.is_empty(),
            "huge" | "endless" => {
                error.contains("10000000") || error.contains("limit") || error.contains("larger")
            }
            "broken" => error.contains("503"),
            _ => target["health"] == "down" && !error.is_empty(),
        };
        assert!(says_why, "{target}");
    }
}

#[tokio::test]
async fn a_target_that_goes_away_is_marked_stale_and_comes_back() {
    let good = good_target().await;
    let address = good.address();
    let config = format!(
        "builtin: {{ host: false, own_metrics: false }}\nscrape_configs:\n  - job_name: good\n    scrape_interval: 1s\n    \
         scrape_timeout: 500ms\n    static_configs: [{{ targets: [\"{address}\"] }}]\n"
    );
    let atl = Atl::start(&config).await;
    eventually("it is scraped", Duration::from_secs(20), || async {
        let samples = atl.count("SELECT count(*) FROM metrics WHERE metric = 'work_total'").await?;
        ensure(samples >= 2, || format!("{samples} samples"))
    })
    .await;
    drop(good);
    // Stale markers are kept in the table, bit for bit; in JSON they are NaN.
    eventually("the series is marked stale, once", Duration::from_secs(20), || async {
        let answer =
            atl.sql("SELECT count(*) FROM metrics WHERE metric = 'work_total' AND isnan(value)").await;
        ensure(answer.number() == 1, || format!("{} markers", answer.number()))
    })
    .await;
    let down = atl.sql("SELECT value FROM prom.up ORDER BY ts DESC LIMIT 1").await;
    assert_eq!(down.rows[0][0].as_f64(), Some(0.0), "`up` itself goes on, as 0");
}
