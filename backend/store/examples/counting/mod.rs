//! An object store that counts what would be requests to S3.
//!
//! One method call is one request, as in `object_store`'s client for S3: a multipart upload is a POST to begin, a PUT
//! a part and a POST to end; deletions go up to 1,000 keys a request; a listing answers 1,000 keys a request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

const KEYS_A_REQUEST: u64 = 1_000;

/// Requests and bytes by method and by what the object is.
pub(crate) type Counts = BTreeMap<(&'static str, String), (u64, u64)>;

/// The counters, shared with whoever reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    counts: Arc<Mutex<Counts>>,
    under_way: Arc<AtomicUsize>,
}

/// A request that is not answered yet.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Requests {
    fn add(&self, method: &'static str, what: String, requests: u64, bytes: u64) {
        let mut counts = self.counts();
        let count = counts.entry((method, what)).or_default();
        *count = (count.0 + requests, count.1 + bytes);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> UnderWay {
        self.under_way.fetch_add(1, SeqCst);
        UnderWay(Arc::clone(&self.under_way))
    }

    /// Requests that are not answered yet.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(SeqCst)
    }

    /// What was counted since the last call.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut self.counts())
    }
}

/// What an object is: a table's data, its log, a sidecar, the lease.
fn kind(key: &Path) -> String {
    let parts: Vec<_> = key.parts().collect();
    let table = parts.first().map_or("", |part| part.as_ref());
    let second = parts.get(1).map_or("", |part| part.as_ref());
    match second {
        _ if table.starts_with('_') => format!("{table}/{second}"),
        "_delta_log" => format!("{table} log"),
        _ => format!("{table} data"),
    }
}

/// Counts and hands on.
#[derive(Debug)]
pub(crate) struct CountingStore {
    inner: Arc<dyn ObjectStore>,
    requests: Requests,
}

impl CountingStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> (CountingStore, Requests) {
        let requests = Requests::default();
        (CountingStore { inner, requests: requests.clone() }, requests)
    }

    fn count_listing(&self, prefix: Option<&Path>) {
        self.requests.add("LIST", prefix.map_or_else(|| "all".to_owned(), kind), 1, 0);
    }
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountingStore")
    }
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let _one = self.requests.begin();
        self.requests.add("PUT", kind(location), 1, payload.content_length() as u64);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let what = kind(location);
        self.requests.add("POST", what.clone(), 1, 0);
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(CountingUpload { inner, what, requests: self.requests.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let _one = self.requests.begin();
        let method = if options.head { "HEAD" } else { "GET" };
        let answer = self.inner.get_opts(location, options).await;
        let bytes = answer.as_ref().map_or(0, |answer| answer.range.end - answer.range.start);
        self.requests.add(method, kind(location), 1, if method == "GET" { bytes } else { 0 });
        answer
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (requests, mut keys) = (self.requests.clone(), 0);
        let counted = locations.inspect_ok(move |location| {
            requests.add("DELETE", kind(location), u64::from(keys % KEYS_A_REQUEST == 0), 0);
            keys += 1;
        });
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count_listing(prefix);
        let what = prefix.map_or_else(|| "all".to_owned(), kind);
        let (requests, mut keys) = (self.requests.clone(), 0);
        let listed = self.inner.list(prefix).inspect_ok(move |_| {
            keys += 1;
            requests.add("LIST", what.clone(), u64::from(keys % KEYS_A_REQUEST == 0), 0);
        });
        listed.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let _one = self.requests.begin();
        self.count_listing(prefix);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.requests.add("COPY", kind(to), 1, 0);
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    what: String,
    requests: Requests,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.requests.add("PUT", self.what.clone(), 1, data.content_length() as u64);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.requests.add("POST", self.what.clone(), 1, 0);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.requests.add("DELETE", self.what.clone(), 1, 0);
        self.inner.abort().await
    }
}
