//! One account of the process's memory: what the store holds, and what queries have reserved.
//!
//! Comes in: sizes told by the store from time to time, reservations of queries as they grow. Goes out: whether
//! there is room. Ingestion comes first: queries only get what the store leaves of the limit, and the store gives
//! up caches and hot rows before it refuses a batch. Knows nothing of what the memory is used for; what nobody
//! accounts for (code, buffers on their way through) is what the limit leaves to the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Share of the machine's or the container's memory that is the default limit.
const DEFAULT_SHARE: f64 = 0.5;
/// Taken for the machine's memory where it cannot be read.
const UNKNOWN_MACHINE_BYTES: u64 = 4 << 30;
/// From this share of the limit on the store gives up what it can.
const SHRINK_SHARE: f64 = 0.8;

/// The account. Sizes are bytes.
#[derive(Debug)]
pub struct Ledger {
    limit: u64,
    store: AtomicU64,
    queries: AtomicU64,
    refused: AtomicU64,
}

/// What stands in the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerStats {
    /// Most the process may account for.
    pub limit: u64,
    /// Rows, label sets, indexes and caches of the store.
    pub store: u64,
    /// Reserved by queries.
    pub queries: u64,
    /// Reservations refused.
    pub refused_total: u64,
}

impl Ledger {
    /// An account with this limit in bytes.
    pub fn new(limit: u64) -> Arc<Ledger> {
        Arc::new(Ledger {
            limit,
            store: AtomicU64::new(0),
            queries: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Half of the memory of the machine, or of the container where that is less.
    pub fn default_limit() -> u64 {
        let machine = machine_bytes().unwrap_or(UNKNOWN_MACHINE_BYTES);
        let memory = container_bytes().map_or(machine, |container| container.min(machine));
        share(memory, DEFAULT_SHARE)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is used, in bytes.
    pub fn used(&self) -> u64 {
        self.store.load(Relaxed).saturating_add(self.queries.load(Relaxed))
    }

    /// What is left, in bytes.
    pub fn available(&self) -> u64 {
        self.limit.saturating_sub(self.used())
    }

    /// Tells what the store holds. Returns how much it should give up, 0 where there is room enough.
    pub fn set_store(&self, bytes: u64) -> u64 {
        self.store.store(bytes, Relaxed);
        self.used().saturating_sub(share(self.limit, SHRINK_SHARE))
    }

    /// Reserves for a query; false, and nothing reserved, where there is no room.
    pub fn try_reserve(&self, bytes: u64) -> bool {
        let store = self.store.load(Relaxed);
        let reserved = self.queries.fetch_update(Relaxed, Relaxed, |queries| {
            let queries = queries.checked_add(bytes)?;
            (store.saturating_add(queries) <= self.limit).then_some(queries)
        });
        if reserved.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
        reserved.is_ok()
    }

    /// Reserves whether there is room or not, for memory that is in use already.
    pub fn reserve(&self, bytes: u64) {
        self.queries.fetch_add(bytes, Relaxed);
    }

    /// Gives back what was reserved.
    pub fn release(&self, bytes: u64) {
        let _ = self.queries.fetch_update(Relaxed, Relaxed, |queries| Some(queries.saturating_sub(bytes)));
    }

    /// Reserves until the reservation is dropped; `None` where there is no room.
    pub fn hold(self: &Arc<Ledger>, bytes: u64) -> Option<Held> {
        self.try_reserve(bytes).then(|| Held { ledger: Arc::clone(self), bytes })
    }

    /// What stands in the account.
    pub fn stats(&self) -> LedgerStats {
        LedgerStats {
            limit: self.limit,
            store: self.store.load(Relaxed),
            queries: self.queries.load(Relaxed),
            refused_total: self.refused.load(Relaxed),
        }
    }
}

/// A reservation.
#[derive(Debug)]
pub struct Held {
    ledger: Arc<Ledger>,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.release(self.bytes);
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a size, rounded"
)]
fn share(bytes: u64, share: f64) -> u64 {
    (bytes as f64 * share) as u64
}

/// `MemTotal` of procfs.
fn machine_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The limit of the container, of either version of control groups. No limit reads as `max`, or as a number
/// larger than any machine.
fn container_bytes() -> Option<u64> {
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_get_what_the_store_leaves() {
        let ledger = Ledger::new(1_000);
        assert_eq!(ledger.set_store(600), 0);
        let held = ledger.hold(300).expect("room");
        assert!(!ledger.try_reserve(101));
        assert!(ledger.try_reserve(100));
        assert_eq!((ledger.used(), ledger.available()), (1_000, 0));
        ledger.release(100);
        drop(held);
        assert_eq!(ledger.stats(), LedgerStats { limit: 1_000, store: 600, queries: 0, refused_total: 1 });
    }

    #[test]
    fn the_store_is_told_to_give_up_what_is_too_much() {
        let ledger = Ledger::new(1_000);
        assert_eq!(ledger.set_store(900), 100);
        ledger.reserve(200);
        assert_eq!(ledger.set_store(900), 300);
        assert!(!ledger.try_reserve(u64::MAX));
        ledger.release(u64::MAX);
        assert_eq!(ledger.used(), 900);
    }

    #[test]
    fn the_default_is_a_part_of_the_machine() {
        let limit = Ledger::default_limit();
        assert!(limit > 0 && machine_bytes().is_none_or(|machine| limit <= machine / 2 + 1));
    }
}
