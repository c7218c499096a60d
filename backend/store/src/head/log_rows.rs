//! Rows of `logs` from generations: sorted by (service, stream_id, ts, ts_ns), entries of the same
//! nanosecond in the order they were written.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Int8Builder, Int16Builder, Int64Builder, MapBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use model::{Labels, LogEntry};

use super::generation::Generation;
use super::logs::{StreamRows, day_of_ns};
use super::metric_rows::{BATCH_ROWS, Selection, with_day_column};
use crate::error::Result;
use crate::tables::{Table, map_builder};

/// Text in a record batch, bytes, after which it ends early; far below what 32-bit offsets hold.
const BATCH_TEXT_BYTES: usize = 64 << 20;

/// Walks over the rows, one record batch at a time.
#[derive(Debug)]
pub(crate) struct LogScan {
    selection: Selection,
    /// Streams that are left, by falling (service, stream_id); of one stream the older generation comes last.
    streams: Vec<StreamRows>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    labels: Labels,
    stream_id: i64,
    runs: Vec<Arc<Vec<LogEntry>>>,
    /// Time, run and place of every entry in the range, in order.
    order: std::vec::IntoIter<(i64, u32, u32)>,
}

/// The column `service` of a stream.
pub(crate) fn service(labels: &Labels) -> &str {
    labels.get("service").unwrap_or("")
}

impl LogScan {
    /// Starts a scan over `generations`, oldest first.
    pub(crate) fn new(generations: &[Arc<Generation>], selection: Selection) -> LogScan {
        let (start_ns, end_ns) = range_ns(&selection);
        let mut streams = Vec::new();
        for generation in generations.iter().rev() {
            streams.append(&mut generation.logs.streams(start_ns, end_ns, |id| selection.wants_id(id)));
        }
        streams.sort_by(|a, b| (service(&b.labels), b.stream_id).cmp(&(service(&a.labels), a.stream_id)));
        LogScan { selection, streams, current: None }
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = Rows::new();
        while rows.count < BATCH_ROWS && rows.text_bytes < BATCH_TEXT_BYTES {
            if self.current.is_none() && !self.next_stream() {
                break;
            }
            let Some(current) = &mut self.current else { break };
            match current.order.next() {
                Some((_, run, place)) => {
                    let entry = &current.runs[run as usize][place as usize];
                    rows.push(self.selection.with_day, &current.labels, current.stream_id, entry)?;
                }
                None => self.current = None,
            }
        }
        if rows.count == 0 { Ok(None) } else { rows.finish(self.selection.with_day).map(Some) }
    }

    fn next_stream(&mut self) -> bool {
        let Some(first) = self.streams.pop() else { return false };
        let mut runs = first.runs;
        while let Some(mut later) = self.streams.pop_if(|stream| stream.stream_id == first.stream_id) {
            runs.append(&mut later.runs);
        }
        let (start_ns, end_ns) = range_ns(&self.selection);
        let mut order = Vec::new();
        for (run, entries) in runs.iter().enumerate() {
            for (place, entry) in entries.iter().enumerate() {
                if (start_ns..=end_ns).contains(&entry.timestamp_ns) {
                    order.push((entry.timestamp_ns, run as u32, place as u32));
                }
            }
        }
        // Run and place rise in the order of writing, so equal times keep it.
        order.sort_unstable();
        let (labels, stream_id) = (first.labels, first.stream_id);
        self.current = Some(Current { labels, stream_id, runs, order: order.into_iter() });
        true
    }
}

/// The nanoseconds a selection covers, both ends inclusive.
pub(crate) fn range_ns(selection: &Selection) -> (i64, i64) {
    let end_us = selection.end_us;
    (selection.start_us.saturating_mul(1_000), end_us.saturating_mul(1_000).saturating_add(999))
}

#[derive(Debug)]
struct Rows {
    count: usize,
    text_bytes: usize,
    day: Date32Builder,
    ts: TimestampMicrosecondBuilder,
    ts_ns: Int16Builder,
    service: StringBuilder,
    host: StringBuilder,
    source: StringBuilder,
    severity: Int8Builder,
    stream_id: Int64Builder,
    body: StringBuilder,
    attributes: MapBuilder<StringBuilder, StringBuilder>,
    trace_id: StringBuilder,
    span_id: StringBuilder,
}

impl Rows {
    fn new() -> Rows {
        Rows {
            count: 0,
            text_bytes: 0,
            day: Date32Builder::new(),
            ts: TimestampMicrosecondBuilder::new(),
            ts_ns: Int16Builder::new(),
            service: StringBuilder::new(),
            host: StringBuilder::new(),
            source: StringBuilder::new(),
            severity: Int8Builder::new(),
            stream_id: Int64Builder::new(),
            body: StringBuilder::new(),
            attributes: map_builder(),
            trace_id: StringBuilder::new(),
            span_id: StringBuilder::new(),
        }
    }

    fn push(&mut self, with_day: bool, labels: &Labels, stream_id: i64, entry: &LogEntry) -> Result<()> {
        self.count += 1;
        self.text_bytes += entry.body.len() + labels.heap_bytes();
        if with_day {
            self.day.append_value(day_of_ns(entry.timestamp_ns));
        }
        self.ts.append_value(entry.timestamp_ns.div_euclid(1_000));
        self.ts_ns.append_value(entry.timestamp_ns.rem_euclid(1_000) as i16);
        self.service.append_value(service(labels));
        self.host.append_value(labels.get("host").unwrap_or(""));
        self.source.append_value(labels.get("source").unwrap_or(""));
        self.severity.append_value(entry.severity.number());
        self.stream_id.append_value(stream_id);
        self.body.append_value(&entry.body);
        self.text_bytes += append_pairs(&mut self.attributes, &entry.attributes)?;
        self.trace_id.append_option(entry.trace_id.as_deref());
        self.span_id.append_option(entry.span_id.as_deref());
        Ok(())
    }

    fn finish(mut self, with_day: bool) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.ts.finish().with_timezone("UTC")),
            Arc::new(self.ts_ns.finish()),
            Arc::new(self.service.finish()),
            Arc::new(self.host.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.severity.finish()),
            Arc::new(self.stream_id.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
        ];
        with_day_column(Table::Logs, with_day.then_some(self.day), &mut columns)
    }
}

/// Appends one map of name-value pairs; gives the bytes of text in it.
pub(crate) fn append_pairs(
    map: &mut MapBuilder<StringBuilder, StringBuilder>,
    pairs: &[(String, String)],
) -> Result<usize> {
    let mut bytes = 0;
    for (name, value) in pairs {
        bytes += name.len() + value.len();
        map.keys().append_value(name);
        map.values().append_value(value);
    }
    map.append(true)?;
    Ok(bytes)
}
