//! An object store behind a wire that stands still, loses the ends of answers, and counts what goes over it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

use super::Dice;

/// What has gone over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Requests of any kind.
    pub(crate) requests: u64,
    /// Bytes of objects written.
    pub(crate) bytes_in: u64,
    /// Bytes of objects read.
    pub(crate) bytes_out: u64,
}

impl std::ops::Sub for Traffic {
    type Output = Traffic;

    fn sub(self, before: Traffic) -> Traffic {
        Traffic {
            requests: self.requests - before.requests,
            bytes_in: self.bytes_in - before.bytes_in,
            bytes_out: self.bytes_out - before.bytes_out,
        }
    }
}

/// The wire. Soundless as long as nothing is set.
#[derive(Debug)]
pub(crate) struct Wire {
    inner: Arc<dyn ObjectStore>,
    dice: Dice,
    gate: Arc<RwLock<()>>,
    /// One answer in so many loses its end; 0 for none.
    cut_one_in: AtomicU64,
    cuts: AtomicU64,
    requests: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Wire {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, seed: u64) -> Wire {
        let zero = || AtomicU64::new(0);
        Wire {
            inner,
            dice: Dice::new(seed),
            gate: Arc::default(),
            cut_one_in: zero(),
            cuts: zero(),
            requests: zero(),
            bytes_in: zero(),
            bytes_out: zero(),
        }
    }

    /// Lets requests wait until the guard is dropped.
    pub(crate) async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.gate).write_owned().await
    }

    /// Lets one answer in `one_in` lose its end, without an error; 0 for none.
    pub(crate) fn cut_answers(&self, one_in: u64) {
        self.cut_one_in.store(one_in, SeqCst);
    }

    /// Answers cut so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(SeqCst)
    }

    /// What has gone over it so far.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(SeqCst),
            bytes_in: self.bytes_in.load(SeqCst),
            bytes_out: self.bytes_out.load(SeqCst),
        }
    }

    async fn request(&self) {
        self.requests.fetch_add(1, SeqCst);
        drop(self.gate.read().await);
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

#[async_trait]
impl ObjectStore for Wire {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.request().await;
        self.bytes_in.fetch_add(payload.content_length() as u64, SeqCst);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.request().await;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.request().await;
        let answer = self.inner.get_opts(location, options).await?;
        let (meta, range, attributes) =
            (answer.meta.clone(), answer.range.clone(), answer.attributes.clone());
        let mut bytes = answer.bytes().await?;
        let one_in = self.cut_one_in.load(SeqCst);
        if one_in > 0 && !bytes.is_empty() && self.dice.one_in(one_in) {
            self.cuts.fetch_add(1, SeqCst);
            // At a line's end as often as anywhere: what is cut there still looks whole.
            let anywhere = self.dice.below(bytes.len() as u64) as usize;
            let line_end = bytes[..anywhere].iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            bytes.truncate(line_end.filter(|_| self.dice.one_in(2)).unwrap_or(anywhere));
        }
        self.bytes_out.fetch_add(bytes.len() as u64, SeqCst);
        let payload = GetResultPayload::Stream(futures::stream::iter([Ok(bytes)]).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.requests.fetch_add(1, SeqCst);
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.requests.fetch_add(1, SeqCst);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.request().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.request().await;
        self.inner.copy_opts(from, to, options).await
    }
}
