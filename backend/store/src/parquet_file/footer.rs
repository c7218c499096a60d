//! Footers of Parquet files, read once and kept in a small cache: files never change.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::cache::Cache;
use super::properties::{FORMAT_KEY, FORMAT_VERSION};
use super::range_reader::{FolderReader, RangeReader};
use crate::error::{Error, Result};
use crate::objects::DurableFolder;

/// Bytes of footers kept unless told otherwise.
const FOOTER_BYTES_MAX: usize = 32 << 20;
/// Largest file taken in, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 30;
/// Footers that can be on their way at once, less those whose names share a turn by chance.
const TURNS: usize = 64;

/// Reads footers, page indexes included.
#[derive(Debug)]
pub struct Footers {
    known: Cache<(Path, u64), ArrowReaderMetadata>,
    /// Who reads a footer holds one of these by its name, so that nobody else reads the same one meanwhile.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl Default for Footers {
    fn default() -> Footers {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Footers { known: Cache::new(FOOTER_BYTES_MAX), turns }
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
        let name = (key.clone(), size);
        if let Some(footer) = self.known.get(&name) {
            return Ok(footer);
        }
        let _turn = self.turn(&name).lock().await;
        if let Some(footer) = self.known.get(&name) {
            return Ok(footer);
        }
        check_size(key, size)?;
        let mut reader = RangeReader { objects: Arc::clone(objects), key: key.clone(), size };
        // The parser of other people's bytes may panic on them.
        let footer =
            AssertUnwindSafe(ArrowReaderMetadata::load_async(&mut reader, options())).catch_unwind().await;
        self.keep(name, footer.map_err(|_| undecodable(key))?)
    }

    /// The same from a folder of this machine. Blocks.
    pub(crate) fn read_blocking(
        &self,
        folder: &DurableFolder,
        key: &Path,
        size: u64,
    ) -> Result<ArrowReaderMetadata> {
        let name = (key.clone(), size);
        let _turn = self.turn(&name).blocking_lock();
        if let Some(footer) = self.known.get(&name) {
            return Ok(footer);
        }
        check_size(key, size)?;
        let failed = |error| Error::object("read", key, error);
        let object = folder.open_blocking(key).map_err(failed)?;
        // A footer found at another end than the committed one would be that of other bytes.
        if object.size() != size {
            return Err(Error::corrupt(key, format!("it has {} bytes instead of {size}", object.size())));
        }
        let reader = FolderReader::of(object).map_err(failed)?;
        let footer = catch_unwind(AssertUnwindSafe(|| ArrowReaderMetadata::load(&reader, options())));
        self.keep(name, footer.map_err(|_| undecodable(key))?)
    }

    /// The footer, if it was read before.
    pub(crate) fn known(&self, key: &Path, size: u64) -> Option<ArrowReaderMetadata> {
        self.known.get(&(key.clone(), size))
    }

    fn turn(&self, name: &(Path, u64)) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        &self.turns[hasher.finish() as usize % TURNS]
    }

    fn keep(
        &self,
        name: (Path, u64),
        read: parquet::errors::Result<ArrowReaderMetadata>,
    ) -> Result<ArrowReaderMetadata> {
        let footer = read.map_err(|error| Error::parquet(&name.0, error))?;
        check_format(&name.0, footer.metadata())?;
        self.known.insert(name, footer.clone(), footer.metadata().memory_size());
        Ok(footer)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.known.bytes()
    }
}

fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional)
}

fn check_size(key: &Path, size: u64) -> Result<()> {
    if size > FILE_BYTES_MAX {
        return Err(Error::TooLarge { what: key.to_string(), size, limit: FILE_BYTES_MAX });
    }
    Ok(())
}

fn undecodable(key: &Path) -> Error {
    Error::corrupt(key, "its footer cannot be decoded")
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
