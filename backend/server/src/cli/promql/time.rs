//! Times as people type them.

use chrono::DateTime;

/// Unix seconds, RFC 3339, `now`, `now-1h`, as milliseconds since the Unix epoch.
pub(super) fn parse(text: &str, now_ms: i64) -> Result<i64, String> {
    if let Some(rest) = text.strip_prefix("now") {
        if rest.is_empty() {
            return Ok(now_ms);
        }
        let offset = rest.split_at_checked(1).and_then(|(sign, duration)| {
            let ms = promql::parse_duration(duration)?;
            match sign {
                "-" => now_ms.checked_sub(ms),
                "+" => now_ms.checked_add(ms),
                _ => None,
            }
        });
        return offset.ok_or_else(|| wrong(text));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1_000.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "checked to be within the range of i64")]
        return if ms.is_finite() && ms.abs() < 9.0e15 { Ok(ms as i64) } else { Err(wrong(text)) };
    }
    DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()).map_err(|_| wrong(text))
}

fn wrong(text: &str) -> String {
    format!("`{text}` is no time: write Unix seconds, `2026-01-31T12:00:00Z`, `now` or `now-1h`")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times() {
        assert_eq!(parse("now", 5), Ok(5));
        assert_eq!(parse("now-1m30s", 100_000), Ok(10_000));
        assert_eq!(parse("now+1s", 0), Ok(1_000));
        assert_eq!(parse("1435781430.781", 0), Ok(1_435_781_430_781));
        assert_eq!(parse("1970-01-01T00:00:01Z", 0), Ok(1_000));
        for text in ["", "nowish", "now-", "now*1h", "yesterday", "inf"] {
            assert!(parse(text, 0).is_err(), "{text}");
        }
    }
}
