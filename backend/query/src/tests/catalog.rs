//! What SQL and the API tell about the tables.

use super::fixture::{Fixture, column};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn information_schema_lists_our_tables_and_no_others() {
    let fixture = Fixture::half_flushed().await;
    let names = fixture
        .text("SELECT table_schema || '.' || table_name AS t FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY t")
        .await;
    assert_eq!(
        column(&names),
        [
            "prom.cpu_seconds_total",
            "prom.job:up:ratio",
            "prom.node_memory_MemTotal_bytes",
            "prom.up",
            "public.exemplars",
            "public.histograms",
            "public.log_streams",
            "public.logs",
            "public.metrics",
            "public.probes",
            "public.series",
            "public.start_times",
        ]
    );
    let columns = fixture
        .text("SELECT column_name FROM information_schema.columns WHERE table_schema = 'prom' AND table_name = 'up' ORDER BY ordinal_position")
        .await;
    assert_eq!(column(&columns), ["ts", "value", "instance", "job", "day", "tsid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn show_and_describe_work() {
    let fixture = Fixture::half_flushed().await;
    assert!(fixture.text("SHOW TABLES").await.contains("log_streams"));
    assert!(fixture.text("DESCRIBE prom.up").await.contains("instance"));
    assert!(fixture.text("DESCRIBE metrics").await.contains("tsid"));
    assert!(fixture.text("SHOW COLUMNS FROM logs").await.contains("severity"));
    assert!(fixture.text("SHOW FUNCTIONS LIKE 'date_tr%'").await.contains("date_trunc"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_has_tables_metrics_and_functions() {
    let fixture = Fixture::half_flushed().await;
    let catalog = fixture.engine.catalog_info().await.unwrap();
    let json = serde_json::to_value(&catalog).unwrap();
    assert_eq!(json["schemas"][0]["name"], "public");
    let metrics = &json["schemas"][0]["tables"][0];
    assert_eq!(metrics["name"], "metrics");
    assert_eq!(metrics["rows"], 900);
    assert_eq!(metrics["files"], 2);
    assert!(metrics["bytes"].as_u64().unwrap() > 0);
    assert_eq!(metrics["min_ts"], "2026-11-21T23:30:00.000000Z");
    assert_eq!(metrics["columns"][0], serde_json::json!({"name": "day", "type": "date", "nullable": false}));
    assert_eq!(json["schemas"][1]["tables"][3], serde_json::json!({"name": "up"}));
    for name in
        ["date_trunc", "label", "approx_percentile_cont", "row_number", "read_file", "generate_series"]
    {
        assert!(catalog.functions.iter().any(|function| function == name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metric_has_columns_or_a_near_name() {
    let fixture = Fixture::half_flushed().await;
    let columns = fixture.engine.metric_info("cpu_seconds_total").await.unwrap();
    let names: Vec<&str> = columns.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["ts", "value", "instance", "job", "mode", "label_value", "day", "tsid"]);
    let error = fixture.engine.metric_info("cpu_second_total").await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `cpu_seconds_total`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_store_answers_with_no_rows() {
    let fixture = Fixture::empty(crate::Config::default()).await;
    for table in store::Table::ALL {
        assert_eq!(column(&fixture.text(&format!("SELECT count(*) FROM {table}")).await), ["0"], "{table}");
        assert!(column(&fixture.text(&format!("SELECT * FROM {table}")).await).is_empty(), "{table}");
    }
    assert!(fixture.engine.catalog_info().await.unwrap().schemas[1].tables.is_empty());
}
