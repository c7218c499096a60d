//! Load averages.

use super::files::{number, read};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("loadavg");
    let text = read(&path)?;
    let mut columns = text.split_ascii_whitespace();
    for (name, help) in [
        ("node_load1", "1m load average."),
        ("node_load5", "5m load average."),
        ("node_load15", "15m load average."),
    ] {
        families.gauge(name, help, &[], number(columns.next().unwrap_or(""), &path)?);
    }
    Ok(())
}
