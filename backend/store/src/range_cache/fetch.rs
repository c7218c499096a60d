//! Blocks from the object store: one request for neighbours, and no answer taken that is not exactly as long as
//! it must be.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use object_store::{Error, GetOptions, ObjectStore};

use super::block::{BLOCK_BYTES, Block, FileRef, block_len};
use super::stats::Counters;

/// Times a range is asked for whose answers are wrong.
const ATTEMPTS: u32 = 3;
/// Wait after the first wrong answer; as much longer after each further one.
const PAUSE: Duration = Duration::from_millis(50);

enum Failure {
    /// The store failed; its client has tried again already where that may help.
    Store(Error),
    /// It answered with too few bytes, too many or others, or broke off.
    Reply(Error),
}

/// Blocks `numbers` of a file; fewer where the file ends before.
pub(super) async fn fetch(
    store: &dyn ObjectStore,
    file: &FileRef,
    numbers: Range<u32>,
    counters: &Counters,
) -> Result<Vec<Block>, Error> {
    let mut attempt = 1;
    loop {
        Counters::bump(&counters.requests);
        match fetch_once(store, file, numbers.clone()).await {
            Ok(blocks) => {
                let bytes = blocks.iter().map(|block| block.bytes.len() as u64).sum();
                Counters::add(&counters.fetched_bytes, bytes);
                return Ok(blocks);
            }
            Err(Failure::Reply(error)) if attempt < ATTEMPTS => {
                tracing::debug!(file = %file.path, %error, attempt, "asking for a range again");
                Counters::bump(&counters.retries);
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
            Err(Failure::Store(error) | Failure::Reply(error)) => return Err(error),
        }
    }
}

async fn fetch_once(
    store: &dyn ObjectStore,
    file: &FileRef,
    numbers: Range<u32>,
) -> Result<Vec<Block>, Failure> {
    let offset = |number: u32| u64::from(number) * BLOCK_BYTES as u64;
    let asked = offset(numbers.start)..offset(numbers.end);
    let options = GetOptions::new().with_range(Some(asked.clone()));
    let reply = store.get_opts(&file.path, options).await.map_err(Failure::Store)?;
    let (file_size, told) = (reply.meta.size, reply.range.clone());
    let modified_ms = reply.meta.last_modified.timestamp_millis();
    if told != (asked.start..asked.end.min(file_size)) || told.is_empty() {
        let reason = format!("bytes {told:?} of {file_size} came for {asked:?} of `{}`", file.path.as_ref());
        return Err(Failure::Reply(wrong(reason)));
    }
    let mut blocks =
        Filling { file_size, modified_ms, next: numbers.start, bytes: Vec::new(), full: Vec::new() };
    let mut chunks = reply.into_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(Failure::Reply)?;
        if !blocks.add(&chunk, numbers.end) {
            let reason = format!("more than bytes {told:?} of `{}` came", file.path.as_ref());
            return Err(Failure::Reply(wrong(reason)));
        }
    }
    if blocks.len() != told.end - told.start {
        let reason = format!("{} bytes of {told:?} of `{}` came", blocks.len(), file.path.as_ref());
        return Err(Failure::Reply(wrong(reason)));
    }
    Ok(blocks.full)
}

fn wrong(reason: String) -> Error {
    Error::Generic { store: "range cache", source: reason.into() }
}

/// Blocks as their bytes arrive. Each has memory of its own, so that one that stays does not keep the others.
struct Filling {
    file_size: u64,
    modified_ms: i64,
    /// Number of the block that is being filled.
    next: u32,
    bytes: Vec<u8>,
    full: Vec<Block>,
}

impl Filling {
    /// False where there are more bytes than blocks before `end`.
    fn add(&mut self, mut chunk: &[u8], end: u32) -> bool {
        while !chunk.is_empty() {
            let Some(len) = block_len(self.file_size, self.next).filter(|_| self.next < end) else {
                return false;
            };
            if self.bytes.is_empty() {
                self.bytes.reserve_exact(len);
            }
            let (now, rest) = chunk.split_at(chunk.len().min(len - self.bytes.len()));
            self.bytes.extend_from_slice(now);
            chunk = rest;
            if self.bytes.len() == len {
                let bytes = Bytes::from(std::mem::take(&mut self.bytes));
                let (file_size, modified_ms) = (self.file_size, self.modified_ms);
                self.full.push(Block { bytes, file_size, modified_ms });
                self.next += 1;
            }
        }
        true
    }

    fn len(&self) -> u64 {
        self.full.iter().map(|block| block.bytes.len() as u64).sum::<u64>() + self.bytes.len() as u64
    }
}
