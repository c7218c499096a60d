//! A store in a temporary directory with a few hosts' worth of rows, and an engine over it.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use model::{Batch, Labels, LogEntry, LogStream, ManualClock, Point, ProbeResult, Severity};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use store::Store;
use tempfile::TempDir;

use crate::{Config, Engine, QueryError, QueryOptions, Result};

/// 2026-11-21 23:30 UTC in milliseconds: the samples reach into the next day.
pub(crate) const START_MS: i64 = 1_795_303_800_000;
/// Samples a series has, one a minute.
pub(crate) const SAMPLES: i64 = 60;

pub(crate) struct Fixture {
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Engine,
    pub(crate) objects: Arc<InMemory>,
    _directory: TempDir,
}

impl Fixture {
    pub(crate) async fn empty(config: Config) -> Fixture {
        Fixture::behind(config, None, |objects| objects).await
    }

    /// `between` gives what the store takes for its object store.
    pub(crate) async fn behind(
        config: Config,
        cache: Option<store::CacheConfig>,
        between: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Fixture {
        let directory = TempDir::new().unwrap();
        let settings = store::Config {
            data_dir: directory.path().join("wal"),
            flush_interval: Duration::from_secs(3600),
            // What is flushed is read from files.
            hot_window: Duration::ZERO,
            cache,
            ..store::Config::default()
        };
        let objects = Arc::new(InMemory::new());
        let clock = Arc::new(ManualClock::at_ms(START_MS + 3_600_000));
        let between = between(Arc::<InMemory>::clone(&objects));
        let store = Store::open(settings, between, Path::from("team/atl"), clock).await.unwrap();
        let store = Arc::new(store);
        let snapshots = Arc::clone(&store);
        let engine = Engine::new(config, Arc::new(move || snapshots.snapshot())).unwrap();
        Fixture { store, engine, objects, _directory: directory }
    }

    /// A store with everything [`Fixture::fill`] writes, in the head.
    pub(crate) async fn filled() -> Fixture {
        let fixture = Fixture::empty(Config::default()).await;
        fixture.fill(0..SAMPLES).await;
        fixture
    }

    /// The same rows, half of them in files of two flushes and half in the head.
    pub(crate) async fn half_flushed() -> Fixture {
        let fixture = Fixture::empty(Config::default()).await;
        fixture.fill(0..20).await;
        fixture.store.flush().await.unwrap();
        fixture.fill(20..30).await;
        fixture.store.flush().await.unwrap();
        fixture.fill(30..SAMPLES).await;
        fixture
    }

    /// The same rows, all in files.
    pub(crate) async fn flushed() -> Fixture {
        let fixture = Fixture::empty(Config::default()).await;
        fixture.fill(0..20).await;
        fixture.store.flush().await.unwrap();
        fixture.fill(20..SAMPLES).await;
        fixture.store.flush().await.unwrap();
        fixture
    }

    pub(crate) async fn fill(&self, minutes: std::ops::Range<i64>) {
        self.store.append(batch(minutes)).await.unwrap();
    }

    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        Ok(self.engine.sql(sql, QueryOptions::default()).await?.collect().await?.0)
    }

    /// The answer as a table of text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let answer = self.engine.sql(sql, QueryOptions::default()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let schema = Arc::clone(answer.schema());
        let (batches, _) = answer.collect().await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let batches = if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches };
        pretty_format_batches(&batches).unwrap().to_string()
    }

    /// The physical plan as text.
    pub(crate) async fn plan(&self, sql: &str) -> String {
        let batches =
            self.rows(&format!("EXPLAIN {sql}")).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let text = pretty_format_batches(&batches).unwrap().to_string();
        text.split("physical_plan").nth(1).unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    pub(crate) async fn error(&self, sql: &str) -> QueryError {
        match self.rows(sql).await {
            Ok(rows) => panic!("{sql} was answered with {} batches", rows.len()),
            Err(error) => error,
        }
    }
}

/// Values of the only column of an answer, as text.
pub(crate) fn column(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(1);
    rows.map(|line| line.trim_matches(['|', ' ']).to_owned()).collect()
}

fn batch(minutes: std::ops::Range<i64>) -> Batch {
    let mut batch = Batch::new("test");
    for minute in minutes {
        let ms = START_MS + minute * 60_000;
        for host in ["alpha", "beta", "gamma"] {
            batch.points.extend(points(host, ms, minute));
        }
        batch.log_streams.extend(["web", "db"].map(|service| logs(service, ms, minute)));
        batch.probes.push(probe(ms, minute));
    }
    batch
}

fn points(host: &str, ms: i64, minute: i64) -> Vec<Point> {
    let point = |labels: &[(&str, &str)], value: f64| {
        let common = [("job", "node"), ("instance", host)];
        let labels = Labels::from_pairs(labels.iter().chain(&common).copied());
        Point { labels, timestamp_ms: ms, value }
    };
    let up = if host == "beta" && minute % 10 == 0 { 0.0 } else { 1.0 };
    vec![
        point(&[("__name__", "up")], up),
        point(&[("__name__", "cpu_seconds_total"), ("mode", "idle"), ("value", "v")], minute as f64 * 50.0),
        point(&[("__name__", "cpu_seconds_total"), ("mode", "user")], minute as f64 * 2.5),
        point(&[("__name__", "node_memory_MemTotal_bytes")], 16e9),
        point(&[("__name__", "job:up:ratio")], if minute == 7 { f64::NAN } else { 0.5 }),
    ]
}

fn logs(service: &str, ms: i64, minute: i64) -> LogStream {
    let entry = |i: i64| LogEntry {
        timestamp_ns: ms * 1_000_000 + i * 1_000_001,
        severity: if i == 0 { Severity::Error } else { Severity::Info },
        body: format!("{service} line {i} of minute {minute}"),
        attributes: vec![("minute".to_owned(), minute.to_string())],
        trace_id: (i == 1).then(|| format!("{minute:032x}")),
        span_id: None,
    };
    LogStream {
        labels: Labels::from_pairs([("service", service), ("host", "alpha"), ("source", "docker")]),
        entries: (0..3).map(entry).collect(),
    }
}

fn probe(ms: i64, minute: i64) -> ProbeResult {
    ProbeResult {
        timestamp_ms: ms,
        probe: if minute % 2 == 0 { "home" } else { "login" }.to_owned(),
        target: "https://example.org/".to_owned(),
        kind: "http".to_owned(),
        location: "FRA".to_owned(),
        success: minute % 5 != 0,
        reason: (minute % 5 == 0).then(|| "timeout".to_owned()),
        duration_seconds: 0.25,
        status_code: Some(200),
        body_bytes: Some(9_007_199_254_740_993),
        attributes: vec![("colo".to_owned(), "FRA".to_owned())],
        result_id: format!("r{minute}"),
        ..ProbeResult::default()
    }
}
