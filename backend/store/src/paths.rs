//! Where objects lie: `<prefix>/<table>/day=YYYY-MM-DD/<file>.parquet`, `<prefix>/<table>/_delta_log/…`,
//! `<prefix>/_index/<table>/day=YYYY-MM-DD/<file>.tbf`; days as text and as numbers. Pure functions.

use std::sync::{Mutex, PoisonError};

use model::Clock;
use object_store::path::Path;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::tables::{DAY_COLUMN, Table};

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400_000_000;

/// Key of a table's folder.
pub fn table_root(prefix: &Path, table: Table) -> Path {
    prefix.clone().join(table.name())
}

/// Folder of what can be made again from the data files.
const INDEX_FOLDER: &str = "_index";
/// Extension of data files.
const DATA_EXTENSION: &str = ".parquet";
/// Extension of token sidecars.
const SIDECAR_EXTENSION: &str = ".tbf";

/// Key of the folder of a table's sidecars.
pub(crate) fn sidecar_root(prefix: &Path, table: Table) -> Path {
    prefix.clone().join(INDEX_FOLDER).join(table.name())
}

/// Key of the token sidecar of the data file at `data`; `None` where that is no data file of the table.
pub(crate) fn sidecar_key(prefix: &Path, table: Table, data: &Path) -> Option<Path> {
    moved(data, &table_root(prefix, table), DATA_EXTENSION, &sidecar_root(prefix, table), SIDECAR_EXTENSION)
}

/// Key of the data file of the token sidecar at `sidecar`; `None` where that is no sidecar of the table.
pub(crate) fn sidecar_subject(prefix: &Path, table: Table, sidecar: &Path) -> Option<Path> {
    moved(
        sidecar,
        &sidecar_root(prefix, table),
        SIDECAR_EXTENSION,
        &table_root(prefix, table),
        DATA_EXTENSION,
    )
}

/// The key with the same place and name under another folder and with another extension.
fn moved(key: &Path, from: &Path, extension: &str, to: &Path, new_extension: &str) -> Option<Path> {
    let mut parts: Vec<_> = key.prefix_match(from)?.collect();
    let name = parts.pop()?;
    let stem = name.as_ref().strip_suffix(extension).filter(|stem| !stem.is_empty())?;
    let name = format!("{stem}{new_extension}");
    Some(to.parts().chain(parts).chain([name.as_str().into()]).collect())
}

/// The day, as days since 1970-01-01, a time in microseconds since the Unix epoch lies in.
pub fn day_of_us(us: i64) -> i32 {
    i32::try_from(us.div_euclid(DAY_US)).unwrap_or(if us < 0 { i32::MIN } else { i32::MAX })
}

/// `YYYY-MM-DD` of a day. Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`.
pub fn day_name(day: i32) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

fn civil(day: i32) -> (i64, i64, i64) {
    // Eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
    let z = i64::from(day) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

/// The day of `YYYY-MM-DD` (same source, `days_from_civil`); `None` for anything else.
pub fn parse_day(text: &str) -> Option<i32> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    if text.len() != 10 || year.len() != 4 || month.len() != 2 {
        return None;
    }
    let (year, month, day): (i64, i64, i64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let number = i32::try_from(era * 146_097 + day_of_era - 719_468).ok()?;
    // 2026-02-31 would come out as a day in March.
    (day_name(number) == text).then_some(number)
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` of milliseconds since the Unix epoch.
pub fn iso_ms(ms: i64) -> String {
    let day = day_name(day_of_us(ms.saturating_mul(1_000)));
    let in_day = ms.rem_euclid(DAY_US / 1_000);
    let (hours, minutes, seconds) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1_000 % 60);
    format!("{day}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", in_day % 1_000)
}

/// Microseconds since the Unix epoch of an ISO 8601 time in UTC, with `T` or a space, up to nine digits of
/// fraction (cut to six) and `Z` or `+00:00` or nothing at the end; `None` for anything else.
pub fn parse_iso_us(text: &str) -> Option<i64> {
    let text = text.trim_end_matches("+00:00").trim_end_matches('Z');
    let day = parse_day(text.get(..10)?)?;
    if !matches!(text.as_bytes().get(10), Some(b'T' | b' ')) {
        return None;
    }
    let (clock, fraction) = text.get(11..)?.split_once('.').unwrap_or((text.get(11..)?, ""));
    let mut us: i64 = 0;
    let mut pieces = 0;
    for piece in clock.split(':') {
        us = us * 60 + piece.parse::<i64>().ok().filter(|n| (0..=60).contains(n))?;
        pieces += 1;
    }
    if pieces != 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: i64 = format!("{:0<6}", fraction.get(..6).unwrap_or(fraction)).parse().ok()?;
    Some(i64::from(day) * DAY_US + us * 1_000_000 + fraction)
}

/// Gives new data files their names.
///
/// A name is a UUID of version 7 whose twelve bits after the time count the names of one millisecond
/// (RFC 9562, section 6.2, method 1), so that names sort in the order in which one process gave them, also
/// where its clock stands still or goes back. The rest is random: names are unique over all writers.
#[derive(Debug, Default)]
pub(crate) struct FileNames(Mutex<(u64, u16)>);

/// Names a millisecond has room for.
const NAMES_A_MS: u16 = 1 << 12;

impl FileNames {
    /// Path of a new data file, relative to the table's folder.
    pub(crate) fn next_path(&self, clock: &dyn Clock, day: i32) -> String {
        let now_ms = u64::try_from(clock.now_ms()).unwrap_or(0);
        let (ms, count) = {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *last = match *last {
                (ms, _) if now_ms > ms => (now_ms, 0),
                (ms, count) if count + 1 < NAMES_A_MS => (ms, count + 1),
                (ms, _) => (ms + 1, 0),
            };
            *last
        };
        let mut bytes: [u8; 10] = random_bytes();
        bytes[..2].copy_from_slice(&count.to_be_bytes());
        file_path(day, uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid())
    }
}

fn random_bytes<const N: usize>() -> [u8; N] {
    // The last bytes of a random UUID: the first ones hold its version and variant.
    let random = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()];
    std::array::from_fn(|i| random[i / 7][9 + i % 7])
}

fn file_path(day: i32, id: Uuid) -> String {
    format!("{DAY_COLUMN}={}/{id}.parquet", day_name(day))
}

/// Path of the `part`th file that takes the place of `newest` and of files written before it: it sorts where
/// `newest` did, after `part - 1`. `None` where `newest` has a name of another writer.
pub(crate) fn path_in_place_of(newest: &str, day: i32, part: u16) -> Option<String> {
    let id = Uuid::parse_str(newest.rsplit('/').next()?.strip_suffix(".parquet")?).ok()?;
    if id.get_version_num() != 7 {
        return None;
    }
    let mut bytes = id.into_bytes();
    let random: [u8; 5] = random_bytes();
    // Byte 8 begins with the variant; the part follows the 8 bytes names are ordered by.
    bytes[9..11].copy_from_slice(&part.to_be_bytes());
    bytes[11..].copy_from_slice(&random);
    Some(file_path(day, Uuid::from_bytes(bytes)))
}

/// Key of a file named in a Delta log: the path is relative to the table's folder and percent-encoded.
pub(crate) fn data_key(root: &Path, path: &str) -> Result<Path> {
    let refuse = |reason: &str| Error::corrupt(root, format!("path `{path}` in the delta log {reason}"));
    if path.contains("://") || path.starts_with('/') {
        return Err(refuse("lies outside the table"));
    }
    let decoded = percent_decode(path).ok_or_else(|| refuse("is not percent-encoded text"))?;
    Path::parse(format!("{root}/{decoded}")).map_err(|error| refuse(&error.to_string()))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
