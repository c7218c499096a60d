//! The write-ahead log: what is acknowledged is in here, fsynced, until it is committed to the tables.
//!
//! Comes in: encoded records in groups. Goes out: log sequence numbers, and on start every record that
//! survived, in order. Knows files ([`disk::Disk`]), frames and the encoding of a [`model::Batch`]; knows
//! nothing of tables, of the head, or of when to flush.
//!
//! Layout: `<data_dir>/wal/<sequence>-<marker>.wal`, see [`segment`] and [`frame`]. A segment that failed a
//! write or an fsync is never written to again; the records of the failed group are declared void at the
//! start of the next segment, so that a replay does not bring back what was refused.

pub(crate) mod codec;
pub(crate) mod definitions;
pub(crate) mod disk;
pub(crate) mod frame;
pub(crate) mod replay;
pub(crate) mod segment;
#[cfg(test)]
pub(crate) mod sim;
mod sparse_codec;
pub(crate) mod wire;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

/// Log sequence number: names one record of one node, rises by one with every record, never used again.
pub(crate) type Lsn = u64;
