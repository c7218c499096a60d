//! Connections the firewall tracks.

use super::files::{read, read_number};
use super::{CollectError, Families, Host};

/// Columns of `/proc/net/stat/nf_conntrack` that are told, by their headings.
const STATISTICS: [&str; 8] =
    ["found", "invalid", "ignore", "insert", "insert_failed", "drop", "early_drop", "search_restart"];

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let count = read_number(&host.proc_path("sys/net/netfilter/nf_conntrack_count"))?;
    families.gauge("node_nf_conntrack_entries", "Connections tracked.", &[], count);
    let limit = read_number(&host.proc_path("sys/net/netfilter/nf_conntrack_max"))?;
    families.gauge("node_nf_conntrack_entries_limit", "Connections tracked at most.", &[], limit);
    statistics(host, families)
}

/// One line a processor; the sums are told.
#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
fn statistics(host: &Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_net_path("stat/nf_conntrack");
    let text = read(&path)?;
    let mut lines = text.lines();
    let headings: Vec<&str> = lines.next().unwrap_or("").split_ascii_whitespace().collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_ascii_whitespace().collect()).collect();
    for name in STATISTICS {
        // Newer kernels give the column of `ignore` another name.
        let column = headings
            .iter()
            .position(|heading| *heading == name || (name == "ignore" && *heading == "clashres"));
        let Some(column) = column else { continue };
        let values = rows.iter().filter_map(|row| u64::from_str_radix(row.get(column)?, 16).ok());
        let total: u64 = values.fold(0, u64::wrapping_add);
        let help = format!("Statistic {name} of connection tracking.");
        families.gauge(&format!("node_nf_conntrack_stat_{name}"), &help, &[], total as f64);
    }
    Ok(())
}
