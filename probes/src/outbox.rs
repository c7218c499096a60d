//! Batches that could not be delivered yet, in memory, in order, within limits.

use std::collections::VecDeque;

/// A batch as it goes over the wire. Its id stays the same on every try, so the backend stores it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Name of the batch.
    pub batch_id: String,
    /// The body as it is sent.
    pub body: Vec<u8>,
}

/// A bounded queue of parcels, oldest first. A full queue gives up its oldest: when the backend comes back,
/// what is new is worth more.
#[derive(Clone, Debug)]
pub struct Outbox {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    parcels_max: usize,
    bytes_max: usize,
}

/// An hour of ticks, in what a worker of 128 MB can spare.
impl Default for Outbox {
    fn default() -> Outbox {
        Outbox::with_limits(60, 8 * 1024 * 1024)
    }
}

impl Outbox {
    /// An empty outbox that holds `parcels_max` parcels and `bytes_max` bytes of their bodies.
    pub fn with_limits(parcels_max: usize, bytes_max: usize) -> Outbox {
        Outbox { parcels: VecDeque::new(), bytes: 0, parcels_max, bytes_max }
    }

    /// Adds the newest parcel. Returns those that had to go for it; the new one itself, if it alone is too
    /// large.
    pub fn push(&mut self, parcel: Parcel) -> Vec<Parcel> {
        self.bytes += parcel.body.len();
        self.parcels.push_back(parcel);
        let mut dropped = Vec::new();
        while self.parcels.len() > self.parcels_max || self.bytes > self.bytes_max {
            dropped.extend(self.take());
        }
        dropped
    }

    /// Takes the oldest parcel, to try it.
    pub fn take(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.pop_front()?;
        self.bytes -= parcel.body.len();
        Some(parcel)
    }

    /// Puts a parcel back that was taken and not delivered; it is the next one again. False where it no longer
    /// fits, because newer ones came in the meantime.
    pub fn put_back(&mut self, parcel: Parcel) -> bool {
        let fits = self.parcels.len() < self.parcels_max && self.bytes + parcel.body.len() <= self.bytes_max;
        if fits {
            self.bytes += parcel.body.len();
            self.parcels.push_front(parcel);
        }
        fits
    }

    /// Number of parcels.
    pub fn len(&self) -> usize {
        self.parcels.len()
    }

    /// True where nothing waits.
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Bytes of all bodies.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
