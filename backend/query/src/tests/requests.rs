//! What a question asks of the object store: nothing for its plan, and nothing when it is asked again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::fixture::{Fixture, SAMPLES, START_MS};
use crate::prom::PromOptions;
use crate::{Config, QueryOptions};

/// Counts requests for the tables, which sidecars, read in the background, are not.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn ObjectStore>,
    requests: Arc<AtomicU64>,
}

impl Counting {
    fn count(&self, key: Option<&Path>) -> &Arc<dyn ObjectStore> {
        let sidecar = key.is_some_and(|key| key.as_ref().contains("/_index/"));
        self.requests.fetch_add(u64::from(!sidecar), SeqCst);
        &self.inner
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.count(Some(location)).put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.count(Some(location)).put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.count(Some(location)).get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.count(Some(location)).get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.count(None).delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count(prefix).list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count(prefix).list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.count(Some(to)).copy_opts(from, to, options).await
    }
}

/// All rows in files, which nobody has read; `cache` in memory or none.
async fn counted(cache: bool) -> (Fixture, Arc<AtomicU64>) {
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    let memory = store::CacheConfig { disk_bytes_max: Some(0), ..store::CacheConfig::default() };
    let between = |inner| Arc::new(Counting { inner, requests: counter }) as Arc<dyn ObjectStore>;
    let fixture = Fixture::behind(Config::default(), cache.then_some(memory), between).await;
    for minutes in [0..20, 20..SAMPLES] {
        fixture.fill(minutes).await;
        fixture.store.flush().await.unwrap();
    }
    (fixture, requests)
}

const QUESTIONS: [&str; 6] = [
    "SELECT metric, count(*), sum(value) FROM metrics GROUP BY metric ORDER BY metric",
    "SELECT ts, value FROM metrics WHERE metric = 'up' AND value = 0 ORDER BY ts",
    "SELECT service, ts, body FROM logs ORDER BY service, stream_id, ts, ts_ns LIMIT 20",
    "SELECT count(*) FROM logs WHERE body LIKE '%line 0%'",
    "SELECT probe, success, count(*) FROM probes GROUP BY probe, success ORDER BY probe, success",
    "SELECT metric, tsid FROM series ORDER BY metric, tsid",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_question_asks_the_store_nothing_the_second_time() {
    for question in QUESTIONS {
        let (fixture, requests) = counted(true).await;
        let before = requests.load(SeqCst);
        let first = fixture.text(question).await;
        let between = requests.load(SeqCst);
        assert!(between > before, "{question}");
        assert_eq!(fixture.text(question).await, first);
        assert_eq!(requests.load(SeqCst), between, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cache_it_does() {
    let (fixture, requests) = counted(false).await;
    fixture.text(QUESTIONS[0]).await;
    let between = requests.load(SeqCst);
    fixture.text(QUESTIONS[0]).await;
    assert!(requests.load(SeqCst) > between);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promql_question_asks_nothing_the_second_time() {
    let (fixture, requests) = counted(true).await;
    let end_ms = START_MS + (SAMPLES - 1) * 60_000;
    let ask = async |question: &str| {
        let (prom, snapshot) = (fixture.engine.prom(), fixture.store.snapshot());
        prom.instant(snapshot, question, end_ms, &PromOptions::default()).await.unwrap();
        requests.load(SeqCst)
    };
    for question in
        ["sum by (instance) (rate(cpu_seconds_total[10m]))", "up == 0 or up", "count({job='node'})"]
    {
        let first = ask(question).await;
        assert_eq!(ask(question).await, first, "{question}");
    }
    assert!(requests.load(SeqCst) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planning_asks_the_store_nothing() {
    let (fixture, requests) = counted(false).await;
    let before = requests.load(SeqCst);
    for question in QUESTIONS {
        let plan = fixture.plan(question).await;
        assert!(plan.contains("DataSourceExec"), "{plan}");
        assert_eq!(requests.load(SeqCst), before, "{question}");
    }
    let answer = fixture.engine.sql(QUESTIONS[0], QueryOptions::default()).await.unwrap();
    answer.collect().await.unwrap();
    assert!(requests.load(SeqCst) > before, "running it does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_the_order_of_the_rows_is_not_sorted() {
    let fixture = Fixture::half_flushed().await;
    for question in [
        "SELECT metric, tsid, ts FROM metrics ORDER BY metric, tsid, ts",
        "SELECT metric, tsid, ts FROM metrics ORDER BY metric, tsid, ts LIMIT 5",
        "SELECT metric, tsid, max(value) FROM metrics GROUP BY metric, tsid",
        "SELECT tsid, ts, avg(value) OVER (PARTITION BY metric, tsid ORDER BY ts) FROM metrics",
    ] {
        let plan = fixture.plan(question).await;
        assert!(!plan.contains("SortExec"), "{question}\n{plan}");
    }
    let grouped = fixture.plan("SELECT metric, count(*) FROM metrics GROUP BY metric").await;
    assert!(grouped.contains("ordering_mode=Sorted"), "groups end where the next metric begins: {grouped}");
}
