//! The Prometheus HTTP API over a server that scrapes: shapes, status codes and words that clients rely on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::atl::NO_BUILTIN;
use crate::harness::server::{Reply, Server};
use crate::harness::wait::{ensure, now_ms};
use crate::harness::{Atl, eventually, http};

const PAGE: &str = "# HELP shop_orders_total Orders taken.\n# TYPE shop_orders_total counter\n\
    shop_orders_total{country=\"de\",kind=\"book\"} 41\nshop_orders_total{country=\"at\",kind=\"book\"} 1\n\
    # HELP shop_queue Waiting.\n# TYPE shop_queue gauge\nshop_queue{name=\"<script>\"} NaN\n";

/// A server that has scraped the page at least twice.
async fn scraping() -> (Atl, Server) {
    let exporter = Server::start(|_| async { Reply::text(200, PAGE.to_owned()) }).await;
    let config = format!(
        "{NO_BUILTIN}scrape_configs:\n  - job_name: shop\n    scrape_interval: 1s\n    scrape_timeout: 1s\n    \
         static_configs: [{{ targets: [\"{}\"] }}]\nedge:\n  keys:\n    - {{ id: edge, secret: hush-hush-hush }}\n",
        exporter.address()
    );
    let atl = Atl::start(&config).await;
    eventually("two scrapes", Duration::from_secs(20), || async {
        let scrapes = atl.count("SELECT count(*) FROM prom.up").await?;
        ensure(scrapes >= 2, || format!("{scrapes} scrapes"))
    })
    .await;
    (atl, exporter)
}

async fn get(atl: &Atl, path: &str) -> (u16, Value) {
    let answer = http::get(&atl.url(path)).await.expect("an answer");
    (answer.status, answer.json())
}

async fn data(atl: &Atl, path: &str) -> Value {
    let (status, mut body) = get(atl, path).await;
    assert_eq!((status, &body["status"]), (200, &json!("success")), "{path}: {body}");
    body["data"].take()
}

#[tokio::test]
async fn queries_answer_in_the_shape_of_prometheus() {
    let (atl, exporter) = scraping().await;
    let vector = data(&atl, "/api/v1/query?query=shop_orders_total%7Bcountry%3D%22de%22%7D").await;
    assert_eq!(vector["resultType"], "vector");
    let instance = exporter.address().to_string();
    assert_eq!(
        vector["result"][0]["metric"],
        json!({ "__name__": "shop_orders_total", "country": "de", "instance": instance, "job": "shop", "kind": "book" })
    );
    assert_eq!(vector["result"][0]["value"][1], "41");
    assert!(vector["result"][0]["value"][0].is_number());

    let end = now_ms() / 1000;
    let path = format!("query_range?query=sum(shop_orders_total)&start={}&end={end}&step=1", end - 3);
    let matrix = data(&atl, &format!("/api/v1/{path}&stats=all")).await;
    assert_eq!(matrix["resultType"], "matrix");
    let values = matrix["result"][0]["values"].as_array().expect("values");
    assert!(values.iter().all(|pair| pair[1] == "42"), "{values:?}");
    assert!(matrix["stats"]["samples"]["totalQueryableSamples"].as_u64() > Some(0), "{}", matrix["stats"]);

    // A form in the body, as Grafana sends it.
    let form = http::client()
        .post(atl.url("/api/v1/query"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("query=1%20%2B%201&time=5.25");
    let scalar = http::send(form).await.expect("an answer").json();
    assert_eq!(scalar["data"], json!({ "resultType": "scalar", "result": [5.250, "2"] }));
    assert_eq!(data(&atl, "/api/v1/query?query=%22a%22").await["result"][1], "a");
    let limited = get(&atl, "/api/v1/query?query=shop_orders_total&limit=1").await.1;
    assert_eq!(limited["warnings"], json!(["results truncated due to limit"]));
    assert_eq!(limited["data"]["result"].as_array().map(Vec::len), Some(1));
    let noted = get(&atl, "/api/v1/query?query=rate(shop_queue%5B1m%5D)").await.1;
    assert!(
        noted["infos"][0].as_str().is_some_and(|info| info.contains("might not be a counter")),
        "{noted}"
    );
}

#[tokio::test]
async fn mistakes_are_told_as_prometheus_tells_them() {
    let (atl, _exporter) = scraping().await;
    for (path, status, kind, words) in [
        ("query?query=sum(", 400, "bad_data", "invalid parameter \"query\": 1:5: parse error"),
        ("query?query=", 400, "bad_data", "no expression found in input"),
        ("query?query=up&time=soon", 400, "bad_data", "invalid parameter \"time\": cannot parse"),
        ("query?query=up&timeout=x", 400, "bad_data", "invalid parameter \"timeout\""),
        ("query?query=up&limit=-1", 400, "bad_data", "limit must be non-negative"),
        (
            "query_range?query=up&start=2&end=1&step=1",
            400,
            "bad_data",
            "end timestamp must not be before start",
        ),
        ("query_range?query=up&start=1&end=2&step=0", 400, "bad_data", "zero or negative query resolution"),
        (
            "query_range?query=up&start=0&end=90000&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000",
        ),
        ("query_range?query=up&end=2&step=1", 400, "bad_data", "invalid parameter \"start\""),
        (
            "query?query=label_replace(up,%22~%22,%22%22,%22%22,%22(%22)",
            422,
            "execution",
            "invalid regular expression",
        ),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        ("series?match[]=%7B%7D", 400, "bad_data", "match[]"),
        ("series?match[]=up%5B5m%5D", 400, "bad_data", "invalid parameter \"match[]\""),
        ("label//values", 400, "bad_data", "invalid label name"),
        ("rules/test/test", 404, "", ""),
    ] {
        let answer = http::get(&atl.url(&format!("/api/v1/{path}"))).await.expect("an answer");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if kind.is_empty() {
            continue;
        }
        let body = answer.json();
        assert_eq!((&body["status"], &body["errorType"]), (&json!("error"), &json!(kind)), "{path}");
        assert!(body["error"].as_str().is_some_and(|error| error.contains(words)), "{path}: {body}");
    }
    let delete =
        http::send(http::client().post(atl.url("/api/v1/admin/tsdb/delete_series?match[]=up"))).await;
    assert_eq!(delete.expect("an answer").status, 503);
}

#[tokio::test]
async fn series_labels_and_metadata_before_and_after_a_restart() {
    let (mut atl, _exporter) = scraping().await;
    for round in ["in memory", "from files"] {
        let names = data(&atl, "/api/v1/labels?match[]=shop_orders_total").await;
        assert_eq!(names, json!(["__name__", "country", "instance", "job", "kind"]), "{round}");
        let metrics = data(&atl, "/api/v1/label/__name__/values").await;
        let metrics: Vec<&str> =
            metrics.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(metrics.contains(&"shop_queue") && metrics.contains(&"up"), "{round}: {metrics:?}");
        assert_eq!(data(&atl, "/api/v1/label/country/values").await, json!(["at", "de"]), "{round}");
        assert_eq!(data(&atl, "/api/v1/label/country/values?limit=1").await, json!(["at"]), "{round}");
        let series =
            data(&atl, "/api/v1/series?match[]=%7Bcountry%3D~%22.%2B%22%7D&match[]=shop_queue").await;
        assert_eq!(series.as_array().map(Vec::len), Some(3), "{round}: {series}");
        assert_eq!(data(&atl, "/api/v1/series?match[]=up&start=0&end=1").await, json!([]), "{round}");
        atl.stop().await;
        atl.start_again().await;
    }
    eventually("metadata is learned again", Duration::from_secs(10), || async {
        let metadata = data(&atl, "/api/v1/metadata?metric=shop_orders_total").await;
        let wanted =
            json!({ "shop_orders_total": [{ "type": "counter", "unit": "", "help": "Orders taken." }] });
        ensure(metadata == wanted, || metadata.to_string())
    })
    .await;
}

#[tokio::test]
async fn status_pages_tell_the_truth_and_no_secret() {
    let (atl, exporter) = scraping().await;
    let targets = data(&atl, "/api/v1/targets").await;
    let target = &targets["activeTargets"][0];
    assert_eq!((&target["health"], &target["scrapePool"]), (&json!("up"), &json!("shop")));
    assert_eq!(target["scrapeUrl"], format!("http://{}/metrics", exporter.address()));
    assert_eq!(data(&atl, "/api/v1/targets?state=dropped").await["activeTargets"], json!([]));
    let config = data(&atl, "/api/v1/status/config").await;
    let yaml = config["yaml"].as_str().expect("text");
    assert!(yaml.contains("job_name: shop") && !yaml.contains("hush"), "{yaml}");
    assert_eq!(data(&atl, "/api/v1/status/flags").await["query.timeout"], "2m");
    assert!(data(&atl, "/api/v1/status/buildinfo").await.get("features").is_none());
    let tsdb = data(&atl, "/api/v1/status/tsdb").await;
    assert_eq!(tsdb["seriesCountByMetricName"][0], json!({ "name": "shop_orders_total", "value": 2 }));
    assert!(tsdb["headStats"]["numSeries"].as_u64() >= Some(3), "{tsdb}");
    for path in ["rules", "alerts", "alertmanagers", "status/runtimeinfo", "status/walreplay", "scrape_pools"]
    {
        data(&atl, &format!("/api/v1/{path}")).await;
    }
    assert_eq!(data(&atl, "/api/v1/query_exemplars?query=test").await, json!([]));
    let formatted = data(&atl, "/api/v1/format_query?query=sum(rate(a%5B5m%5D))by(b)").await;
    assert_eq!(formatted, "sum by (b) (rate(a[5m]))");
    assert_eq!(data(&atl, "/api/v1/parse_query?query=up").await["type"], "vectorSelector");
    let page = http::get(&atl.url("/federate?match[]=shop_orders_total")).await.expect("an answer").text();
    assert!(page.contains("# TYPE shop_orders_total counter"), "{page}");
    assert!(
        page.lines()
            .any(|line| line.starts_with("shop_orders_total{country=\"at\"") && line.split(' ').count() == 3),
        "{page}"
    );
}

#[tokio::test]
async fn the_command_line_asks_in_promql() {
    let (mut atl, _exporter) = scraping().await;
    let run = |atl: &Atl, arguments: &[&str]| {
        let output = atl.command(&[&["query", "promql"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, table, _) = run(&atl, &["sum by (country) (shop_orders_total)"]);
    assert_eq!(code, Some(0));
    assert!(table.contains("{country=\"de\"}     41"), "{table}");
    let (_, csv, _) =
        run(&atl, &["shop_orders_total{country=\"at\"}", "--from", "now-2s", "--step", "1s", "-o", "csv"]);
    assert!(csv.starts_with("timestamp,value,__name__,country,"), "{csv}");
    let (_, chart, _) = run(&atl, &["sum(shop_orders_total)", "--from", "now-2s", "--step", "1s"]);
    assert!(chart.contains('▅') || chart.contains('▄'), "{chart}");
    let (code, _, error) = run(&atl, &["sum(("]);
    assert!(code == Some(1) && error.contains("parse error"), "{error}");
    atl.stop().await;
    let folder = format!("file:{}", atl.folder().join("atl-data/store").display());
    let (code, json_text, error) = run(&atl, &["count(up)", "--store", &folder, "--output", "json"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(json_text.contains("\"resultType\":\"vector\""), "{json_text}");
}
