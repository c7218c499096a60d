//! Blocks on the local disk, one file each.
//!
//! Comes in: blocks to keep, keys to look up or forget. Goes out: blocks that are surely what was put in.
//! Writing, evicting and finding what an earlier process left is done by one thread with a bounded queue; what
//! does not fit into the queue is not kept. Reading is done by whoever asks, and blocks. Files are not synced: a
//! power cut costs blocks, which their checksums tell. Where the disk fails, or the file system runs full, the
//! cache gives way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

pub(super) mod files;
pub(super) mod format;
mod keeper;

use files::Files;
use format::{decode, file_name};
use keeper::{Command, Keeper};

use super::block::{Block, BlockKey, FileRef};
use super::stats::{CacheTierStats, Counters};
use crate::s3fifo::S3Fifo;

/// Bytes that may wait to be written.
const QUEUE_BYTES_MAX: u64 = 8 << 20;
/// Commands that may wait; keys to forget beyond it age out.
const COMMANDS_MAX: usize = 1_024;

/// The tier.
#[derive(Debug)]
pub(super) struct Disk {
    shared: Arc<Shared>,
    /// Gone once the tier has been stopped.
    commands: Mutex<Option<SyncSender<Command>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// What readers and the thread share.
#[derive(Debug)]
struct Shared {
    files: Arc<dyn Files>,
    /// The files that are there, with what they take on disk; empty until an earlier process's are found.
    index: Mutex<S3Fifo<BlockKey, u64>>,
    counters: Arc<Counters>,
    queued_bytes: AtomicU64,
    stopping: AtomicBool,
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, S3Fifo<BlockKey, u64>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a file, which may be gone already.
    fn remove(&self, key: &BlockKey) {
        match self.files.remove(&file_name(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Counters::bump(&self.counters.disk_failures);
                tracing::debug!(%error, "a cached block could not be removed");
            }
            _ => {}
        }
    }
}

impl Disk {
    /// Starts the thread. `limit`: most bytes on disk, as [`super::CacheConfig::disk_bytes_max`].
    pub(super) fn start(
        files: Arc<dyn Files>,
        limit: Option<u64>,
        counters: Arc<Counters>,
    ) -> io::Result<Disk> {
        let shared = Arc::new(Shared {
            files,
            index: Mutex::new(S3Fifo::new(0, 1)),
            counters,
            queued_bytes: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        });
        let (send, receive) = mpsc::sync_channel(COMMANDS_MAX);
        let keeper = Keeper::new(Arc::clone(&shared), limit);
        let thread =
            thread::Builder::new().name("atl-cache".to_owned()).spawn(move || keeper.run(&receive))?;
        Ok(Disk { shared, commands: Mutex::new(Some(send)), thread: Mutex::new(Some(thread)) })
    }

    /// Whether a block is there, as far as is known.
    pub(super) fn contains(&self, key: &BlockKey) -> bool {
        self.shared.index().contains(key)
    }

    /// The block, if it is there and sound. Blocks.
    pub(super) fn read(&self, file: &FileRef, key: BlockKey) -> Option<Block> {
        let block = self.read_counted(file, key);
        let counters = &self.shared.counters;
        Counters::bump(if block.is_some() { &counters.disk_hits } else { &counters.disk_misses });
        block
    }

    fn read_counted(&self, file: &FileRef, key: BlockKey) -> Option<Block> {
        self.shared.index().get(&key)?;
        let counters = &self.shared.counters;
        match self.shared.files.read(&file_name(&key)) {
            Ok(bytes) => {
                if let Some(block) = decode(bytes, &file.path, key.number) {
                    return Some(block);
                }
                Counters::bump(&counters.damaged);
                tracing::warn!(file = %file.path, block = key.number, "a cached block was damaged, it is read anew");
            }
            // Evicted since it was looked up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                Counters::bump(&counters.disk_failures);
                tracing::debug!(%error, "a cached block could not be read");
            }
        }
        self.shared.index().remove(&key);
        self.shared.remove(&key);
        None
    }

    /// Whether that many bytes more may wait to be written.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.shared.queued_bytes.load(Ordering::Relaxed) + bytes as u64 <= QUEUE_BYTES_MAX
    }

    /// Writes a block before long, or drops it where too many wait.
    pub(super) fn write(&self, file: &FileRef, key: BlockKey, block: Block) {
        let bytes = block.bytes.len() as u64;
        let path = Arc::clone(&file.path);
        let sent = self.has_room(block.bytes.len()) && {
            self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
            let sent = self.send(Command::Write { path, key, block });
            if !sent {
                self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            sent
        };
        if !sent {
            Counters::bump(&self.shared.counters.dropped_writes);
        }
    }

    /// Removes a block before long.
    pub(super) fn forget(&self, key: BlockKey) {
        // Where the queue is full, the block ages out.
        self.send(Command::Forget(key));
    }

    fn send(&self, command: Command) -> bool {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.as_ref().is_some_and(|commands| commands.try_send(command).is_ok())
    }

    /// Memory of what waits and of the index, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.shared.queued_bytes.load(Ordering::Relaxed) + self.shared.index().heap_bytes()
    }

    /// Tells what is held.
    pub(super) fn note_sizes(&self, stats: &mut CacheTierStats) {
        let index = self.shared.index();
        (stats.blocks, stats.bytes, stats.limit_bytes) =
            (index.len() as u64, index.bytes(), index.bytes_max());
    }

    /// Ends the thread, at the latest after the block it is writing; blocks until then.
    pub(super) fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        drop(self.commands.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes cached blocks panicked");
        }
    }

    /// Waits until everything told so far has been done; false where the tier was stopped.
    #[cfg(test)]
    pub(super) fn settle(&self) -> bool {
        let (reply, done) = mpsc::channel();
        let sender = self.commands.lock().unwrap().clone();
        sender.is_some_and(|sender| sender.send(Command::Settle(reply)).is_ok() && done.recv().is_ok())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.stop();
    }
}
