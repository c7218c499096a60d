//! SQL over the tables of the store: one query text comes in, a bounded stream of Arrow batches goes out.
//!
//! The crate plans with DataFusion and is the only one that names it. It knows the tables, the series
//! behind every metric and how to read both the head and the committed files of one [`store::Snapshot`]; it
//! knows nothing of HTTP, of who asks, or of how rows came to be stored.
//!
//! ```text
//! text → sandbox (parse, one read-only statement, known relations) → catalog → plan → stream → formats
//!              first fence                                        second fence   limits
//! ```

mod admission;
mod answer;
mod catalog;
mod config;
mod engine;
mod error;
pub mod formats;
mod functions;
mod hint;
mod info;
mod plan_thread;
mod pool;
pub mod prom;
mod sandbox;
mod scan;
mod types;
mod workers;
mod yielding;

pub use answer::{Answer, AnswerStats, Scanned, StatsHandle};
pub use config::{Config, PastLimit, QueryOptions, Spill};
pub use engine::{Engine, SnapshotSource};
pub use error::{QueryError, QueryErrorKind, Result};
pub use formats::Format;
pub use info::{CatalogInfo, ColumnInfo, SchemaInfo, TableColumns, TableInfo};
pub use prom::{PromAnswer, PromConfig, PromEngine, PromError, PromErrorType, PromOptions, PromStats};
pub use workers::Workers;

#[cfg(test)]
mod tests;
