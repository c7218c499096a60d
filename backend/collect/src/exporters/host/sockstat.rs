//! Sockets in use, from `/proc/net/sockstat` and `sockstat6`.

use rustix::param::page_size;

use super::files::{number, read};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    for (file, optional) in [("sockstat", false), ("sockstat6", true)] {
        let path = host.proc_net_path(file);
        let text = match read(&path) {
            Err(CollectError::NoData) if optional => continue,
            text => text?,
        };
        for line in text.lines() {
            let Some((protocol, rest)) = line.split_once(':') else { continue };
            let words: Vec<&str> = rest.split_ascii_whitespace().collect();
            for pair in words.chunks_exact(2) {
                push(families, protocol, pair[0], number(pair[1], &path)?);
            }
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn push(families: &mut Families, protocol: &str, state: &str, value: f64) {
    if protocol == "sockets" {
        families.gauge(&format!("node_sockstat_sockets_{state}"), "Sockets in use.", &[], value);
        return;
    }
    let help = format!("Sockets of {protocol} in state {state}.");
    families.gauge(&format!("node_sockstat_{protocol}_{state}"), &help, &[], value);
    // `mem` counts pages.
    if state == "mem" {
        let help = format!("Memory of sockets of {protocol} in bytes.");
        families.gauge(
            &format!("node_sockstat_{protocol}_mem_bytes"),
            &help,
            &[],
            value * page_size() as f64,
        );
    }
}
