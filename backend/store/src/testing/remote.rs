//! An object store that counts requests, and whose answers can be held up, cut short, drawn out or refused.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The connection ends without a word before the last byte.
    CutShort,
    /// The connection breaks before the last byte.
    Breaks,
    /// One byte too many comes.
    TooLong,
    /// The bytes are of another place, and the answer says so.
    Elsewhere,
    /// The request fails.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Remote {
    inner: Arc<dyn ObjectStore>,
    gets: AtomicU64,
    ranges: Mutex<Vec<Range<u64>>>,
    wrong: Mutex<Option<Wrong>>,
    /// How many of the next answers are wrong.
    wrong_left: AtomicU32,
    /// Added to every answer, milliseconds.
    delay_ms: AtomicU64,
}

impl Remote {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Remote {
        Remote {
            inner,
            gets: AtomicU64::new(0),
            ranges: Mutex::default(),
            wrong: Mutex::default(),
            wrong_left: AtomicU32::new(0),
            delay_ms: AtomicU64::new(0),
        }
    }

    /// Requests for an object's bytes so far.
    pub(crate) fn gets(&self) -> u64 {
        self.gets.load(SeqCst)
    }

    /// The ranges they asked for.
    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        self.ranges.lock().unwrap().clone()
    }

    /// Makes the next `count` answers wrong.
    pub(crate) fn go_wrong(&self, wrong: Wrong, count: u32) {
        *self.wrong.lock().unwrap() = Some(wrong);
        self.wrong_left.store(count, SeqCst);
    }

    /// Delays every answer.
    pub(crate) fn delay(&self, time: Duration) {
        self.delay_ms.store(time.as_millis() as u64, SeqCst);
    }

    fn next_wrong(&self) -> Option<Wrong> {
        let left = self.wrong_left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.ok().and(*self.wrong.lock().unwrap())
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

fn reset() -> Error {
    Error::Generic { store: "Remote", source: "connection reset".into() }
}

#[async_trait]
impl ObjectStore for Remote {
    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(u64::from(!options.head), SeqCst);
        if let Some(GetRange::Bounded(range)) = &options.range {
            self.ranges.lock().unwrap().push(range.clone());
        }
        let delay = self.delay_ms.load(SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let wrong = self.next_wrong();
        match (wrong, &options.range) {
            (Some(Wrong::Refused), _) => return Err(reset()),
            (Some(Wrong::Elsewhere), Some(GetRange::Bounded(range))) => {
                options.range = Some(GetRange::Bounded(range.start + 1..range.end));
            }
            _ => {}
        }
        let mut result = self.inner.get_opts(location, options).await?;
        let cut = |bytes: &Bytes| bytes.slice(..bytes.len().saturating_sub(1));
        if matches!(wrong, Some(Wrong::CutShort | Wrong::Breaks | Wrong::TooLong)) {
            let GetResult { meta, range, attributes, .. } = &result;
            let (meta, range, attributes) = (meta.clone(), range.clone(), attributes.clone());
            let bytes = result.bytes().await?;
            let chunks = match wrong {
                Some(Wrong::CutShort) => vec![Ok(cut(&bytes))],
                Some(Wrong::Breaks) => vec![Ok(cut(&bytes)), Err(reset())],
                _ => vec![Ok(bytes), Ok(Bytes::from_static(b"!"))],
            };
            let payload = GetResultPayload::Stream(futures::stream::iter(chunks).boxed());
            result = GetResult { payload, meta, range, attributes };
        }
        Ok(result)
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
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
