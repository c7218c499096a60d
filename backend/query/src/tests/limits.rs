//! Limits bite while rows flow, and say their names.

use std::time::{Duration, Instant};

use futures::StreamExt;

use super::fixture::Fixture;
use crate::{Config, PastLimit, QueryErrorKind, QueryOptions, Spill};

/// More rows than anyone waits for.
const ENDLESS: &str = "SELECT a.value FROM generate_series(1, 1000000000) a";
/// Works long before the first row.
const SLOW: &str = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";

async fn engine(config: Config) -> Fixture {
    Fixture::empty(config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_limited_while_planning_waiting_and_flowing() {
    let fixture =
        engine(Config { timeout: Duration::from_millis(300), row_limit: usize::MAX, ..Config::default() })
            .await;
    for query in [
        SLOW,
        ENDLESS,
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a.value % 7 = b.value % 11",
    ] {
        let started = Instant::now();
        let error = fixture.error(query).await;
        assert_eq!(error.kind, QueryErrorKind::Timeout, "{query}: {error:?}");
        assert_eq!(error.message, "query exceeded the time limit of 0.3 s");
        assert!(started.elapsed() < Duration::from_secs(10), "{query}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_falls_asleep_does_not_keep_its_place() {
    let config = Config { timeout: Duration::from_millis(500), max_concurrent: 1, ..Config::default() };
    let fixture = engine(config).await;
    let asleep = fixture.engine.sql(ENDLESS, QueryOptions::default()).await.unwrap();
    let next = fixture.rows("SELECT 1").await;
    assert!(next.is_ok(), "{next:?}");
    drop(asleep);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_limited() {
    let spill = Spill { directory: None, limit: 0 };
    let fixture = engine(Config { memory_limit: 8 << 20, spill, ..Config::default() }).await;
    for query in [
        "SELECT value FROM generate_series(1, 20000000) ORDER BY value % 1000, value DESC",
        "SELECT value * 7919 % 5000011 AS v, count(*) FROM generate_series(1, 5000000) GROUP BY v ORDER BY 2 LIMIT 1",
        "SELECT count(*) FROM generate_series(1, 3000000) a JOIN generate_series(1, 3000000) b ON a.value = b.value",
        "SELECT array_length(array_agg(value)) FROM generate_series(1, 20000000)",
    ] {
        let error = fixture.error(query).await;
        assert_eq!(error.kind, QueryErrorKind::Memory, "{query}: {error:?}");
        assert_eq!(error.message, "query exceeded the memory limit of 8 MiB", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sorts_spill_within_their_own_limit_and_clean_up() {
    let directory = tempfile::TempDir::new().unwrap();
    let timeout = Duration::from_secs(120);
    let spill = |limit| Spill { directory: Some(directory.path().to_owned()), limit };
    let sort = "SELECT value FROM generate_series(1, 3000000) ORDER BY value % 1000, value DESC";
    let fixture = engine(Config {
        memory_limit: 32 << 20,
        spill: spill(1 << 30),
        row_limit: 5,
        timeout,
        ..Config::default()
    })
    .await;
    let (rows, stats) =
        fixture.engine.sql(sort, QueryOptions::default()).await.unwrap().collect().await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 5);
    assert!(stats.truncated);
    drop(fixture);
    let fixture =
        engine(Config { memory_limit: 32 << 20, spill: spill(1 << 20), timeout, ..Config::default() }).await;
    let error = fixture.error(sort).await;
    assert_eq!(error.message, "query exceeded the limit of 1 MiB for temporary files", "{error:?}");
    drop(fixture);
    let patience = Instant::now() + Duration::from_secs(10);
    while walk(directory.path()) > 0 {
        assert!(Instant::now() < patience, "temporary files are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn walk(directory: &std::path::Path) -> usize {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { walk(&path) } else { 1 })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_limited() {
    let fixture = engine(Config { row_limit: 10_000, ..Config::default() }).await;
    let run = async |query: &str, options: QueryOptions| {
        let (batches, stats) = fixture.engine.sql(query, options).await?.collect().await?;
        crate::Result::Ok((batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), stats.truncated))
    };
    let limit = |limit| QueryOptions { limit: Some(limit), ..QueryOptions::default() };
    assert_eq!(run(ENDLESS, QueryOptions::default()).await, Ok((10_000, true)));
    assert_eq!(run(ENDLESS, limit(7)).await, Ok((7, true)));
    assert_eq!(run(ENDLESS, limit(0)).await, Ok((0, true)));
    assert_eq!(run(ENDLESS, limit(50_000)).await, Ok((10_000, true)));
    assert_eq!(run("SELECT * FROM generate_series(1, 7)", limit(7)).await, Ok((7, false)));
    assert_eq!(
        run("SELECT * FROM generate_series(1, 10000)", QueryOptions::default()).await,
        Ok((10_000, false))
    );
    let fail = QueryOptions { limit: Some(7), past_limit: PastLimit::Fail };
    let error: crate::QueryError = run(ENDLESS, fail).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (QueryErrorKind::RowLimit, "query exceeded the row limit of 7")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_an_answer_ends_its_query() {
    let fixture =
        engine(Config { max_concurrent: 1, queue_timeout: Duration::from_secs(20), ..Config::default() })
            .await;
    for query in [ENDLESS, SLOW] {
        let mut answer = fixture.engine.sql(query, QueryOptions::default()).await.unwrap();
        if query == ENDLESS {
            assert!(answer.next().await.unwrap().unwrap().num_rows() > 0);
        }
        drop(answer);
        let started = Instant::now();
        fixture.rows("SELECT 1").await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(5), "{query}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_queries_are_turned_away_with_a_reason() {
    let fixture =
        engine(Config { max_concurrent: 2, queue_timeout: Duration::from_millis(50), ..Config::default() })
            .await;
    let first = fixture.engine.sql(ENDLESS, QueryOptions::default()).await.unwrap();
    let second = fixture.engine.sql(ENDLESS, QueryOptions::default()).await.unwrap();
    let error = fixture.error("SELECT 1").await;
    assert_eq!(error.kind, QueryErrorKind::Busy);
    assert_eq!(error.message, "too many queries run at once, more than the limit of 2");
    drop((first, second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_stretch_are_bounded() {
    let fixture = engine(Config::default()).await;
    for query in [
        "SELECT repeat('x', 2000000000)",
        "SELECT length(repeat(repeat('x', 1000000), 1000000))",
        "SELECT lpad('x', 2000000000)",
        "SELECT rpad('x', 100000000, 'y')",
        "SELECT repeat('0123456789', 400000) FROM generate_series(1, 100000)",
        "SELECT repeat('0123456789', 40000) FROM generate_series(1, 100000)",
        "SELECT repeat(value::text, 40000) FROM generate_series(1, 100000)",
        "SELECT replace(repeat(value::text, 10000), '1', repeat('x', 10000)) FROM generate_series(1, 100000)",
        "SELECT concat(a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a) FROM (SELECT repeat(value::text, 1000) AS a FROM generate_series(90000, 100000))",
    ] {
        let error = fixture.error(query).await;
        assert_eq!(error.kind, QueryErrorKind::Memory, "{query}: {error:?}");
    }
    assert!(fixture.text("SELECT repeat('ab', 3), lpad('7', 3, '0')").await.contains("ababab"));
    for query in ["SELECT range(1, 1000000000000)", "SELECT array_repeat(1, 1000000000)"] {
        assert_eq!(fixture.error(query).await.kind, QueryErrorKind::Plan, "{query}");
    }
}

/// What is deep enough to overflow a stack is refused before anything recurses over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deepest_queries_that_pass_do_not_overflow_the_stack() {
    let fixture = Fixture::flushed().await;
    let chain = |one: &str, glue: &str, count: usize| vec![one; count].join(glue);
    let ids = (0..1024).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    for query in [
        format!("SELECT count(*) FROM metrics WHERE {}", chain("value = 7", " OR ", 390)),
        format!("SELECT count(*) FROM metrics WHERE {}", chain("tsid = ts::bigint", " AND ", 390)),
        format!("SELECT {} FROM metrics LIMIT 1", chain("value", " + ", 390)),
        format!("SELECT count(*) FROM metrics WHERE tsid IN ({ids})"),
        format!("SELECT count(*) FROM metrics WHERE metric = 'up' AND tsid NOT IN ({ids})"),
        format!("SELECT {}1{}", "(".repeat(95), ")".repeat(95)),
        format!("SELECT {}value{} FROM metrics LIMIT 1", "abs(".repeat(90), ")".repeat(90)),
        format!("SELECT {}1 {}", "CASE WHEN true THEN ".repeat(60), "END ".repeat(60)),
        chain("SELECT 1", " UNION ALL ", 100),
        format!(
            "SELECT count(*) FROM {}",
            (0..30).map(|i| format!("(SELECT 1 AS x{i})")).collect::<Vec<_>>().join(" CROSS JOIN ")
        ),
    ] {
        let answer = fixture.rows(&query).await;
        let refused = answer.as_ref().err().is_some_and(|error| error.kind == QueryErrorKind::Sandbox);
        assert!(answer.is_ok() || refused, "{}… {:?}", &query[..60], answer.err());
    }
}
