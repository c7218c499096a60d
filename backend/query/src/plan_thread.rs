//! Runs planning where there is room for it: a thread with a large stack, because parser, planner and
//! optimiser recurse over trees that users shape.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{QueryError, Result};

/// Stack of a planning thread in bytes; only the pages in use cost memory.
pub(crate) const STACK: usize = 64 << 20;

/// Runs what `work` makes to its end on a thread of its own, with the I/O of the calling runtime.
///
/// Dropping the returned future does not end the thread; its work is bounded by the sandbox.
pub(crate) async fn run<F, T>(work: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    F: Future<Output = Result<T>>,
    T: Send + 'static,
{
    let runtime = Handle::current();
    let (send, receive) = oneshot::channel();
    std::thread::Builder::new()
        .name("sql-plan".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // A receiver that is gone wants no answer.
            let _ = send.send(runtime.block_on(work()));
        })
        .map_err(|error| QueryError::internal(format!("cannot start a planning thread: {error}")))?;
    receive
        .await
        .unwrap_or_else(|_| Err(QueryError::internal("planning failed; the log of the server says why")))
}
