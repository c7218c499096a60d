//! What this process uses, as `process_*` metrics under the names Prometheus clients share.
//!
//! Comes in: `/proc/self`. Goes out: metric families. What cannot be read is left out.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use super::Families;

/// Adds the metrics of this process.
#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
pub fn collect(families: &mut Families) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        let ticks = clock_ticks_per_second() as f64;
        let mut gauge = |name: &str, help: &str, value: f64| families.gauge(name, help, &[], value);
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", stat.virtual_bytes as f64);
        let resident = stat.resident_pages as f64 * page_size() as f64;
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident);
        gauge("process_threads", "Number of operating system threads.", stat.threads as f64);
        if let Some(boot) = boot_time_seconds() {
            let start = boot + stat.start_ticks as f64 / ticks;
            gauge(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                start,
            );
        }
        let help = "Total user and system CPU time spent in seconds.";
        families.counter("process_cpu_seconds_total", help, &[], stat.cpu_ticks as f64 / ticks);
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        // Listing them takes a descriptor too.
        let open = descriptors.count().saturating_sub(1);
        families.gauge("process_open_fds", "Number of open file descriptors.", &[], open as f64);
    }
    if let Some(max) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        families.gauge("process_max_fds", "Maximum number of open file descriptors.", &[], max as f64);
    }
}

/// Fields of `/proc/self/stat`, proc(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The command's name may hold anything, so count from its closing parenthesis: the next field is the
        // third.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn boot_time_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_may_hold_parentheses_and_spaces() {
        let text = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22";
        let expect =
            Stat { cpu_ticks: 11 + 12, threads: 17, start_ticks: 19, virtual_bytes: 20, resident_pages: 21 };
        assert_eq!(Stat::parse(text), Some(expect));
        assert_eq!(Stat::parse("12 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_told_of() {
        let mut families = Families::default();
        collect(&mut families);
        let page = families.to_page();
        for name in [
            "process_cpu_seconds_total",
            "process_max_fds",
            "process_open_fds",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
            "process_threads",
            "process_virtual_memory_bytes",
        ] {
            let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value: f64 = value.unwrap_or_else(|| panic!("{name} is missing")).parse().unwrap();
            assert!(value >= 0.0);
        }
        assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"));
    }
}
