//! Metrics as tables.

use super::fixture::{Fixture, column};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metric_is_a_table_with_its_labels() {
    let fixture = Fixture::half_flushed().await;
    let header = fixture.text("SELECT * FROM prom.up LIMIT 1").await;
    let names: Vec<&str> =
        header.lines().nth(1).unwrap().split('|').map(str::trim).filter(|n| !n.is_empty()).collect();
    assert_eq!(names, ["ts", "value", "instance", "job", "day", "tsid"]);
    let header = fixture.text("SELECT * FROM prom.cpu_seconds_total LIMIT 1").await;
    let names: Vec<&str> =
        header.lines().nth(1).unwrap().split('|').map(str::trim).filter(|n| !n.is_empty()).collect();
    assert_eq!(names, ["ts", "value", "instance", "job", "mode", "label_value", "day", "tsid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_equal_those_over_metrics() {
    for fixture in [Fixture::filled().await, Fixture::half_flushed().await, Fixture::flushed().await] {
        for (prom, plain) in [
            (
                "SELECT ts, value, instance FROM prom.up ORDER BY tsid, ts",
                "SELECT ts, value, instance FROM metrics WHERE metric = 'up' ORDER BY tsid, ts",
            ),
            (
                "SELECT instance, sum(value) AS s FROM prom.up GROUP BY instance ORDER BY instance",
                "SELECT instance, sum(value) AS s FROM metrics WHERE metric = 'up' GROUP BY instance ORDER BY instance",
            ),
            (
                "SELECT ts, value FROM prom.cpu_seconds_total WHERE mode = 'idle' AND instance ~ 'a$' AND instance <> 'beta' ORDER BY tsid, ts",
                "SELECT m.ts, m.value FROM metrics m JOIN (SELECT DISTINCT tsid FROM series WHERE label(labels, 'mode') = 'idle') s
                 ON m.tsid = s.tsid WHERE m.metric = 'cpu_seconds_total' AND m.instance <> 'beta' ORDER BY m.tsid, m.ts",
            ),
            (
                "SELECT count(*) AS n FROM prom.up WHERE ts >= '2026-11-22T00:00:00Z' AND value < 1",
                "SELECT count(*) AS n FROM metrics WHERE metric = 'up' AND ts >= '2026-11-22T00:00:00Z' AND value < 1",
            ),
            (
                "SELECT count(*) AS n FROM prom.cpu_seconds_total WHERE label_value IS NULL",
                "SELECT count(*) / 2 AS n FROM metrics WHERE metric = 'cpu_seconds_total'",
            ),
        ] {
            assert_eq!(fixture.text(prom).await, fixture.text(plain).await, "{prom}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_metrics_may_be_odd_or_unquoted() {
    let fixture = Fixture::half_flushed().await;
    let check =
        async |query: &str, expect: &str| assert_eq!(column(&fixture.text(query).await), [expect], "{query}");
    check("SELECT count(*) FROM prom.\"job:up:ratio\"", "180").await;
    check("SELECT count(*) FROM prom.\"node_memory_MemTotal_bytes\"", "180").await;
    check("SELECT count(*) FROM prom.node_memory_MemTotal_bytes", "180").await;
    check("SELECT count(*) FROM atl.prom.UP", "180").await;
    let error = fixture.error("SELECT count(*) FROM prom.upp").await;
    assert_eq!(error.message, "table `prom.upp` does not exist");
    assert_eq!(error.hint.as_deref(), Some("did you mean `up`"));
    let error = fixture.error("SELECT count(*) FROM up").await;
    assert_eq!(error.hint.as_deref(), Some("did you mean `prom.up`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_on_labels_choose_series_before_rows_are_read() {
    let fixture = Fixture::half_flushed().await;
    let plan = fixture.plan("SELECT ts, value FROM prom.up WHERE instance = 'beta'").await;
    assert!(plan.contains("LabelExec: series=1 of 3, labels=[]"), "{plan}");
    assert!(!plan.contains("FilterExec"), "{plan}");
    assert!(plan.contains("tsid@") && plan.contains("pruning_predicate"), "{plan}");
    let plan =
        fixture.plan("SELECT value FROM prom.up WHERE instance IN ('alpha', 'beta') OR job = 'none'").await;
    assert!(plan.contains("LabelExec: series=2 of 3"), "{plan}");
    let plan = fixture.plan("SELECT value FROM prom.up WHERE upper(instance) LIKE 'GA%'").await;
    assert!(plan.contains("LabelExec: series=1 of 3"), "{plan}");
    let plan = fixture.plan("SELECT value FROM prom.up WHERE instance = 'nobody'").await;
    assert!(plan.contains("EmptyExec") && !plan.contains("DataSourceExec"), "{plan}");
    let plan = fixture.plan("SELECT value, instance FROM prom.up WHERE instance = 'beta' OR value = 0").await;
    assert!(plan.contains("FilterExec") && plan.contains("series=3 of 3"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_by_series_and_time_merges() {
    let fixture = Fixture::half_flushed().await;
    for query in [
        "SELECT ts, value, instance FROM prom.up ORDER BY tsid, ts",
        "SELECT ts, value FROM prom.up WHERE ts > '2026-11-21T23:40:00Z' ORDER BY tsid, ts",
        "SELECT tsid, lag(value) OVER (PARTITION BY tsid ORDER BY ts) FROM prom.cpu_seconds_total",
    ] {
        let plan = fixture.plan(query).await;
        assert!(!plan.contains("SortExec"), "{query}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_wanted_labels_are_made() {
    let fixture = Fixture::flushed().await;
    let plan = fixture.plan("SELECT sum(value) FROM prom.cpu_seconds_total GROUP BY mode").await;
    assert!(plan.contains("labels=[mode]"), "{plan}");
    assert!(plan.contains("projection=[tsid, value]"), "{plan}");
    let plan = fixture.plan("SELECT count(*) FROM prom.cpu_seconds_total").await;
    assert!(plan.contains("labels=[]") && plan.contains("projection=[tsid]"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_join() {
    let fixture = Fixture::half_flushed().await;
    let query = "SELECT u.instance, count(*) AS n, max(c.value) AS busy
                 FROM prom.up u JOIN prom.cpu_seconds_total c ON u.instance = c.instance AND u.ts = c.ts
                 WHERE c.mode = 'user' AND u.value = 0 GROUP BY u.instance";
    assert_eq!(column(&fixture.text(query).await), ["beta     | 6 | 125.0"]);
}
