//! Exporters inside this program. Each gives a page of metrics, under the names the well-known exporter of
//! its kind uses.
//!
//! A page goes the same way as one scraped over HTTP (`up`, relabelling, staleness, limits), as target
//! `builtin://NAME`; and it can be given to a foreign Prometheus as it is.

use async_trait::async_trait;
use thiserror::Error;

mod families;
pub mod host;
pub mod process;

pub use families::Families;

/// Why an exporter has no page at all.
#[derive(Debug, Error)]
pub enum ExporterError {
    /// The last collection has not ended yet.
    #[error("the last collection is still running")]
    Busy,
    /// The collection ended without a result.
    #[error("the collection was broken off")]
    Broken,
}

/// Gives pages.
#[async_trait]
pub trait Exporter: Send + Sync {
    /// The page as of now, in text format 0.0.4.
    async fn collect(&self) -> Result<String, ExporterError>;
}
