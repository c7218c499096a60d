//! File descriptors of the whole machine.

use super::files::{number, read};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("sys/fs/file-nr");
    let text = read(&path)?;
    let columns: Vec<&str> = text.split_ascii_whitespace().collect();
    let [allocated, _, maximum] = columns[..] else { return Err(CollectError::Form { path }) };
    families.gauge("node_filefd_allocated", "File descriptors allocated.", &[], number(allocated, &path)?);
    families.gauge("node_filefd_maximum", "File descriptors at most.", &[], number(maximum, &path)?);
    Ok(())
}
