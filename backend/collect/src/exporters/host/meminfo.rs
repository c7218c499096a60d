//! Memory, every line of `/proc/meminfo`.

use super::files::{number, read};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("meminfo");
    for line in read(&path)?.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        // `Active(anon)` becomes `Active_anon`.
        let key = key.replace('(', "_").replace(')', "");
        let (name, value) = match value.trim().strip_suffix("kB") {
            Some(kilobytes) => {
                (format!("node_memory_{key}_bytes"), number(kilobytes.trim(), &path)? * 1024.0)
            }
            None => (format!("node_memory_{key}"), number(value.trim(), &path)?),
        };
        families.gauge(&name, &format!("Field {key} of meminfo."), &[], value);
    }
    Ok(())
}
