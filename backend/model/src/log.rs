//! Log streams and their entries.

use serde::{Deserialize, Serialize};

use crate::Labels;

/// How severe a log entry is; the numbers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i8)]
pub enum Severity {
    /// Not told.
    #[default]
    Unknown = 0,
    /// Finest detail.
    Trace = 1,
    /// For developers.
    Debug = 5,
    /// Normal operation.
    Info = 9,
    /// Something to look at.
    Warn = 13,
    /// Something failed.
    Error = 17,
    /// The program cannot go on.
    Fatal = 21,
}

impl Severity {
    /// The stored number: the first of the OpenTelemetry severity range, 0 for unknown.
    pub fn number(self) -> i8 {
        self as i8
    }

    /// The severity whose range holds `number` (OpenTelemetry log data model, SeverityNumber).
    pub fn from_number(number: i8) -> Severity {
        match number {
            1..=4 => Severity::Trace,
            5..=8 => Severity::Debug,
            9..=12 => Severity::Info,
            13..=16 => Severity::Warn,
            17..=20 => Severity::Error,
            21..=24 => Severity::Fatal,
            _ => Severity::Unknown,
        }
    }

    /// Reads the usual names, in any case: `warning`, `WARN`, `err`, `critical`, `notice`, `log` …
    pub fn parse(text: &str) -> Severity {
        match text.trim().to_ascii_lowercase().as_str() {
            "trace" => Severity::Trace,
            "debug" => Severity::Debug,
            "info" | "information" | "informational" | "notice" | "log" => Severity::Info,
            "warn" | "warning" => Severity::Warn,
            "error" | "err" => Severity::Error,
            "fatal" | "critical" | "crit" | "panic" | "alert" | "emerg" | "emergency" => Severity::Fatal,
            _ => Severity::Unknown,
        }
    }
}

/// One log entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// Nanoseconds since the Unix epoch.
    pub timestamp_ns: i64,
    /// How severe it is.
    pub severity: Severity,
    /// The line, without a final newline.
    pub body: String,
    /// Structured fields, names unique, any order.
    pub attributes: Vec<(String, String)>,
    /// Trace id in lowercase hex, if any.
    pub trace_id: Option<String>,
    /// Span id in lowercase hex, if any.
    pub span_id: Option<String>,
}

/// Entries of one stream, in the order they were written.
#[derive(Clone, Debug)]
pub struct LogStream {
    /// The stream's labels. `service`, `host` and `source` also become columns of the `logs` table.
    pub labels: Labels,
    /// The entries.
    pub entries: Vec<LogEntry>,
}
