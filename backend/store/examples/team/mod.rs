//! Log entries of a team's services, in the order of time and by stream, ready to be appended.

use model::{Labels, LogEntry, LogStream, Severity};

use crate::lines::{Dice, HOSTS, SERVICES, Style, write_line};

const SEVERITIES: [Severity; 5] =
    [Severity::Info, Severity::Info, Severity::Info, Severity::Warn, Severity::Error];

/// The services and how far their lines have come.
pub(crate) struct Team {
    streams: Vec<(Labels, &'static str, Style)>,
    dice: Dice,
    rows: usize,
}

impl Team {
    /// The same every time.
    pub(crate) fn new() -> Team {
        let labels = |service: &str, host: &str| {
            Labels::from_pairs([("service", service), ("host", host), ("source", "docker")])
        };
        let streams = SERVICES.into_iter().flat_map(|(service, style)| {
            HOSTS.into_iter().map(move |host| (labels(service, host), service, style))
        });
        Team { streams: streams.collect(), dice: Dice(0x2545_f491_4f6c_dd1d), rows: 0 }
    }

    /// `count` lines, evenly from `from_ms` on over `length_ms`.
    pub(crate) fn logs(&mut self, from_ms: i64, length_ms: i64, count: usize) -> Vec<LogStream> {
        let mut streams: Vec<LogStream> = self
            .streams
            .iter()
            .map(|(labels, ..)| LogStream { labels: labels.clone(), entries: Vec::new() })
            .collect();
        for i in 0..count {
            let timestamp_ns = from_ms * 1_000_000 + i as i64 * length_ms * 1_000_000 / count as i64;
            let at = self.dice.below(streams.len());
            let entry = self.entry(at, timestamp_ns);
            streams[at].entries.push(entry);
        }
        streams.retain(|stream| !stream.entries.is_empty());
        streams
    }

    fn entry(&mut self, at: usize, timestamp_ns: i64) -> LogEntry {
        let (_, service, style) = self.streams[at];
        let dice = &mut self.dice;
        let trace_id = dice.one_in(3).then(|| format!("{:016x}{:016x}", dice.next(), dice.next()));
        let span_id = trace_id.is_some().then(|| format!("{:016x}", dice.next()));
        let severity = SEVERITIES[dice.below(5)];
        let mut body = String::new();
        write_line(&mut body, style, service, self.rows, trace_id.as_deref(), dice);
        self.rows += 1;
        let attributes = match style {
            Style::Json => vec![("container".to_owned(), format!("{service}-1"))],
            _ => Vec::new(),
        };
        LogEntry { timestamp_ns, severity, body, attributes, trace_id, span_id }
    }
}
