//! Makes a data directory and a store folder that later versions must be able to read:
//! `cargo run --release -p store --example golden -- FOLDER`. The test `golden` reads the folders in
//! `testdata/golden`, which are never made again: `v1` is from before there were histograms, start times and
//! exemplars, `v1-histograms` has them. What comes new, or a new format, gets a folder of its own beside them.
//!
//! Rows, times, batch ids and the name of the node are always the same; names of files, markers of the log and
//! ids of commits are random by design. Beside the folders lies `expected.txt`: every row that was stored, as a line,
//! computed from what was sent and not from what can be read.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, ManualClock};
use store::objects::{self, ObjectsConfig};
use store::{CompactionScope, Config, Error, ProgressFn, Store, Table};

#[path = "../../tests/golden/lines.rs"]
#[allow(dead_code, reason = "the test reads, this writes")]
mod lines;
mod rows;
mod sparse;

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
        let batch = rows::batch(self.rounds, self.clock.now_ms());
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
