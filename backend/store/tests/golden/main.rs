//! What earlier versions wrote stays readable: `testdata/golden` holds data directories with their store folders,
//! each made once by the example `golden`, and every row that must be in them.
//!
//! The other way round, what a later version wrote is refused or ignored, and never changed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Batch, Clock, Labels, ManualClock, Point};
use store::objects::{self, ObjectsConfig};
use store::parquet_file::{Footers, ReadOptions, read_batches};
use store::samples::SampleOptions;
use store::{Appended, Catalog, CompactionScope, Config, Error, ProgressFn, Snapshot, Store, Table};

#[allow(dead_code, reason = "the generator writes, this reads")]
mod lines;

use lines::{Rows, SparseRows};

/// When the last batch of the golden directories was stored, milliseconds since the Unix epoch: 2026-11-22 12:25.
const LAST_MS: i64 = 20_779 * 86_400_000 + (12 * 60 + 25) * 60_000;

/// Format 1 as it was before there were histograms, start times and exemplars, and with them.
const DIRECTORIES: [&str; 2] = ["v1", "v1-histograms"];
/// Tables that the first directory lacks.
const SPARSE: [Table; 3] = [Table::Histograms, Table::StartTimes, Table::Exemplars];

/// A copy of a golden directory, whose clock stands a few minutes after its last batch.
struct Golden {
    name: &'static str,
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    expected: String,
}

impl Golden {
    /// A copy of each.
    fn each() -> impl Iterator<Item = Golden> {
        DIRECTORIES.into_iter().map(Golden::of)
    }

    fn of(name: &'static str) -> Golden {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden").join(name);
        let folder = tempfile::tempdir().unwrap();
        copy(&source, folder.path());
        let expected = fs::read_to_string(source.join("expected.txt")).unwrap();
        Golden { name, folder, clock: Arc::new(ManualClock::at_ms(LAST_MS + 5 * 60_000)), expected }
    }

    /// A copy of each, once for every table that can be made one of a later version in it.
    fn each_table() -> impl Iterator<Item = (Golden, Table)> {
        let tables = |name| [Table::Logs].into_iter().chain(SPARSE).filter(move |table| has(name, *table));
        DIRECTORIES.into_iter().flat_map(move |name| tables(name).map(move |table| (Golden::of(name), table)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn objects(&self) -> objects::Objects {
        let url = self.path("store").display().to_string();
        objects::open(&ObjectsConfig { url, ..ObjectsConfig::default() }).unwrap()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// Opens the store; where the one before has just been dropped, once it is gone.
    async fn try_open(&self) -> Result<Store, Error> {
        loop {
            let config = Config { data_dir: self.path("data"), ..Config::default() };
            let objects = self.objects();
            match Store::open(config, objects.store, objects.prefix, self.clock()).await {
                Err(Error::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                opened => return opened,
            }
        }
    }

    async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    async fn catalog(&self) -> Catalog {
        let objects = self.objects();
        Catalog::open_read_only(objects.store, objects.prefix, self.clock()).await.unwrap()
    }

    async fn check(&self, store: &Store, what: &str) {
        let what = format!("{}, {what}", self.name);
        let found = Rows::of_store(store).await.unwrap();
        // Records whose rows are in files may be read from the log all the same, for a table that is new: then they
        // tell of metric families once more.
        let more =
            |line: &&str| !line.starts_with("metadata ") || self.expected.lines().any(|known| known == *line);
        let text = found.text();
        let lines: Vec<&str> = text.lines().filter(more).collect();
        same_lines(&lines.join("\n"), &self.expected, &what);
        check_samples(&store.snapshot(), &found, &what).await;
    }

    /// Every file with its content, but locks.
    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut content = BTreeMap::new();
        for path in files_below(self.folder.path()) {
            if !["lock", "update#0"].contains(&path.file_name().unwrap().to_str().unwrap()) {
                content.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
        content
    }
}

/// Whether `table` was there when the directory `name` was made.
fn has(name: &str, table: Table) -> bool {
    name != "v1" || !SPARSE.contains(&table)
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort_unstable();
    files
}

fn same_lines(found: &str, expected: &str, what: &str) {
    let [found, expected] = [found, expected].map(|text| text.lines().collect::<Vec<_>>());
    let without = |lines: &[&str], others: &[&str]| -> Vec<String> {
        lines.iter().filter(|line| !others.contains(line)).map(|line| (*line).to_owned()).collect()
    };
    let (missing, extra) = (without(&expected, &found), without(&found, &expected));
    assert!(missing.is_empty() && extra.is_empty(), "{what}\nmissing: {missing:#?}\nextra: {extra:#?}");
    assert_eq!(found.len(), expected.len(), "{what}: some lines are there twice");
}

/// The readers behind PromQL, of which the one of samples goes by pages, give the same as the rows.
async fn check_samples(snapshot: &Snapshot, rows: &Rows, what: &str) {
    let (mut read, mut sparse) = (BTreeMap::new(), SparseRows::default());
    for metric in snapshot.metric_names().await.unwrap() {
        let series = snapshot.series(&metric, None).await.unwrap();
        sparse.append(SparseRows::of_series(snapshot, &series).await.unwrap());
        let options = SampleOptions::default();
        let samples =
            snapshot.read_samples(&series, i64::MIN / 1_000, i64::MAX / 1_001, &options).await.unwrap();
        for (entry, samples) in series.iter().zip(samples.series) {
            for (time_ms, value) in samples.timestamps.iter().zip(samples.values) {
                read.insert((entry.labels.to_string(), *time_ms), value.to_bits());
            }
        }
    }
    let samples: BTreeMap<_, _> =
        rows.samples().iter().map(|(key, value)| (key.clone(), value.to_bits())).collect();
    assert_eq!(read, samples, "{what}");
    let lines = |rows: &SparseRows| rows.lines().collect::<Vec<_>>().join("\n");
    same_lines(&lines(&sparse), &lines(rows.sparse()), &format!("{what}, by the readers"));
}

#[tokio::test]
async fn every_row_of_format_1_is_read() {
    for golden in Golden::each() {
        let store = golden.open().await;
        golden.check(&store, "as it was left").await;
        let replay = store.stats().replay;
        assert_eq!((replay.damaged_ranges, replay.torn_tails, replay.undecodable), (0, 0, 0), "{replay:?}");
        assert!(replay.segments >= 2 && replay.batches >= 5, "{replay:?}");
        let levels = |level| {
            let sets = store.catalog().files();
            Table::ALL
                .iter()
                .flat_map(|table| sets.table(*table))
                .filter(|file| file.tags.level == level)
                .count()
        };
        assert!((0..=2).all(|level| levels(level) > 0), "files of every level");
        for table in Table::ALL.into_iter().filter(|table| has(golden.name, *table)) {
            assert!(!store.catalog().files().table(table).is_empty(), "files of `{table}`");
            let with_rows = !matches!(table, Table::Series | Table::LogStreams);
            let in_log = store.snapshot().unflushed_rows(table);
            assert!(!with_rows || in_log > 0, "rows of `{table}` in the log alone");
        }
    }
}

#[tokio::test]
async fn a_store_of_format_1_is_gone_on_with() {
    for golden in Golden::each() {
        let store = golden.open().await;
        // Known from the list of stored batches, from the log of committed rows, and from the log of the others.
        for round in [6, 10, 13] {
            let again = Batch {
                points: vec![Point {
                    labels: Labels::from_pairs([("__name__", "again")]),
                    timestamp_ms: LAST_MS,
                    value: 1.0,
                }],
                batch_id: Some(format!("batch-{round}")),
                ..Batch::new(format!("golden/{}", round % 2))
            };
            assert_eq!(store.append(again).await.unwrap(), Appended::Duplicate, "round {round}");
        }
        store.flush().await.unwrap();
        golden.check(&store, "flushed").await;
        let scope = CompactionScope { all: true, ..CompactionScope::default() };
        let report = store.compact(&scope, &ProgressFn::default()).await.unwrap();
        assert!(report.jobs > 0 && report.failures + report.quarantined + report.skipped == 0, "{report:?}");
        golden.check(&store, "merged").await;
        store.catalog().checkpoint().await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let store = golden.open().await;
        let found = Rows::of_store(&store).await.unwrap().text();
        // What sources tell of metric families is in the log alone, and what is left of that is of no account.
        let rows = |text: &str| -> String {
            text.lines()
                .filter(|line| !line.starts_with("metadata "))
                .map(|line| format!("{line}\n"))
                .collect()
        };
        same_lines(&rows(&found), &rows(&golden.expected), "opened again");
    }
}

#[tokio::test]
async fn token_sidecars_of_format_1_are_read() {
    for golden in Golden::each() {
        let catalog = golden.catalog().await;
        let sidecars = files_below(&golden.path("store/_index")).len();
        assert!(sidecars >= 2);
        assert_eq!(catalog.load_tokens().await.unwrap(), sidecars);
        assert_eq!(catalog.tokens().stats().load_failures_total, 0);
    }
}

#[tokio::test]
async fn a_log_of_a_later_version_is_refused_and_left_alone() {
    for golden in Golden::each() {
        let segment = files_below(&golden.path("data/wal")).pop().unwrap();
        let mut bytes = fs::read(&segment).unwrap();
        bytes[7] += 1;
        let crc = crc32c(&bytes[..20]);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        fs::write(&segment, bytes).unwrap();
        let before = golden.content();
        match golden.try_open().await {
            Err(Error::Newer { what, found: 2, known: 1 }) => {
                assert!(what.ends_with(segment.file_name().unwrap().to_str().unwrap()), "{what}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(golden.content(), before, "not a byte is changed");
    }
}

#[tokio::test]
async fn a_table_of_a_later_protocol_is_refused_and_left_alone() {
    for (golden, table) in Golden::each_table() {
        let newest = newest_commit(&golden, table);
        let version: u64 = newest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let later = newest.with_file_name(format!("{:020}.json", version + 1));
        fs::write(later, r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"],"writerFeatures":["x"]}}"#)
            .unwrap();
        let before = golden.content();
        let refused = golden.try_open().await;
        assert!(
            matches!(refused, Err(Error::Protocol { table: of, reader: 3, writer: 7 }) if of == table.name()),
            "{refused:?}"
        );
        assert_eq!(golden.content(), before, "not a byte is changed");
    }
}

#[tokio::test]
async fn a_file_of_a_later_format_is_named_and_neither_read_nor_merged() {
    for (golden, table) in Golden::each_table() {
        let file = make_newer(&golden, table);
        let before = fs::read(golden.path("store").join(&file)).unwrap();
        let store = golden.open().await;
        match Rows::of_store(&store).await {
            Err(Error::Newer { what, found: 9, known: 1 }) => assert_eq!(what, file),
            other => panic!("{other:?}"),
        }
        let scope = CompactionScope { all: true, ..CompactionScope::default() };
        let report = store.compact(&scope, &ProgressFn::default()).await.unwrap();
        assert_eq!((report.skipped, report.quarantined, report.failures), (1, 0, 0), "{report:?}");
        let sets = store.catalog().files();
        assert!(sets.table(table).iter().any(|live| live.key.as_ref() == file), "still in its table");
        assert_eq!(fs::read(golden.path("store").join(&file)).unwrap(), before, "not a byte is changed");
        // Tables without such a file answer as ever.
        let footers = Footers::default();
        for file in sets.table(Table::Metrics) {
            let objects = store.catalog().objects();
            assert!(read_batches(objects, &footers, file, &ReadOptions::default()).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_sidecar_of_a_later_version_is_ignored() {
    for golden in Golden::each() {
        for sidecar in files_below(&golden.path("store/_index")) {
            let mut bytes = fs::read(&sidecar).unwrap();
            bytes[4] += 1;
            fs::write(sidecar, bytes).unwrap();
        }
        let before = golden.content();
        let catalog = golden.catalog().await;
        assert_eq!(catalog.load_tokens().await.unwrap(), 0);
        drop(catalog);
        assert_eq!(golden.content(), before, "not a byte is changed");
        let store = golden.open().await;
        golden.check(&store, "with sidecars of a later version").await;
    }
}

#[tokio::test]
async fn a_lease_of_a_later_version_is_honoured() {
    for golden in Golden::each() {
        let lease = golden.path("store/_lease/maintenance.json");
        let expires_ms = golden.clock.now_ms() + 20_000;
        let text = format!(
            r#"{{"holder":"later","epoch":77,"expires_ms":{expires_ms},"written_ms":{},"token":"t","of_version_2":{{}}}}"#,
            golden.clock.now_ms()
        );
        fs::write(&lease, &text).unwrap();
        let store = golden.open().await;
        let catalog = store.catalog();
        let mine = store::Lease::new(
            Arc::clone(catalog.objects()),
            catalog.prefix(),
            "mine".to_owned(),
            golden.clock(),
            store::LeaseSettings::default(),
        );
        let refused = mine.acquire(0).await;
        assert!(matches!(&refused, Err(Error::LeaseHeld { holder, .. }) if holder == "later"), "{refused:?}");
        assert_eq!(fs::read_to_string(&lease).unwrap(), text);
        golden.clock.advance_ms(40_000);
        assert!(mine.acquire(0).await.unwrap().epoch().unwrap() > 77, "its epoch counts once it is over");
    }
}

/// The newest commit of a table that adds a file.
fn newest_commit(golden: &Golden, table: Table) -> PathBuf {
    let log = golden.path("store").join(table.name()).join("_delta_log");
    files_below(&log).into_iter().rfind(|path| path.extension().is_some_and(|ext| ext == "json")).unwrap()
}

/// Gives the newest file of a table format 9, with a commit that has its new checksum; gives its key.
fn make_newer(golden: &Golden, table: Table) -> String {
    let commit = newest_commit(golden, table);
    let text = fs::read_to_string(&commit).unwrap();
    let after = |start: &str| text.split(start).nth(1).unwrap().split('"').next().unwrap();
    let (path, crc) = (after(r#""path":""#), after(r#""atl.crc32c":""#));
    let key = format!("{}/{path}", table.name());
    let file = golden.path("store").join(&key);
    let mut bytes = fs::read(&file).unwrap();
    // Thrift's compact protocol: the key, then the value as a field of one byte.
    let pattern = b"atl.format\x18\x011";
    let at = bytes.windows(pattern.len()).position(|window| window == pattern).unwrap();
    bytes[at + pattern.len() - 1] = b'9';
    let newer = text.replace(crc, &format!("{:08x}", crc32c(&bytes)));
    fs::write(file, bytes).unwrap();
    fs::write(commit, newer).unwrap();
    key
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
