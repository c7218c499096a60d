//! Traffic of network devices, from `/proc/net/dev`.

use super::files::{number, read, read_number};
use super::{CollectError, Families, Host};

/// Columns of a device's line, in order.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_net_path("dev");
    // Two lines of headings come first.
    for line in read(&path)?.lines().skip(2) {
        let Some((device, columns)) = line.rsplit_once(':') else { continue };
        let device = device.trim();
        if host.config.net_devices_excluded.matches(device) {
            continue;
        }
        for (column, value) in COLUMNS.iter().zip(columns.split_ascii_whitespace()) {
            counter(families, column, device, number(value, &path)?);
        }
        let nohandler = host.sys_path(&format!("class/net/{device}/statistics/rx_nohandler"));
        if let Ok(value) = read_number(&nohandler) {
            counter(families, "receive_nohandler", device, value);
        }
    }
    Ok(())
}

fn counter(families: &mut Families, statistic: &str, device: &str, value: f64) {
    let help = format!("Statistic {statistic} of network devices.");
    families.counter(&format!("node_network_{statistic}_total"), &help, &[("device", device)], value);
}
