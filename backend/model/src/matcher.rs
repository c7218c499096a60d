//! Label matchers: `=`, `!=`, `=~`, `!~`, regular expressions anchored at both ends.

use std::fmt;
use std::sync::Arc;

use regex::Regex;
use thiserror::Error;

mod pattern;

pub use pattern::{Pattern, Rest};

/// Largest compiled size of a matcher's regular expression, in bytes; keeps hostile patterns small.
const REGEX_SIZE_MAX: usize = 1 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// A regular expression that does not compile, or compiles too large.
#[derive(Debug, Error)]
#[error("invalid regular expression `{pattern}`: {source}")]
pub struct MatcherError {
    pattern: String,
    #[source]
    source: Box<regex::Error>,
}

/// One condition on one label. A label that is not set compares as the empty string.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Expression>,
}

#[derive(Clone, Debug)]
struct Expression {
    regex: Regex,
    pattern: Arc<Pattern>,
}

impl Expression {
    fn matches(&self, value: &str) -> bool {
        self.pattern.decides(value).unwrap_or_else(|| self.regex.is_match(value))
    }
}

impl Matcher {
    /// Builds a matcher; fails where `value` is not a valid regular expression and `op` needs one.
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Matcher, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let regex = anchored(&value)?;
                Some(Expression { regex, pattern: Arc::new(Pattern::of(&value)) })
            }
        };
        Ok(Matcher { name, op, value, regex })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label this matcher looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The literal or the pattern.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What the regular expression asks of a value, for finding values without testing each; `None` for
    /// `=` and `!=`.
    pub fn pattern(&self) -> Option<&Pattern> {
        self.regex.as_ref().map(|expression| expression.pattern.as_ref())
    }

    /// Whether it asks that a value is not so: `!=` and `!~`.
    pub fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// Whether a label with this value (empty = not set) satisfies the matcher.
    pub fn matches(&self, value: &str) -> bool {
        let regex_matches = || self.regex.as_ref().is_some_and(|regex| regex.matches(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => regex_matches(),
            MatchOp::NotRegex => !regex_matches(),
        }
    }
}

/// `^(?s:pattern)$`, as Prometheus anchors it.
fn anchored(pattern: &str) -> Result<Regex, MatcherError> {
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(REGEX_SIZE_MAX)
        .build()
        .map_err(|source| MatcherError { pattern: pattern.to_owned(), source: Box::new(source) })
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests;
