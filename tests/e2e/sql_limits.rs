//! A query that asks for too much is stopped, says which limit stopped it, and takes nobody with it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually, http};

/// A server with this host's metrics in it and these limits.
async fn server(query: &str) -> Atl {
    let atl = Atl::start(&format!(
        "builtin: {{ scrape_interval: 1s, own_metrics: false }}\nquery: {{ {query} }}\n"
    ))
    .await;
    eventually("some hundred rows are in", Duration::from_secs(30), || async {
        let rows = atl.count("SELECT count(*) FROM metrics").await?;
        ensure(rows >= 400, || format!("{rows} rows"))
    })
    .await;
    atl
}

/// Work for hours that keeps nothing, on any machine: hundreds of rows squared, times numbers without end.
const ENDLESS: &str = "SELECT count(*) FROM metrics a, metrics b, generate_series(1, 100000000000) c \
     WHERE a.value + b.value + c.value > 1e308";

/// The same for a processor that is never given back by itself: no row comes out before the end, and each costs much.
const BUSY: &str = "SELECT sum(CASE WHEN concat(a.metric, b.metric, c.metric) ~ '(a|b|c)*d(e|f)+x' THEN 1 ELSE 0 END) \
     FROM (SELECT metric FROM metrics LIMIT 400) a, (SELECT metric FROM metrics LIMIT 400) b, (SELECT metric FROM metrics LIMIT 400) c";

#[tokio::test]
async fn the_time_limit_stops_a_query_and_says_so() {
    let atl = server("timeout: 2s").await;
    for deadly in [ENDLESS, BUSY, "SELECT count(*) FROM generate_series(1, 100000000000)"] {
        let asked = Instant::now();
        let refusal = atl.refused_sql(deadly).await;
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(8), "`{deadly}`: the limit of 2 s took {took:?}");
        assert_eq!(refusal.status, 422, "{}", refusal.body);
        assert!(refusal.message().contains("time limit of 2 s"), "`{deadly}`: {}", refusal.body);
    }
    assert!(atl.sql("SELECT count(*) FROM metrics").await.number() > 0, "it goes on serving");
}

#[tokio::test]
async fn the_memory_limit_stops_a_query_and_says_so() {
    let atl = server("timeout: 60s, memory_limit: 32MiB").await;
    let before = atl.process().memory();
    let greedy = "SELECT a.metric, array_agg(concat(b.metric, c.metric)) FROM metrics a, metrics b, metrics c GROUP BY a.metric";
    let refusal = atl.refused_sql(greedy).await;
    assert_eq!(refusal.status, 422, "{}", refusal.body);
    assert!(refusal.message().contains("memory"), "{}", refusal.body);
    let after = atl.process().memory();
    let growth = after.peak.saturating_sub(before.resident);
    assert!(growth < 300 << 20, "a query limited to 32 MiB took {growth} bytes");
    assert!(atl.sql("SELECT count(*) FROM metrics").await.number() > 0, "it goes on serving");
}

#[tokio::test]
async fn the_row_limit_cuts_an_answer_and_says_so() {
    let atl = server("row_limit: 100").await;
    let many = "SELECT a.metric FROM metrics a, metrics b";
    let cut = atl.sql(many).await;
    assert_eq!((cut.rows.len(), cut.truncated), (100, true));
    let own = atl.sql_limited(many, 7).await;
    assert_eq!((own.rows.len(), own.truncated), (7, true));
    let whole = atl.sql("SELECT 1").await;
    assert_eq!((whole.rows.len(), whole.truncated), (1, false));
    let beyond = atl.sql_limited(many, 100_000).await;
    assert_eq!(beyond.rows.len(), 100, "a client cannot lift the limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_connection_ends_its_query_and_frees_its_place() {
    let atl = server("timeout: 120s, max_concurrent: 1").await;
    let request = http::client().post(atl.url("/api/sql")).body(ENDLESS);
    let dropped = timeout(Duration::from_secs(2), request.send()).await;
    assert!(dropped.is_err(), "it was to run for long");
    let asked = Instant::now();
    atl.sql("SELECT count(*) FROM metrics").await;
    assert!(asked.elapsed() < Duration::from_secs(5), "the place was taken for {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_queries_of_death_at_once_do_not_stop_scrapes() {
    let mut atl = server("timeout: 3s").await;
    let statement = "SELECT count(*) FROM prom.up WHERE job = 'host'";
    let before = atl.sql(statement).await.number();
    let deadly: Vec<_> = (0..20)
        .map(|number| if number % 2 == 0 { ENDLESS } else { BUSY })
        .map(|statement| tokio::spawn(http::send(http::client().post(atl.url("/api/sql")).body(statement))))
        .collect();
    sleep(Duration::from_secs(1)).await;
    let asked = Instant::now();
    assert_eq!(http::get(&atl.url("/-/healthy")).await.expect("an answer").status, 200);
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "everything else waits for queries: {:?}",
        asked.elapsed()
    );
    for query in deadly {
        let answer = query.await.expect("no panic").expect("an answer");
        assert!([422, 503].contains(&answer.status), "{}: {}", answer.status, answer.text());
    }
    sleep(Duration::from_secs(2)).await;
    let scrapes = atl.sql(statement).await.number() - before;
    assert!(scrapes >= 3, "only {scrapes} scrapes while the queries ran");
    atl.stop().await;
}
