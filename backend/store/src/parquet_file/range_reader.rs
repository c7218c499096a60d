//! Byte ranges of one object, as the Parquet reader asks for them.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use crate::objects::FolderObject;

/// Least and most bytes read from the end of a file at first. What fits saves a request.
const FOOTER_HINT: Range<u64> = 64 << 10..512 << 10;
/// Largest part of a file its footer is expected to be.
const FOOTER_PART: u64 = 80;

/// How many bytes to read from the end of a file at first.
fn footer_hint(size: u64) -> u64 {
    (size / FOOTER_PART).clamp(FOOTER_HINT.start, FOOTER_HINT.end).min(size)
}

/// A file on an object store.
#[derive(Clone, Debug)]
pub(super) struct RangeReader {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) key: Path,
    /// Size of the file in bytes.
    pub(super) size: u64,
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// Fails where an answer has lost its end.
fn check(range: &Range<u64>, bytes: &Bytes) -> Result<()> {
    let size = range.end - range.start;
    if bytes.len() as u64 == size {
        return Ok(());
    }
    Err(ParquetError::EOF(format!("{} bytes came instead of {size}", bytes.len())))
}

impl AsyncFileReader for RangeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let bytes = self.objects.get_range(&self.key, range.clone()).await.map_err(external)?;
            check(&range, &bytes)?;
            Ok(bytes)
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            let pieces = self.objects.get_ranges(&self.key, &ranges).await.map_err(external)?;
            ranges.iter().zip(&pieces).try_for_each(|(range, bytes)| check(range, bytes))?;
            Ok(pieces)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new()
                .with_arrow_reader_options(options)
                .with_prefetch_hint(usize::try_from(footer_hint(size)).ok());
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

/// A file in a folder of this machine, whose end is in memory. Reads block.
pub(super) struct FolderReader {
    object: FolderObject,
    end: Bytes,
}

impl FolderReader {
    /// Reads the end.
    pub(super) fn of(object: FolderObject) -> object_store::Result<FolderReader> {
        let size = object.size();
        let end = object.read(&(size - footer_hint(size)..size))?;
        Ok(FolderReader { object, end })
    }
}

impl Length for FolderReader {
    fn len(&self) -> u64 {
        self.object.size()
    }
}

impl ChunkReader for FolderReader {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let length = self.len().saturating_sub(start);
        Ok(self.get_bytes(start, usize::try_from(length)?)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let kept = self.len() - self.end.len() as u64;
        let inside = start.checked_sub(kept).and_then(|start| usize::try_from(start).ok());
        match inside.and_then(|start| Some(start..start.checked_add(length)?)) {
            Some(range) if range.end <= self.end.len() => Ok(self.end.slice(range)),
            _ => self.object.read(&(start..start.saturating_add(length as u64))).map_err(external),
        }
    }
}
