//! Label matchers: `=`, `!=`, `=~`, `!~`, regular expressions anchored at both ends.

use std::fmt;

use thiserror::Error;

mod expression;
mod pattern;

use expression::Expression;
pub use pattern::{Pattern, Rest};

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
            MatchOp::Regex | MatchOp::NotRegex => Some(Expression::of(&value)?),
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
