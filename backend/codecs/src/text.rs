//! Lines of the Prometheus text format 0.0.4.
//!
//! Comes in: one line. Goes out: what it says. Timestamps are whole milliseconds; comments and empty lines
//! mean nothing.

use std::borrow::Cow;

use model::MetricKind;

use crate::exposition::lexer::{Cursor, Fault, unescape};
use crate::exposition::series::{self, SeriesText};
use crate::exposition::{Entry, Line, Reason, Sample, parse_value};

/// Reads one line; `number` and `start` are its number and its offset on the page.
pub(crate) fn line<'a>(line: &'a str, number: usize, start: usize) -> Result<Line<'a>, Fault> {
    let mut cursor = Cursor::new(line);
    cursor.skip_blanks();
    match cursor.peek() {
        None => Ok(Line::Nothing),
        Some(b'#') => comment(&mut cursor),
        Some(_) => {
            let series = series::scan(&mut cursor, number, start)?;
            Ok(Line::Entry(Entry::Sample(after_series(&mut cursor, series)?)))
        }
    }
}

/// Reads value and timestamp.
pub(crate) fn after_series<'a>(cursor: &mut Cursor<'a>, series: SeriesText<'a>) -> Result<Sample<'a>, Fault> {
    let value = value(cursor)?;
    let mut timestamp_ms = None;
    if cursor.skip_blanks() && !cursor.at_end() {
        let fault = cursor.fault(Reason::TimestampInvalid);
        timestamp_ms = Some(cursor.token().parse().map_err(|_| fault)?);
        cursor.skip_blanks();
    }
    if !cursor.at_end() {
        return Err(cursor.fault(Reason::TextAfterSample));
    }
    Ok(Sample { series, value, timestamp_ms, exemplar: None })
}

/// Reads the value of a sample or exemplar.
pub(crate) fn value(cursor: &mut Cursor<'_>) -> Result<f64, Fault> {
    cursor.skip_blanks();
    if cursor.at_end() {
        return Err(cursor.fault(Reason::ValueExpected));
    }
    let fault = cursor.fault(Reason::ValueInvalid);
    parse_value(cursor.token()).ok_or(fault)
}

fn comment<'a>(cursor: &mut Cursor<'a>) -> Result<Line<'a>, Fault> {
    cursor.eat(b'#');
    if !cursor.skip_blanks() {
        return Ok(Line::Nothing);
    }
    let keyword = cursor.token();
    if !matches!(keyword, "HELP" | "TYPE") || !cursor.skip_blanks() {
        return Ok(Line::Nothing);
    }
    let family = cursor.family_name()?;
    Ok(Line::Entry(if keyword == "HELP" {
        Entry::Help { family, text: unescape(meta_text(cursor), false) }
    } else {
        Entry::Type { family, kind: kind(cursor)? }
    }))
}

/// The text after the family name, without the one blank between them.
pub(crate) fn meta_text<'a>(cursor: &Cursor<'a>) -> &'a str {
    let rest = cursor.rest();
    rest.strip_prefix([' ', '\t']).unwrap_or(rest)
}

/// Reads a metric type; `untyped` is what 0.0.4 calls `unknown`.
pub(crate) fn kind(cursor: &mut Cursor<'_>) -> Result<MetricKind, Fault> {
    cursor.skip_blanks();
    let fault = cursor.fault(Reason::TypeUnknown);
    Ok(match cursor.rest().trim_end() {
        "counter" => MetricKind::Counter,
        "gauge" => MetricKind::Gauge,
        "histogram" => MetricKind::Histogram,
        "gaugehistogram" => MetricKind::GaugeHistogram,
        "summary" => MetricKind::Summary,
        "info" => MetricKind::Info,
        "stateset" => MetricKind::StateSet,
        "unknown" | "untyped" => MetricKind::Unknown,
        _ => return Err(fault),
    })
}

/// The name of a kind in 0.0.4, which knows fewer than OpenMetrics.
pub(crate) fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge | MetricKind::Info | MetricKind::StateSet => "gauge",
        MetricKind::Histogram => "histogram",
        MetricKind::Summary => "summary",
        MetricKind::GaugeHistogram | MetricKind::Unknown => "untyped",
    }
}

/// Escapes a help text for 0.0.4.
pub(crate) fn escape_help(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '\n']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\\', "\\\\").replace('\n', "\\n"))
}
