//! Makes a data directory and a store folder that later versions must be able to read:
//! `cargo run --release -p store --example golden -- FOLDER`. The test `golden` reads `testdata/golden/v1`, which
//! is never made again; a new format gets a folder of its own beside it.
//!
//! Rows, times, batch ids and the name of the node are always the same; names of files, markers of the log and
//! ids of commits are random by design. Beside the folders lies `expected.txt`: every row that was stored, as a line,
//! computed from what was sent and not from what can be read.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{
    Batch, Clock, Labels, LogEntry, LogStream, ManualClock, MetricKind, MetricMetadata, Point, ProbePhases,
    ProbeResult, Severity,
};
use store::objects::{self, ObjectsConfig};
use store::{CompactionScope, Config, Error, ProgressFn, Store, Table};

#[path = "../tests/golden/lines.rs"]
#[allow(dead_code, reason = "the test reads, this writes")]
mod lines;

use lines::Rows;

/// Midnight of 2026-11-22.
const DAY_MS: i64 = 20_779 * 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

struct Golden {
    folder: PathBuf,
    clock: Arc<ManualClock>,
    rounds: u64,
    stored: Rows,
}

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("the folder to make"));
    fs::create_dir(&folder).expect("a folder that does not exist yet");
    fs::create_dir(folder.join("data")).unwrap();
    fs::write(folder.join("data/node"), "901de90000000000000000000000cafe\n").unwrap();
    let clock = Arc::new(ManualClock::at_ms(DAY_MS - 38 * HOUR_MS));
    let mut golden = Golden { folder, clock, rounds: 0, stored: Rows::default() };
    golden.files().await;
    golden.log().await;
    fs::write(golden.folder.join("expected.txt"), golden.stored.text()).unwrap();
    println!("{} rounds, clock at {} ms", golden.rounds, golden.clock.now_ms());
}

impl Golden {
    /// Opens the store once the one before is gone.
    async fn open(&self) -> Store {
        let url = self.folder.join("store").display().to_string();
        let objects = objects::open(&ObjectsConfig { url, ..ObjectsConfig::default() }).unwrap();
        loop {
            let config =
                Config { data_dir: self.folder.join("data"), wal_segment_bytes: 4_096, ..Config::default() };
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            match Store::open(config, Arc::clone(&objects.store), objects.prefix.clone(), clock).await {
                Err(Error::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                opened => return opened.unwrap(),
            }
        }
    }

    /// Two days that are over, one that is merged in part, late rows, a checkpoint, a commit after it.
    async fn files(&mut self) {
        let store = self.open().await;
        for start_ms in [DAY_MS - 38 * HOUR_MS, DAY_MS - 14 * HOUR_MS, DAY_MS + 6 * HOUR_MS] {
            self.clock.advance_ms(start_ms - self.clock.now_ms());
            for _ in 0..3 {
                self.round(&store).await;
                store.flush().await.unwrap();
                self.clock.advance_ms(5 * MINUTE_MS);
            }
        }
        self.clock.advance_ms(4 * HOUR_MS);
        self.round(&store).await;
        store.flush().await.unwrap();
        self.clock.advance_ms(HOUR_MS + 30 * MINUTE_MS);
        let report = store.compact(&CompactionScope::default(), &ProgressFn::default()).await.unwrap();
        println!("{report:?}");
        assert!(report.jobs >= 10 && report.failures == 0);
        store.catalog().checkpoint().await.unwrap();
        self.clean_up(&store);
        self.round(&store).await;
        store.flush().await.unwrap();
        self.stored.forget_metadata();
        drop(store);
    }

    /// Rows that are in the log only, of two runs.
    async fn log(&mut self) {
        for rounds in [2, 3] {
            self.clock.advance_ms(20 * MINUTE_MS);
            let store = self.open().await;
            for _ in 0..rounds {
                self.round(&store).await;
            }
            drop(store);
        }
        drop(self.open().await);
        while fs::remove_file(self.folder.join("data/lock")).is_err() {}
        // Made again by whoever needs them.
        let _ = fs::remove_file(self.folder.join("store/update#0"));
        let _ = fs::remove_dir(self.folder.join("store/_probe"));
    }

    /// What vacuum and the log's clean-up do once the machine's clock, too, has gone on for a day.
    fn clean_up(&self, store: &Store) {
        let sets = store.catalog().files();
        for table in Table::ALL {
            let root = self.folder.join("store").join(table.name());
            let live: Vec<&str> = sets.table(table).iter().map(|file| file.path.as_str()).collect();
            for file in files_below(&root) {
                let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                let version = name.strip_prefix("_delta_log/").and_then(|name| name.strip_suffix(".json"));
                let covered = version.is_some_and(|version| {
                    version.parse::<i64>().unwrap() < sets.table_files(table).version()
                });
                if covered || (name.starts_with("day=") && !live.contains(&name.as_str())) {
                    fs::remove_file(file).unwrap();
                }
            }
        }
    }

    /// Stores the next batch.
    async fn round(&mut self, store: &Store) {
        let batch = batch(self.rounds, self.clock.now_ms());
        self.stored.add_batch(&batch);
        store.append(batch).await.unwrap();
        self.rounds += 1;
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// Values that are hard to keep come round after round.
fn value(round: u64, sample: u64) -> f64 {
    match (round * 5 + sample) % 11 {
        0 => model::stale_nan(),
        1 => f64::from_bits(0x7ff8_0000_0000_1234),
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        4 => 0.1 + round as f64,
        5 => f64::MIN_POSITIVE,
        6 => 9_007_199_254_740_993.0,
        7 => f64::from_bits(0xfff8_0000_dead_beef),
        _ => (round * 100 + sample) as f64,
    }
}

fn batch(round: u64, now_ms: i64) -> Batch {
    let mut batch = Batch::new(format!("golden/{}", round % 2));
    batch.batch_id = (round % 3 != 2).then(|| format!("batch-{round}"));
    points(round, now_ms, &mut batch);
    metadata(round, &mut batch);
    logs(round, now_ms, &mut batch);
    probes(round, now_ms, &mut batch);
    batch
}

fn points(round: u64, now_ms: i64, batch: &mut Batch) {
    let of_round = format!("only-{round}");
    let sets = [
        labels(&[("__name__", "up"), ("job", "node"), ("instance", "a:9100")]),
        labels(&[("__name__", "up"), ("job", "node"), ("instance", "b:9100")]),
        labels(&[("__name__", "requests_total"), ("job", "web"), ("path", "/\"a\"\n\\"), ("größe", "名前")]),
        labels(&[("__name__", "requests_total"), ("instance", "c:80"), ("round", of_round.as_str())]),
        labels(&[("__name__", "http.server.duration"), ("le", "+Inf")]),
    ];
    for (set, labels) in sets.into_iter().enumerate() {
        for sample in 0..4 {
            let timestamp_ms = now_ms + sample as i64 * 15_000 + set as i64;
            let value = value(round, sample + set as u64);
            batch.points.push(Point { labels: labels.clone(), timestamp_ms, value });
        }
    }
    // The same sample as the round before has sent, with another value.
    let again = labels(&[("__name__", "sent_twice"), ("job", "node")]);
    for timestamp_ms in [now_ms, now_ms - 5 * MINUTE_MS] {
        batch.points.push(Point { labels: again.clone(), timestamp_ms, value: value(round, 3) });
    }
    // Late by a day.
    let late = labels(&[("__name__", "late"), ("job", "batch")]);
    batch.points.push(Point { labels: late, timestamp_ms: now_ms - 24 * HOUR_MS, value: round as f64 });
}

fn metadata(round: u64, batch: &mut Batch) {
    let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram, MetricKind::StateSet];
    batch.metadata.push(MetricMetadata {
        family: format!("family_{round}"),
        kind: kinds[round as usize % 4],
        help: format!("Help of round {round}, \"quoted\"\nand with a second line."),
        unit: ["", "seconds", "bytes"][round as usize % 3].to_owned(),
    });
}

fn logs(round: u64, now_ms: i64, batch: &mut Batch) {
    for (service, host, source) in [("web", "h1", "docker"), ("größe", "h2", "journal")] {
        let labels = labels(&[("service", service), ("host", host), ("source", source), ("env", "prod")]);
        let entries = (0..4u64).map(|line| LogEntry {
            timestamp_ns: now_ms * 1_000_000 + line as i64 * 1_000_123 + 7,
            severity: [Severity::Unknown, Severity::Info, Severity::Error, Severity::Fatal][line as usize],
            body: format!("round {round} line {line}: GET /päth?q={:016x} \"日本\"\ttab", round * 31 + line),
            attributes: (0..line).map(|i| (format!("key.{i}"), format!("välue {round}"))).collect(),
            trace_id: (line % 2 == 1).then(|| format!("{:032x}", round * 1_000 + line)),
            span_id: (line == 3).then(|| format!("{:016x}", round * 7 + line)),
        });
        batch.log_streams.push(LogStream { labels, entries: entries.collect() });
    }
}

fn probes(round: u64, now_ms: i64, batch: &mut Batch) {
    batch.probes.push(ProbeResult {
        timestamp_ms: now_ms,
        probe: "home".into(),
        target: "https://example.org/?a=b".into(),
        kind: "http".into(),
        location: "FRA".into(),
        success: true,
        duration_seconds: 0.1 * round as f64,
        status_code: Some(200),
        redirects: Some(2),
        body_bytes: Some(1 << 40),
        http_version: Some("HTTP/2".into()),
        phases: ProbePhases {
            resolve_seconds: Some(0.001),
            connect_seconds: Some(0.25),
            tls_seconds: Some(0.5),
            first_byte_seconds: Some(1.0 / 3.0),
            transfer_seconds: Some(0.0),
        },
        ip: Some("2001:db8::1".into()),
        tls_version: Some("TLS 1.3".into()),
        tls_cipher: Some("TLS_AES_128_GCM_SHA256".into()),
        cert_not_after_ms: Some(DAY_MS + 90 * 24 * HOUR_MS),
        attributes: vec![("dns.answers".into(), "2".into()), ("ä".into(), "ö \"ü\"".into())],
        result_id: format!("{round:032x}"),
        ..ProbeResult::default()
    });
    batch.probes.push(ProbeResult {
        timestamp_ms: now_ms + 1,
        probe: "ssh".into(),
        target: "tcp://example.org:22".into(),
        kind: "tcp".into(),
        location: "LHR".into(),
        success: false,
        reason: Some("connection refused".into()),
        duration_seconds: 3.5,
        result_id: format!("{:032x}", round + 1_000),
        ..ProbeResult::default()
    });
}
