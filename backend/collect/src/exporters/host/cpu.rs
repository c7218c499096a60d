//! Time the processors spent, from `/proc/stat`.

use rustix::param::clock_ticks_per_second;

use super::files::{number, read};
use super::{CollectError, Families, Host};

/// Columns of a processor's line, in order; proc(5).
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// The columns after those.
const GUEST_MODES: [&str; 2] = ["user", "nice"];

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("stat");
    #[expect(clippy::cast_precision_loss, reason = "a hundred or so")]
    let ticks = clock_ticks_per_second() as f64;
    for line in read(&path)?.lines() {
        let mut columns = line.split_ascii_whitespace();
        let Some(cpu) =
            columns.next().and_then(|name| name.strip_prefix("cpu")).filter(|cpu| !cpu.is_empty())
        else {
            continue;
        };
        for (mode, column) in MODES.iter().zip(&mut columns) {
            let seconds = number(column, &path)? / ticks;
            let help = "Seconds the processors spent in each mode.";
            families.counter("node_cpu_seconds_total", help, &[("cpu", cpu), ("mode", mode)], seconds);
        }
        for (mode, column) in GUEST_MODES.iter().zip(&mut columns) {
            let seconds = number(column, &path)? / ticks;
            let help = "Seconds the processors spent in guests, in each mode.";
            families.counter("node_cpu_guest_seconds_total", help, &[("cpu", cpu), ("mode", mode)], seconds);
        }
    }
    Ok(())
}
