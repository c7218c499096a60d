//! Block devices, from `/proc/diskstats` and what udev knows of them.

use super::files::{number, read, read_trimmed};
use super::{CollectError, Families, Host};

/// Sectors of diskstats have this many bytes whatever the device says.
const SECTOR_BYTES: f64 = 512.0;

/// Columns after the device's name, in order: metric, help, factor. kernel.org, admin-guide/iostats.
const COLUMNS: [(&str, &str, f64); 17] = [
    ("node_disk_reads_completed_total", "Reads completed.", 1.0),
    ("node_disk_reads_merged_total", "Reads merged.", 1.0),
    ("node_disk_read_bytes_total", "Bytes read.", SECTOR_BYTES),
    ("node_disk_read_time_seconds_total", "Seconds spent by all reads.", 0.001),
    ("node_disk_writes_completed_total", "Writes completed.", 1.0),
    ("node_disk_writes_merged_total", "Writes merged.", 1.0),
    ("node_disk_written_bytes_total", "Bytes written.", SECTOR_BYTES),
    ("node_disk_write_time_seconds_total", "Seconds spent by all writes.", 0.001),
    ("node_disk_io_now", "I/Os in progress.", 1.0),
    ("node_disk_io_time_seconds_total", "Seconds spent doing I/Os.", 0.001),
    (
        "node_disk_io_time_weighted_seconds_total",
        "Seconds spent doing I/Os, weighted by their number.",
        0.001,
    ),
    ("node_disk_discards_completed_total", "Discards completed.", 1.0),
    ("node_disk_discards_merged_total", "Discards merged.", 1.0),
    ("node_disk_discarded_sectors_total", "Sectors discarded.", 1.0),
    ("node_disk_discard_time_seconds_total", "Seconds spent by all discards.", 0.001),
    ("node_disk_flush_requests_total", "Flush requests completed.", 1.0),
    ("node_disk_flush_requests_time_seconds_total", "Seconds spent by all flush requests.", 0.001),
];

/// Labels of `node_disk_info` and the udev properties they are from.
const PROPERTIES: [(&str, &str); 5] = [
    ("model", "ID_MODEL"),
    ("path", "ID_PATH"),
    ("revision", "ID_REVISION"),
    ("serial", "ID_SERIAL_SHORT"),
    ("wwn", "ID_WWN"),
];

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("diskstats");
    for line in read(&path)?.lines() {
        let mut columns = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(device)) = (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        if host.config.disk_devices_excluded.matches(device) {
            continue;
        }
        info(host, families, major, minor, device);
        let labels = [("device", device)];
        for ((name, help, factor), column) in COLUMNS.iter().zip(columns) {
            let value = number(column, &path)? * factor;
            if name.ends_with("_total") {
                families.counter(name, help, &labels, value);
            } else {
                families.gauge(name, help, &labels, value);
            }
        }
    }
    Ok(())
}

fn info(host: &Host, families: &mut Families, major: &str, minor: &str, device: &str) {
    let udev = read_trimmed(&host.root_path(&format!("run/udev/data/b{major}:{minor}"))).unwrap_or_default();
    let property = |key: &str| {
        let lines = udev.lines().filter_map(|line| line.strip_prefix("E:")?.split_once('='));
        lines.filter(|(name, _)| *name == key).map(|(_, value)| value).next().unwrap_or("")
    };
    let mut labels = vec![("device", device), ("major", major), ("minor", minor)];
    labels.extend(PROPERTIES.iter().map(|(label, key)| (*label, property(key))));
    families.gauge("node_disk_info", "What is known of a block device.", &labels, 1.0);
}
