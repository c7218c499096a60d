//! The calendar in UTC, proleptic Gregorian. Days to dates: Howard Hinnant, "chrono-compatible low-level date
//! algorithms", `civil_from_days`.

/// A moment's date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u8,
    /// From 1.
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    /// Sunday is 0.
    pub(crate) weekday: u8,
    /// From 1.
    pub(crate) day_of_year: u16,
    pub(crate) days_in_month: u8,
}

const SECONDS_PER_DAY: i64 = 86_400;

impl Date {
    /// The date of a time in seconds since the epoch.
    pub(crate) fn from_seconds(seconds: i64) -> Date {
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        // Years start in March here, so that the leap day comes last.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let days_before = month_lengths(year).into_iter().take(small(month) as usize - 1).map(u16::from);
        Date {
            year,
            month: small(month),
            day: small(day),
            hour: small(second_of_day / 3_600),
            minute: small(second_of_day / 60 % 60),
            second: small(second_of_day % 60),
            weekday: small((days + 4).rem_euclid(7)),
            day_of_year: days_before.sum::<u16>() + u16::from(small(day)),
            days_in_month: month_lengths(year)[small(month) as usize - 1],
        }
    }

    /// The year as the language's number.
    #[expect(clippy::cast_precision_loss, reason = "years of 64-bit times are far below 2^53")]
    pub(crate) fn year_as_float(&self) -> f64 {
        self.year as f64
    }
}

fn small(value: i64) -> u8 {
    u8::try_from(value).unwrap_or(0)
}

fn month_lengths(year: i64) -> [u8; 12] {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// A time in milliseconds as RFC 3339, with the milliseconds only where there are any.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    let date = Date::from_seconds(time_ms.div_euclid(1000));
    let ms = time_ms.rem_euclid(1000);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}").trim_end_matches('0').to_owned() };
    let Date { year, month, day, hour, minute, second, .. } = date;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_times() {
        let check = |seconds: i64, text: &str, weekday: u8, day_of_year: u16| {
            let date = Date::from_seconds(seconds);
            assert_eq!(rfc3339(seconds * 1000), text);
            assert_eq!((date.weekday, date.day_of_year), (weekday, day_of_year), "{text}");
        };
        check(0, "1970-01-01T00:00:00Z", 4, 1);
        check(951_782_400, "2000-02-29T00:00:00Z", 2, 60);
        check(1_704_067_199, "2023-12-31T23:59:59Z", 0, 365);
        check(-1, "1969-12-31T23:59:59Z", 3, 365);
    }

    #[test]
    fn milliseconds_are_printed_where_there_are_any() {
        assert_eq!(rfc3339(1_500), "1970-01-01T00:00:01.5Z");
    }
}
