//! What Prometheus's administration does and this program does not: said plainly, nothing pretended.

use super::envelope::{ErrorType, PromError};

/// Rows leave by retention only.
pub(super) async fn delete_series() -> PromError {
    unavailable("series cannot be deleted: rows leave whole days at a time, by the retention of their table")
}

/// There are no tombstones.
pub(super) async fn clean_tombstones() -> PromError {
    unavailable("there are no tombstones: files that no table names are deleted after their grace period")
}

/// The bucket is the snapshot.
pub(super) async fn snapshot() -> PromError {
    unavailable(
        "there are no snapshots to take: the tables in the store are immutable files with a log, copy them",
    )
}

fn unavailable(message: &str) -> PromError {
    PromError::new(ErrorType::Unavailable, message)
}
