//! The series part of a sample line: kept as text, read when asked.

use std::borrow::Cow;

use model::METRIC_NAME;

use super::lexer::{Cursor, Fault};
use super::{ParseError, Reason};

/// A label's name and value.
pub type LabelPair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Name and labels of a sample as the page wrote them.
#[derive(Clone, Copy, Debug)]
pub struct SeriesText<'a> {
    text: &'a str,
    line: usize,
    offset: usize,
}

/// An exemplar: a trace or the like that stands for a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// Its labels, with braces.
    pub labels: SeriesText<'a>,
    /// Its value.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where the page tells.
    pub timestamp_ms: Option<i64>,
}

impl<'a> SeriesText<'a> {
    pub(crate) fn new(text: &'a str, line: usize, offset: usize) -> SeriesText<'a> {
        SeriesText { text, line, offset }
    }

    /// The text, from the first byte of the name to the last of name or labels.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Line on the page, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Offset from the start of the page, in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The metric name; empty where an exemplar has none or the text is not well-formed.
    pub fn name(&self) -> Cow<'a, str> {
        let bare = Cursor::new(self.text).bare_name();
        if !bare.is_empty() {
            return Cow::Borrowed(bare);
        }
        let mut pairs = Vec::new();
        match self.read_labels(&mut pairs) {
            Ok(()) => pairs.swap_remove(0).1,
            Err(_) => Cow::Borrowed(""),
        }
    }

    /// Reads the labels into `pairs` (cleared first), the metric name first as `__name__`. Fails on bad
    /// syntax, on a missing name and on a label given twice.
    pub fn read_labels(&self, pairs: &mut Vec<LabelPair<'a>>) -> Result<(), ParseError> {
        pairs.clear();
        read(self.text, pairs).map_err(|fault| self.located(fault))?;
        match pairs.iter().position(|(name, _)| name == METRIC_NAME) {
            Some(at) => pairs.swap(0, at),
            None => return Err(self.located(Fault { at: 0, reason: Reason::NameExpected })),
        }
        Ok(())
    }

    /// Reads the labels of an exemplar, which has no name.
    pub fn read_exemplar_labels(&self, pairs: &mut Vec<LabelPair<'a>>) -> Result<(), ParseError> {
        pairs.clear();
        read(self.text, pairs).map_err(|fault| self.located(fault))
    }

    fn located(&self, fault: Fault) -> ParseError {
        ParseError { line: self.line, offset: self.offset + fault.at, reason: fault.reason }
    }
}

impl PartialEq for SeriesText<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn read<'a>(text: &'a str, pairs: &mut Vec<LabelPair<'a>>) -> Result<(), Fault> {
    let mut cursor = Cursor::new(text);
    let name = cursor.bare_name();
    if !name.is_empty() {
        pairs.push((Cow::Borrowed(METRIC_NAME), Cow::Borrowed(name)));
    }
    cursor.skip_blanks();
    if !cursor.eat(b'{') {
        return Ok(());
    }
    loop {
        cursor.skip_blanks();
        if cursor.eat(b'}') {
            return Ok(());
        }
        let at = cursor.position();
        let pair = read_pair(&mut cursor)?;
        if pairs.iter().any(|(name, _)| *name == pair.0) {
            let reason = if pair.0 == METRIC_NAME { Reason::NameTwice } else { Reason::LabelNameTwice };
            return Err(Fault { at, reason });
        }
        pairs.push(pair);
        cursor.skip_blanks();
        if !cursor.eat(b',') && cursor.peek() != Some(b'}') {
            return Err(cursor.fault(Reason::CommaExpected));
        }
    }
}

/// `name="value"`, `"name"="value"`, or a lone `"metric name"`.
fn read_pair<'a>(cursor: &mut Cursor<'a>) -> Result<LabelPair<'a>, Fault> {
    let start = cursor.position();
    let quoted = cursor.peek() == Some(b'"');
    let name = if quoted { cursor.quoted()? } else { Cow::Borrowed(cursor.label_name()) };
    if name.is_empty() {
        return Err(Fault { at: start, reason: Reason::LabelNameExpected });
    }
    cursor.skip_blanks();
    if quoted && matches!(cursor.peek(), Some(b',' | b'}')) {
        return Ok((Cow::Borrowed(METRIC_NAME), name));
    }
    if !cursor.eat(b'=') {
        return Err(cursor.fault(Reason::EqualsExpected));
    }
    cursor.skip_blanks();
    if cursor.peek() != Some(b'"') {
        return Err(cursor.fault(Reason::LabelValueExpected));
    }
    Ok((name, cursor.quoted()?))
}

/// Steps over the series part of a sample line and returns it.
pub(crate) fn scan<'a>(cursor: &mut Cursor<'a>, line: usize, start: usize) -> Result<SeriesText<'a>, Fault> {
    let from = cursor.position();
    let name = cursor.bare_name();
    let mut end = cursor.position();
    cursor.skip_blanks();
    if cursor.peek() == Some(b'{') {
        cursor.skip_braces()?;
        end = cursor.position();
    } else if name.is_empty() {
        return Err(cursor.fault(Reason::NameExpected));
    }
    Ok(SeriesText::new(&cursor.line()[from..end], line, start + from))
}
