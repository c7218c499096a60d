//! Footers of many files at once. Comes in: files; goes out: their footers, in the same order. Those of a folder of
//! this machine are read and decoded by several threads; elsewhere many are asked for at once.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::offload::{READERS_A_THREAD, on_blocking_threads};
use crate::snapshot::Snapshot;

/// Footers asked for at once for each thread allowed: an object store takes long to answer, but little else.
const ASKED_A_THREAD: usize = 8;

/// The footers of `files`; `threads` of them are decoded at once. Fails where one cannot be read.
pub(crate) async fn footers(
    snapshot: &Snapshot,
    files: &[Arc<DataFile>],
    threads: usize,
) -> Result<Vec<ArrowReaderMetadata>> {
    let footers = snapshot.footers();
    let known = files.iter().map(|file| footers.known(&file.key, file.size));
    let mut found: Vec<Option<ArrowReaderMetadata>> = known.collect();
    let missing = found.iter().enumerate().filter(|(_, footer)| footer.is_none());
    let missing: Vec<_> = missing.map(|(place, _)| (place, Arc::clone(&files[place]))).collect();
    let read: Vec<(usize, ArrowReaderMetadata)> = match snapshot.folder() {
        _ if missing.is_empty() => Vec::new(),
        Some(folder) => {
            let (snapshot, folder) = (snapshot.clone(), folder.clone());
            let read = move |(place, file): (usize, Arc<DataFile>)| {
                Ok((place, snapshot.footers().read_blocking(&folder, &file.key, file.size)?))
            };
            on_blocking_threads(missing, threads.saturating_mul(READERS_A_THREAD), read).await?
        }
        None => {
            let read = |(place, file): (usize, Arc<DataFile>)| async move {
                let footer = footers.read(snapshot.objects(), &file.key, file.size).await?;
                Ok::<_, Error>((place, footer))
            };
            let reads: Vec<_> = missing.into_iter().map(read).collect();
            let at_once = threads.max(1).saturating_mul(ASKED_A_THREAD);
            futures::stream::iter(reads).buffer_unordered(at_once).try_collect().await?
        }
    };
    read.into_iter().for_each(|(place, footer)| found[place] = Some(footer));
    Ok(found.into_iter().flatten().collect())
}
