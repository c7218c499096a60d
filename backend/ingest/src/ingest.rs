//! Admission, limits and the hand-over to the store.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::{Batch, Clock};
use process::limits::{Limits, Rejections};
use store::{Appended, Store};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::active_series::{ActiveSeries, SourceSeries};
use crate::counters::{Counters, Stored};

/// Batches that may wait for the store at once; more are told to come back.
const IN_FLIGHT_BATCHES_MAX: usize = 1024;

/// What became of a batch. Given only after the store has it on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// Stored, save the rows that a limit refused.
    Stored {
        /// Metric points stored, derived `probe_*` points included.
        points: usize,
        /// Native histograms stored.
        histograms: usize,
        /// Exemplars stored.
        exemplars: usize,
        /// Log entries stored.
        log_entries: usize,
        /// Probe results stored.
        probe_results: usize,
        /// Rows refused, by reason.
        rejections: Rejections,
    },
    /// The same source sent a batch of this id before; nothing was stored again.
    Duplicate,
}

/// Why a batch was not taken. Nothing of it is stored.
#[derive(Debug, Error)]
pub enum IngestError {
    /// Too much waits for the disk already: send the batch again later.
    #[error("too many batches in flight, try again in {} s", retry_after.as_secs())]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The store refused.
    #[error("the store did not take the batch: {0}")]
    Store(#[from] store::Error),
}

/// The door. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Ingest {
    store: Arc<Store>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    in_flight: Semaphore,
    counters: Counters,
    active: ActiveSeries,
}

impl Ingest {
    /// A door to `store` that holds every source to `limits`.
    pub fn new(store: Arc<Store>, limits: Limits, clock: Arc<dyn Clock>) -> Ingest {
        let active = ActiveSeries::new(limits.series_per_source, limits.series_total);
        Ingest {
            store,
            limits,
            active,
            clock,
            in_flight: Semaphore::new(IN_FLIGHT_BATCHES_MAX),
            counters: Counters::default(),
        }
    }

    /// Takes `batch`; returns when its rows are on disk and visible to queries.
    pub async fn append(&self, batch: Batch) -> Result<Receipt, IngestError> {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            self.counters.refused_batch();
            return Err(IngestError::Overloaded { retry_after: Duration::from_secs(1) });
        };
        let now_ms = self.clock.now_ms();
        let (mut batch, mut rejections) = process::limits::enforce(&self.limits, batch, now_ms);
        for result in &batch.probes {
            batch.points.extend(process::probe_metrics::points(result));
        }
        let Batch { source, points, histograms, exemplars, .. } = &mut batch;
        self.active.admit(source, points, now_ms, &mut rejections);
        self.active.admit(source, histograms, now_ms, &mut rejections);
        self.active.admit(source, exemplars, now_ms, &mut rejections);
        if rejections.lost() > 0 {
            drop_lone_starts(&mut batch);
        }
        self.counters.rejected(rejections.lost());
        let stored = Stored {
            points: batch.points.len(),
            histograms: batch.histograms.len(),
            exemplars: batch.exemplars.len(),
            log_entries: batch.log_entries(),
            probe_results: batch.probes.len(),
        };
        match self.store.append(batch).await {
            Ok(Appended::Stored { .. }) => {
                self.counters.stored(&stored, self.clock.now_ms());
                let Stored { points, histograms, exemplars, log_entries, probe_results } = stored;
                Ok(Receipt::Stored { points, histograms, exemplars, log_entries, probe_results, rejections })
            }
            Ok(Appended::Duplicate) => {
                self.counters.duplicate();
                Ok(Receipt::Duplicate)
            }
            Err(error) => {
                self.counters.refused_batch();
                Err(error.into())
            }
        }
    }

    /// Active series by source, and points refused because there were too many.
    pub fn sources(&self) -> Vec<SourceSeries> {
        self.active.sources()
    }

    /// What went through so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Drops start times whose sample was refused.
fn drop_lone_starts(batch: &mut Batch) {
    if batch.starts.is_empty() {
        return;
    }
    let samples: HashSet<(u64, i64)> =
        batch.points.iter().map(|point| (point.labels.hash64(), point.timestamp_ms)).collect();
    batch.starts.retain(|start| samples.contains(&(start.labels.hash64(), start.timestamp_ms)));
}

#[cfg(test)]
mod tests;
