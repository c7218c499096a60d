//! `POST /api/sql` and `atl query sql`: every format, errors with their place, and a sandbox that holds.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::atl::NO_BUILTIN;
use crate::harness::edge::{Signed, key_config, sample_push};
use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually, http, tools};

/// A server with five probe results and five log lines in memory.
async fn server_with_rows() -> Atl {
    let atl = Atl::start(&format!("{NO_BUILTIN}{}", key_config())).await;
    let push = Signed::push("rows", &sample_push("row", 5));
    assert_eq!(push.send(&atl.base_url()).await.expect("an answer").status, 200);
    atl
}

async fn ask(atl: &Atl, statement: &str, accept: &str) -> http::Answer {
    let request =
        http::client().post(atl.url("/api/sql")).header("accept", accept).body(statement.to_owned());
    http::send(request).await.expect("an answer")
}

/// What pyarrow, a foreign reader, finds in a body: names, types and rows.
fn read_with_pyarrow(format: &str, body: &[u8]) -> Value {
    let script = tools::checkout().join("tests/interop/read_format.py");
    let mut child = Command::new(tools::tool("ATL_PYTHON"))
        .arg(script)
        .arg(format)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    child.stdin.take().expect("piped").write_all(body).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

const STATEMENT: &str =
    "SELECT probe, success, status_code, duration_seconds, reason, ts, attributes FROM probes ORDER BY probe";

#[tokio::test]
async fn every_format_has_the_same_rows() {
    let atl = server_with_rows().await;
    let json_answer = ask(&atl, STATEMENT, "application/json").await;
    assert_eq!(json_answer.status, 200, "{}", json_answer.text());
    let body = json_answer.json();
    assert_eq!(body["row_count"], 5);
    assert_eq!(body["truncated"], false);
    assert!(body["elapsed_ms"].is_number());
    let names: Vec<&str> = body["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| column["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["probe", "success", "status_code", "duration_seconds", "reason", "ts", "attributes"]);
    let first = &body["rows"][0];
    let time = first[5].as_str().expect("times are text");
    assert_eq!(first, &json!(["row-0", true, 200, 0.125, null, time, { "colo": "TST" }]));
    assert!(
        time.len() == "2026-11-22T10:00:00.000000Z".len() && time.ends_with('Z'),
        "RFC 3339 with microseconds: {time}"
    );

    let ndjson = ask(&atl, STATEMENT, "application/x-ndjson").await.text();
    let lines: Vec<Value> =
        ndjson.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!((&lines[0]["probe"], &lines[0]["ts"]), (&json!("row-0"), &json!(time)));

    let csv = ask(&atl, STATEMENT, "text/csv").await;
    assert!(csv.header("content-type").starts_with("text/csv"));
    let csv = csv.text();
    let mut csv_lines = csv.lines();
    assert_eq!(csv_lines.next(), Some("probe,success,status_code,duration_seconds,reason,ts,attributes"));
    assert!(csv_lines.next().is_some_and(|line| line.starts_with("row-0,true,200,0.125,,")), "{csv}");

    for (format, media_type) in
        [("arrow", "application/vnd.apache.arrow.stream"), ("parquet", "application/vnd.apache.parquet")]
    {
        let answer = ask(&atl, STATEMENT, media_type).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type));
        let by_parameter = http::client().post(atl.url(&format!("/api/sql?format={format}"))).body(STATEMENT);
        let by_parameter = http::send(by_parameter).await.expect("an answer");
        for body in [&answer.body, &by_parameter.body] {
            let read = read_with_pyarrow(format, body);
            assert_eq!(read["names"], json!(names), "{format}");
            assert_eq!(read["rows"].as_array().map(Vec::len), Some(5), "{format}");
            let first = read["rows"][0].as_array().expect("a row");
            assert_eq!(first[..4], [json!("row-0"), json!(true), json!(200), json!(0.125)], "{format}");
        }
    }
    let unknown = ask(&atl, STATEMENT, "image/png").await;
    assert_eq!(unknown.status, 406, "{}", unknown.text());
}

#[tokio::test]
async fn values_json_cannot_hold_are_text() {
    let atl = server_with_rows().await;
    let answer = atl
        .sql("SELECT CAST('NaN' AS DOUBLE) AS a, CAST('Infinity' AS DOUBLE) AS b, CAST('-Infinity' AS DOUBLE) AS c, 9007199254740993 AS d, 9007199254740991 AS e")
        .await;
    assert_eq!(
        answer.rows[0],
        [json!("NaN"), json!("+Inf"), json!("-Inf"), json!("9007199254740993"), json!(9007199254740991_i64)]
    );
    let tsid = atl.sql("SELECT tsid FROM metrics LIMIT 1").await;
    assert!(tsid.rows[0][0].is_string() || tsid.rows[0][0].as_i64().is_some_and(|id| id.abs() < 1 << 53));
}

#[tokio::test]
async fn questions_about_the_last_hour_are_answered() {
    let atl = server_with_rows().await;
    let counts = [
        ("SELECT count(*) FROM probes WHERE ts > now() - interval '1 hour'", 5),
        (
            "SELECT count(*) FROM metrics WHERE metric = 'probe_success' AND ts > now() - interval '1 hour' AND ts <= now()",
            5,
        ),
        ("SELECT count(*) FROM prom.probe_success WHERE ts < now() - interval '1 hour'", 0),
        (
            "SELECT count(*) FROM probes WHERE day = current_date() OR day = CAST(now() - interval '5 minutes' AS DATE)",
            5,
        ),
        (
            "SELECT count(*) FROM (SELECT date_bin(interval '1 minute', ts) FROM logs WHERE ts > now() - interval '1 day')",
            5,
        ),
    ];
    for (statement, expected) in counts {
        assert_eq!(atl.sql(statement).await.number(), expected, "`{statement}`");
    }
}

#[tokio::test]
async fn the_command_line_gives_the_same_answer() {
    let atl = server_with_rows().await;
    let statement = "SELECT probe, status_code FROM probes ORDER BY probe LIMIT 2";
    let output = atl.command(&["query", "sql", statement, "--output", "csv"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let csv = String::from_utf8_lossy(&output.stdout);
    assert_eq!(csv.lines().collect::<Vec<_>>(), ["probe,status_code", "row-0,200", "row-1,200"]);
    let table = atl.command(&["query", "sql", statement]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("row-1"), "{table:?}");
    let parquet = atl.command(&["query", "sql", statement, "--output", "parquet"]);
    assert_eq!(
        read_with_pyarrow("parquet", &parquet.stdout)["rows"],
        json!([["row-0", 200], ["row-1", 200]])
    );
    let wrong = atl.command(&["query", "sql", "SELEC 1"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        wrong.stdout.is_empty() && String::from_utf8_lossy(&wrong.stderr).contains("line 1"),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn errors_carry_line_column_and_a_suggestion() {
    let atl = server_with_rows().await;
    let wrong = [
        ("SELECT probe\nFROM probes\nWHER success", 3, "", ""),
        ("SELECT\n  prob\nFROM probes", 2, "prob", "probe"),
        ("SELECT 1 FROM metrixs", 1, "metrixs", "metrics"),
        ("SELECT nonsense(1)", 1, "nonsense", ""),
        ("SELECT (1", 1, "", ""),
    ];
    for (statement, line, names, suggests) in wrong {
        let refusal = atl.refused_sql(statement).await;
        assert_eq!(refusal.status, 400, "`{statement}`: {}", refusal.body);
        assert_eq!(refusal.body["line"], line, "`{statement}`: {}", refusal.body);
        assert!(
            refusal.body["column"].as_u64().is_some_and(|column| column > 0),
            "`{statement}`: {}",
            refusal.body
        );
        let text = refusal.body.to_string();
        assert!(text.contains(names) && text.contains(suggests), "`{statement}`: {text}");
    }
    let empty = atl.refused_sql("  ").await;
    assert_eq!(empty.status, 400);
    let bad_json = http::client()
        .post(atl.url("/api/sql"))
        .header("content-type", "application/json")
        .body("{\"q\": 1}");
    assert_eq!(http::send(bad_json).await.expect("an answer").status, 400);
}

/// Statements that must be refused, and must leave nothing behind.
const ATTACKS: &[&str] = &[
    "COPY metrics TO '/tmp/atl-stolen.csv'",
    "COPY (SELECT 1) TO '/tmp/atl-stolen.parquet' STORED AS PARQUET",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f(DOUBLE) RETURNS DOUBLE RETURN $1",
    "DROP TABLE metrics",
    "DROP VIEW metrics",
    "ALTER TABLE metrics RENAME TO m",
    "TRUNCATE TABLE metrics",
    "INSERT INTO metrics VALUES (1)",
    "INSERT INTO probes SELECT * FROM probes",
    "UPDATE metrics SET value = 0",
    "DELETE FROM metrics",
    "MERGE INTO metrics USING probes ON true WHEN MATCHED THEN DELETE",
    "SET datafusion.execution.target_partitions = 64",
    "SET datafusion.catalog.information_schema = true",
    "RESET datafusion.execution.batch_size",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "COMMIT",
    "SELECT 1; DROP TABLE metrics",
    "SELECT 1; SELECT 2",
    "EXPLAIN COPY metrics TO '/tmp/atl-stolen.csv'",
    "EXPLAIN ANALYZE INSERT INTO metrics VALUES (1)",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM '/etc/hosts.csv'",
    "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
    "SELECT * FROM \"s3://bucket/x.parquet\"",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/x.parquet')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM read_file('../../../../etc/passwd')",
    "SELECT * FROM read_file('/etc/passwd')",
    "SELECT * FROM read_file('file:///etc/passwd')",
    "SELECT * FROM read_file('metrics/../../secret.parquet')",
    "SELECT * FROM read_file('metrics/%2e%2e/%2e%2e/etc/passwd')",
    "SELECT * FROM read_file('metrics/_delta_log/00000000000000000000.json')",
    "SELECT * FROM information_schema.df_settings",
    "SHOW datafusion.execution.batch_size",
    "SELECT * FROM datafusion.public.nothing_here",
    "WITH x AS (INSERT INTO metrics VALUES (1)) SELECT * FROM x",
    "SELECT * FROM metrics INTO OUTFILE '/tmp/atl-stolen.csv'",
    "LOAD 'httpfs'",
    "ATTACH '/tmp/x.db'",
    "USE other",
    "GRANT ALL ON metrics TO public",
    "VACUUM",
    "ANALYZE TABLE metrics",
    "CALL sys.exit()",
    "KILL 1",
];

#[tokio::test]
async fn the_sandbox_refuses_every_attack_and_goes_on_serving() {
    let atl = server_with_rows().await;
    for attack in ATTACKS {
        let refusal = atl.refused_sql(attack).await;
        assert_eq!(refusal.status, 400, "`{attack}`: {}", refusal.body);
        let message = refusal.message();
        assert!(
            !message.is_empty() && !message.contains("panicked") && !message.contains("root:"),
            "`{attack}`: {message}"
        );
    }
    for stolen in ["/tmp/atl-stolen.csv", "/tmp/atl-stolen.parquet"] {
        assert!(!std::path::Path::new(stolen).exists(), "{stolen} was written");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let long = format!("SELECT {}", vec!["1"; 200_000].join("+"));
    let wide = format!("SELECT * FROM metrics WHERE metric IN ({})", vec!["'x'"; 60_000].join(","));
    for heavy in [deep, long, wide] {
        // Refused or answered, but never the end of the server.
        let _ = atl.try_sql(&heavy).await;
    }
    assert_eq!(atl.sql("SELECT count(*) FROM probes").await.number(), 5, "alive, and nothing changed");
    for allowed in
        ["EXPLAIN SELECT * FROM metrics", "SHOW TABLES", "DESCRIBE metrics", "SELECT 1 UNION ALL SELECT 2"]
    {
        atl.sql(allowed).await;
    }
}

#[tokio::test]
async fn catalog_status_and_objects_tell_what_is_there() {
    let mut config = format!("{NO_BUILTIN}{}", key_config());
    config.push_str("store: { flush_interval: 1s }\n");
    let atl = Atl::start(&config).await;
    let push = Signed::push("rows", &sample_push("row", 5));
    assert_eq!(push.send(&atl.base_url()).await.expect("an answer").status, 200);

    let catalog = http::get(&atl.url("/api/catalog")).await.expect("an answer").json();
    let schema = |name: &str| {
        let schemas = catalog["schemas"].as_array().expect("schemas");
        schemas
            .iter()
            .find(|schema| schema["name"] == name)
            .unwrap_or_else(|| panic!("no `{name}` in {catalog}"))
            .clone()
    };
    let names = |schema: &Value| -> Vec<String> {
        let tables = schema["tables"].as_array().expect("tables").iter();
        tables.map(|table| table["name"].as_str().expect("a name").to_owned()).collect()
    };
    let public = names(&schema("public"));
    for table in
        ["metrics", "series", "logs", "log_streams", "probes", "histograms", "start_times", "exemplars"]
    {
        assert!(public.iter().any(|name| name == table), "{table} is not in {public:?}");
    }
    assert!(names(&schema("prom")).iter().any(|name| name == "probe_success"));
    let columns = http::get(&atl.url("/api/catalog/prom/probe_success")).await.expect("an answer").json();
    let text = columns["columns"].to_string();
    assert!(text.contains("location") && text.contains("instance"), "{columns}");

    let tables = eventually("the rows are in files", Duration::from_secs(30), || async {
        let tables = http::get(&atl.url("/api/objects/tables")).await.expect("an answer").json();
        let list = tables["tables"].as_array().expect("tables").clone();
        let probes = list.iter().find(|table| table["name"] == "probes").expect("a table").clone();
        ensure(probes["rows"] == 5, || tables.to_string())?;
        Ok(probes)
    })
    .await;
    let day = tables["days"][0]["day"].as_str().expect("a day").to_owned();
    let listing = http::get(&atl.url(&format!("/api/objects?prefix=probes/day={day}/")))
        .await
        .expect("an answer")
        .json();
    let key =
        listing["objects"][0]["key"].as_str().unwrap_or_else(|| panic!("no file in {listing}")).to_owned();
    let encoded = key.replace('=', "%3D").replace('/', "%2F");
    let file =
        http::get(&atl.url(&format!("/api/objects/parquet?key={encoded}"))).await.expect("an answer").json();
    assert_eq!(file["rows"], 5, "{file}");
    assert!(file["row_groups"][0]["columns"].as_array().is_some_and(|columns| columns.len() > 15), "{file}");
    let rows = http::get(&atl.url(&format!("/api/objects/rows?key={encoded}&limit=2")))
        .await
        .expect("an answer")
        .json();
    assert_eq!(rows["rows"].as_array().map(Vec::len), Some(2), "{rows}");
    let queried = atl.sql(&format!("SELECT count(*) FROM read_file('{key}')")).await;
    assert_eq!(queried.number(), 5);
    for outside in ["..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "..%252F..%252Fetc%252Fpasswd"] {
        for endpoint in ["parquet", "rows", "text"] {
            let answer = http::get(&atl.url(&format!("/api/objects/{endpoint}?key={outside}")))
                .await
                .expect("an answer");
            assert!(
                (400..500).contains(&answer.status),
                "{endpoint} {outside}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    let status = http::get(&atl.url("/api/status")).await.expect("an answer").json();
    assert_eq!(status["store"]["kind"], "folder", "{status}");
    assert_eq!(status["ingest"]["probe_results_total"], 5, "{status}");
}
