//! Time processes ran and waited on each processor, from `/proc/schedstat`.

use super::files::{number, read};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let path = host.proc_path("schedstat");
    for line in read(&path)?.lines() {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some(cpu) = columns.first().and_then(|name| name.strip_prefix("cpu")) else { continue };
        // The last three: nanoseconds running, nanoseconds waiting, timeslices. kernel.org,
        // scheduler/sched-stats.
        let [.., running, waiting, timeslices] = columns[..] else { continue };
        let labels = [("cpu", cpu)];
        let seconds = |column| number(column, &path).map(|nanoseconds| nanoseconds / 1e9);
        let help = "Seconds processes ran on a processor.";
        families.counter("node_schedstat_running_seconds_total", help, &labels, seconds(running)?);
        let help = "Seconds processes waited for a processor.";
        families.counter("node_schedstat_waiting_seconds_total", help, &labels, seconds(waiting)?);
        let help = "Timeslices a processor ran.";
        families.counter("node_schedstat_timeslices_total", help, &labels, number(timeslices, &path)?);
    }
    Ok(())
}
