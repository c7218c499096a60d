//! Durations of the language, `1h30m` and the like. Comes in: text or milliseconds; goes out: the other.

/// Units from long to short, with their length in milliseconds. Years have 365 days, as in Prometheus.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds of `1h30m`, `5m`, `0`: whole numbers with units, long units first, each at most once.
/// `None` for anything else, and where the sum does not fit.
pub fn parse_duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let index = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters])?;
        if index < next_unit {
            return None;
        }
        next_unit = index + 1;
        total = total.checked_add(number.checked_mul(UNITS[index].1)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

/// The shortest text that parses back to `ms`; `-` in front of negative ones.
pub fn format_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if ms < 0 {
        out.push('-');
    }
    let mut rest = ms.unsigned_abs();
    for (unit, length) in UNITS {
        let length = length.unsigned_abs();
        // Years and weeks only where they fit exactly: 400d reads better than 1y5w.
        let exact = !matches!(unit, "y" | "w") || rest.is_multiple_of(length);
        if exact && rest >= length {
            out.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    out
}

#[cfg(test)]
mod tests;
