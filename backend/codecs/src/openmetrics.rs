//! Lines of OpenMetrics 1.0.
//!
//! Comes in: one line. Goes out: what it says. Timestamps are seconds with a fraction; a page must end with
//! `# EOF`; empty lines and other comments are errors. Exemplars are read, native histograms do not exist in
//! this format.

use model::MetricKind;

use crate::exposition::lexer::{Cursor, Fault, unescape};
use crate::exposition::series::{self, SeriesText};
use crate::exposition::{Entry, Exemplar, Line, Reason, Sample};
use crate::text::{kind, meta_text, value};

/// Farthest timestamp in seconds that is still exact in milliseconds.
const TIMESTAMP_SECONDS_MAX: f64 = 9.0e12;

/// Reads one line; `number` and `start` are its number and its offset on the page.
pub(crate) fn line<'a>(line: &'a str, number: usize, start: usize) -> Result<Line<'a>, Fault> {
    let mut cursor = Cursor::new(line);
    match cursor.peek() {
        None => Err(cursor.fault(Reason::LineEmpty)),
        Some(b'#') => comment(&mut cursor),
        Some(_) => {
            let series = series::scan(&mut cursor, number, start)?;
            Ok(Line::Entry(Entry::Sample(after_series(&mut cursor, series)?)))
        }
    }
}

/// Reads value, timestamp and exemplar.
pub(crate) fn after_series<'a>(cursor: &mut Cursor<'a>, series: SeriesText<'a>) -> Result<Sample<'a>, Fault> {
    let value = value(cursor)?;
    let timestamp_ms = timestamp(cursor)?;
    let exemplar = if cursor.peek() == Some(b'#') { Some(exemplar(cursor, series)?) } else { None };
    if !cursor.at_end() {
        return Err(cursor.fault(Reason::TextAfterSample));
    }
    Ok(Sample { series, value, timestamp_ms, exemplar })
}

/// `# {labels} value [timestamp]`
fn exemplar<'a>(cursor: &mut Cursor<'a>, sample: SeriesText<'a>) -> Result<Exemplar<'a>, Fault> {
    cursor.eat(b'#');
    cursor.skip_blanks();
    let from = cursor.position();
    if cursor.peek() != Some(b'{') {
        return Err(cursor.fault(Reason::ExemplarExpected));
    }
    cursor.skip_braces()?;
    // A sample's series stands at the start of its line in this format.
    let offset = sample.offset() + from;
    let labels = SeriesText::new(&cursor.line()[from..cursor.position()], sample.line(), offset);
    Ok(Exemplar { labels, value: value(cursor)?, timestamp_ms: timestamp(cursor)? })
}

/// A timestamp in seconds, if one is next; milliseconds come back.
fn timestamp(cursor: &mut Cursor<'_>) -> Result<Option<i64>, Fault> {
    if !cursor.skip_blanks() || cursor.at_end() || cursor.peek() == Some(b'#') {
        return Ok(None);
    }
    let fault = cursor.fault(Reason::TimestampInvalid);
    let seconds: f64 = cursor.token().parse().map_err(|_| fault)?;
    if !(-TIMESTAMP_SECONDS_MAX..=TIMESTAMP_SECONDS_MAX).contains(&seconds) {
        return Err(fault);
    }
    cursor.skip_blanks();
    #[expect(clippy::cast_possible_truncation, reason = "range checked above")]
    Ok(Some((seconds * 1000.0).round() as i64))
}

fn comment<'a>(cursor: &mut Cursor<'a>) -> Result<Line<'a>, Fault> {
    if cursor.rest() == "# EOF" {
        return Ok(Line::Eof);
    }
    let start = cursor.clone();
    cursor.eat(b'#');
    cursor.skip_blanks();
    let keyword = cursor.token();
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
        return Err(start.fault(Reason::Comment));
    }
    cursor.skip_blanks();
    let family = cursor.family_name()?;
    Ok(Line::Entry(match keyword {
        "HELP" => Entry::Help { family, text: unescape(meta_text(cursor), true) },
        "TYPE" => Entry::Type { family, kind: kind(cursor)? },
        _ => {
            let unit = meta_text(cursor);
            if !unit.is_empty() && !family.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_')) {
                return Err(cursor.fault(Reason::UnitMismatch));
            }
            Entry::Unit { family, unit: unit.into() }
        }
    }))
}

/// The name of a kind in OpenMetrics.
pub fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
        MetricKind::GaugeHistogram => "gaugehistogram",
        MetricKind::Summary => "summary",
        MetricKind::Info => "info",
        MetricKind::StateSet => "stateset",
        MetricKind::Unknown => "unknown",
    }
}
