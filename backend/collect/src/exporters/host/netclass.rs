//! Properties of network devices, from `/sys/class/net`.

use std::path::Path;

use super::files::{names, read_trimmed};
use super::{CollectError, Families, Host};

/// File, metric: gauges.
const GAUGES: [(&str, &str); 13] = [
    ("addr_assign_type", "node_network_address_assign_type"),
    ("carrier", "node_network_carrier"),
    ("dev_id", "node_network_device_id"),
    ("dormant", "node_network_dormant"),
    ("flags", "node_network_flags"),
    ("ifindex", "node_network_iface_id"),
    ("iflink", "node_network_iface_link"),
    ("link_mode", "node_network_iface_link_mode"),
    ("mtu", "node_network_mtu_bytes"),
    ("name_assign_type", "node_network_name_assign_type"),
    ("netdev_group", "node_network_net_dev_group"),
    ("tx_queue_len", "node_network_transmit_queue_length"),
    ("type", "node_network_protocol_type"),
];
/// File, metric: counters.
const COUNTERS: [(&str, &str); 3] = [
    ("carrier_changes", "node_network_carrier_changes_total"),
    ("carrier_up_count", "node_network_carrier_up_changes_total"),
    ("carrier_down_count", "node_network_carrier_down_changes_total"),
];
/// The file holds megabits.
const SPEED_BYTES: f64 = 1_000_000.0 / 8.0;

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let root = host.sys_path("class/net");
    if !root.is_dir() {
        return Err(CollectError::NoData);
    }
    for device in names(&root) {
        // `bonding_masters` is a file among the devices.
        if root.join(&device).is_dir() && !host.config.net_devices_excluded.matches(&device) {
            collect_device(&root.join(&device), &device, families);
        }
    }
    Ok(())
}

fn collect_device(path: &Path, device: &str, families: &mut Families) {
    let labels = [("device", device)];
    // Many files cannot be read while the device is down; then they say nothing.
    let value = |file: &str| read_trimmed(&path.join(file)).as_deref().and_then(parse);
    for (file, name) in GAUGES {
        if let Some(value) = value(file) {
            families.gauge(name, &format!("File {file} of the network device."), &labels, value);
        }
    }
    for (file, name) in COUNTERS {
        if let Some(value) = value(file) {
            families.counter(name, &format!("File {file} of the network device."), &labels, value);
        }
    }
    if let Some(speed) = value("speed") {
        families.gauge("node_network_speed_bytes", "Speed in bytes a second.", &labels, speed * SPEED_BYTES);
    }
    let text = |file: &str| read_trimmed(&path.join(file)).unwrap_or_default();
    let state = text("operstate");
    let up = f64::from(u8::from(state == "up"));
    families.gauge("node_network_up", "Whether operstate is `up`.", &labels, up);
    let files = ["address", "broadcast", "duplex", "ifalias"].map(|file| (file, text(file)));
    let mut info = vec![("device", device), ("operstate", &state)];
    info.extend(files.iter().map(|(name, value)| (*name, value.as_str())));
    info.sort_unstable();
    families.gauge("node_network_info", "What a network device says of itself in words.", &info, 1.0);
}

/// Decimal, or hexadecimal with `0x`.
#[expect(clippy::cast_precision_loss, reason = "flags and ids are small")]
fn parse(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|number| number as f64),
        None => text.parse().ok(),
    }
}
