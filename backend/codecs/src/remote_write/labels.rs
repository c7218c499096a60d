//! Label sets of series: checked, sorted where they are not, and shared with requests before.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use model::{Labels, METRIC_NAME};

use super::Limits;
use super::refused::Reason;

const SHARDS: usize = 16;

/// A name and a value as they stand in the body.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// Label sets of earlier requests, found by a hash of how they are written and then compared: a sender sends
/// the same series again and again, and what is known needs no other check and no memory of its own.
///
/// Sets that are in use elsewhere cost a pointer here and stay, however many they are: a cache smaller than the
/// number of series that come in turn would find none of them. Of the others it holds at most twice as many as it was
/// made for; those not seen for long go first.
#[derive(Debug)]
pub struct LabelCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_sets_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    sets: HashMap<u64, Known, BuildHasherDefault<HashIsKey>>,
    /// Sets put in since some were removed.
    added: usize,
}

#[derive(Debug)]
struct Known {
    labels: Labels,
    /// Whether it was put in or asked for since some were removed.
    seen: bool,
}

impl LabelCache {
    /// A cache for `sets` label sets beside those in use elsewhere.
    pub fn new(sets: usize) -> LabelCache {
        LabelCache { shards: Default::default(), shard_sets_max: sets.div_ceil(SHARDS).max(1) }
    }

    /// Label sets in the cache.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).sets.len()).sum()
    }

    /// True where it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap, about; the label sets, which the head mostly shares, not counted.
    pub fn heap_bytes(&self) -> usize {
        let slots: usize = self.shards.iter().map(|shard| lock(shard).sets.capacity()).sum();
        slots * (size_of::<(u64, Known)>() + 1)
    }

    /// The set that was put in under `key`, if it holds exactly these pairs.
    fn get(&self, key: u64, pairs: &[Pair<'_>]) -> Option<Labels> {
        let mut shard = lock(self.shard(key));
        let known = shard.sets.get_mut(&key).filter(|known| known.labels.equals_pairs(pairs))?;
        known.seen = true;
        Some(Labels::clone(&known.labels))
    }

    fn insert(&self, key: u64, labels: &Labels) {
        lock(self.shard(key)).insert(key, Labels::clone(labels), self.shard_sets_max);
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        // Neither the bits that choose the slot of a map nor those it tells its slots apart by.
        &self.shards[(key >> 40) as usize % SHARDS]
    }
}

impl Shard {
    fn insert(&mut self, key: u64, labels: Labels, sets_max: usize) {
        if self.added >= sets_max {
            self.forget(sets_max);
            self.added = 0;
        }
        self.added += 1;
        self.sets.insert(key, Known { labels, seen: true });
    }

    /// Removes sets nobody else uses: those not seen since the last time, or all where that leaves too many.
    fn forget(&mut self, sets_max: usize) {
        let mut unshared = 0;
        self.sets.retain(|_, known| {
            let (shared, seen) = (known.labels.is_shared(), std::mem::take(&mut known.seen));
            unshared += usize::from(seen && !shared);
            shared || seen
        });
        if unshared > sets_max {
            self.sets.retain(|_, known| known.labels.is_shared());
        }
        if self.sets.capacity() > 4 * self.sets.len().max(sets_max) {
            self.sets.shrink_to_fit();
        }
    }
}

/// A thread that panicked left a map behind that is whole.
fn lock(shard: &Mutex<Shard>) -> std::sync::MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key is a hash already.
#[derive(Debug, Default)]
struct HashIsKey(u64);

impl Hasher for HashIsKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Makes label sets of series.
#[derive(Debug)]
pub(super) struct LabelReader<'c> {
    limits: &'c Limits,
    cache: Option<&'c LabelCache>,
    scratch: Vec<u8>,
}

impl<'c> LabelReader<'c> {
    pub(super) fn new(limits: &'c Limits, cache: Option<&'c LabelCache>) -> LabelReader<'c> {
        LabelReader { limits, cache, scratch: Vec::new() }
    }

    /// The label set of a series. Puts `pairs` in order and removes those without a value. `key`: the same for
    /// the same pairs from the same sender, mostly.
    pub(super) fn series(&mut self, key: u64, pairs: &mut Vec<Pair<'_>>) -> Result<Labels, Reason> {
        // What equals a sound set is sound, in its order too.
        if let Some(labels) = self.cache.and_then(|cache| cache.get(key, pairs)) {
            return Ok(labels);
        }
        if pairs.len() > self.limits.labels_max {
            return Err(Reason::TooManyLabels(self.limits.labels_max));
        }
        put_in_order(pairs, self.limits.unsorted_labels_accepted)?;
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > self.limits.label_set_bytes_max {
            return Err(Reason::LabelsTooLarge(self.limits.label_set_bytes_max));
        }
        if !pairs.iter().any(|(name, _)| *name == METRIC_NAME.as_bytes()) {
            return Err(Reason::NameMissing);
        }
        let labels = Labels::from_utf8_pairs(pairs, &mut self.scratch).ok_or(Reason::NotUtf8)?;
        if let Some(cache) = self.cache {
            cache.insert(key, &labels);
        }
        Ok(labels)
    }
}

/// Sorts pairs by name, refuses names that are empty or repeated, removes pairs without a value.
pub(super) fn put_in_order(pairs: &mut Vec<Pair<'_>>, unsorted_accepted: bool) -> Result<(), Reason> {
    if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
        let sorted = pairs.is_sorted_by(|a, b| a.0 <= b.0);
        if !sorted && !unsorted_accepted {
            return Err(Reason::LabelsUnsorted);
        }
        pairs.sort_by_key(|pair| pair.0);
        if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Reason::LabelNameTwice);
        }
    }
    // An empty name sorts before every other.
    if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
        return Err(Reason::LabelNameEmpty);
    }
    if pairs.iter().any(|(_, value)| value.is_empty()) {
        pairs.retain(|(_, value)| !value.is_empty());
    }
    Ok(())
}
