//! Token filters in memory, bounded by bytes.
//!
//! Comes in: filters of data files, and questions about files. Goes out: filters, at once or not at all; what
//! was asked for and is not here is remembered for [`super::load`]. Filters of whole files may fill three
//! quarters of the room, those of row groups what is left. Whatever was used longest ago goes first.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store::path::Path;
use tokio::sync::Notify;

use super::bloom::Bloom;
use super::sidecar::{Sidecar, Subject};
use super::stats::{TokenCounters, TokenStats};
use crate::catalog::DataFile;
use crate::stats::Counters;

/// Bytes of filters in memory unless told otherwise.
const BYTES_MAX: u64 = 64 << 20;
/// Most files remembered as asked for.
const WANTED_MAX: usize = 10_000;
/// Bytes a file takes here beside its filters, about.
const SLOT_BYTES: usize = 256;

/// The filters of many files. One for each catalog; snapshots share it.
#[derive(Debug)]
pub struct TokenIndex {
    slots: Mutex<Slots>,
    bytes_max: AtomicU64,
    pub(super) wanted_some: Notify,
    pub(super) counters: TokenCounters,
}

#[derive(Debug, Default)]
struct Slots {
    by_key: HashMap<Path, Slot>,
    without: HashSet<Path>,
    wanted: HashMap<Path, Arc<DataFile>>,
    tick: u64,
    file_bytes: usize,
    group_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    tokens: FileTokens,
    day: i32,
    /// When a query last looked at it; 0 before the first time.
    used: u64,
}

/// What is known of one file.
#[derive(Clone, Debug)]
pub(super) struct FileTokens {
    /// Of the whole file.
    pub(super) file: Option<Arc<Bloom>>,
    /// Of its row groups, where they are in memory.
    pub(super) groups: Option<Arc<[Bloom]>>,
    /// Rows of each row group.
    pub(super) group_rows: Arc<[u64]>,
}

impl FileTokens {
    fn file_bytes(&self) -> usize {
        SLOT_BYTES
            + self.group_rows.len() * 8
            + self.file.iter().map(|bloom| bloom.heap_bytes()).sum::<usize>()
    }

    fn group_bytes(&self) -> usize {
        self.groups.iter().flat_map(|groups| groups.iter()).map(Bloom::heap_bytes).sum()
    }
}

impl Default for TokenIndex {
    fn default() -> TokenIndex {
        TokenIndex {
            slots: Mutex::default(),
            bytes_max: AtomicU64::new(BYTES_MAX),
            wanted_some: Notify::new(),
            counters: TokenCounters::default(),
        }
    }
}

impl TokenIndex {
    /// Bytes the filters may take from now on.
    pub fn set_bytes_max(&self, bytes: u64) {
        self.bytes_max.store(bytes, Relaxed);
        let evicted = self.lock().shrink(bytes);
        Counters::add(&self.counters.evictions, evicted);
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> u64 {
        let slots = self.lock();
        (slots.file_bytes + slots.group_bytes) as u64
    }

    /// Counts and sizes.
    pub fn stats(&self) -> TokenStats {
        let slots = self.lock();
        let mut stats = TokenStats {
            files: slots.by_key.len() as u64,
            files_with_groups: slots.by_key.values().filter(|slot| slot.tokens.groups.is_some()).count()
                as u64,
            files_without: slots.without.len() as u64,
            bytes: (slots.file_bytes + slots.group_bytes) as u64,
            ..TokenStats::default()
        };
        self.counters.fill(&mut stats);
        stats
    }

    /// Takes in the filters of `file`, as far as there is room. `asked`: whether a query waits for them, and
    /// others have to make room. False where they are of another file.
    pub(crate) fn insert(&self, file: &DataFile, sidecar: &Sidecar, asked: bool) -> bool {
        let expect = Subject { size: file.size, crc32c: file.crc32c.unwrap_or(sidecar.subject.crc32c) };
        if sidecar.subject != expect {
            return false;
        }
        let incomplete = sidecar.groups.is_empty() && sidecar.group_rows.len() > 1;
        let tokens = FileTokens {
            file: sidecar.file.clone(),
            groups: (!incomplete).then(|| Arc::clone(&sidecar.groups)),
            group_rows: Arc::clone(&sidecar.group_rows),
        };
        let bytes_max = self.bytes_max.load(Relaxed);
        let mut slots = self.lock();
        slots.remove(&file.key);
        slots.without.remove(&file.key);
        slots.tick += 1;
        let used = if asked { slots.tick } else { 0 };
        slots.file_bytes += tokens.file_bytes();
        slots.group_bytes += tokens.group_bytes();
        slots.by_key.insert(file.key.clone(), Slot { tokens, used, day: file.day });
        let evicted = slots.shrink(bytes_max);
        drop(slots);
        Counters::add(&self.counters.evictions, evicted);
        true
    }

    /// Remembers that `file` has no sidecar.
    pub(super) fn insert_none(&self, file: &DataFile) {
        self.lock().without.insert(file.key.clone());
    }

    /// Whether the filter of `file` is in memory.
    pub(super) fn holds(&self, file: &DataFile) -> bool {
        self.lock().by_key.contains_key(&file.key)
    }

    /// Whether `file` is known to have no sidecar.
    pub(super) fn is_without(&self, file: &DataFile) -> bool {
        self.lock().without.contains(&file.key)
    }

    /// Bytes there is room for beside what is here.
    pub(super) fn room(&self) -> u64 {
        self.bytes_max.load(Relaxed).saturating_sub(self.heap_bytes())
    }

    /// Whether there is room for one more filter of a whole file.
    pub(super) fn has_file_room(&self) -> bool {
        (self.lock().file_bytes as u64) < self.bytes_max.load(Relaxed) / 4 * 3
    }

    /// What is in memory of each file, in order. What is not is asked for.
    pub(super) fn look_up(&self, files: &[Arc<DataFile>]) -> Vec<Option<FileTokens>> {
        let mut slots = self.lock();
        let found = files.iter().map(|file| slots.look_up(file)).collect();
        if !slots.wanted.is_empty() {
            self.wanted_some.notify_one();
        }
        found
    }

    /// Asks for the filters of a file's row groups.
    pub(super) fn want(&self, file: &Arc<DataFile>) {
        self.lock().want(file);
        self.wanted_some.notify_one();
    }

    /// Files that were asked for since the last call, newest first.
    pub(super) fn take_wanted(&self) -> Vec<Arc<DataFile>> {
        let mut wanted: Vec<Arc<DataFile>> = std::mem::take(&mut self.lock().wanted).into_values().collect();
        wanted.sort_by(|a, b| (b.day, &b.path).cmp(&(a.day, &a.path)));
        wanted
    }

    /// Forgets all files but these.
    pub(crate) fn retain(&self, files: &[Arc<DataFile>]) {
        let live: HashSet<&Path> = files.iter().map(|file| &file.key).collect();
        let mut slots = self.lock();
        let dead: Vec<Path> = slots.by_key.keys().filter(|key| !live.contains(key)).cloned().collect();
        dead.iter().for_each(|key| slots.remove(key));
        slots.without.retain(|key| live.contains(key));
        slots.wanted.retain(|key, _| live.contains(key));
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn look_up(&mut self, file: &Arc<DataFile>) -> Option<FileTokens> {
        self.tick += 1;
        let now = self.tick;
        if let Some(slot) = self.by_key.get_mut(&file.key) {
            slot.used = now;
            return Some(slot.tokens.clone());
        }
        self.want(file);
        None
    }

    fn want(&mut self, file: &Arc<DataFile>) {
        if self.wanted.len() < WANTED_MAX && !self.without.contains(&file.key) {
            self.wanted.insert(file.key.clone(), Arc::clone(file));
        }
    }

    fn remove(&mut self, key: &Path) {
        if let Some(slot) = self.by_key.remove(key) {
            self.file_bytes -= slot.tokens.file_bytes();
            self.group_bytes -= slot.tokens.group_bytes();
        }
    }

    /// Makes the filters fit into `bytes_max`; gives how many had to go.
    fn shrink(&mut self, bytes_max: u64) -> u64 {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let mut evicted = 0;
        while self.file_bytes > bytes_max / 4 * 3 {
            let Some(key) = self.oldest(|_| true) else { break };
            self.remove(&key);
            evicted += 1;
        }
        while self.file_bytes + self.group_bytes > bytes_max {
            let Some(key) = self.oldest(|slot| slot.tokens.group_bytes() > 0) else { break };
            if let Some(slot) = self.by_key.get_mut(&key) {
                self.group_bytes -= slot.tokens.group_bytes();
                slot.tokens.groups = None;
                evicted += 1;
            }
        }
        evicted
    }

    /// The slot used longest ago, of those never used the oldest day's; looking at all of them is cheap beside what brought the new one here.
    fn oldest(&self, among: impl Fn(&Slot) -> bool) -> Option<Path> {
        let slots = self.by_key.iter().filter(|(_, slot)| among(slot));
        slots.min_by_key(|(key, slot)| (slot.used, slot.day, *key)).map(|(key, _)| key.clone())
    }
}

#[cfg(test)]
mod tests;
