//! What an isolate remembers from one event to the next. All of it may be gone at any time: Cloudflare ends
//! isolates, and starts several of one worker.

use std::cell::RefCell;

use probes::wire::{LogRecord, ProbeList};
use serde_json::{Value, json};

use probes::Outbox;

/// Most log records kept for the next batch.
const NOTES_MAX: usize = 100;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// What an isolate remembers.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The backend's probe list as it was last verified, and its entity tag.
    pub(crate) probe_list: Option<(String, ProbeList)>,
    /// Batches the backend did not take yet.
    pub(crate) outbox: Outbox,
    /// Log records for the next batch: what went wrong after the last one was closed.
    notes: Vec<LogRecord>,
    /// The last tick, for the status page.
    pub(crate) last_tick: Option<TickReport>,
}

/// What the status page tells of a tick: counts only, nothing of what is probed.
#[derive(Clone, Debug)]
pub(crate) struct TickReport {
    pub(crate) scheduled_ms: i64,
    pub(crate) probes_run: usize,
    pub(crate) probes_failed: usize,
    pub(crate) probes_skipped: usize,
    pub(crate) delivered: bool,
}

impl TickReport {
    /// As it is shown.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "scheduled_ms": self.scheduled_ms,
            "probes_run": self.probes_run,
            "probes_failed": self.probes_failed,
            "probes_skipped": self.probes_skipped,
            "delivered": self.delivered,
        })
    }
}

impl State {
    /// Keeps a log record for the next batch and shows it on the console at once.
    pub(crate) fn note(&mut self, record: LogRecord) {
        worker::console_warn!("{}", serde_json::to_string(&record).unwrap_or_default());
        if self.notes.len() < NOTES_MAX {
            self.notes.push(record);
        }
    }

    /// The records kept, to be sent now.
    pub(crate) fn take_notes(&mut self) -> Vec<LogRecord> {
        std::mem::take(&mut self.notes)
    }
}

/// Looks at or changes what this isolate remembers. `act` must not wait for anything, and cannot.
pub(crate) fn with<T>(act: impl FnOnce(&mut State) -> T) -> T {
    STATE.with(|state| act(&mut state.borrow_mut()))
}
