//! Label sets in use and their ids: the `tsid` of a series, the `stream_id` of a log stream.
//!
//! The id follows from the labels, see [`crate::ids`]. Should two label sets that are in use share an id, the one
//! seen later gets one made of that and a salt (1, 2 … until it is free); the `series` table tells which
//! labels an id stands for. Owned by the one thread that writes, so there are no locks.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use model::Labels;
use tokio::sync::Notify;

use super::metrics::map_bytes;
pub(crate) use super::past::{Arrivals, Past};
use crate::ids::{IdHasher, Ids};
use crate::index::key_label;
use crate::index::live::{IdSet, LiveIndex};
use crate::tables::Table;

/// Position of a label set in the registry; good until the next [`Registry::forget_before`].
pub(crate) type RegistryIndex = u32;

const NONE: u32 = u32::MAX;

/// All label sets in use.
#[derive(Debug)]
pub(crate) struct Registry {
    hash: fn(&Labels) -> u64,
    ids: Ids,
    /// The newest of the sets with a key ([`Ids::key`]).
    by_key: HashMap<u64, RegistryIndex, BuildHasherDefault<IdHasher>>,
    entries: Vec<Entry>,
    salted: HashSet<u64>,
    collisions: u64,
    /// Finds the sets by their labels; told of every new one.
    index: Arc<LiveIndex>,
    /// Bytes of the label sets.
    label_bytes: usize,
    /// Number of sets that were left when some were forgotten last.
    left: usize,
    /// The newest generation at that time.
    forgot_at: u32,
    /// Times of samples of sets that are not here.
    pub(crate) past: Past,
}

/// What is known of a label set.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The set itself.
    pub(crate) labels: Labels,
    /// `tsid` or `stream_id`.
    pub(crate) id: i64,
    /// Log segment epoch and number of the set there.
    pub(crate) log_number: (u32, u32),
    /// Sequence of the generation that used it last, and its place there.
    pub(crate) place: (u32, u32),
    /// Its newest sample, milliseconds, as [`Past`] counts it; `i64::MIN` for none.
    pub(crate) last_ms: i64,
    /// Sequence of the generation that last had a histogram, start time or exemplar of it; 0 for none.
    pub(crate) sparse_generation: u32,
    /// Next set with the same key.
    next: u32,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new(Table::Series, Ids::default(), &Arc::default())
    }
}

impl Registry {
    /// The label sets of `table`, whose ids are made as `ids` says; `index_wanted` is told when their index has
    /// something to build.
    pub(crate) fn new(table: Table, ids: Ids, index_wanted: &Arc<Notify>) -> Registry {
        Registry {
            hash: Labels::hash64,
            ids,
            by_key: HashMap::default(),
            entries: Vec::new(),
            salted: HashSet::new(),
            collisions: 0,
            index: Arc::new(LiveIndex::new(key_label(table), index_wanted)),
            label_bytes: 0,
            left: 0,
            forgot_at: 0,
            past: Past::default(),
        }
    }

    /// A registry with another hash, for tests of collisions.
    #[cfg(test)]
    pub(crate) fn with_hash(hash: fn(&Labels) -> u64) -> Registry {
        Registry { hash, ..Registry::default() }
    }

    /// The index of the label sets.
    pub(crate) fn index(&self) -> &Arc<LiveIndex> {
        &self.index
    }

    /// Finds a label set, or adds it.
    pub(crate) fn resolve(&mut self, labels: &Labels) -> RegistryIndex {
        let hash = (self.hash)(labels);
        let first = self.by_key.get(&self.ids.key(hash)).copied().unwrap_or(NONE);
        let mut index = first;
        while index != NONE {
            let entry = &self.entries[index as usize];
            if entry.labels == *labels {
                return index;
            }
            index = entry.next;
        }
        self.add(Labels::clone(labels), hash, first)
    }

    /// What is known of a set.
    #[cfg(test)]
    pub(crate) fn entry(&self, index: RegistryIndex) -> &Entry {
        &self.entries[index as usize]
    }

    /// What is known of a set, to be changed.
    pub(crate) fn entry_mut(&mut self, index: RegistryIndex) -> &mut Entry {
        &mut self.entries[index as usize]
    }

    /// Notes the time of a sample of a set.
    pub(crate) fn arrive(
        &mut self,
        index: RegistryIndex,
        timestamp_ms: i64,
        received_ms: i64,
        arrivals: &mut Arrivals,
    ) {
        let entry = &mut self.entries[index as usize];
        entry.last_ms = self.past.arrive(entry.last_ms, timestamp_ms, received_ms, arrivals);
    }

    /// Number of label sets.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Label sets whose id another one had before them.
    pub(crate) fn collisions(&self) -> u64 {
        self.collisions
    }

    /// Bytes on the heap, those of the label sets included: the head holds no others.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.label_bytes
            + self.entries.capacity() * size_of::<Entry>()
            + map_bytes(self.by_key.capacity(), size_of::<(u64, RegistryIndex)>())
    }

    /// Forgets as [`Registry::forget_before`] where there may be many sets to forget: more than the `used` sets
    /// of one generation, and since the last time either many have come or every generation of that time has
    /// gone. `newest`: the sequence of the newest generation. Tells whether it did.
    pub(crate) fn forget_if_due(&mut self, sequence: u32, newest: u32, used: u64) -> bool {
        let many = |than: usize| self.entries.len() > than + than / 4 + 1_024;
        let due = many(usize::try_from(used).unwrap_or(usize::MAX / 2))
            && (many(self.left) || sequence > self.forgot_at);
        if due {
            self.forget_before(sequence);
            self.forgot_at = newest;
        }
        due
    }

    /// Forgets label sets that no generation from `sequence` on has used. Sets with salted ids stay as
    /// long as the one they collide with, so that neither takes the other's id. From here on the registry has
    /// another index; readers of the old one keep what it holds.
    pub(crate) fn forget_before(&mut self, sequence: u32) {
        let salted = std::mem::take(&mut self.salted);
        let entries = std::mem::take(&mut self.entries);
        let shared: HashSet<u64> = entries
            .iter()
            .filter(|entry| entry.next != NONE)
            .map(|entry| self.ids.key((self.hash)(&entry.labels)))
            .collect();
        self.by_key.clear();
        for entry in entries {
            let hash = (self.hash)(&entry.labels);
            let key = self.ids.key(hash);
            let collides = shared.contains(&key) || salted.contains(&entry.id.cast_unsigned());
            let used = entry.place.0.max(entry.sparse_generation);
            if used < sequence && !collides {
                self.label_bytes -= entry.labels.heap_bytes();
                self.past.forget(entry.last_ms);
                continue;
            }
            if entry.id.cast_unsigned() != self.ids.id(hash, &entry.labels) {
                self.salted.insert(entry.id.cast_unsigned());
            }
            let index = self.entries.len() as u32;
            let next = self.by_key.insert(key, index).unwrap_or(NONE);
            self.entries.push(Entry { next, ..entry });
        }
        self.entries.shrink_to_fit();
        self.by_key.shrink_to_fit();
        self.left = self.entries.len();
        let kept: IdSet = self.entries.iter().map(|entry| entry.id).collect();
        self.index = Arc::new(self.index.shrunk(kept));
    }

    fn add(&mut self, labels: Labels, hash: u64, first: u32) -> RegistryIndex {
        let mut id = self.ids.id(hash, &labels);
        if self.is_taken(id) {
            self.collisions += 1;
            let shared = id;
            id = self.free_id(shared);
            self.salted.insert(id);
            tracing::warn!(%labels, shared, id, "two label sets share an id; the later one got another");
        }
        let index = self.entries.len() as u32;
        let id = id.cast_signed();
        self.index.push(id, &labels);
        self.label_bytes += labels.heap_bytes();
        if self.entries.len() == self.entries.capacity() {
            // A quarter more: doubling would waste as much as the entries take.
            self.entries.reserve_exact((self.entries.len() / 4).max(64));
        }
        self.entries.push(Entry {
            labels,
            id,
            log_number: (0, 0),
            place: (0, 0),
            last_ms: i64::MIN,
            sparse_generation: 0,
            next: first,
        });
        self.by_key.insert(self.ids.key(hash), index);
        index
    }

    /// Whether a set has the id.
    fn is_taken(&self, id: u64) -> bool {
        let mut index = self.by_key.get(&self.ids.key(id)).copied().unwrap_or(NONE);
        while index != NONE {
            let entry = &self.entries[index as usize];
            if entry.id.cast_unsigned() == id {
                return true;
            }
            index = entry.next;
        }
        self.salted.contains(&id)
    }

    fn free_id(&self, id: u64) -> u64 {
        (1..).map(|salt| self.ids.salted(id, salt)).find(|id| !self.is_taken(*id)).unwrap_or(id)
    }
}

#[cfg(test)]
mod tests;
