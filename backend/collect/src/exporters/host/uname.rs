//! Names of the machine and its kernel, from uname(2).

use super::{CollectError, Families, Host};

pub(super) fn collect(_host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let uname = rustix::system::uname();
    let labels = [
        ("domainname", uname.domainname().to_string_lossy()),
        ("machine", uname.machine().to_string_lossy()),
        ("nodename", uname.nodename().to_string_lossy()),
        ("release", uname.release().to_string_lossy()),
        ("sysname", uname.sysname().to_string_lossy()),
        ("version", uname.version().to_string_lossy()),
    ];
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, &**value)).collect();
    families.gauge("node_uname_info", "What uname says.", &labels, 1.0);
    Ok(())
}
