//! Reading the small files of proc and sys.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::CollectError;

/// Largest file read, in bytes; `/proc/stat` of a machine with a thousand processors has less.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The text of a file; [`CollectError::NoData`] where there is no such file.
pub(super) fn read(path: &Path) -> Result<String, CollectError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => CollectError::NoData,
        _ => CollectError::Read { path: path.to_owned(), source },
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The trimmed text of a file, if it can be read; files in sys fail in many ways that mean "does not apply".
pub(super) fn read_trimmed(path: &Path) -> Option<String> {
    read(path).ok().map(|text| text.trim().to_owned())
}

/// The number in a file.
pub(super) fn read_number(path: &Path) -> Result<f64, CollectError> {
    number(read(path)?.trim(), path)
}

/// A number from `path`.
pub(super) fn number(text: &str, path: &Path) -> Result<f64, CollectError> {
    text.parse().map_err(|_| CollectError::Form { path: path.to_owned() })
}

/// Names in a directory, sorted; none where there is no such directory.
pub(super) fn names(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
