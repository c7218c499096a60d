//! The one door for writes: admission → limits → derived points → store → acknowledgement.
//!
//! Comes in: a [`model::Batch`] from a scrape, a push or ourselves. Goes out: a [`Receipt`], given only when
//! the store has the batch on disk. Knows nothing of wire formats, HTTP or queries.

mod active_series;
mod counters;
mod ingest;

pub use active_series::SourceSeries;
pub use counters::{Counters, CountersSnapshot};
pub use ingest::{Ingest, IngestError, Receipt};
