//! The host exporter: the machine's own metrics under the names of node_exporter.
//!
//! Comes in: `/proc`, `/sys`, `/etc/os-release`, and the same of a host mounted into a container. Goes out: a
//! page. One file a collector; a collector that finds no data or fails says so in
//! `node_scrape_collector_success` and fails alone. Names, labels and types are those of node_exporter's
//! default collectors of the same name; default filters are those of its current version.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Instant;

use async_trait::async_trait;
use model::Clock;
use regex::Regex;
use serde::Deserialize;
use thiserror::Error;

use super::{Exporter, ExporterError, Families};

mod conntrack;
mod cpu;
mod diskstats;
mod entropy;
mod filefd;
mod files;
mod filesystem;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod os;
mod pressure;
mod schedstat;
mod sockstat;
mod softnet;
mod stat;
mod time;
mod uname;
mod vmstat;

use filesystem::Statter;

/// Where to look and what to leave out. Filters are regular expressions, not anchored, as in node_exporter.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Mount point of the host's proc file system.
    pub procfs: PathBuf,
    /// Mount point of the host's sys file system.
    pub sysfs: PathBuf,
    /// Mount point of the host's root, taken off the front of mount points.
    pub rootfs: PathBuf,
    /// Collectors to leave out, by name.
    pub collectors_excluded: Vec<String>,
    /// Block devices to leave out.
    pub disk_devices_excluded: Pattern,
    /// Mount points to leave out.
    pub mount_points_excluded: Pattern,
    /// Types of file system to leave out.
    pub fs_types_excluded: Pattern,
    /// Network devices to leave out of `node_network_*`.
    pub net_devices_excluded: Pattern,
    /// Fields of netstat and snmp to keep, as `Tcp_InSegs`.
    pub netstat_fields: Pattern,
    /// Fields of vmstat to keep.
    pub vmstat_fields: Pattern,
}

impl Default for Config {
    fn default() -> Config {
        let pattern = |text: &str| Pattern::new(text).expect("the patterns written here are valid");
        Config {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            collectors_excluded: Vec::new(),
            disk_devices_excluded: pattern(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"),
            mount_points_excluded: pattern(
                r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
            ),
            fs_types_excluded: pattern(
                "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|\
                 nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
            ),
            net_devices_excluded: Pattern(None),
            netstat_fields: pattern(
                "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|\
                 TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
                 Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab|MaxConn)|\
                 Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
            ),
            vmstat_fields: pattern("^(oom_kill|pgpg|pswp|pg.*fault).*"),
        }
    }
}

/// A regular expression in a configuration; the empty one matches nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Option<Regex>);

impl Pattern {
    /// Compiles `text`.
    pub fn new(text: &str) -> Result<Pattern, regex::Error> {
        if text.is_empty() { Ok(Pattern(None)) } else { Regex::new(text).map(|regex| Pattern(Some(regex))) }
    }

    fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Pattern, regex::Error> {
        Pattern::new(&text)
    }
}

/// Why a collector has nothing to tell, or not all.
#[derive(Debug, Error)]
enum CollectError {
    /// The kernel does not offer it.
    #[error("no data")]
    NoData,
    #[error("`{path}` cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not in the expected form")]
    Form { path: PathBuf },
}

/// What collectors work with.
struct Host {
    config: Config,
    clock: Arc<dyn Clock>,
    statter: Statter,
}

type Collect = fn(&mut Host, &mut Families) -> Result<(), CollectError>;

/// The collectors by node_exporter's names.
const COLLECTORS: [(&str, Collect); 20] = [
    ("conntrack", conntrack::collect),
    ("cpu", cpu::collect),
    ("diskstats", diskstats::collect),
    ("entropy", entropy::collect),
    ("filefd", filefd::collect),
    ("filesystem", filesystem::collect),
    ("loadavg", loadavg::collect),
    ("meminfo", meminfo::collect),
    ("netclass", netclass::collect),
    ("netdev", netdev::collect),
    ("netstat", netstat::collect),
    ("os", os::collect),
    ("pressure", pressure::collect),
    ("schedstat", schedstat::collect),
    ("sockstat", sockstat::collect),
    ("softnet", softnet::collect),
    ("stat", stat::collect),
    ("time", time::collect),
    ("uname", uname::collect),
    ("vmstat", vmstat::collect),
];

impl Host {
    fn proc_path(&self, path: &str) -> PathBuf {
        self.config.procfs.join(path)
    }

    fn sys_path(&self, path: &str) -> PathBuf {
        self.config.sysfs.join(path)
    }

    fn root_path(&self, path: &str) -> PathBuf {
        self.config.rootfs.join(path)
    }

    /// A file below `/proc/net`, of the host's network even where this process has one of its own.
    fn proc_net_path(&self, path: &str) -> PathBuf {
        let of_init = self.proc_path("1/net").join(path);
        let foreign = self.config.procfs != Path::new("/proc");
        if foreign && of_init.exists() { of_init } else { self.proc_path("net").join(path) }
    }
}

/// The host exporter, as `builtin://host`.
pub struct HostExporter(Arc<Mutex<Host>>);

impl HostExporter {
    /// An exporter for the machine `config` points to.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> HostExporter {
        HostExporter(Arc::new(Mutex::new(Host { config, clock, statter: Statter::default() })))
    }

    /// Runs all collectors; blocks on the file system, at most some seconds. Fails where another collection
    /// still runs.
    pub fn families(&self) -> Result<Families, ExporterError> {
        let mut host = match self.0.try_lock() {
            Ok(host) => host,
            Err(TryLockError::Poisoned(host)) => PoisonError::into_inner(host),
            Err(TryLockError::WouldBlock) => return Err(ExporterError::Busy),
        };
        Ok(host.collect_all())
    }
}

impl Host {
    fn collect_all(&mut self) -> Families {
        let mut families = Families::default();
        for (name, collect) in COLLECTORS {
            if self.config.collectors_excluded.iter().any(|excluded| excluded == name) {
                continue;
            }
            let start = Instant::now();
            let result = collect(self, &mut families);
            if let Err(error @ (CollectError::Read { .. } | CollectError::Form { .. })) = &result {
                tracing::debug!(collector = name, %error, "host collector failed");
            }
            let labels = [("collector", name)];
            families.gauge(
                "node_scrape_collector_duration_seconds",
                "Time a collector took.",
                &labels,
                start.elapsed().as_secs_f64(),
            );
            let success = f64::from(u8::from(result.is_ok()));
            families.gauge(
                "node_scrape_collector_success",
                "Whether a collector succeeded.",
                &labels,
                success,
            );
        }
        families
    }
}

#[async_trait]
impl Exporter for HostExporter {
    async fn collect(&self) -> Result<String, ExporterError> {
        let exporter = HostExporter(Arc::clone(&self.0));
        let collection =
            tokio::task::spawn_blocking(move || exporter.families().map(|families| families.to_page()));
        collection.await.unwrap_or(Err(ExporterError::Broken))
    }
}

impl std::fmt::Debug for HostExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostExporter")
    }
}

#[cfg(test)]
mod tests;
