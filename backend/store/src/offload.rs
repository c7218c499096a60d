//! Where work runs that computes: what is short runs where it is asked for, what may be long on a thread that may
//! block. Handing over to another thread and back takes some tens of microseconds, which is more than many questions
//! take in all. Knows nothing of what is computed; the caller says whether it is short, which means well below a
//! millisecond.

use tokio::task::JoinError;

/// Runs `work` here if it is short, else on a thread that may block.
pub(crate) async fn offload<T: Send + 'static>(
    is_short: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if is_short {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}
