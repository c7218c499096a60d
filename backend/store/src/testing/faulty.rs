//! An object store that fails, delays and loses replies, as its dice say.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::Dice;

/// What may go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and nothing happens.
    Before,
    /// It is done, and the reply is lost.
    After,
    /// A conditional put is told of a conflict, and nothing happens (S3's 409).
    Conflict,
    /// It is done, and the client's own second attempt meets its first one.
    TwiceSent,
    /// It fails, and is done up to [`LATE_MAX`] afterwards.
    Late,
}

/// How late a put that seemed to fail may still be done.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(60);

/// Fails one request in `one_in`, while switched on.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    dice: Dice,
    one_in: u64,
    on: AtomicBool,
    faults: AtomicU64,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, seed: u64, one_in: u64) -> FaultyStore {
        let (on, faults) = (AtomicBool::new(true), AtomicU64::new(0));
        FaultyStore { inner, dice: Dice::new(seed), one_in, on, faults }
    }

    pub(crate) fn switch(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// How often something went wrong.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }

    async fn throw(&self) -> Option<Fault> {
        if !self.on.load(Ordering::SeqCst) {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(self.dice.below(20))).await;
        if !self.dice.one_in(self.one_in) {
            return None;
        }
        self.faults.fetch_add(1, Ordering::SeqCst);
        let faults = [Fault::Before, Fault::After, Fault::Conflict, Fault::TwiceSent, Fault::Late];
        Some(faults[self.dice.below(5) as usize])
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

fn lost() -> Error {
    Error::Generic { store: "FaultyStore", source: "connection reset".into() }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let create = matches!(opts.mode, PutMode::Create);
        let exists = || Error::AlreadyExists { path: location.to_string(), source: "conflict".into() };
        match self.throw().await {
            None => self.inner.put_opts(location, payload, opts).await,
            Some(Fault::Before) => Err(lost()),
            Some(Fault::After) => {
                let _ = self.inner.put_opts(location, payload, opts).await;
                Err(lost())
            }
            Some(Fault::Conflict) => Err(if create { exists() } else { lost() }),
            Some(Fault::Late) => {
                let (inner, location) = (Arc::clone(&self.inner), location.clone());
                let wait = Duration::from_millis(self.dice.below(LATE_MAX.as_millis() as u64));
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let _ = inner.put_opts(&location, payload, opts).await;
                });
                Err(lost())
            }
            Some(Fault::TwiceSent) => {
                let first = self.inner.put_opts(location, payload, opts).await;
                if create { Err(exists()) } else { first }
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.throw().await {
            Some(_) => Err(lost()),
            None => self.inner.get_opts(location, options).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
