//! Pressure stall information: time lost waiting for processor, memory and disk.

use super::files::{number, read};
use super::{CollectError, Families, Host};

/// File, line, metric, help.
const STALLS: [(&str, &str, &str, &str); 6] = [
    (
        "cpu",
        "some",
        "node_pressure_cpu_waiting_seconds_total",
        "Seconds some process waited for a processor.",
    ),
    ("io", "some", "node_pressure_io_waiting_seconds_total", "Seconds some process waited for I/O."),
    ("io", "full", "node_pressure_io_stalled_seconds_total", "Seconds all processes waited for I/O."),
    (
        "memory",
        "some",
        "node_pressure_memory_waiting_seconds_total",
        "Seconds some process waited for memory.",
    ),
    (
        "memory",
        "full",
        "node_pressure_memory_stalled_seconds_total",
        "Seconds all processes waited for memory.",
    ),
    (
        "irq",
        "full",
        "node_pressure_irq_stalled_seconds_total",
        "Seconds all processes waited for interrupts.",
    ),
];

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let mut any = false;
    for (file, line, name, help) in STALLS {
        let path = host.proc_path("pressure").join(file);
        let text = match read(&path) {
            // Each kind came with a kernel of its own; and it may be switched off at boot.
            Err(CollectError::NoData) => continue,
            Err(CollectError::Read { source, .. }) if source.raw_os_error() == Some(NOT_SUPPORTED) => {
                continue;
            }
            text => text?,
        };
        let total =
            text.lines().find(|text| text.starts_with(line)).and_then(|text| text.rsplit_once("total="));
        if let Some((_, microseconds)) = total {
            families.counter(name, help, &[], number(microseconds.trim(), &path)? / 1e6);
            any = true;
        }
    }
    if any { Ok(()) } else { Err(CollectError::NoData) }
}

/// `EOPNOTSUPP` of Linux.
const NOT_SUPPORTED: i32 = 95;
