//! Pure changes to what was collected: relabelling, limits, metrics derived from probe results.
//!
//! Comes in: labels, batches, probe results. Goes out: the same, changed, and counts of what was refused.
//! Does no I/O, reads no clock and keeps no state between batches.

pub mod limits;
pub mod probe_metrics;
pub mod relabel;
