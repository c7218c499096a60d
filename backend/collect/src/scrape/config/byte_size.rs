//! Sizes as Prometheus writes them: `10MB`, `512KiB`; both spellings mean powers of 1024.

use serde::{Deserialize, Deserializer, de};

const UNITS: [(&str, u64); 10] = [
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("KB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("B", 1),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Reads a size; `None` where it is none.
    pub fn parse(text: &str) -> Option<ByteSize> {
        let upper = text.trim().to_ascii_uppercase();
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, bytes)| upper.strip_suffix(name).map(|number| (number, *bytes)))
            .unwrap_or((&upper, 1));
        let number = number.trim_end();
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(unit).map(ByteSize);
        }
        let fraction: f64 = number.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a unit need not be exact, and casts saturate"
        )]
        Some(ByteSize((fraction * unit as f64) as u64))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        let text = String::deserialize(deserializer)?;
        ByteSize::parse(&text)
            .ok_or_else(|| de::Error::custom(format_args!("`{text}` is not a size such as `10MB`")))
    }
}
