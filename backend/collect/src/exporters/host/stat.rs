//! Counters of the kernel and the time of the last boot, from `/proc/stat`.

use super::files::{number, read};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("stat");
    for line in read(&path)?.lines() {
        let mut columns = line.split_ascii_whitespace();
        let (Some(key), Some(first)) = (columns.next(), columns.next()) else { continue };
        let mut gauge = |name, help| number(first, &path).map(|value| families.gauge(name, help, &[], value));
        match key {
            "btime" => {
                gauge("node_boot_time_seconds", "Time of the last boot, seconds since the unix epoch.")?
            }
            "procs_running" => gauge("node_procs_running", "Processes in runnable state.")?,
            "procs_blocked" => gauge("node_procs_blocked", "Processes blocked waiting for I/O.")?,
            _ => {}
        }
        let mut counter =
            |name, help| number(first, &path).map(|value| families.counter(name, help, &[], value));
        match key {
            "intr" => counter("node_intr_total", "Interrupts serviced.")?,
            "ctxt" => counter("node_context_switches_total", "Context switches.")?,
            "processes" => counter("node_forks_total", "Forks.")?,
            _ => {}
        }
    }
    Ok(())
}
