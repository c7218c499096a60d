//! Sidecars between the object store and memory: written beside data files, read back in the background.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio_util::sync::CancellationToken;

use super::index::TokenIndex;
use super::sidecar::{Header, SIDECAR_BYTES_MAX, Sidecar};
use crate::catalog::{Catalog, DataFile};
use crate::error::{Error, Result};
use crate::objects::upload;
use crate::paths::{sidecar_key, sidecar_root};
use crate::stats::Counters;
use crate::tables::Table;

/// Sidecars on their way at once.
const READS_AT_ONCE: usize = 8;
/// Pause after reading what was asked for, so that many questions make few rounds.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes the sidecar of the data file at `file`. A failure costs later
/// queries time, not rows, so it is counted and told, and that is all.
pub(crate) async fn write(
    index: &TokenIndex,
    objects: &dyn ObjectStore,
    prefix: &Path,
    file: &Path,
    sidecar: &Sidecar,
) -> bool {
    let bytes = sidecar.encode();
    let size = bytes.len() as u64;
    let outcome = match sidecar_key(prefix, Table::Logs, file) {
        _ if size > SIDECAR_BYTES_MAX => {
            Err(Error::TooLarge { what: file.to_string(), size, limit: SIDECAR_BYTES_MAX })
        }
        Some(key) => upload(objects, &key, Bytes::from(bytes)).await,
        None => Err(Error::Key(file.to_string())),
    };
    match outcome {
        Ok(()) => {
            Counters::bump(&index.counters.sidecars);
            Counters::add(&index.counters.sidecar_bytes, size);
            true
        }
        Err(error) => {
            Counters::bump(&index.counters.sidecar_failures);
            tracing::warn!(%error, %file, "no token sidecar for a data file, queries will not skip it");
            false
        }
    }
}

impl Catalog {
    /// Reads the sidecars of all committed log files into memory, newest days first, as many as there is
    /// room for. Gives how many.
    pub async fn load_tokens(&self) -> Result<usize> {
        let sizes = self.list_sidecars().await?;
        let sets = self.files();
        let mut with = Vec::new();
        for file in sets.table(Table::Logs).iter().rev().filter(|file| !self.tokens().holds(file)) {
            match sidecar_key(self.prefix(), Table::Logs, &file.key).and_then(|key| sizes.get(&key)) {
                Some(size) => with.push((Arc::clone(file), *size)),
                None => self.tokens().insert_none(file),
            }
        }
        let all_fit = with.iter().map(|(_, size)| size).sum::<u64>() <= self.tokens().room();
        let part = |size: u64| if all_fit { Part::Whole } else { Part::File(size) };
        let loaded = futures::stream::iter(with)
            .take_while(|_| std::future::ready(self.tokens().has_file_room()))
            .map(|(file, size)| self.load_one(file, part(size), false))
            .buffered(READS_AT_ONCE)
            .filter(|loaded| std::future::ready(*loaded))
            .count();
        Ok(loaded.await)
    }

    /// Keys and sizes of all sidecars of `logs`.
    async fn list_sidecars(&self) -> Result<HashMap<Path, u64>> {
        let root = sidecar_root(self.prefix(), Table::Logs);
        let listed = self.objects().list(Some(&root));
        let sizes = listed.map_ok(|meta| (meta.location, meta.size)).try_collect().await;
        sizes.map_err(|source| Error::object("list", &root, source))
    }

    /// Reads what queries have asked for. Gives how many files' filters came.
    pub(crate) async fn load_wanted_tokens(&self) -> usize {
        let wanted = self.tokens().take_wanted();
        let loads = wanted.into_iter().map(|file| self.load_one(file, Part::Whole, true));
        let loaded = futures::stream::iter(loads).buffered(READS_AT_ONCE);
        loaded.filter(|loaded| std::future::ready(*loaded)).count().await
    }

    /// Reads a part of the sidecar of `file`. True where filters came.
    async fn load_one(&self, file: Arc<DataFile>, part: Part, asked: bool) -> bool {
        let file = file.as_ref();
        let Some(key) = sidecar_key(self.prefix(), Table::Logs, &file.key) else {
            self.tokens().insert_none(file);
            return false;
        };
        let read = match part {
            Part::File(size) => read_file_part(self.objects().as_ref(), &key, size).await,
            Part::Whole => read_whole(self.objects().as_ref(), &key).await,
        };
        let counters = &self.tokens().counters;
        match read {
            Ok(sidecar) if self.tokens().insert(file, &sidecar, asked) => {
                Counters::bump(&counters.loads);
                return true;
            }
            Ok(_) => {
                Counters::bump(&counters.load_failures);
                tracing::warn!(%key, "a token sidecar belongs to another data file");
                self.tokens().insert_none(file);
            }
            Err(error) if error.is_not_found() => self.tokens().insert_none(file),
            Err(error) => {
                Counters::bump(&counters.load_failures);
                tracing::warn!(%error, "a token sidecar cannot be read");
                if matches!(error, Error::Corrupt { .. } | Error::TooLarge { .. }) {
                    self.tokens().insert_none(file);
                }
            }
        }
        false
    }
}

/// What to read of a sidecar.
#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    /// The header and the filter of the whole file, of a sidecar of so many bytes.
    File(u64),
}

async fn read_whole(objects: &dyn ObjectStore, key: &Path) -> Result<Sidecar> {
    let failed = |source| Error::object("read", key, source);
    let answer = objects.get(key).await.map_err(failed)?;
    let size = answer.meta.size;
    if size > SIDECAR_BYTES_MAX {
        return Err(Error::TooLarge { what: key.to_string(), size, limit: SIDECAR_BYTES_MAX });
    }
    let bytes = answer.bytes().await.map_err(failed)?;
    Sidecar::decode(&bytes).map_err(|reason| Error::corrupt(key, reason))
}

/// Reads the header and the filter of the whole file, which is about half of the sidecar.
async fn read_file_part(objects: &dyn ObjectStore, key: &Path, size: u64) -> Result<Sidecar> {
    if size > SIDECAR_BYTES_MAX {
        return Err(Error::TooLarge { what: key.to_string(), size, limit: SIDECAR_BYTES_MAX });
    }
    let damaged = |reason| Error::corrupt(key, reason);
    let range = async |range| {
        objects.get_range(key, range).await.map_err(|source| Error::object("read", key, source))
    };
    let guess = (size / 2 + 4_096).min(size);
    let mut bytes = range(0..guess).await?.to_vec();
    let header = Header::decode(&bytes, size).map_err(damaged)?;
    let needed = header.file_part_bytes() as u64;
    if needed > guess {
        bytes.extend(range(guess..needed).await?);
    }
    let file = header.file_filter(&bytes).map_err(damaged)?;
    Ok(Sidecar { file, ..header.without_filters() })
}

/// Reads sidecars at the start and when queries ask for them, until told to stop.
pub(crate) async fn run(catalog: &Catalog, stop: CancellationToken) {
    let work = async {
        if let Err(error) = catalog.load_tokens().await {
            tracing::warn!(%error, "token sidecars cannot be listed; they are read when queries ask for them");
        }
        loop {
            catalog.tokens().wanted_some.notified().await;
            catalog.load_wanted_tokens().await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}
