//! `metrics`, `logs`, `probes`, `series`, `log_streams`: where rows lie must not show.

use std::sync::Arc;

use super::fixture::{Fixture, SAMPLES, column};
use crate::{Config, Engine, QueryOptions};

/// Queries over every table whose answers are fully ordered. `last_ts` is left out: the store writes a label
/// set once a day, with the latest time known by then.
const QUERIES: [&str; 18] = [
    "SELECT count(*), min(ts), max(ts), count(DISTINCT tsid) FROM metrics",
    "SELECT metric, count(*) AS n, sum(value) AS total FROM metrics GROUP BY metric ORDER BY metric",
    "SELECT * FROM metrics ORDER BY metric, tsid, ts",
    "SELECT ts, value FROM metrics WHERE metric = 'up' AND value = 0 ORDER BY ts",
    "SELECT day, count(*) FROM metrics GROUP BY day ORDER BY day",
    "SELECT ts, instance FROM metrics WHERE metric = 'up' AND ts >= '2026-11-22T00:10:00Z' ORDER BY ts DESC, instance LIMIT 7",
    "SELECT metric, value FROM metrics WHERE ts BETWEEN '2026-11-21T23:45:00Z' AND '2026-11-21T23:46:00Z' ORDER BY metric, tsid, ts",
    "SELECT count(*) FROM logs WHERE service = 'web' AND body LIKE '%line 0%'",
    "SELECT service, severity, count(*) FROM logs GROUP BY service, severity ORDER BY service, severity",
    "SELECT ts, ts_ns, body, attributes FROM logs ORDER BY service, stream_id, ts, ts_ns LIMIT 20",
    "SELECT body FROM logs WHERE trace_id = '00000000000000000000000000000007' ORDER BY service",
    "SELECT count(*) FROM logs WHERE label(attributes, 'minute') = '5'",
    "SELECT probe, success, count(*) FROM probes GROUP BY probe, success ORDER BY probe, success",
    "SELECT * FROM probes ORDER BY probe, location, ts",
    "SELECT day, metric, tsid, label(labels, 'instance') AS instance, first_ts FROM series ORDER BY day, metric, tsid",
    "SELECT count(*), count(DISTINCT tsid) FROM series",
    "SELECT count(*) FROM series WHERE metric = 'up' AND label(labels, 'instance') = 'beta'",
    "SELECT day, service, labels, first_ts FROM log_streams ORDER BY day, service",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_do_not_depend_on_where_rows_lie() {
    let (head, half, files) =
        (Fixture::filled().await, Fixture::half_flushed().await, Fixture::flushed().await);
    for query in QUERIES {
        let expect = head.text(query).await;
        assert_eq!(half.text(query).await, expect, "half in files: {query}");
        assert_eq!(files.text(query).await, expect, "all in files: {query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_answers() {
    let fixture = Fixture::half_flushed().await;
    let check = async |query: &str, expect: &[&str]| {
        assert_eq!(column(&fixture.text(query).await), expect, "{query}")
    };
    check("SELECT count(*) FROM metrics", &[&(SAMPLES * 15).to_string()]).await;
    check("SELECT count(*) FROM logs", &[&(SAMPLES * 6).to_string()]).await;
    check("SELECT count(*) FROM probes WHERE NOT success", &["12"]).await;
    check("SELECT count(*) FROM metrics WHERE metric = 'up' AND value = 0", &["6"]).await;
    // 15 series on two days, written by three flushes and a head.
    check("SELECT count(*) FROM series", &["30"]).await;
    check("SELECT count(*) FROM log_streams", &["4"]).await;
    check("SELECT max(last_ts) FROM series", &["2026-11-22T00:29:00Z"]).await;
    check("SELECT min(first_ts) FROM series", &["2026-11-21T23:30:00Z"]).await;
    check("SELECT max(ts) FROM metrics", &["2026-11-22T00:29:00Z"]).await;
    check("SELECT max(ts_ns) FROM logs", &["2"]).await;
    check("SELECT arrow_typeof(day) FROM metrics LIMIT 1", &["Date32"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sort_order_of_files_and_head_is_used() {
    let fixture = Fixture::half_flushed().await;
    for query in [
        "SELECT * FROM metrics ORDER BY metric, tsid, ts",
        "SELECT ts, value FROM metrics WHERE metric = 'up' ORDER BY tsid, ts",
        "SELECT body FROM logs ORDER BY service, stream_id, ts, ts_ns",
        "SELECT * FROM probes ORDER BY probe, location, ts",
        "SELECT metric, tsid FROM series ORDER BY metric, tsid",
    ] {
        let plan = fixture.plan(query).await;
        assert!(!plan.contains("SortExec"), "{query}\n{plan}");
        assert!(plan.contains("DataSourceExec"), "{query}\n{plan}");
    }
    let plan = fixture.plan("SELECT * FROM metrics ORDER BY value").await;
    assert!(plan.contains("SortExec"), "{plan}");
}

/// Files a query opens, by its statistics.
async fn files(fixture: &Fixture, query: &str) -> usize {
    let answer = fixture.engine.sql(query, QueryOptions::default()).await.unwrap();
    answer.collect().await.unwrap().1.scanned.files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_pruned_before_they_are_opened() {
    let fixture = Fixture::flushed().await;
    let all = fixture.store.snapshot().files(store::Table::Metrics).len();
    // The first flush wrote one day, the second two.
    assert_eq!(all, 3);
    let check = async |condition: &str, expect: usize| {
        let query = format!("SELECT sum(value) FROM metrics WHERE {condition}");
        assert_eq!(files(&fixture, &query).await, expect, "{condition}");
    };
    check("true", 3).await;
    check("day = '2026-11-22'", 1).await;
    check("day < '2026-11-22'", 2).await;
    check("ts < '2026-11-21T23:40:00Z'", 1).await;
    check("ts >= '2026-11-22T00:00:00Z' AND metric = 'up'", 1).await;
    check("ts >= to_timestamp('2026-11-22T00:00:00')", 1).await;
    check("ts > timestamp '2026-11-22 00:00:00' - interval '5 minutes'", 2).await;
    check("metric = 'zzz'", 0).await;
    check("metric = 'aaa' OR day = '2026-11-22'", 1).await;
    check("metric LIKE 'aa%'", 0).await;
    check("metric IN ('aaa', 'zzz')", 0).await;
    check("tsid = 0 AND tsid = 1", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_needs_no_bytes_of_columns() {
    let fixture = Fixture::flushed().await;
    let answer = fixture.engine.sql("SELECT count(*) FROM metrics", QueryOptions::default()).await.unwrap();
    let (_, stats) = answer.collect().await.unwrap();
    assert_eq!(stats.rows, 1);
    assert_eq!(stats.scanned.bytes, 0);
    let answer = fixture.engine.sql("SELECT sum(value) FROM metrics", QueryOptions::default()).await.unwrap();
    let (_, stats) = answer.collect().await.unwrap();
    assert!(stats.scanned.bytes > 0 && stats.scanned.row_groups == 3, "{stats:?}");
    assert_eq!(stats.scanned.rows, usize::try_from(SAMPLES * 15).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_is_read_by_its_key() {
    let fixture = Fixture::flushed().await;
    let snapshot = fixture.store.snapshot();
    let file = &snapshot.files(store::Table::Metrics)[0];
    let key = file.key.as_ref().strip_prefix("team/atl/").unwrap();
    let query = format!("SELECT count(*) FROM read_file('{key}')");
    assert_eq!(column(&fixture.text(&query).await), [file.rows.to_string()]);
    let query = format!("SELECT metric FROM read_file('{key}') AS f WHERE f.metric = 'up' LIMIT 1");
    assert_eq!(column(&fixture.text(&query).await), ["up"]);
    let columns = fixture.text(&format!("SELECT * FROM read_file('{key}') LIMIT 1")).await;
    assert!(!columns.contains(" day "), "the file itself has no day: {columns}");
    let error = fixture.error("SELECT * FROM read_file('metrics/day=2026-11-21/none.parquet')").await;
    assert_eq!(error.message, "`metrics/day=2026-11-21/none.parquet` does not exist");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_missing_file_is_an_error_and_not_an_answer() {
    use crate::QueryErrorKind::BadFile;
    use object_store::ObjectStoreExt;

    let fixture = Fixture::flushed().await;
    let snapshot = fixture.store.snapshot();
    let key = snapshot.files(store::Table::Probes)[0].key.clone();
    let bytes = fixture.objects.get(&key).await.unwrap().bytes().await.unwrap();
    let fill = async |range: std::ops::Range<usize>| {
        let mut damaged = bytes.to_vec();
        damaged[range].fill(0xee);
        fixture.objects.put(&key, damaged.into()).await.unwrap();
    };
    // The pages, with the footer as it was.
    fill(100..bytes.len() * 2 / 3).await;
    let error = fixture.error("SELECT * FROM probes ORDER BY ts").await;
    assert_eq!(error.kind, BadFile, "{error:?}");
    assert!(error.message.contains(key.as_ref()), "{error:?}");
    // The footer. Its sound version may be remembered, so a new engine reads it.
    fill(bytes.len() - 40..bytes.len() - 20).await;
    let snapshots = Arc::clone(&fixture.store);
    let engine = Engine::new(Config::default(), Arc::new(move || snapshots.snapshot())).unwrap();
    let maximum = "SELECT max(duration_seconds) FROM probes";
    let error = engine.sql(maximum, QueryOptions::default()).await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind, BadFile, "{error:?}");
    assert!(error.message.contains(&format!("data file `{key}` is damaged")), "{error:?}");
    fixture.objects.delete(&key).await.unwrap();
    let error = engine.sql(maximum, QueryOptions::default()).await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind, BadFile, "{error:?}");
    assert_eq!(error.message, format!("data file `{key}` is missing"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn now_is_one_time_for_the_whole_query() {
    let fixture = Fixture::half_flushed().await;
    let of_long_ago = "SELECT count(*) FROM metrics WHERE ts < now() - interval '200 years'";
    assert_eq!(column(&fixture.text(of_long_ago).await), ["0"]);
    assert_eq!(column(&fixture.text("SELECT now() = now()").await), ["true"]);
    let recent = "SELECT count(*) = (SELECT count(*) FROM metrics) FROM metrics WHERE ts < now() + interval '100 years'";
    assert_eq!(column(&fixture.text(recent).await), ["true"]);
}

/// A sample written again after its flush is one row, with the value that counts, wherever its rows lie.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_that_several_files_hold_is_one_row() {
    use crate::tests::fixture::START_MS;
    use model::{Batch, Labels, Point};

    let fixture = Fixture::empty(Config::default()).await;
    let write = async |offset_ms: i64, values: [f64; 3]| {
        let mut batch = Batch::new("test");
        for (value, minute) in values.into_iter().zip(0..) {
            for host in ["a", "b"] {
                let labels = Labels::from_pairs([("__name__", "g"), ("instance", host)]);
                let timestamp_ms = START_MS + minute * 60_000 + offset_ms;
                batch.points.push(Point { labels, timestamp_ms, value });
            }
        }
        fixture.store.append(batch).await.unwrap();
    };
    write(0, [1.0, 2.0, 3.0]).await;
    fixture.store.flush().await.unwrap();
    write(0, [3.0, 2.0, f64::NAN]).await;
    write(1, [9.0, 9.0, 9.0]).await;
    let all = "SELECT value FROM metrics WHERE value < 5 AND instance = 'b' ORDER BY ts";
    let sums = [
        (all, vec!["3.0", "2.0", "3.0"]),
        ("SELECT count(*) AS n FROM metrics", vec!["12"]),
        ("SELECT sum(value) AS s FROM prom.g WHERE instance = 'a'", vec!["35.0"]),
        // Of the two values of the first sample the greater counts, also where only the other one is asked for.
        ("SELECT count(*) AS n FROM metrics WHERE value = 1", vec!["0"]),
        ("SELECT count(*) AS n FROM prom.g WHERE value = 1", vec!["0"]),
        ("SELECT value FROM metrics WHERE metric = 'g' ORDER BY metric, tsid, ts LIMIT 1", vec!["3.0"]),
    ];
    for round in ["file and head", "two files", "three files"] {
        for (sql, expected) in &sums {
            assert_eq!(column(&fixture.text(sql).await), *expected, "{sql}, {round}");
        }
        if round == "file and head" {
            assert!(fixture.plan("SELECT ts FROM metrics").await.contains("MergeExec: table=metrics"));
        } else {
            write(0, [0.5, 0.5, 0.5]).await;
        }
        fixture.store.flush().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_nobody_repeats_are_not_merged() {
    for fixture in [Fixture::half_flushed().await, Fixture::flushed().await] {
        let plan = fixture.plan("SELECT ts, value FROM metrics").await;
        assert!(!plan.contains("MergeExec"), "{plan}");
    }
}

/// Histograms, start times and exemplars, some of them sent twice.
fn sparse(numbers: std::ops::Range<i64>) -> model::Batch {
    let mut batch = model::Batch::new("test");
    for number in numbers {
        let timestamp_ms = super::fixture::START_MS + number * 60_000;
        let labels = model::Labels::from_pairs([("__name__", "latency"), ("job", "node")]);
        let positive = model::Buckets {
            spans: vec![model::BucketSpan { offset: 1, length: 2 }],
            counts: vec![number as f64, 0.5],
        };
        let histogram = model::NativeHistogram { count: number as f64, positive, ..Default::default() };
        let (start_ms, histogram) = (timestamp_ms - 1_000, Arc::new(histogram));
        let point = model::HistogramPoint { labels: labels.clone(), timestamp_ms, start_ms, histogram };
        batch.histograms.push(point);
        batch.starts.push(model::StartTime {
            labels: labels.clone(),
            timestamp_ms,
            start_ms: 1_000 + number,
        });
        let exemplar_labels = model::Labels::from_pairs([("trace_id", format!("t{number}"))]);
        let value = number as f64;
        batch.exemplars.push(model::Exemplar { labels, exemplar_labels, timestamp_ms, value });
    }
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histograms_start_times_and_exemplars_are_tables_in_which_nothing_repeats() {
    let [head, half, files] = [0, 1, 2].map(|_| Fixture::empty(Config::default()));
    let (head, half, files) = (head.await, half.await, files.await);
    head.store.append(sparse(0..60)).await.unwrap();
    half.store.append(sparse(0..30)).await.unwrap();
    half.store.flush().await.unwrap();
    half.store.append(sparse(20..60)).await.unwrap();
    files.store.append(sparse(0..40)).await.unwrap();
    files.store.flush().await.unwrap();
    files.store.append(sparse(10..60)).await.unwrap();
    files.store.flush().await.unwrap();
    for query in [
        "SELECT * FROM histograms ORDER BY metric, tsid, ts",
        "SELECT count(*), sum(count), min(ts), max(ts) FROM histograms",
        "SELECT ts, positive_counts[1] FROM histograms WHERE metric = 'latency' AND positive_counts[1] > 50 ORDER BY ts",
        "SELECT ts, array_length(positive_offsets) FROM histograms WHERE ts > '2026-11-22T00:10:00Z' ORDER BY ts DESC LIMIT 3",
        "SELECT count(*) FROM histograms WHERE count = 25",
        "SELECT * FROM start_times ORDER BY metric, tsid, ts",
        "SELECT * FROM exemplars ORDER BY metric, tsid, ts",
        "SELECT value FROM exemplars WHERE trace_id = 't25'",
        "SELECT label(labels, 'trace_id') FROM exemplars WHERE value > 57 ORDER BY ts",
        "SELECT metric, label(labels, 'job') FROM series",
    ] {
        let expect = head.text(query).await;
        assert_eq!(half.text(query).await, expect, "half in files: {query}");
        assert_eq!(files.text(query).await, expect, "all in files: {query}");
    }
    assert_eq!(column(&files.text("SELECT count(*) FROM histograms").await), ["60"]);
    assert_eq!(column(&half.text("SELECT count(*) FROM exemplars").await), ["60"]);
    assert_eq!(column(&half.text("SELECT value FROM exemplars WHERE trace_id = 't25'").await), ["25.0"]);
    let info = half.engine.catalog_info().await.unwrap();
    let tables: Vec<&str> = info.schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert!(
        ["histograms", "start_times", "exemplars"].iter().all(|name| tables.contains(name)),
        "{tables:?}"
    );
    let histograms = info.schemas[0].tables.iter().find(|table| table.name == "histograms").unwrap();
    let counts = histograms.columns.iter().find(|column| column.name == "positive_counts").unwrap();
    assert_eq!(counts.type_name, "array<double>");
    assert_eq!(histograms.rows, Some(30 + 40));
}
