//! Times and dates as text (RFC 3339), from counts since the epoch.

const US_PER_DAY: i64 = 86_400_000_000;

/// `2026-11-22T10:00:00.000001Z` from microseconds since the Unix epoch; `None` for years that RFC 3339
/// cannot write.
pub fn rfc3339(us: i64) -> Option<String> {
    let (days, rest) = (us.div_euclid(US_PER_DAY), us.rem_euclid(US_PER_DAY));
    let date = date(days)?;
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"))
}

/// `2026-11-22` from days since the Unix epoch, likewise.
pub(super) fn date(days: i64) -> Option<String> {
    let (year, month, day) = civil(days);
    (0..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// Year, month and day of a day count, in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let check = |us: i64, expect: &str| assert_eq!(rfc3339(us).as_deref(), Some(expect));
        check(0, "1970-01-01T00:00:00.000000Z");
        check(-1, "1969-12-31T23:59:59.999999Z");
        check(1_795_341_600_000_001, "2026-11-22T10:00:00.000001Z");
        check(951_782_400_000_000, "2000-02-29T00:00:00.000000Z");
        check(253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(253_402_300_800_000_000), None);
        assert_eq!(rfc3339(i64::MAX), None);
        assert_eq!(rfc3339(i64::MIN), None);
    }
}
