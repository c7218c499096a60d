//! Times as the API writes them.

use chrono::{DateTime, SecondsFormat};

/// A time in milliseconds since the Unix epoch as RFC 3339 text in UTC.
pub(super) fn rfc3339(timestamp_ms: i64) -> String {
    DateTime::from_timestamp_millis(timestamp_ms)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}
