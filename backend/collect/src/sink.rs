//! The door through which collected batches leave.

use async_trait::async_trait;
use model::Batch;
use thiserror::Error;

/// Why a batch was not taken.
#[derive(Debug, Error)]
pub enum SinkError {
    /// Nobody takes batches any more: the program is stopping.
    #[error("the sink is closed")]
    Closed,
    /// The batch could not be stored.
    #[error("the batch was refused: {0}")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Takes batches.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Hands over one batch; resolves when it is safe. A slow sink slows the scrapes that write to it.
    async fn send(&self, batch: Batch) -> Result<(), SinkError>;
}
