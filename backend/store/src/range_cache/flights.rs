//! Blocks on their way: who wants one that somebody else has asked for waits for the same answer.
//!
//! A flight is a task of its own. Readers that give up change nothing for those that still wait, and what the
//! flight brings is kept for the next reader.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::oneshot;

use super::block::{Block, BlockKey, FileRef};

/// Why a flight brought nothing.
#[derive(Clone, Debug)]
pub(super) enum Lost {
    /// The object store failed.
    Store(Arc<object_store::Error>),
    /// The task was ended or panicked.
    Ended,
}

/// Blocks in a row from the first one asked for; fewer than that where the file ends.
pub(super) type Brought = Result<Arc<[Block]>, Lost>;

/// A task that brings neighbouring blocks of a file.
#[derive(Clone)]
pub(super) struct Flight {
    first: u32,
    landing: Shared<BoxFuture<'static, Brought>>,
}

impl Flight {
    /// Of the blocks from number `first` on, with the other end for the task to tell what it has brought.
    pub(super) fn new(first: u32) -> (Flight, oneshot::Sender<Brought>) {
        let (send, receive) = oneshot::channel();
        let landing = receive.map(|told| told.unwrap_or(Err(Lost::Ended))).boxed().shared();
        (Flight { first, landing }, send)
    }

    /// Waits for block `number`; `None` where it lies behind the end of the file.
    pub(super) async fn block(self, number: u32) -> Result<Option<Block>, Lost> {
        let blocks = self.landing.await?;
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        Ok(place.and_then(|place| blocks.get(place)).cloned())
    }
}

/// All flights, by block.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<BlockKey, Flight>>);

impl Flights {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<BlockKey, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes blocks off the board.
    pub(super) fn end(&self, file: &FileRef, numbers: Range<u32>) {
        let mut flights = self.lock();
        for number in numbers {
            flights.remove(&file.key(number));
        }
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("blocks", &self.lock().len()).finish()
    }
}
