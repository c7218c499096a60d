//! Virtual memory, chosen fields of `/proc/vmstat`.

use super::files::{number, read};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("vmstat");
    for line in read(&path)?.lines() {
        let Some((field, value)) = line.split_once(' ') else { continue };
        if host.config.vmstat_fields.matches(field) {
            let help = format!("Field {field} of vmstat.");
            families.untyped(&format!("node_vmstat_{field}"), &help, &[], number(value.trim(), &path)?);
        }
    }
    Ok(())
}
