//! The operating system, from `os-release`.

use super::files::read;
use super::{CollectError, Families, Host};

/// Labels of `node_os_info`; each is the key of the same name in upper case. os-release(5).
const INFO: [&str; 12] = [
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
];

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let text =
        read(&host.root_path("etc/os-release")).or_else(|_| read(&host.root_path("usr/lib/os-release")))?;
    let pairs: Vec<(String, String)> = text.lines().filter_map(parse).collect();
    let value = |label: &str| {
        let key = label.to_ascii_uppercase();
        pairs.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value.as_str())
    };
    let labels = INFO.map(|label| (label, value(label)));
    families.gauge("node_os_info", "What the operating system says of itself.", &labels, 1.0);
    if let Some(version) = major_minor(value("version_id")).or_else(|| major_minor(value("version"))) {
        let labels = [("id", value("id")), ("id_like", value("id_like")), ("name", value("name"))];
        families.gauge(
            "node_os_version",
            "Version of the operating system, major and minor.",
            &labels,
            version,
        );
    }
    Ok(())
}

/// `KEY=value`, the value in quotes or not.
fn parse(line: &str) -> Option<(String, String)> {
    let (key, value) = line.trim().split_once('=')?;
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    (!key.starts_with('#')).then(|| (key.to_owned(), plain))
}

/// `12.4.1` is 12.4.
fn major_minor(version: &str) -> Option<f64> {
    let start = version.find(|c: char| c.is_ascii_digit())?;
    let digits = &version[start..];
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let mut parts = digits[..end].split('.');
    let (major, minor) = (parts.next()?, parts.next().unwrap_or(""));
    if minor.is_empty() { major.parse().ok() } else { format!("{major}.{minor}").parse().ok() }
}
