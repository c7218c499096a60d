//! Which HTTP status codes a probe accepts: `2xx`, `200`, `200-399`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// An inclusive range of status codes, within 100–599. Written `2xx`, `204` or `200-399`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusPattern {
    low: u16,
    high: u16,
}

/// Why a text is no status pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StatusPatternError {
    /// None of the three forms.
    #[error("status pattern `{0}` is not like `200`, `2xx` or `200-399`")]
    Form(String),
    /// A code that HTTP does not have.
    #[error("status pattern `{0}` goes outside 100-599")]
    Range(String),
    /// The range runs backwards.
    #[error("status pattern `{0}` ends before it begins")]
    Backwards(String),
}

impl StatusPattern {
    /// All codes of a class: 2 for `2xx`.
    pub const SUCCESS: StatusPattern = StatusPattern { low: 200, high: 299 };

    /// Whether `status` is in the range.
    pub fn matches(self, status: u16) -> bool {
        (self.low..=self.high).contains(&status)
    }

    /// Whether only redirects (300–399) are in the range.
    pub fn is_redirects_only(self) -> bool {
        self.low >= 300 && self.high <= 399
    }
}

impl FromStr for StatusPattern {
    type Err = StatusPatternError;

    fn from_str(text: &str) -> Result<StatusPattern, StatusPatternError> {
        let shown = || crate::text::clip(text, 32).to_owned();
        let form = || StatusPatternError::Form(shown());
        let trimmed = text.trim();
        let (low, high) = if let Some((low, high)) = trimmed.split_once('-') {
            (code(low).ok_or_else(form)?, code(high).ok_or_else(form)?)
        } else if let Some(class) = trimmed.strip_suffix("xx").or_else(|| trimmed.strip_suffix("XX")) {
            let class = one_digit(class).ok_or_else(form)?;
            (class * 100, class * 100 + 99)
        } else {
            let code = code(trimmed).ok_or_else(form)?;
            (code, code)
        };
        if !(100..=599).contains(&low) || !(100..=599).contains(&high) {
            return Err(StatusPatternError::Range(shown()));
        }
        if high < low {
            return Err(StatusPatternError::Backwards(shown()));
        }
        Ok(StatusPattern { low, high })
    }
}

fn code(text: &str) -> Option<u16> {
    let digits = text.trim();
    (digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn one_digit(text: &str) -> Option<u16> {
    match text.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(u16::from(digit - b'0')),
        _ => None,
    }
}

/// The shortest of the three forms.
impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            write!(f, "{}", self.low)
        } else if self.low.is_multiple_of(100) && self.high == self.low + 99 {
            write!(f, "{}xx", self.low / 100)
        } else {
            write!(f, "{}-{}", self.low, self.high)
        }
    }
}

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From text, or from a bare number, which is what YAML makes of `status: [200]`.
impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusPattern, D::Error> {
        struct PatternVisitor;

        impl Visitor<'_> for PatternVisitor {
            type Value = StatusPattern;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status pattern such as 200, \"2xx\" or \"200-399\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusPattern, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<StatusPattern, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<StatusPattern, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(PatternVisitor)
    }
}

#[cfg(test)]
mod tests;
