use std::fs;

use model::ManualClock;

use super::*;

/// A machine made of files.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new(files: &[(&str, &str)]) -> Fake {
        let fake = Fake(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = fake.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fake
    }

    /// The page without `node_scrape_collector_duration_seconds`, comments and the collectors that ask the
    /// kernel itself.
    fn page(&self) -> String {
        let config = Config {
            procfs: self.0.path().join("proc"),
            sysfs: self.0.path().join("sys"),
            rootfs: self.0.path().join("root"),
            collectors_excluded: vec!["uname".to_owned()],
            ..Config::default()
        };
        let exporter = HostExporter::new(config, Arc::new(ManualClock::at_ms(1500)));
        let page = exporter.families().unwrap().to_page();
        let lines =
            page.lines().filter(|line| !line.starts_with('#') && !line.contains("collector_duration"));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

#[track_caller]
fn check(files: &[(&str, &str)], prefix: &str, expect: &[&str]) {
    let page = Fake::new(files).page();
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with(prefix)).collect();
    assert_eq!(lines, expect);
}

#[test]
fn an_empty_machine_has_only_its_clock() {
    let page = Fake::new(&[]).page();
    let success: Vec<&str> = page.lines().filter(|line| line.ends_with(" 1")).collect();
    assert_eq!(success, [r#"node_scrape_collector_success{collector="time"} 1"#]);
    let failed =
        page.lines().filter(|line| line.starts_with("node_scrape_collector_success") && line.ends_with(" 0"));
    assert_eq!(failed.count(), COLLECTORS.len() - 2);
    assert!(page.contains("node_time_seconds 1.5\n"));
}

#[test]
fn stat_and_cpu() {
    let stat = "cpu  9 9 9\ncpu0 100 200 300 400 500 600 700 800 900 1000\ncpu1 1 0 0\nintr 5 1 1\nctxt 6\nbtime 7\nprocesses 8\nprocs_running 2\nprocs_blocked 1\n";
    check(
        &[("proc/stat", stat)],
        "node_cpu",
        &[
            r#"node_cpu_guest_seconds_total{cpu="0",mode="user"} 9"#,
            r#"node_cpu_guest_seconds_total{cpu="0",mode="nice"} 10"#,
            r#"node_cpu_seconds_total{cpu="0",mode="user"} 1"#,
            r#"node_cpu_seconds_total{cpu="0",mode="nice"} 2"#,
            r#"node_cpu_seconds_total{cpu="0",mode="system"} 3"#,
            r#"node_cpu_seconds_total{cpu="0",mode="idle"} 4"#,
            r#"node_cpu_seconds_total{cpu="0",mode="iowait"} 5"#,
            r#"node_cpu_seconds_total{cpu="0",mode="irq"} 6"#,
            r#"node_cpu_seconds_total{cpu="0",mode="softirq"} 7"#,
            r#"node_cpu_seconds_total{cpu="0",mode="steal"} 8"#,
            r#"node_cpu_seconds_total{cpu="1",mode="user"} 0.01"#,
            r#"node_cpu_seconds_total{cpu="1",mode="nice"} 0"#,
            r#"node_cpu_seconds_total{cpu="1",mode="system"} 0"#,
        ],
    );
    check(&[("proc/stat", stat)], "node_procs", &["node_procs_blocked 1", "node_procs_running 2"]);
    check(&[("proc/stat", stat)], "node_boot", &["node_boot_time_seconds 7"]);
}

#[test]
fn memory_disks_and_network() {
    check(
        &[("proc/meminfo", "MemTotal:  2 kB\nActive(anon):  1 kB\nHugePages_Free:    3\n")],
        "node_memory",
        &[
            "node_memory_Active_anon_bytes 1024",
            "node_memory_HugePages_Free 3",
            "node_memory_MemTotal_bytes 2048",
        ],
    );
    let disks = " 8 0 sda 1 2 3 4000 5 6 7 8 9 10 11\n 8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n 7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n";
    let files = [("proc/diskstats", disks), ("root/run/udev/data/b8:0", "E:ID_MODEL=Fast\nE:ID_WWN=w1\n")];
    let info = r#"node_disk_info{device="sda",major="8",minor="0",model="Fast",path="",revision="",serial="",wwn="w1"} 1"#;
    check(&files, "node_disk_info", &[info]);
    check(&files, "node_disk_read_bytes", &[r#"node_disk_read_bytes_total{device="sda"} 1536"#]);
    check(&files, "node_disk_read_time", &[r#"node_disk_read_time_seconds_total{device="sda"} 4"#]);
    check(&files, "node_disk_discards", &[]);
    let dev = "Inter-| x\n face | y\n  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    let files = [("proc/net/dev", dev), ("sys/class/net/eth0/statistics/rx_nohandler", "17\n")];
    check(
        &files,
        "node_network_receive_nohandler",
        &[r#"node_network_receive_nohandler_total{device="eth0"} 17"#],
    );
    check(&files, "node_network_transmit_colls", &[r#"node_network_transmit_colls_total{device="eth0"} 14"#]);
    // A container sees the network of the host's first process.
    let files = [("proc/net/dev", dev), ("proc/1/net/dev", "x\ny\nhost0: 7\n")];
    check(&files, "node_network_receive_bytes", &[r#"node_network_receive_bytes_total{device="host0"} 7"#]);
}

#[test]
fn network_devices_and_protocols() {
    let files = [
        ("sys/class/net/bonding_masters", ""),
        ("sys/class/net/e0/flags", "0x1003\n"),
        ("sys/class/net/e0/speed", "1000\n"),
        ("sys/class/net/e0/mtu", "1500\n"),
        ("sys/class/net/e0/operstate", "up\n"),
        ("sys/class/net/e0/address", "aa:bb\n"),
    ];
    check(
        &files,
        "node_network",
        &[
            r#"node_network_flags{device="e0"} 4099"#,
            r#"node_network_info{address="aa:bb",broadcast="",device="e0",duplex="",ifalias="",operstate="up"} 1"#,
            r#"node_network_mtu_bytes{device="e0"} 1500"#,
            r#"node_network_speed_bytes{device="e0"} 125000000"#,
            r#"node_network_up{device="e0"} 1"#,
        ],
    );
    let files = [
        ("proc/net/netstat", "TcpExt: ListenDrops Other\nTcpExt: 1 2\n"),
        ("proc/net/snmp", "Tcp: MaxConn InSegs\nTcp: -1 5\n"),
        ("proc/net/snmp6", "Udp6InDatagrams   \t6\nUdpLite6InErrors 7\nIp6Other 8\n"),
    ];
    check(
        &files,
        "node_netstat",
        &[
            "node_netstat_TcpExt_ListenDrops 1",
            "node_netstat_Tcp_InSegs 5",
            "node_netstat_Tcp_MaxConn -1",
            "node_netstat_Udp6_InDatagrams 6",
            "node_netstat_UdpLite6_InErrors 7",
        ],
    );
}

#[test]
fn small_files() {
    let os = "# x\nNAME='A \"B\"'\nID=debian\nVERSION_ID=\"12.4.1\"\nPRETTY_NAME=\"q\\\"q\"\n";
    check(
        &[("root/usr/lib/os-release", os)],
        "node_os_version",
        &[r#"node_os_version{id="debian",id_like="",name="A \"B\""} 12.4"#],
    );
    check(
        &[("proc/pressure/io", "some avg10=0 total=1500000\nfull avg10=0 total=2\n")],
        "node_pressure",
        &["node_pressure_io_stalled_seconds_total 2e-6", "node_pressure_io_waiting_seconds_total 1.5"],
    );
    check(
        &[("proc/sys/fs/file-nr", "1\t0\t9223372036854775807\n")],
        "node_filefd",
        &["node_filefd_allocated 1", "node_filefd_maximum 9.223372036854776e18"],
    );
    check(
        &[("proc/loadavg", "0.1 0.2 0.3 1/2 3\n")],
        "node_load",
        &["node_load1 0.1", "node_load15 0.3", "node_load5 0.2"],
    );
    check(
        &[("proc/loadavg", "broken\n")],
        r#"node_scrape_collector_success{collector="loadavg"}"#,
        &[r#"node_scrape_collector_success{collector="loadavg"} 0"#],
    );
    check(&[("proc/vmstat", "pgfault 5\nnr_free 6\n")], "node_vmstat", &["node_vmstat_pgfault 5"]);
}

#[tokio::test]
async fn the_real_machine_gives_a_page_that_parses() {
    use codecs::exposition::{Format, Parser};

    let exporter = HostExporter::new(Config::default(), Arc::new(model::SystemClock));
    let page = exporter.collect().await.unwrap();
    for entry in Parser::new(Format::Text, page.as_bytes()).unwrap() {
        entry.unwrap();
    }
    for start in [
        "node_cpu_seconds_total{",
        "node_memory_MemTotal_bytes ",
        "node_uname_info{",
        "node_filesystem_size_bytes{",
    ] {
        assert!(page.lines().any(|line| line.starts_with(start)), "{start} is missing");
    }
}
