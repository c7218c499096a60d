//! Durations as Prometheus writes them: `1m30s`, `5ms`, `1d`, `0`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

/// Units from largest to smallest, in milliseconds; each may occur once, in this order.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A text that is not a duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not a duration such as `30s` or `1m30s`")]
pub struct DurationError(String);

/// A duration that deserialises from Prometheus' notation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromDuration(pub Duration);

/// Reads a duration.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    parse_units(text).map(Duration::from_millis).ok_or_else(|| DurationError(text.to_owned()))
}

fn parse_units(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = &rest[..rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len())];
        rest = &rest[unit.len()..];
        // The iterator goes on where the last unit was found, so that units only get smaller.
        let (_, milliseconds) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*milliseconds)?)?;
    }
    // Prometheus' durations are signed nanoseconds.
    (total <= u64::MAX / 2_000_000).then_some(total)
}

/// Writes a duration as Prometheus does; below a millisecond it is cut off.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, milliseconds) in UNITS {
        // Years and weeks only where they divide the rest, or 8 days would read `1w1d`.
        let whole = rest.is_multiple_of(milliseconds);
        if rest == 0 || (matches!(unit, "y" | "w") && !whole) || rest < milliseconds {
            continue;
        }
        out += &format!("{}{unit}", rest / milliseconds);
        rest %= milliseconds;
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PromDuration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(PromDuration).map_err(de::Error::custom)
    }
}
