//! Which entries of a cache stay: S3-FIFO, three queues.
//!
//! New entries go through a small queue (a tenth of the size) and into the main one only when they were used
//! again while they were there, or come back soon after they left; entries of the main queue that were used get
//! another round. Something read once is gone after a tenth of the cache, so that a scan does not drive out the
//! rest. Algorithm: Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023,
//! with sizes in bytes in place of counts.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::mem::size_of;

/// Part of the size the small queue may take before it is evicted from.
const SMALL_PART: u64 = 10;
/// Uses that are counted.
const USES_MAX: u8 = 3;
/// Uses beside its first one that take an entry of the small queue to the main one.
const USES_TO_STAY: u8 = 2;
/// Names of entries that left the small queue are remembered, as many as there are entries and at least these.
const GHOSTS_MIN: usize = 64;

/// Entries bounded by the sum of their weights and by their number.
#[derive(Debug)]
pub(crate) struct S3Fifo<K, V> {
    entries: HashMap<K, Entry<V>>,
    small: Queue<K>,
    main: Queue<K>,
    ghosts: Ghosts<K>,
    bytes_max: u64,
    entries_max: usize,
    /// Numbers entries, to tell an entry from one of the same name that was removed.
    next_number: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: u64,
    uses: u8,
    in_main: bool,
    number: u64,
}

/// Names in the order they came, those of removed entries among them.
#[derive(Debug)]
struct Queue<K> {
    names: VecDeque<(K, u64)>,
    /// Of the entries that are there.
    bytes: u64,
    entries: usize,
}

#[derive(Debug)]
struct Ghosts<K> {
    order: VecDeque<K>,
    names: HashSet<K>,
}

impl<K: Copy + Eq + Hash, V> S3Fifo<K, V> {
    pub(crate) fn new(bytes_max: u64, entries_max: usize) -> S3Fifo<K, V> {
        S3Fifo {
            entries: HashMap::new(),
            small: Queue::new(),
            main: Queue::new(),
            ghosts: Ghosts { order: VecDeque::new(), names: HashSet::new() },
            bytes_max,
            entries_max: entries_max.max(1),
            next_number: 0,
        }
    }

    /// The value, which counts as used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        entry.uses = (entry.uses + 1).min(USES_MAX);
        Some(&entry.value)
    }

    /// Whether there is such an entry; does not count as a use.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Adds an entry in place of one of the same name. Gives back what had to leave; an entry that is larger than
    /// the whole cache is given back itself.
    pub(crate) fn insert(&mut self, key: K, value: V, weight: u64) -> Vec<(K, V)> {
        if weight > self.bytes_max {
            return vec![(key, value)];
        }
        self.remove(&key);
        let evicted = self.make_room(weight);
        let in_main = self.ghosts.take(&key);
        self.add(key, value, weight, in_main);
        evicted
    }

    /// Adds an entry of which nothing is known to the entries that stay, where there is room for it; false and
    /// unchanged where there is none.
    pub(crate) fn restore(&mut self, key: K, value: V, weight: u64) -> bool {
        let fits = self.bytes() + weight <= self.bytes_max && self.entries.len() < self.entries_max;
        if fits && !self.contains(&key) {
            self.add(key, value, weight, true);
        }
        fits
    }

    fn add(&mut self, key: K, value: V, weight: u64, in_main: bool) {
        let number = self.next_number;
        self.next_number += 1;
        self.queue(in_main).push(key, number, weight);
        self.entries.insert(key, Entry { value, weight, uses: 0, in_main, number });
    }

    /// Evicts until an entry of `weight` fits in.
    pub(crate) fn make_room(&mut self, weight: u64) -> Vec<(K, V)> {
        let bytes = self.bytes_max.saturating_sub(weight);
        self.evict_while(|cache| cache.bytes() > bytes || cache.entries.len() >= cache.entries_max)
    }

    /// Evicts until no more than `bytes` are left.
    pub(crate) fn shrink_to(&mut self, bytes: u64) -> Vec<(K, V)> {
        self.evict_while(|cache| cache.bytes() > bytes)
    }

    fn evict_while(&mut self, too_much: impl Fn(&Self) -> bool) -> Vec<(K, V)> {
        let mut evicted = Vec::new();
        while too_much(self) {
            let Some(one) = self.evict() else { break };
            evicted.push(one);
        }
        evicted
    }

    fn evict(&mut self) -> Option<(K, V)> {
        loop {
            let small_first = self.main.entries == 0 || self.small.bytes >= self.bytes_max / SMALL_PART;
            let from_main = !small_first || self.small.entries == 0;
            let (key, number) = self.queue(from_main).names.pop_front()?;
            // A name of an entry that was removed is no longer, or again, in the map under another number.
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.number == number) else {
                continue;
            };
            let (weight, uses) = (entry.weight, entry.uses);
            if from_main && uses > 0 {
                entry.uses -= 1;
                self.main.names.push_back((key, number));
            } else if !from_main && uses >= USES_TO_STAY {
                (entry.uses, entry.in_main) = (0, true);
                self.small.left(weight);
                self.main.push(key, number, weight);
            } else {
                if !from_main {
                    self.ghosts.add(key, self.entries.len().max(GHOSTS_MIN));
                }
                self.queue(from_main).left(weight);
                return self.entries.remove(&key).map(|entry| (key, entry.value));
            }
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        let queue = self.queue(entry.in_main);
        queue.left(entry.weight);
        if queue.names.len() > 2 * queue.entries + GHOSTS_MIN {
            let (entries, in_main) = (&self.entries, entry.in_main);
            let queue = if in_main { &mut self.main } else { &mut self.small };
            queue.names.retain(|(key, number)| entries.get(key).is_some_and(|one| one.number == *number));
        }
        Some(entry.value)
    }

    fn queue(&mut self, main: bool) -> &mut Queue<K> {
        if main { &mut self.main } else { &mut self.small }
    }

    /// Sets another limit; entries beyond it leave with the next change.
    pub(crate) fn set_bytes_max(&mut self, bytes_max: u64, entries_max: usize) {
        (self.bytes_max, self.entries_max) = (bytes_max, entries_max.max(1));
    }

    /// The limit of the weights' sum.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Sum of the weights.
    pub(crate) fn bytes(&self) -> u64 {
        self.small.bytes + self.main.bytes
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Memory of the names and queues, about, without what values point to.
    pub(crate) fn heap_bytes(&self) -> u64 {
        let entry = size_of::<(K, Entry<V>)>() + 1;
        let queued = (self.small.names.capacity() + self.main.names.capacity()) * size_of::<(K, u64)>();
        let ghosts = self.ghosts.order.capacity() * 2 * size_of::<K>();
        (self.entries.capacity() * entry + queued + ghosts) as u64
    }
}

impl<K> Queue<K> {
    fn new() -> Queue<K> {
        Queue { names: VecDeque::new(), bytes: 0, entries: 0 }
    }

    fn push(&mut self, key: K, number: u64, weight: u64) {
        self.names.push_back((key, number));
        self.bytes += weight;
        self.entries += 1;
    }

    fn left(&mut self, weight: u64) {
        self.bytes -= weight;
        self.entries -= 1;
    }
}

impl<K: Copy + Eq + Hash> Ghosts<K> {
    fn add(&mut self, key: K, max: usize) {
        if self.names.insert(key) {
            self.order.push_back(key);
        }
        while self.order.len() > max {
            if let Some(oldest) = self.order.pop_front() {
                self.names.remove(&oldest);
            }
        }
    }

    fn take(&mut self, key: &K) -> bool {
        // Its place in the order stays; should the name come again before, it leaves a little early.
        self.names.remove(key)
    }
}

#[cfg(test)]
mod tests;
