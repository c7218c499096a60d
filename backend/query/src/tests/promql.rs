//! PromQL inside SQL.

use super::fixture::{Fixture, column};
use crate::{Config, PromConfig, QueryErrorKind};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promql_answer_is_a_table() {
    for fixture in [Fixture::filled().await, Fixture::half_flushed().await] {
        let sql = "SELECT ts, metric, labels, job, instance, value, histogram
             FROM promql('sum by (instance) (up)', '2026-11-21T23:30:00Z', '2026-11-21T23:40:00Z', '10m')
             ORDER BY ts, instance LIMIT 2";
        let text = fixture.text(sql).await;
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("2026")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        for part in ["2026-11-21T23:30:00Z", "{instance: alpha}", "1.0"] {
            assert!(rows[0].contains(part), "{text}");
        }
        assert!(rows[1].contains("beta") && rows[1].contains("0.0"), "{text}");
        let same = [
            "promql('up', '2026-11-21T23:30:00Z', '2026-11-22T00:29:00Z', '1m')",
            "promql('up', TIMESTAMP '2026-11-21 23:30:00', timestamptz '2026-11-22T00:29:00Z', INTERVAL '1 minute')",
            "promql('up', 1795303800, 1795303800 + 59 * 60, 60)",
            "promql('up', '2026-11-22T00:29:00Z'::timestamptz - INTERVAL '59 minutes', '2026-11-22T00:29:00Z', 60.0)",
        ];
        for call in same {
            let text = fixture.text(&format!("SELECT count(*) || ' ' || sum(value) AS n FROM {call}")).await;
            assert_eq!(column(&text), ["180 174.0"], "{call}");
        }
        let at = "SELECT label(labels, 'mode') AS mode FROM promql('cpu_seconds_total{instance=\"beta\"}', '2026-11-22T00:00:00Z') ORDER BY 1";
        assert_eq!(column(&fixture.text(at).await), ["idle", "user"]);
        // The wall clock is far from the fixture's rows.
        assert_eq!(column(&fixture.text("SELECT value FROM promql('vector(1) + 1')").await), ["2.0"]);
        assert_eq!(column(&fixture.text("SELECT count(*) AS n FROM promql('up')").await), ["0"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promql_answer_joins_with_metrics_logs_and_probes() {
    let fixture = Fixture::half_flushed().await;
    let equal = "SELECT count(*) AS n
         FROM promql('up', '2026-11-21T23:30:00Z', '2026-11-22T00:29:00Z', '1m') AS p
         JOIN metrics AS m ON m.metric = p.metric AND m.instance = p.instance AND m.ts = p.ts AND m.value = p.value";
    assert_eq!(column(&fixture.text(equal).await), ["180"]);
    let logs = "SELECT count(*) AS n
         FROM promql('up == 0', '2026-11-21T23:30:00Z', '2026-11-22T00:29:00Z', '1m') AS down
         JOIN logs AS l ON date_trunc('minute', l.ts) = down.ts
         WHERE l.severity >= 17 OR l.body LIKE '%line 0%'";
    // Six minutes without a host, an error of each of two services in each.
    assert_eq!(column(&fixture.text(logs).await), ["12"]);
    let probes = "SELECT p.probe, count(*) AS n
         FROM promql('avg(up) < 1', '2026-11-21T23:30:00Z', '2026-11-22T00:29:00Z', '1m') AS down
         JOIN probes AS p ON p.ts = down.ts WHERE NOT p.success GROUP BY p.probe";
    let text = fixture.text(probes).await;
    assert!(text.contains("| home  | 6 |"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_expression_is_told_with_its_place() {
    let fixture = Fixture::flushed().await;
    let error = fixture.error("SELECT * FROM promql('sum(up')").await;
    assert_eq!(error.kind, QueryErrorKind::Plan);
    assert!(error.message.starts_with("PromQL expression, line 1, column 7: "), "{}", error.message);
    for (call, part) in [
        ("promql()", "the expression must be a string"),
        ("promql(1)", "the expression must be a string"),
        ("promql('up', 1, 2)", "it takes 1, 2 or 4 arguments"),
        ("promql('up', 'soon')", "is not a time"),
        ("promql('up', 1, 2, '0s')", "is not a step"),
        ("promql('up', 2, 1, 1)", "end timestamp must not be before start time"),
        ("promql('up', NULL)", "an argument is NULL"),
        ("promql('up[5m]', 1, 2, 1)", "invalid expression type"),
        ("promql('up', (SELECT max(ts) FROM metrics))", "is not a constant"),
    ] {
        let error = fixture.error(&format!("SELECT * FROM {call}")).await;
        assert_eq!(error.kind, QueryErrorKind::Plan, "{call}: {error:?}");
        assert!(error.message.contains(part), "{call}: {}", error.message);
    }
    let twice = "SELECT * FROM promql('up + on (job) up', '2026-11-21T23:35:00Z')";
    let error = fixture.error(twice).await;
    assert!(error.message.starts_with("PromQL: found duplicate series"), "{}", error.message);
    let prom = PromConfig { samples_max: 10, ..PromConfig::default() };
    let fixture = Fixture::empty(Config { prom, ..Config::default() }).await;
    fixture.fill(0..30).await;
    let error = fixture.error("SELECT * FROM promql('up[30m]', '2026-11-21T23:59:00Z')").await;
    assert_eq!(error.kind, QueryErrorKind::Memory, "{}", error.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promql_call_is_not_evaluated_to_explain_it() {
    let fixture = Fixture::flushed().await;
    let plan = fixture.plan("SELECT value FROM promql('sum(up)', 1, 2, 1) WHERE value > 1").await;
    assert!(plan.contains("PromqlExec: sum(up)"), "{plan}");
    let functions = crate::engine::function_names();
    assert!(functions.iter().any(|name| name == "promql"));
}
