//! The thread that keeps the folder: finds what is there, writes, evicts and gives way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use object_store::path::Path;

use super::Shared;
use super::files::{Listed, Space};
use super::format::{file_name, header, parse_name};
use crate::range_cache::block::{Block, BlockKey};
use crate::range_cache::stats::Counters;

/// Default limit, in bytes …
const BYTES_MAX: u64 = 4 << 30;
/// … but no more than this part of the disk that is free or the cache's own.
const FREE_PART: u64 = 10;
/// What is left free for everybody else: this part of the file system …
const RESERVE_PART: u64 = 20;
/// … but no more than this, in bytes.
const RESERVE_BYTES_MAX: u64 = 2 << 30;
/// File systems give room in pieces of this many bytes.
const PIECE_BYTES: u64 = 4 << 10;
/// A block counts as that many bytes at least where the number of blocks is bounded, to bound the index.
const BLOCK_BYTES_LEAST: u64 = 64 << 10;
/// Fewest blocks the index has room for.
const BLOCKS_MAX_LEAST: u64 = 1_024;
/// Most files looked at when the folder is listed; further ones stay unknown until the next start.
const LISTED_MAX: usize = 2_000_000;
/// How long nothing is written after a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// How often the free room is looked at, at the least.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How many bytes may be written without looking.
const LOOK_BYTES: u64 = 32 << 20;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command {
    Write {
        path: Arc<Path>,
        key: BlockKey,
        block: Block,
    },
    Forget(BlockKey),
    #[cfg(test)]
    Settle(std::sync::mpsc::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    limit: Option<u64>,
    /// Nothing is written before.
    paused_until: Option<Instant>,
    looked_at: Instant,
    written_since: u64,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, limit: Option<u64>) -> Keeper {
        Keeper { shared, limit, paused_until: None, looked_at: Instant::now(), written_since: 0 }
    }

    /// Works until the other end is gone or says stop.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        self.find();
        while !self.shared.stopping.load(Ordering::Relaxed) {
            match commands.recv_timeout(LOOK_INTERVAL) {
                Ok(Command::Write { path, key, block }) => {
                    let bytes = block.bytes.len() as u64;
                    self.write(&path, key, &block);
                    self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                Ok(Command::Forget(key)) => {
                    if self.shared.index().remove(&key).is_some() {
                        self.shared.remove(&key);
                    }
                }
                #[cfg(test)]
                Ok(Command::Settle(reply)) => {
                    let _ = reply.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.looked_at.elapsed() >= LOOK_INTERVAL || self.written_since >= LOOK_BYTES {
                self.give_way();
            }
        }
    }

    /// Takes what is in the folder into the index, newest first, and removes what is not of this cache, not whole
    /// or too much.
    fn find(&mut self) {
        let mut listed = self.shared.files.list(LISTED_MAX).unwrap_or_else(|error| {
            self.failed(&error);
            Vec::new()
        });
        listed.sort_unstable_by_key(|file| std::cmp::Reverse(file.modified_s));
        let held = listed.iter().map(|file| on_disk(file.len)).sum();
        let limit = self.limit.unwrap_or_else(|| default_limit(held, self.shared.files.space().ok()));
        let blocks_max = (limit / BLOCK_BYTES_LEAST).max(BLOCKS_MAX_LEAST);
        self.shared.index().set_bytes_max(limit, usize::try_from(blocks_max).unwrap_or(usize::MAX));
        let (mut kept, mut bytes) = (Vec::new(), 0);
        for file in &listed {
            let weight = on_disk(file.len);
            let fits = bytes + weight <= limit && (kept.len() as u64) < blocks_max;
            match parse_name(&file.name).filter(|_| fits) {
                Some(key) => {
                    bytes += weight;
                    kept.push((key, weight));
                }
                None => self.remove_found(file),
            }
            if self.shared.stopping.load(Ordering::Relaxed) {
                return;
            }
        }
        // The oldest first, so that they are the first to leave.
        let mut index = self.shared.index();
        for (key, weight) in kept.into_iter().rev() {
            index.restore(key, weight, weight);
        }
        drop(index);
        self.give_way();
    }

    fn remove_found(&self, file: &Listed) {
        if let Err(error) = self.shared.files.remove(&file.name) {
            Counters::bump(&self.shared.counters.disk_failures);
            tracing::debug!(%error, file = file.name, "cannot remove from the cache's folder");
        }
    }

    fn write(&mut self, path: &Path, key: BlockKey, block: &Block) {
        let counters = Arc::clone(&self.shared.counters);
        if self.shared.index().contains(&key) {
            return;
        }
        let Some(header) = header(path, key.number, block).filter(|_| !self.paused()) else {
            Counters::bump(&counters.dropped_writes);
            return;
        };
        let len = (header.len() + block.bytes.len()) as u64;
        let weight = on_disk(len);
        if weight > self.shared.index().bytes_max() {
            Counters::bump(&counters.dropped_writes);
            return;
        }
        // First the room, then the file, then its name: what is on disk never exceeds the limit, and readers find
        // only what is there.
        let evicted = self.shared.index().make_room(weight);
        self.evict(evicted);
        match self.shared.files.write(&file_name(&key), &header, &block.bytes) {
            Ok(()) => {
                let evicted = self.shared.index().insert(key, weight, weight);
                self.evict(evicted);
                self.written_since += len;
                Counters::bump(&counters.written_blocks);
                Counters::add(&counters.written_bytes, len);
            }
            Err(error) => {
                Counters::bump(&counters.dropped_writes);
                self.failed(&error);
            }
        }
    }

    fn evict(&self, blocks: Vec<(BlockKey, u64)>) {
        Counters::add(&self.shared.counters.disk_evictions, blocks.len() as u64);
        for (key, _) in blocks {
            self.shared.remove(&key);
        }
    }

    fn paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }

    /// Writes nothing for a while; gives a quarter back where the disk is full, since the log needs it more.
    fn failed(&mut self, error: &io::Error) {
        Counters::bump(&self.shared.counters.disk_failures);
        if !self.paused() {
            tracing::warn!(%error, pause = ?PAUSE, "the cache's disk failed, it goes on without writing");
        }
        self.paused_until = Some(Instant::now() + PAUSE);
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let evicted = {
                let mut index = self.shared.index();
                let left = index.bytes() / 4 * 3;
                index.shrink_to(left)
            };
            self.evict(evicted);
        }
    }

    /// Evicts what the file system lacks of its reserve, and writes nothing for a while if it lacks any.
    fn give_way(&mut self) {
        (self.looked_at, self.written_since) = (Instant::now(), 0);
        let Ok(space) = self.shared.files.space() else { return };
        let lacking = reserve(space).saturating_sub(space.free);
        if lacking > 0 {
            self.paused_until = Some(Instant::now() + PAUSE);
            let evicted = {
                let mut index = self.shared.index();
                let left = index.bytes().saturating_sub(lacking);
                index.shrink_to(left)
            };
            self.evict(evicted);
        }
    }
}

fn default_limit(held: u64, space: Option<Space>) -> u64 {
    space.map_or(0, |space| BYTES_MAX.min(space.free.saturating_add(held) / FREE_PART))
}

fn reserve(space: Space) -> u64 {
    (space.total / RESERVE_PART).min(RESERVE_BYTES_MAX)
}

fn on_disk(len: u64) -> u64 {
    len.div_ceil(PIECE_BYTES).max(1) * PIECE_BYTES
}
