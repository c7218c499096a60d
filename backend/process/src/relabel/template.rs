//! Replacement texts with `$1` and `${name}`, expanded as Go's `regexp.Expand` does.

use std::borrow::Cow;

use regex::Captures;

/// A text with references to groups, split once.
#[derive(Clone, Debug)]
pub(super) struct Template {
    written: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Index(usize),
    Name(String),
}

impl Template {
    pub(super) fn new(written: &str) -> Template {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(match name.parse() {
                    Ok(index) => Piece::Index(index),
                    Err(_) => Piece::Name(name.to_owned()),
                });
                rest = after;
            } else {
                // A dollar that starts no reference stands for itself.
                text.push('$');
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Template { written: written.to_owned(), pieces }
    }

    /// The text without any expansion.
    pub(super) fn as_written(&self) -> &str {
        &self.written
    }

    /// True where the text has no dollar at all.
    pub(super) fn is_plain(&self) -> bool {
        !self.written.contains('$')
    }

    /// The text with groups filled in; groups that do not exist or did not take part are empty.
    pub(super) fn expand(&self, groups: &Captures<'_>) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Index(index) => out.push_str(groups.get(*index).map_or("", |group| group.as_str())),
                Piece::Name(name) => out.push_str(groups.name(name).map_or("", |group| group.as_str())),
            }
        }
        out
    }
}

/// The name after a dollar, in braces or the longest run of letters, digits and underscores, and what
/// follows.
fn reference(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c == '_' || c.is_alphanumeric();
    if let Some(inner) = text.strip_prefix('{') {
        let (name, after) = inner.split_once('}')?;
        return (!name.is_empty() && name.chars().all(is_name)).then_some((name, after));
    }
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Go allows `\Q…\E` for literal text; the crate `regex` does not.
pub(super) fn without_literal_quotes(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains("\\Q") {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        if let Some(quoted) = escape.strip_prefix("\\Q") {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(literal));
            rest = after;
        } else {
            let length = escape.chars().take(2).map(char::len_utf8).sum();
            out.push_str(&escape[..length]);
            rest = &escape[length..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}
