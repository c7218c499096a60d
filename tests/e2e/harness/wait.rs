//! Waiting for something to become true, with a deadline and a reason.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Tries until `attempt` gives `Ok`, and panics with its last words after `within`.
pub(crate) async fn eventually<T, F, R>(what: &str, within: Duration, mut attempt: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + within;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(last) if Instant::now() >= deadline => panic!("not within {within:?}: {what}; last: {last}"),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// `Ok` if `condition`, else what is said.
pub(crate) fn ensure(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    model::Clock::now_ms(&model::SystemClock)
}
