//! Footers of Parquet files, read once and kept in a small cache: files never change.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::cache::Cache;
use super::properties::{FORMAT_KEY, FORMAT_VERSION};
use super::range_reader::RangeReader;
use crate::error::{Error, Result};

/// Bytes of footers kept unless told otherwise.
const FOOTER_BYTES_MAX: usize = 32 << 20;
/// Largest file taken in, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// Reads footers, page indexes included.
#[derive(Debug)]
pub struct Footers(Cache<(Path, u64), ArrowReaderMetadata>);

impl Default for Footers {
    fn default() -> Footers {
        Footers(Cache::new(FOOTER_BYTES_MAX))
    }
}

impl Footers {
    /// The footer of the file at `key`, `size` bytes long.
    pub async fn read(
        &self,
        objects: &Arc<dyn ObjectStore>,
        key: &Path,
        size: u64,
    ) -> Result<ArrowReaderMetadata> {
        if size > FILE_BYTES_MAX {
            return Err(Error::TooLarge { what: key.to_string(), size, limit: FILE_BYTES_MAX });
        }
        let name = (key.clone(), size);
        if let Some(footer) = self.0.get(&name) {
            return Ok(footer);
        }
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let mut reader = RangeReader { objects: Arc::clone(objects), key: key.clone(), size };
        // The parser of other people's bytes may panic on them.
        let footer =
            AssertUnwindSafe(ArrowReaderMetadata::load_async(&mut reader, options)).catch_unwind().await;
        let footer = footer.map_err(|_| Error::corrupt(key, "its footer cannot be decoded"))?;
        let footer = footer.map_err(|error| Error::parquet(key, error))?;
        check_format(key, footer.metadata())?;
        self.0.insert(name, footer.clone(), footer.metadata().memory_size());
        Ok(footer)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// Fails where a later version of this program has written the file in a format that is not known here. Files of
/// other writers have no format of ours and are read by their columns.
pub fn check_format(key: &Path, metadata: &ParquetMetaData) -> Result<()> {
    let entries = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let format = |text: &str| text.parse::<u32>().ok();
    let mut values =
        entries.filter(|entry| entry.key == FORMAT_KEY).filter_map(|entry| entry.value.as_deref());
    let known = format(FORMAT_VERSION).unwrap_or(1);
    match values.find_map(format) {
        Some(found) if found > known => Err(Error::Newer { what: key.to_string(), found, known }),
        _ => Ok(()),
    }
}
