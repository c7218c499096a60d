//! Threads of their own for running queries, so that a query that computes for long holds up neither scrapes
//! nor other requests: those have the threads of the caller's runtime to themselves.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::{QueryError, Result};

/// Stack of a thread in bytes; only the pages in use cost memory. Conditions are trees as deep as a user
/// writes them, and evaluating them recurses.
const STACK: usize = 16 << 20;

/// Threads that run queries, SQL and PromQL alike. Cheap to clone; the threads end, without being waited for,
/// when the last clone is dropped, wherever that is.
#[derive(Clone)]
pub struct Workers(Arc<Owned>);

/// A runtime that ends without waiting.
struct Owned(Option<Runtime>);

impl Workers {
    /// As many threads as the machine has cores. Fails where the system gives none.
    pub fn start() -> Result<Workers> {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("sql-run")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map(|runtime| Workers(Arc::new(Owned(Some(runtime)))))
            .map_err(|error| QueryError::internal(format!("cannot start threads for queries: {error}")))
    }

    /// Runs `work` there.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.0.0 {
            Some(runtime) => runtime.spawn(work),
            None => unreachable!("the runtime is only taken when this is dropped"),
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // A runtime must not wait for its threads inside another one, and its queries have no reader any more.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}
