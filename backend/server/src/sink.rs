//! Joins the collecting side to the door for writes: a scraped batch goes through `ingest` like any other.

use std::sync::Arc;

use async_trait::async_trait;
use collect::{Sink, SinkError};
use ingest::Ingest;
use model::Batch;

/// Hands every batch to the door.
#[derive(Debug)]
pub(crate) struct IngestSink(pub(crate) Arc<Ingest>);

#[async_trait]
impl Sink for IngestSink {
    async fn send(&self, batch: Batch) -> Result<(), SinkError> {
        match self.0.append(batch).await {
            Ok(_) => Ok(()),
            Err(error) => Err(SinkError::Refused(Box::new(error))),
        }
    }
}
