//! A fleet of hosts with a node_exporter each, as a Prometheus in Kubernetes sees them, made up: label sets of about
//! ten labels, and values that walk as real ones do (see `tests/bench/replay.py`, which learns this from a real
//! exporter): half of the series never change, counters grow at a pace with noise, gauges are drawn back to their mean.
//! The same number gives the same series, whoever asks.

use model::Labels;

/// How the values of a family move.
#[derive(Clone, Copy)]
enum Kind {
    /// Never.
    Still,
    /// A counter of whole numbers, by about so much a scrape.
    Count(f64),
    /// A counter of seconds in hundredths, by about so much a scrape.
    Seconds(f64),
    /// A whole number around a mean of this.
    Gauge(f64),
    /// A fraction of seconds with all its digits.
    Noise,
}

use Kind::{Count, Gauge, Noise, Seconds, Still};

/// Labels of a family beside those of the target, as name and number of values.
type Dimensions = &'static [(&'static str, usize)];

const CPU: Dimensions = &[("cpu", 16)];
const DISK: Dimensions = &[("device", 4)];
const NETWORK: Dimensions = &[("device", 6)];
const FILESYSTEM: Dimensions = &[("mountpoint", 8)];
const COLLECTOR: Dimensions = &[("collector", 40)];

/// Prefix and suffix of the names, what stands between, labels, how values move.
const FAMILIES: &[(&str, &str, &[&str], Dimensions, Kind)] = &[
    ("node_cpu_seconds_total", "", &[""], &[("cpu", 16), ("mode", 8)], Seconds(4.0)),
    ("node_cpu_guest_seconds_total", "", &[""], &[("cpu", 16), ("mode", 2)], Still),
    ("node_schedstat_", "_seconds_total", &["running", "waiting"], CPU, Noise),
    ("node_schedstat_timeslices_total", "", &[""], CPU, Count(4_000.0)),
    ("node_softnet_", "_total", &["dropped", "times_squeezed", "received_rps"], CPU, Still),
    ("node_softnet_processed_total", "", &[""], CPU, Count(9_000.0)),
    ("node_network_", "_total", &["receive_bytes", "transmit_bytes"], NETWORK, Count(800_000.0)),
    ("node_network_", "_total", &["receive_packets", "transmit_packets"], NETWORK, Count(1_200.0)),
    (
        "node_network_receive_",
        "_total",
        &["errs", "drop", "fifo", "frame", "compressed", "multicast"],
        NETWORK,
        Still,
    ),
    (
        "node_network_transmit_",
        "_total",
        &["errs", "drop", "fifo", "colls", "carrier", "compressed"],
        NETWORK,
        Still,
    ),
    (
        "node_network_",
        "",
        &["mtu_bytes", "speed_bytes", "up", "carrier", "flags", "iface_id"],
        NETWORK,
        Still,
    ),
    ("node_disk_", "_bytes_total", &["read", "written"], DISK, Count(3_000_000.0)),
    ("node_disk_", "_completed_total", &["reads", "writes"], DISK, Count(150.0)),
    (
        "node_disk_",
        "_seconds_total",
        &["io_time", "io_time_weighted", "read_time", "write_time"],
        DISK,
        Seconds(0.8),
    ),
    (
        "node_disk_",
        "",
        &["discards", "discarded_sectors", "flush_requests", "io_now", "reads_merged"],
        DISK,
        Still,
    ),
    ("node_filesystem_", "", &["avail_bytes", "free_bytes", "files_free"], FILESYSTEM, Gauge(6e10)),
    ("node_filesystem_", "", &["size_bytes", "files", "readonly", "device_error"], FILESYSTEM, Still),
    (
        "node_memory_",
        "_bytes",
        &[
            "MemFree",
            "MemAvailable",
            "Buffers",
            "Cached",
            "Active",
            "Inactive",
            "Active_anon",
            "Inactive_anon",
            "Active_file",
            "Inactive_file",
            "Dirty",
            "Writeback",
            "AnonPages",
            "Mapped",
            "Shmem",
            "Slab",
            "SReclaimable",
            "SUnreclaim",
            "KernelStack",
            "PageTables",
            "Committed_AS",
            "Percpu",
        ],
        &[],
        Gauge(2e9),
    ),
    (
        "node_memory_",
        "_bytes",
        &[
            "MemTotal",
            "SwapTotal",
            "SwapFree",
            "SwapCached",
            "Unevictable",
            "Mlocked",
            "NFS_Unstable",
            "Bounce",
            "VmallocTotal",
            "VmallocUsed",
            "VmallocChunk",
            "HardwareCorrupted",
            "AnonHugePages",
            "Hugepagesize",
            "DirectMap4k",
            "DirectMap2M",
        ],
        &[],
        Still,
    ),
    (
        "node_netstat_",
        "",
        &[
            "Tcp_InSegs",
            "Tcp_OutSegs",
            "Tcp_ActiveOpens",
            "Tcp_PassiveOpens",
            "Udp_InDatagrams",
            "Udp_OutDatagrams",
            "Ip_Forwarding",
            "IpExt_InOctets",
            "IpExt_OutOctets",
            "Icmp_InMsgs",
            "Icmp_OutMsgs",
            "TcpExt_TCPTimeouts",
        ],
        &[],
        Count(5_000.0),
    ),
    (
        "node_netstat_",
        "",
        &[
            "Tcp_InErrs",
            "Tcp_OutRsts",
            "Tcp_RetransSegs",
            "Udp_InErrors",
            "Udp_NoPorts",
            "UdpLite_InErrors",
            "TcpExt_ListenDrops",
        ],
        &[],
        Still,
    ),
    ("node_", "", &["load1", "load5", "load15"], &[], Noise),
    ("node_", "_total", &["context_switches", "intr", "forks"], &[], Count(60_000.0)),
    ("node_vmstat_", "", &["pgfault", "pgpgin", "pgpgout"], &[], Count(20_000.0)),
    (
        "node_",
        "",
        &[
            "boot_time_seconds",
            "procs_blocked",
            "vmstat_oom_kill",
            "filefd_maximum",
            "entropy_available_bits",
        ],
        &[],
        Still,
    ),
    ("node_scrape_collector_duration_seconds", "", &[""], COLLECTOR, Noise),
    ("node_scrape_collector_success", "", &[""], COLLECTOR, Still),
    (
        "go_memstats_",
        "_bytes",
        &["alloc", "heap_alloc", "heap_idle", "heap_inuse", "stack_inuse", "next_gc"],
        &[],
        Gauge(4e6),
    ),
    ("process_", "", &["open_fds", "resident_memory_bytes"], &[], Gauge(2e7)),
];

const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];

/// One series of a host: name, labels beside the target's, how it moves.
struct Line {
    name: String,
    labels: Vec<(&'static str, String)>,
    kind: Kind,
}

/// A series and where its value is now.
pub(crate) struct Series {
    /// The whole label set.
    pub(crate) labels: Labels,
    kind: Kind,
    value: f64,
    dice: u64,
}

/// The first `count` series of a fleet, host after host.
pub(crate) fn series(count: usize) -> Vec<Series> {
    let lines = lines();
    (0..count).map(|i| one(&lines[i % lines.len()], i / lines.len(), i as u64)).collect()
}

fn one(line: &Line, host: usize, number: u64) -> Series {
    let instance = format!("10.{}.{}.{}:9100", host / 62_500, host / 250 % 250, host % 250 + 1);
    let pod = format!("node-exporter-{:05x}", (host * 7_919 + 4_242) % 0x10_0000);
    let node = format!("worker-{host:04}.prod.example.org");
    let target = [
        ("__name__", line.name.as_str()),
        ("cluster", "prod-eu-1"),
        ("endpoint", "metrics"),
        ("instance", &instance),
        ("job", "node"),
        ("namespace", "monitoring"),
        ("node", &node),
        ("pod", &pod),
    ];
    let own = line.labels.iter().map(|(name, value)| (*name, value.as_str()));
    let mut series = Series {
        labels: Labels::from_pairs(target.into_iter().chain(own)),
        kind: line.kind,
        value: 0.0,
        dice: (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
    };
    series.value = match series.kind {
        Still => [0.0, 0.0, 1.0, 1_500.0, 8_589_934_592.0][(number % 5) as usize],
        Count(pace) => (pace * 10_000.0 * series.chance()).floor(),
        Seconds(pace) => hundredths(pace * 10_000.0 * series.chance()),
        Gauge(mean) => (mean * series.chance()).floor(),
        Noise => series.chance(),
    };
    series
}

impl Series {
    /// The value now.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    /// Goes to the value one scrape later.
    pub(crate) fn step(&mut self) {
        self.value = match self.kind {
            Still => self.value,
            Count(pace) => self.value + (pace * (0.4 + 1.2 * self.chance())).floor(),
            Seconds(pace) => hundredths(self.value + pace * (0.4 + 1.2 * self.chance())),
            // Drawn back to its mean, as load and free memory are.
            Gauge(mean) => {
                (self.value + 0.2 * (mean - self.value) + 0.1 * mean * (self.chance() - 0.5)).floor()
            }
            Noise => self.value + 0.01 * self.chance(),
        };
    }

    /// A number in [0, 1), by xorshift64*.
    fn chance(&mut self) -> f64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// As the exporter prints processor time.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// All series of one host.
fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (prefix, suffix, names, dimensions, kind) in FAMILIES {
        let count: usize = dimensions.iter().map(|(_, values)| values).product();
        for name in *names {
            for i in 0..count {
                let mut rest = i;
                let labels = dimensions.iter().map(|(label, values)| {
                    let value = rest % values;
                    rest /= values;
                    (*label, text(label, value))
                });
                lines.push(Line {
                    name: format!("{prefix}{name}{suffix}"),
                    labels: labels.collect(),
                    kind: *kind,
                });
            }
        }
    }
    lines
}

fn text(label: &str, value: usize) -> String {
    match label {
        "mode" => MODES[value].to_owned(),
        "device" => format!("enp{}s0f{}", value / 2 + 1, value % 2),
        "mountpoint" => format!("/srv/volumes/data-{value:02}"),
        "collector" => format!("collector_{value:02}"),
        _ => value.to_string(),
    }
}
