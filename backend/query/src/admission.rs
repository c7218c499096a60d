//! Lets a few queries in at once and the others wait their turn, for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{QueryError, QueryErrorKind, Result};

/// How many waiting queries there may be for each running one; more are turned away at once.
const WAITING_PER_RUNNING: usize = 8;

/// The door of the engine.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    places: usize,
    patience: Duration,
}

impl Admission {
    /// A door for `places` queries at once; others wait up to `patience`.
    pub(crate) fn new(places: usize, patience: Duration) -> Admission {
        let places = places.max(1);
        Admission {
            running: Arc::new(Semaphore::new(places)),
            waiting: Arc::new(Semaphore::new(places * WAITING_PER_RUNNING)),
            places,
            patience,
        }
    }

    /// Waits for a place; it is given back when the permit is dropped.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(self.busy());
        };
        match tokio::time::timeout(self.patience, Arc::clone(&self.running).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.busy()),
        }
    }

    fn busy(&self) -> QueryError {
        let message = format!("too many queries run at once, more than the limit of {}", self.places);
        QueryError::new(QueryErrorKind::Busy, message).with_hint("try again in a few seconds")
    }
}
