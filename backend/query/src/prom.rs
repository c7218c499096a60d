//! PromQL over the store. Comes in: a snapshot, a query text, times; goes out: a value with what is to be said
//! about it, or a failure that maps onto an error type of the Prometheus API. Knows how to find and read
//! series; knows nothing of HTTP, and leaves the language to crate `promql`.
//!
//! ```text
//! text → promql: parse, plan → selections → series by matchers ─┬ few samples: all read, in parallel ─┐
//!                                                               └ many: slices of series, one ahead ──┴ promql: evaluate
//! ```
//!
//! A query runs on threads of this crate, not on the caller's. Dropping the future of a query ends it.

mod answer;
mod cache;
mod cached;
mod config;
mod engine;
mod error;
mod exemplars;
mod fetch;
mod histograms;
mod labels;
mod reach;
mod slices;
mod source;
pub mod through_store;

pub use answer::{PromAnswer, PromStats};
pub use config::{PromConfig, PromOptions};
pub use engine::PromEngine;
pub use error::{PromError, PromErrorType};
pub use exemplars::SeriesExemplars;
pub use histograms::storable;
