//! Statistics of the network protocols, from `/proc/net/netstat`, `snmp` and `snmp6`.

use std::path::Path;

use super::files::{number, read};
use super::{CollectError, Families, Host};

/// Start of the names in `snmp6`, longest first.
const PROTOCOLS_6: [&str; 4] = ["UdpLite6", "Icmp6", "Udp6", "Ip6"];

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    for file in ["netstat", "snmp"] {
        let path = host.proc_net_path(file);
        let text = read(&path)?;
        // Lines come in pairs: names, values.
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let (Some((protocol, names)), Some((_, values))) =
                (pair[0].split_once(':'), pair[1].split_once(':'))
            else {
                return Err(CollectError::Form { path });
            };
            for (field, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
                push(host, families, protocol, field, value, &path)?;
            }
        }
    }
    collect_6(host, families)
}

/// IPv6 may be switched off; then there is no such file.
fn collect_6(host: &Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_net_path("snmp6");
    let text = match read(&path) {
        Err(CollectError::NoData) => return Ok(()),
        text => text?,
    };
    for line in text.lines() {
        let mut columns = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (columns.next(), columns.next()) else { continue };
        if let Some(protocol) = PROTOCOLS_6.iter().find(|protocol| name.starts_with(*protocol)) {
            push(host, families, protocol, &name[protocol.len()..], value, &path)?;
        }
    }
    Ok(())
}

fn push(
    host: &Host,
    families: &mut Families,
    protocol: &str,
    field: &str,
    value: &str,
    path: &Path,
) -> Result<(), CollectError> {
    let key = format!("{protocol}_{field}");
    if host.config.netstat_fields.matches(&key) {
        let help = format!("Statistic {field} of {protocol}.");
        families.untyped(&format!("node_netstat_{key}"), &help, &[], number(value, path)?);
    }
    Ok(())
}
