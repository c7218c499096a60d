//! The pull side: scrapes targets and runs built-in exporters.
//!
//! Comes in: scrape configurations in the shape of Prometheus', and a [`Sink`]. Goes out: one [`Batch`] a
//! scrape into the sink, and the state of every target. Knows nothing of stores, queries or the HTTP server.

pub mod exporters;
pub mod scrape;
mod sink;

pub use sink::{Sink, SinkError};

#[cfg(test)]
mod testing;

// Named in the documentation above.
#[cfg(doc)]
use model::Batch;
