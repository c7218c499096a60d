//! The head: rows that are durable in the log and not yet in the tables, in memory, queryable.
//!
//! Comes in: batches, in order of their log sequence numbers, from one thread. Goes out: sorted record
//! batches, to any thread. Rows collect in a [`generation::Generation`]; a flush ends it and starts the
//! next, and the ended one stays readable until its rows are committed. Knows the tables' columns; knows
//! nothing of files, the log or the catalog.
//!
//! Of two samples with the same series and timestamp [`crate::duplicates::wins`] keeps one, here and in the
//! file a flush writes. Log entries of a stream are ordered by time; those of the same nanosecond keep the order in
//! which they were written. Nothing else is removed or reordered.

pub(crate) mod chunk;
pub(crate) mod generation;
pub(crate) mod growing;
pub(crate) mod log_rows;
pub(crate) mod logs;
pub(crate) mod metadata;
pub(crate) mod metric_rows;
pub(crate) mod metrics;
pub(crate) mod past;
pub(crate) mod probe_rows;
pub(crate) mod registry;
pub(crate) mod scan;
pub(crate) mod sealed;
pub(crate) mod series_rows;
pub(crate) mod sparse;
pub(crate) mod sparse_rows;
