//! The memory of one query: its own limit, and a part of the process's. Comes in: reservations of operators.
//! Goes out: room, or the error that makes an operator spill or end. Knows nothing of operators.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use store::memory::Ledger;

/// A fair share of the query's own limit for every operator, as long as the process has room.
#[derive(Debug)]
pub(crate) struct QueryPool {
    own: FairSpillPool,
    process: Option<Arc<Ledger>>,
}

impl QueryPool {
    /// A pool of `limit` bytes, accounted for in `process`.
    pub(crate) fn new(limit: usize, process: Option<Arc<Ledger>>) -> QueryPool {
        QueryPool { own: FairSpillPool::new(limit), process }
    }

    fn release(&self, bytes: usize) {
        if let Some(process) = &self.process {
            process.release(bytes as u64);
        }
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        if let Some(process) = &self.process {
            process.reserve(additional as u64);
        }
        self.own.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.release(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if let Some(process) = &self.process
            && !process.try_reserve(additional as u64)
        {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "the process has {} of {} bytes left, {additional} are needed",
                process.available(),
                process.limit()
            )));
        }
        let grown = self.own.try_grow(reservation, additional);
        if grown.is_err() {
            self.release(additional);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.own, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_takes_from_the_process_and_gives_back() {
        let process = Ledger::new(1_000);
        process.set_store(500);
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(800, Some(Arc::clone(&process))));
        let reservation = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        reservation.try_grow(400).expect("room");
        let full = reservation.try_grow(200).expect_err("the process is full").to_string();
        assert!(full.contains("100 of 1000 bytes left"), "{full}");
        assert_eq!(process.stats().queries, 400);
        process.set_store(0);
        assert!(reservation.try_grow(500).is_err(), "the query's own limit");
        assert_eq!(process.stats().queries, 400);
        drop(reservation);
        assert_eq!(process.stats().queries, 0);
    }
}
