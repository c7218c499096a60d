//! Tokens within one line of an exposition page; both formats are read with it.
//!
//! Comes in: a line without its newline. Goes out: names, quoted texts, numbers, and faults with their place
//! in the line.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

use super::Reason;

/// What is wrong and where in the line, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: Reason,
}

/// A place in a line.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    line: &'a str,
    position: usize,
}

const NAME_START: u8 = 1;
const NAME: u8 = 2;

/// Which bytes may start and continue an unquoted metric name. Label names are told apart by
/// [`Cursor::label_name`].
static CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let b = byte as u8;
        if b.is_ascii_alphabetic() || b == b'_' || b == b':' {
            table[byte] = NAME_START | NAME;
        } else if b.is_ascii_digit() {
            table[byte] = NAME;
        }
        byte += 1;
    }
    table
};

impl<'a> Cursor<'a> {
    pub(crate) fn new(line: &'a str) -> Cursor<'a> {
        Cursor { line, position: 0 }
    }

    pub(crate) fn at(line: &'a str, position: usize) -> Cursor<'a> {
        Cursor { line, position }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn line(&self) -> &'a str {
        self.line
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.position).copied()
    }

    pub(crate) fn at_end(&self) -> bool {
        self.position >= self.line.len()
    }

    pub(crate) fn rest(&self) -> &'a str {
        &self.line[self.position..]
    }

    pub(crate) fn fault(&self, reason: Reason) -> Fault {
        Fault { at: self.position, reason }
    }

    /// Steps over `byte` if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.position += usize::from(next);
        next
    }

    /// Steps over spaces and tabs; tells whether there was one.
    pub(crate) fn skip_blanks(&mut self) -> bool {
        let start = self.position;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.position += 1;
        }
        self.position > start
    }

    /// Text up to the next blank or the end of the line.
    pub(crate) fn token(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().position(|b| b == b' ' || b == b'\t').unwrap_or(rest.len());
        self.position += length;
        &rest[..length]
    }

    /// An unquoted metric name; empty where none is next.
    pub(crate) fn bare_name(&mut self) -> &'a str {
        let bytes = self.line.as_bytes();
        let start = self.position;
        let mut end = start;
        if bytes.get(end).is_some_and(|b| CLASS[usize::from(*b)] & NAME_START != 0) {
            end += 1;
            while bytes.get(end).is_some_and(|b| CLASS[usize::from(*b)] & NAME != 0) {
                end += 1;
            }
        }
        self.position = end;
        &self.line[start..end]
    }

    /// An unquoted label name (a metric name without `:`); empty where none is next.
    pub(crate) fn label_name(&mut self) -> &'a str {
        let start = self.position;
        let name = self.bare_name();
        let name = &name[..name.find(':').unwrap_or(name.len())];
        self.position = start + name.len();
        name
    }

    /// A metric family name in a comment, bare or quoted.
    pub(crate) fn family_name(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.position;
        let name = if self.peek() == Some(b'"') { self.quoted()? } else { Cow::Borrowed(self.bare_name()) };
        if name.is_empty() || !matches!(self.peek(), None | Some(b' ' | b'\t')) {
            return Err(Fault { at: start, reason: Reason::NameExpected });
        }
        Ok(name)
    }

    /// A quoted text, unescaped.
    pub(crate) fn quoted(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.position + 1;
        self.skip_quoted()?;
        Ok(unescape(&self.line[start..self.position - 1], true))
    }

    /// Steps over a quoted text; the opening quote must be next.
    pub(crate) fn skip_quoted(&mut self) -> Result<(), Fault> {
        let open = self.position;
        let bytes = self.line.as_bytes();
        let mut at = open + 1;
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += found;
            if bytes[at] == b'"' {
                self.position = at + 1;
                return Ok(());
            }
            at += 2;
        }
        Err(Fault { at: open, reason: Reason::QuoteOpen })
    }

    /// Steps over `{…}`; the opening brace must be next. Only quotes and the closing brace are looked at.
    pub(crate) fn skip_braces(&mut self) -> Result<(), Fault> {
        let open = self.position;
        self.position += 1;
        while let Some(found) = memchr2(b'"', b'}', &self.line.as_bytes()[self.position..]) {
            self.position += found;
            if self.eat(b'}') {
                return Ok(());
            }
            self.skip_quoted()?;
        }
        Err(Fault { at: open, reason: Reason::BraceOpen })
    }
}

/// Undoes `\\`, `\n` and (where `quotes`) `\"`; any other backslash stands for itself, as in Prometheus.
pub(crate) fn unescape(text: &str, quotes: bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let mut ahead = chars.clone();
        match ahead.next() {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('"') if quotes => out.push('"'),
            _ => {
                out.push('\\');
                continue;
            }
        }
        chars = ahead;
    }
    Cow::Owned(out)
}

/// True where `text` needs no escaping inside quotes.
pub(crate) fn is_plain(text: &str) -> bool {
    memchr3(b'"', b'\\', b'\n', text.as_bytes()).is_none()
}

/// True for names that may stand outside quotes as a metric name.
pub(crate) fn is_bare_metric_name(name: &str) -> bool {
    let mut cursor = Cursor::new(name);
    !cursor.bare_name().is_empty() && cursor.at_end()
}

/// True for names that may stand outside quotes as a label name.
pub(crate) fn is_bare_label_name(name: &str) -> bool {
    let mut cursor = Cursor::new(name);
    !cursor.label_name().is_empty() && cursor.at_end()
}
