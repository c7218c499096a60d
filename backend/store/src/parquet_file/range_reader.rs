//! Byte ranges of one object, as the Parquet reader asks for them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// Bytes read from the end of a file at first; most footers fit, which saves a request.
const FOOTER_HINT: usize = 64 << 10;

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
                .with_prefetch_hint(Some(FOOTER_HINT));
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}
