//! A cache of ranges of data files, in memory and on the local disk, in front of an object store.
//!
//! Comes in: an object store, and ranges asked of it. Goes out: an object store ([`CachedStore`]) that answers
//! ranges of the tables' data files from blocks of 1 MiB it has read before, and everything else from the store
//! behind it. A block is looked for in memory, then on disk, then on its way to somebody else, and asked of the
//! store last; neighbours that are missing come in one request. A cache that is full, damaged or out of disk
//! makes reads slower, and never wrong or impossible.
//!
//! What is cached can never be out of date: data files are written once, under a name with a UUID in it that
//! nobody uses again ([`block::FileRef::of`] takes no other name). Files that vacuum deletes are forgotten; were
//! they not, they would age out.
//!
//! Which blocks stay is decided by S3-FIFO ([`crate::s3fifo`]), in both tiers: a scan that reads everything once does
//! not drive out what is read again and again. The memory is part of the process's account, and goes first when
//! it is short.
//!
//! Why not the crate `foyer` (0.22): it has the two tiers and more, but fetches one key at a time, so that eight
//! blocks side by side are eight requests; its disk engine keeps 16 MiB of buffers by default and lets as much wait,
//! a quarter of what this whole process may take; and it brings 20 crates, among them a C library and io_uring.
//! What is needed of it here is a few hundred lines.
//!
//! Knows nothing of Parquet and of who reads.

use std::path::Path as FilePath;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

mod assembly;
mod block;
mod disk;
mod fetch;
mod flights;
mod objects;
mod read;
mod stats;

#[cfg(test)]
mod tests;

pub(crate) use block::file_hash;
pub(crate) use objects::CachedStore;
pub use stats::{CacheStats, CacheTierStats};

use crate::s3fifo::S3Fifo;
use block::{BLOCK_BYTES, Block, BlockKey, FileRef};
use disk::Disk;
use disk::files::Folder;
use flights::Flights;
use stats::Counters;

use crate::memory::Ledger;

/// Memory for blocks unless told otherwise: enough for what one dashboard reads over and over.
const MEMORY_BYTES_MAX: u64 = 16 << 20;
/// Part of the ledger's limit the blocks in memory may take at the most.
const LEDGER_PART: u64 = 16;
/// Most blocks in memory; bounds the bookkeeping where blocks are small.
const MEMORY_BLOCKS_MAX: usize = 4_096;
/// Requests to the store at once; each holds at most [`read::RUN_BLOCKS_MAX`] blocks.
const FETCHES_AT_ONCE: usize = 8;
/// Share of the ledger's limit, in tenths, from which on nothing more is kept in memory.
const LEDGER_TENTHS_MAX: u64 = 8;

/// Sizes of a cache. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Most the blocks on disk may take; `None` for a tenth of the free disk and at most 4 GiB, 0 for no blocks on
    /// disk.
    pub disk_bytes_max: Option<u64>,
    /// Most the blocks in memory may take.
    pub memory_bytes_max: u64,
}

impl Default for CacheConfig {
    fn default() -> CacheConfig {
        CacheConfig { disk_bytes_max: None, memory_bytes_max: MEMORY_BYTES_MAX }
    }
}

/// Blocks of files, and how to get them.
#[derive(Debug)]
pub(crate) struct RangeCache {
    /// Where blocks come from.
    store: Arc<dyn ObjectStore>,
    memory: Mutex<S3Fifo<BlockKey, Block>>,
    disk: Option<Disk>,
    flights: Flights,
    fetches: Semaphore,
    ledger: Arc<Ledger>,
    counters: Arc<Counters>,
    /// Where blocks are fetched, whoever waits for them.
    runtime: Handle,
}

impl RangeCache {
    /// A cache in front of `store`, with its blocks in the folder `folder`, which nobody else may use. What an
    /// earlier process left there is found in the background. To be called within a runtime, which blocks are
    /// fetched on.
    pub(crate) fn open(
        store: Arc<dyn ObjectStore>,
        folder: &FilePath,
        config: CacheConfig,
        ledger: Arc<Ledger>,
    ) -> Arc<RangeCache> {
        let counters = Arc::new(Counters::default());
        let start = |limit| {
            let files = Folder::open(folder)?;
            Disk::start(Arc::new(files), limit, Arc::clone(&counters))
        };
        let disk = match config.disk_bytes_max {
            Some(0) => None,
            limit => start(limit)
                .inspect_err(|error| {
                    let path = folder.display();
                    tracing::warn!(%error, %path, "the cache's folder cannot be used, it goes on without");
                })
                .ok(),
        };
        let memory_bytes_max = config.memory_bytes_max.min(ledger.limit() / LEDGER_PART);
        RangeCache::of(store, disk, memory_bytes_max, ledger, counters)
    }

    fn of(
        store: Arc<dyn ObjectStore>,
        disk: Option<Disk>,
        memory_bytes_max: u64,
        ledger: Arc<Ledger>,
        counters: Arc<Counters>,
    ) -> Arc<RangeCache> {
        Arc::new(RangeCache {
            store,
            memory: Mutex::new(S3Fifo::new(memory_bytes_max, MEMORY_BLOCKS_MAX)),
            disk,
            flights: Flights::default(),
            fetches: Semaphore::new(FETCHES_AT_ONCE),
            ledger,
            counters,
            runtime: Handle::current(),
        })
    }

    /// Takes in a file this process has just written, so that its first reader need not fetch it. Goes to disk
    /// alone, since rows just written are in memory anyway; a file too large for the queue is left out.
    pub(crate) fn put_file(&self, key: &Path, bytes: &Bytes, written_ms: i64) {
        let Some((disk, file)) = self.disk.as_ref().zip(FileRef::of(key)) else { return };
        for (number, piece) in (0..).zip(bytes.chunks(BLOCK_BYTES)) {
            if !disk.has_room(piece.len()) {
                return;
            }
            // A copy: a slice would hold the whole file for as long as one of its blocks waits.
            let (file_size, bytes) = (bytes.len() as u64, Bytes::copy_from_slice(piece));
            disk.write(&file, file.key(number), Block { bytes, file_size, modified_ms: written_ms });
        }
    }

    /// Forgets a file that is being deleted; `size` is its size in bytes.
    pub(crate) fn forget_file(&self, key: &Path, size: u64) {
        let Some(file) = FileRef::of(key) else { return };
        let blocks = u32::try_from(size.div_ceil(BLOCK_BYTES as u64)).unwrap_or(u32::MAX);
        for number in 0..blocks {
            self.forget(file.key(number));
        }
    }

    fn forget(&self, key: BlockKey) {
        self.memory().remove(&key);
        if let Some(disk) = &self.disk {
            disk.forget(key);
        }
    }

    /// Keeps a block in memory, unless memory is short.
    fn keep(&self, key: BlockKey, block: Block) {
        if self.ledger.used() > self.ledger.limit() / 10 * LEDGER_TENTHS_MAX {
            return;
        }
        let weight = block.bytes.len() as u64;
        let mut memory = self.memory();
        if weight > memory.bytes_max() {
            return;
        }
        let evicted = memory.insert(key, block, weight);
        drop(memory);
        Counters::add(&self.counters.memory_evictions, evicted.len() as u64);
    }

    /// Gives up as much of the memory as there is, up to `bytes`; tells how much.
    pub(crate) fn give_up_memory(&self, bytes: u64) -> u64 {
        let mut memory = self.memory();
        let before = memory.bytes();
        let evicted = memory.shrink_to(before.saturating_sub(bytes));
        Counters::add(&self.counters.memory_evictions, evicted.len() as u64);
        before - memory.bytes()
    }

    /// Bytes of memory held: blocks, those that wait to be written to disk, and what is known of those there.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let disk = self.disk.as_ref().map_or(0, Disk::memory_bytes);
        self.memory().bytes() + disk
    }

    /// What was read from where, and what is held.
    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = self.counters.stats();
        {
            let memory = self.memory();
            stats.memory.bytes = memory.bytes();
            stats.memory.limit_bytes = memory.bytes_max();
            stats.memory.blocks = memory.len() as u64;
        }
        if let Some(disk) = &self.disk {
            disk.note_sizes(&mut stats.disk);
        }
        stats
    }

    /// Ends the writing to disk: what waits is dropped. Blocks for as long as one block takes.
    pub(crate) fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.stop();
        }
    }

    fn memory(&self) -> MutexGuard<'_, S3Fifo<BlockKey, Block>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_memory(&self, key: &BlockKey) -> Option<Block> {
        let found = self.memory().get(key).cloned();
        let counter = if found.is_some() { &self.counters.memory_hits } else { &self.counters.memory_misses };
        counter.fetch_add(1, Relaxed);
        found
    }
}
