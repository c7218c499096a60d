//! Where work runs that computes: what is short runs where it is asked for, what may be long on a thread that may
//! block. Handing over to another thread and back takes some tens of microseconds, which is more than many questions
//! take in all. Knows nothing of what is computed; the caller says whether it is short, which means well below a
//! millisecond.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::try_join_all;
use tokio::task::JoinError;

use crate::error::Result;

/// Threads that read from a folder for each that may compute: half of the time they wait for the disk.
pub(crate) const READERS_A_THREAD: usize = 4;

/// Runs `work` here if it is short, else on a thread that may block.
pub(crate) async fn offload<T: Send + 'static>(
    is_short: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, JoinError> {
    if is_short {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}

/// Has `work` done on `items` by at most `threads` threads that may block, each of which takes the next item when
/// it is done with one; what comes out is in no order. No item is begun any more after a failure, or once the future
/// is dropped.
pub(crate) async fn on_blocking_threads<T, R>(
    items: impl IntoIterator<Item = T>,
    threads: usize,
    work: impl Fn(T) -> Result<R> + Clone + Send + 'static,
) -> Result<Vec<R>>
where
    T: Send + 'static,
    R: Send + 'static,
{
    let line = Line(Arc::new(Mutex::new(items.into_iter().collect())));
    let threads = threads.clamp(1, lock(&line.0).len().max(1));
    let thread = || {
        let (items, work) = (Arc::clone(&line.0), work.clone());
        let next = move || lock(&items).pop_front();
        let done = tokio::task::spawn_blocking(move || std::iter::from_fn(next).map(work).collect());
        async move { done.await? }
    };
    let done: Vec<Vec<R>> = try_join_all((0..threads).map(|_| thread())).await?;
    Ok(done.into_iter().flatten().collect())
}

/// What waits for a thread.
struct Line<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Drop for Line<T> {
    fn drop(&mut self) {
        lock(&self.0).clear();
    }
}

fn lock<T>(items: &Mutex<VecDeque<T>>) -> MutexGuard<'_, VecDeque<T>> {
    items.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    use super::*;
    use crate::error::Error;

    #[tokio::test]
    async fn everything_is_done_once_by_so_many_threads() {
        for (items, threads) in [(0, 2), (1, 4), (100, 3), (5, 0)] {
            let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (counted, kept) = (Arc::clone(&now), Arc::clone(&most));
            let work = move |item: usize| {
                kept.fetch_max(counted.fetch_add(1, Relaxed) + 1, Relaxed);
                std::thread::sleep(Duration::from_micros(200));
                counted.fetch_sub(1, Relaxed);
                Ok(item)
            };
            let mut done = on_blocking_threads(0..items, threads, work).await.unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..items).collect::<Vec<_>>());
            assert!(most.load(Relaxed) <= threads.max(1));
        }
    }

    #[tokio::test]
    async fn nothing_is_begun_after_a_failure_or_once_it_is_dropped() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let work = move |item: usize| {
            count.fetch_add(1, Relaxed);
            std::thread::sleep(Duration::from_millis(1));
            if item == 3 { Err(Error::Stopped) } else { Ok(item) }
        };
        assert!(matches!(on_blocking_threads(0..10_000, 2, work.clone()).await, Err(Error::Stopped)));
        let after_failure = begun.load(Relaxed);
        assert!(after_failure < 1_000, "{after_failure}");
        let dropped = on_blocking_threads(4..10_000, 2, work);
        assert!(tokio::time::timeout(Duration::from_millis(20), dropped).await.is_err());
        assert!(begun.load(Relaxed) - after_failure < 1_000);
    }
}
