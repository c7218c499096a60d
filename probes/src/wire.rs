//! The messages of the edge protocol, as JSON. How they are signed is in [`crate::sign`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ProbeOutcome;
pub use crate::list::ProbeList;
use crate::text::clip;

/// Path of the push, `POST`.
pub const PUSH_PATH: &str = "/api/edge/v1/push";
/// Path of the probe list, `GET`.
pub const CONFIG_PATH: &str = "/api/edge/v1/config";
/// Largest body of a push as it is sent, bytes.
pub const PUSH_COMPRESSED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest body of a push unpacked, bytes.
pub const PUSH_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest message of one log record, bytes; longer ones are cut.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Longest value of one attribute, bytes; longer ones are cut.
pub const ATTRIBUTE_BYTES_MAX: usize = 2048;

/// What a worker learned in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// Name of the worker.
    pub worker: String,
    /// Where it ran.
    pub location: String,
    /// When the batch was made, milliseconds since the Unix epoch.
    pub sent_at_ms: i64,
    /// Verdicts.
    #[serde(default)]
    pub results: Vec<ProbeOutcome>,
    /// Log records: the worker's own, and those of the workers it listens to.
    #[serde(default)]
    pub logs: Vec<LogRecord>,
}

/// One log record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// How severe.
    pub level: Level,
    /// The worker it is from.
    pub script: String,
    /// The text.
    pub message: String,
    /// What else is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// How severe a log record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Debug,
    Warn,
    Error,
    // Last, because serde wants the variant for unknown names there.
    #[default]
    #[serde(other)]
    Info,
}

/// The answer to a stored push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAnswer {
    /// Whether it is new.
    pub status: PushStatus,
    /// Verdicts in the batch.
    #[serde(default)]
    pub results: u64,
    /// Log records in the batch.
    #[serde(default)]
    pub logs: u64,
}

/// Whether a push was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushStatus {
    /// It is stored now.
    Stored,
    /// It was stored before.
    Duplicate,
}

impl LogRecord {
    /// A record, its message cut to [`MESSAGE_BYTES_MAX`].
    pub fn new(timestamp_ms: i64, level: Level, script: impl Into<String>, message: &str) -> LogRecord {
        LogRecord {
            timestamp_ms,
            level,
            script: script.into(),
            message: clip(message, MESSAGE_BYTES_MAX).to_owned(),
            attributes: BTreeMap::new(),
        }
    }

    /// Bytes this record takes as JSON.
    fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len() + 1)
    }

    /// Adds an attribute, cut to [`ATTRIBUTE_BYTES_MAX`]; an empty value is left out.
    pub fn with(mut self, name: &str, value: impl ToString) -> LogRecord {
        let value = value.to_string();
        if !value.is_empty() {
            self.attributes.insert(name.to_owned(), clip(&value, ATTRIBUTE_BYTES_MAX).to_owned());
        }
        self
    }
}

/// Deals records out to as many pushes as are needed for none to be larger than about `bytes_max` unpacked.
/// Order is kept; a record larger than that is alone.
pub fn split_logs(records: Vec<LogRecord>, bytes_max: usize) -> Vec<Vec<LogRecord>> {
    let mut parts: Vec<Vec<LogRecord>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = record.json_bytes();
        match parts.last_mut() {
            Some(part) if bytes + size <= bytes_max => {
                bytes += size;
                part.push(record);
            }
            _ => {
                bytes = size;
                parts.push(vec![record]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests;
