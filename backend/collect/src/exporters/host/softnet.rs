//! Packets each processor handled, from `/proc/net/softnet_stat`.

use super::files::read;
use super::{CollectError, Families, Host};

/// Column and metric; columns are hexadecimal. kernel source, `net/core/net-procfs.c`.
const COLUMNS: [(usize, &str, &str); 6] = [
    (0, "node_softnet_processed_total", "Packets processed."),
    (1, "node_softnet_dropped_total", "Packets dropped."),
    (2, "node_softnet_times_squeezed_total", "Times packet processing ran out of quota."),
    (8, "node_softnet_cpu_collision_total", "Collisions while getting the device lock for transmitting."),
    (9, "node_softnet_received_rps_total", "Times a processor was woken up by another for packets."),
    (10, "node_softnet_flow_limit_count_total", "Times the flow limit was reached."),
];
const BACKLOG_COLUMN: usize = 11;
const CPU_COLUMN: usize = 12;

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_net_path("softnet_stat");
    for (line_number, line) in read(&path)?.lines().enumerate() {
        let columns: Option<Vec<u64>> =
            line.split_ascii_whitespace().map(|column| u64::from_str_radix(column, 16).ok()).collect();
        let Some(columns) = columns else { return Err(CollectError::Form { path }) };
        // Older kernels do not name the processor.
        let cpu = columns.get(CPU_COLUMN).copied().unwrap_or(line_number as u64).to_string();
        let labels = [("cpu", cpu.as_str())];
        for (column, name, help) in COLUMNS {
            if let Some(value) = columns.get(column) {
                families.counter(name, help, &labels, *value as f64);
            }
        }
        if let Some(length) = columns.get(BACKLOG_COLUMN) {
            families.gauge("node_softnet_backlog_len", "Packets waiting.", &labels, *length as f64);
        }
    }
    Ok(())
}
