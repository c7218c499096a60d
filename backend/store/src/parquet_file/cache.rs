//! A map bounded by bytes: the entries used longest ago go first.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values shared by key, at most `bytes_max` in sum of their weights.
pub(crate) struct Cache<K, V> {
    inner: Mutex<Inner<K, V>>,
    bytes_max: usize,
}

struct Inner<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by time of last use.
    uses: BTreeMap<u64, K>,
    tick: u64,
    bytes: usize,
}

struct Entry<V> {
    value: V,
    weight: usize,
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(bytes_max: usize) -> Cache<K, V> {
        let inner = Inner { entries: HashMap::new(), uses: BTreeMap::new(), tick: 0, bytes: 0 };
        Cache { inner: Mutex::new(inner), bytes_max }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut inner = self.lock();
        inner.tick += 1;
        let now = inner.tick;
        let entry = inner.entries.get_mut(key)?;
        let (before, value) = (std::mem::replace(&mut entry.used, now), entry.value.clone());
        inner.uses.remove(&before);
        inner.uses.insert(now, key.clone());
        Some(value)
    }

    /// Keeps `value`, unless it alone is larger than a quarter of the cache.
    pub(crate) fn insert(&self, key: K, value: V, weight: usize) {
        if weight > self.bytes_max / 4 {
            return;
        }
        let mut inner = self.lock();
        inner.remove(&key);
        inner.tick += 1;
        let used = inner.tick;
        inner.uses.insert(used, key.clone());
        inner.entries.insert(key, Entry { value, weight, used });
        inner.bytes += weight;
        while inner.bytes > self.bytes_max {
            let Some(oldest) = inner.uses.first_key_value().map(|(_, key)| key.clone()) else { break };
            inner.remove(&oldest);
        }
    }

    /// Sum of the weights.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.uses.remove(&entry.used);
            self.bytes -= entry.weight;
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn what_was_used_last_stays() {
        let cache = Cache::new(40);
        for key in 0..4 {
            cache.insert(key, key * 10, 10);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.insert(4, 40, 10);
        assert_eq!(cache.get(&1), None, "the entry used longest ago");
        assert_eq!((cache.get(&0), cache.get(&4)), (Some(0), Some(40)));
        assert_eq!(cache.bytes(), 40);
    }

    #[test]
    fn a_value_put_twice_counts_once_and_a_giant_is_refused() {
        let cache = Cache::new(40);
        cache.insert("a", 1, 10);
        cache.insert("a", 2, 5);
        cache.insert("giant", 3, 11);
        assert_eq!((cache.get(&"a"), cache.get(&"giant"), cache.bytes()), (Some(2), None, 5));
    }
}
