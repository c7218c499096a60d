//! Log records out of what Cloudflare hands to a tail worker: an array of trace items, as JSON.
//!
//! Comes in: the array, whose form is told in Cloudflare's documentation of the tail handler. Goes out: a record
//! for every `console` call and every exception, and for every event one that sums it up. Redacts nothing:
//! Cloudflare has done so before, and the backend has its own rules.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::text::clip;
use crate::wire::{Level, LogRecord, MESSAGE_BYTES_MAX};

/// Most records taken from one array; the rest is counted in a record of its own.
pub const RECORDS_MAX: usize = 5000;

/// Why an array of trace items cannot be read.
#[derive(Debug, Error)]
pub enum TailError {
    /// Not JSON.
    #[error("tail events are not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but no array.
    #[error("tail events are not an array")]
    NotAnArray,
}

/// The log records in `json`. Items with missing fields give what they have; `now_ms` (milliseconds since the
/// Unix epoch) stands in for a missing time.
pub fn records(json: &str, now_ms: i64) -> Result<Vec<LogRecord>, TailError> {
    let Value::Array(items) = serde_json::from_str(json)? else {
        return Err(TailError::NotAnArray);
    };
    let mut records = Vec::new();
    for item in &items {
        Item::new(item, now_ms).append_to(&mut records);
    }
    if records.len() > RECORDS_MAX {
        let dropped = records.len() - RECORDS_MAX;
        records.truncate(RECORDS_MAX);
        let message = format!("{dropped} tail records dropped, {RECORDS_MAX} are taken of one delivery");
        records.push(LogRecord::new(now_ms, Level::Warn, "tail", &message).with("dropped", dropped));
    }
    Ok(records)
}

/// One trace item: one run of one worker.
struct Item<'a> {
    fields: &'a Value,
    script: &'a str,
    kind: &'static str,
    time_ms: i64,
}

impl<'a> Item<'a> {
    fn new(fields: &'a Value, now_ms: i64) -> Item<'a> {
        let script = text(fields, "scriptName").unwrap_or("unknown");
        let time_ms = millis(fields.get("eventTimestamp")).unwrap_or(now_ms);
        Item { fields, script, kind: kind_of(fields.get("event")), time_ms }
    }

    fn append_to(&self, records: &mut Vec<LogRecord>) {
        records.extend(self.list("logs").map(|log| self.log(log)));
        records.extend(self.list("exceptions").map(|exception| self.exception(exception)));
        records.push(self.summary());
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &'a Value> {
        self.fields.get(name).and_then(Value::as_array).into_iter().flatten()
    }

    fn log(&self, log: &Value) -> LogRecord {
        let level = match text(log, "level") {
            Some("debug") => Level::Debug,
            Some("warn") => Level::Warn,
            Some("error") => Level::Error,
            _ => Level::Info,
        };
        let message = log.get("message").map(message_text).unwrap_or_default();
        self.record(millis(log.get("timestamp")), level, &message)
    }

    fn exception(&self, exception: &Value) -> LogRecord {
        let name = text(exception, "name").unwrap_or("Error");
        let message = format!("{name}: {}", text(exception, "message").unwrap_or(""));
        self.record(millis(exception.get("timestamp")), Level::Error, &message)
            .with("exception", name)
            .with("stack", text(exception, "stack").unwrap_or(""))
    }

    /// What the run came to, with everything known about it.
    fn summary(&self) -> LogRecord {
        let outcome = text(self.fields, "outcome").unwrap_or("unknown");
        let level = match outcome {
            "ok" => Level::Info,
            "canceled" | "responseStreamDisconnected" => Level::Warn,
            _ => Level::Error,
        };
        let event = self.fields.get("event").unwrap_or(&Value::Null);
        let request = event.get("request").unwrap_or(&Value::Null);
        let response = event.get("response").unwrap_or(&Value::Null);
        let what = match (text(request, "method"), text(request, "url")) {
            (Some(method), Some(url)) => format!("{method} {url}"),
            _ => self.kind.to_owned(),
        };
        let status = scalar(response.get("status"));
        let arrow = if status.is_empty() { String::new() } else { format!(" {status}") };
        self.record(None, level, &format!("{what}{arrow} {outcome}"))
            .with("record", "summary")
            .with("outcome", outcome)
            .with("method", text(request, "method").unwrap_or(""))
            .with("url", text(request, "url").unwrap_or(""))
            .with("status", status)
            .with("cpu_ms", scalar(self.fields.get("cpuTime")))
            .with("wall_ms", scalar(self.fields.get("wallTime")))
            .with("cron", text(event, "cron").unwrap_or(""))
            .with("queue", text(event, "queue").unwrap_or(""))
            .with("batch_size", scalar(event.get("batchSize")))
            .with("rpc_method", text(event, "rpcMethod").unwrap_or(""))
            .with("colo", request.pointer("/cf/colo").and_then(Value::as_str).unwrap_or(""))
            .with("country", request.pointer("/cf/country").and_then(Value::as_str).unwrap_or(""))
            .with("truncated", truth(self.fields.get("truncated")))
    }

    /// A record with what all records of this run share.
    fn record(&self, time_ms: Option<i64>, level: Level, message: &str) -> LogRecord {
        let ray = self.fields.pointer("/event/request/headers").and_then(Value::as_object).and_then(ray_id);
        LogRecord::new(time_ms.unwrap_or(self.time_ms), level, clip(self.script, 128), message)
            .with("event", self.kind)
            .with("ray_id", ray.unwrap_or(""))
            .with("entrypoint", text(self.fields, "entrypoint").unwrap_or(""))
            .with("execution_model", text(self.fields, "executionModel").unwrap_or(""))
            .with("dispatch_namespace", text(self.fields, "dispatchNamespace").unwrap_or(""))
            .with(
                "script_version",
                self.fields.pointer("/scriptVersion/id").and_then(Value::as_str).unwrap_or(""),
            )
    }
}

/// Which handler ran, told apart by the fields of the event.
fn kind_of(event: Option<&Value>) -> &'static str {
    const SIGNS: [(&str, &str); 8] = [
        ("request", "fetch"),
        ("cron", "scheduled"),
        ("queue", "queue"),
        ("mailFrom", "email"),
        ("rpcMethod", "rpc"),
        ("consumedEvents", "tail"),
        ("getWebSocketEvent", "websocket"),
        ("scheduledTime", "alarm"),
    ];
    let Some(event) = event.and_then(Value::as_object) else {
        return "unknown";
    };
    SIGNS.iter().find(|(field, _)| event.contains_key(*field)).map_or("unknown", |(_, kind)| kind)
}

/// The arguments of a `console` call, as the console would print them: texts as they are, the rest as JSON.
fn message_text(message: &Value) -> String {
    let Value::Array(parts) = message else {
        return part_text(message);
    };
    let mut out = String::new();
    for part in parts {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&part_text(part));
        if out.len() > MESSAGE_BYTES_MAX {
            break;
        }
    }
    out
}

fn part_text(part: &Value) -> String {
    part.as_str().map_or_else(|| part.to_string(), str::to_owned)
}

fn ray_id(headers: &Map<String, Value>) -> Option<&str> {
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("cf-ray")).and_then(|(_, value)| value.as_str())
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

/// A number or text as text; nothing for anything else.
fn scalar(value: Option<&Value>) -> String {
    match value {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    }
}

fn truth(value: Option<&Value>) -> &'static str {
    if value == Some(&Value::Bool(true)) { "true" } else { "" }
}

/// Milliseconds, whole or with a fraction.
fn millis(value: Option<&Value>) -> Option<i64> {
    let number = value?.as_f64().filter(|ms| ms.is_finite() && *ms > 0.0 && *ms < 1e16)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within ±1e16, checked above; a fraction of a ms is dropped"
    )]
    Some(number as i64)
}

#[cfg(test)]
mod tests;
