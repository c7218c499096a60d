//! Rows stay the same while they move between generations, hot blocks and files.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::duplicates::wins;
use crate::parquet_file::{FileTags, WriteProfile};
use crate::paths::DAY_US;
use crate::testing::sorted;

const DAY_MS: i64 = 86_400_000;

/// What the store was given, by hand.
#[derive(Debug, Default)]
struct Model {
    /// By series and time: how often it was written, and what counts; whether it is in files.
    samples: BTreeMap<(i64, i64, bool), (usize, f64)>,
    /// Time in nanoseconds, line, whether it is in files.
    lines: Vec<(i64, String, bool)>,
    probes: Vec<(i64, String, bool)>,
}

/// Rows of a snapshot: samples with the number of times they show, lines, results.
type Found = (BTreeMap<(i64, i64), (usize, u64)>, Vec<(i64, String)>, Vec<(i64, String)>);

impl Model {
    fn take(&mut self, batch: &Batch) {
        for point in &batch.points {
            let key = (point.labels.hash64().cast_signed(), point.timestamp_ms * 1_000, false);
            let known = self.samples.entry(key).or_insert((0, point.value));
            *known = (known.0 + 1, wins(known.1, point.value));
        }
        for stream in &batch.log_streams {
            self.lines.extend(stream.entries.iter().map(|e| (e.timestamp_ns, e.body.clone(), false)));
        }
        self.probes.extend(batch.probes.iter().map(|p| (p.timestamp_ms, p.result_id.clone(), false)));
    }

    fn flushed(&mut self) {
        for ((tsid, us, _), (count, value)) in std::mem::take(&mut self.samples) {
            let known = self.samples.entry((tsid, us, true)).or_insert((0, value));
            *known = (known.0 + count, wins(known.1, value));
        }
        self.lines.iter_mut().for_each(|line| line.2 = true);
        self.probes.iter_mut().for_each(|probe| probe.2 = true);
    }

    /// Rows of files before this day are gone.
    fn retain_from(&mut self, day: i64) {
        self.samples.retain(|(_, us, in_files), _| !in_files || us.div_euclid(DAY_US) >= day);
        self.lines.retain(|(ns, _, in_files)| !in_files || ns.div_euclid(DAY_US * 1_000) >= day);
        self.probes.retain(|(ms, _, in_files)| !in_files || ms.div_euclid(DAY_MS) >= day);
    }

    async fn check(&self, snapshot: &Snapshot, what: &str) {
        let (samples, lines, probes) = found(snapshot).await;
        let mut expect: BTreeMap<(i64, i64), (usize, f64)> = BTreeMap::new();
        for ((tsid, us, _), (count, value)) in &self.samples {
            let known = expect.entry((*tsid, *us)).or_insert((0, *value));
            *known = (known.0 + count, wins(known.1, *value));
        }
        let keys = |found: &BTreeMap<(i64, i64), _>| found.keys().copied().collect::<Vec<_>>();
        let expected: Vec<(i64, i64)> = expect.keys().copied().collect();
        assert_eq!(keys(&samples), expected, "{what}: samples");
        for (key, (count, value)) in &expect {
            let (shown, bits) = samples[key];
            assert_eq!(bits, value.to_bits(), "{what}: the sample that counts at {key:?}");
            assert!(shown <= *count, "{what}: sample {key:?} shows {shown} times, written {count} times");
        }
        let kept = |rows: &[(i64, String, bool)]| {
            let mut rows: Vec<(i64, String)> = rows.iter().map(|row| (row.0, row.1.clone())).collect();
            rows.sort();
            rows
        };
        assert_eq!(lines, kept(&self.lines), "{what}: lines");
        assert_eq!(probes, kept(&self.probes), "{what}: probes");
        self.check_label_sets(snapshot, what).await;
    }

    /// Every series has a row in `series` for each of its days, in memory or in a file.
    async fn check_label_sets(&self, snapshot: &Snapshot, what: &str) {
        let mut named: HashSet<(i64, i64)> = HashSet::new();
        for batch in rows(snapshot, Table::Series).await {
            let (tsid, first) = (
                batch["tsid"].as_primitive::<Int64Type>(),
                batch["first_ts"].as_primitive::<TimestampMicrosecondType>(),
            );
            let row = |row: usize| (tsid.value(row), first.value(row).div_euclid(DAY_US));
            named.extend((0..batch.num_rows()).map(row));
        }
        for (tsid, us, _) in self.samples.keys() {
            assert!(named.contains(&(*tsid, us.div_euclid(DAY_US))), "{what}: series {tsid} has no row");
        }
    }
}

async fn found(snapshot: &Snapshot) -> Found {
    let mut found = Found::default();
    for batch in rows(snapshot, Table::Metrics).await {
        let (tsid, ts, value) = (
            batch["tsid"].as_primitive::<Int64Type>(),
            batch["ts"].as_primitive::<TimestampMicrosecondType>(),
            batch["value"].as_primitive::<Float64Type>(),
        );
        for row in 0..batch.num_rows() {
            let entry = found.0.entry((tsid.value(row), ts.value(row)));
            let known = entry.or_insert((0, value.value(row).to_bits()));
            *known = (known.0 + 1, wins(f64::from_bits(known.1), value.value(row)).to_bits());
        }
    }
    found.1 = log_lines(&rows(snapshot, Table::Logs).await);
    for batch in rows(snapshot, Table::Probes).await {
        let ts = batch["ts"].as_primitive::<TimestampMicrosecondType>();
        let ids = batch["result_id"].as_string::<i32>();
        let rows = (0..batch.num_rows()).map(|row| (ts.value(row) / 1_000, ids.value(row).to_owned()));
        found.2.extend(rows);
    }
    found.1.sort();
    found.2.sort();
    found
}

/// Makes one file of some files of a day, as a compaction would.
async fn merge(store: &Store, table: Table, rng: &mut Rng) -> bool {
    let files = store.catalog().files();
    let days: Vec<i32> = files.table_files(table).days().map(|(day, _)| day).collect();
    if days.is_empty() {
        return false;
    }
    let day = days[rng.below(days.len() as u64) as usize];
    let some = files.day(table, day).iter().filter(|_| rng.one_in(2)).map(Arc::clone);
    let some: Vec<Arc<DataFile>> = some.collect();
    if some.is_empty() {
        return false;
    }
    let (adds, removes) = merged(store.catalog(), table, day, some).await;
    match store.commit_files(table, adds, removes, None).await {
        // Another process was faster; the view has learned of it.
        Err(Error::Conflict { .. }) => true,
        outcome => outcome.is_ok(),
    }
}

async fn merged(
    catalog: &Catalog,
    table: Table,
    day: i32,
    files: Vec<Arc<DataFile>>,
) -> (Vec<WrittenFile>, Vec<Arc<DataFile>>) {
    let footers = Footers::default();
    let mut batches = Vec::new();
    for file in &files {
        let read = read_batches(catalog.objects(), &footers, file, &ReadOptions::default()).await.unwrap();
        batches.extend(read.try_collect::<Vec<_>>().await.unwrap());
    }
    let rows = arrow::compute::concat_batches(&table.file_schema(), &batches).unwrap();
    let (rows, tags) = (vec![sorted(table, &rows)], FileTags { level: 1, may_repeat: true });
    let written = catalog.write_file(table, day, rows, WriteProfile::Compacted, tags).await;
    (vec![written.unwrap()], files)
}

fn some_batch(rng: &mut Rng, now_ms: i64, number: u64) -> Batch {
    let time = |rng: &mut Rng| match rng.below(12) {
        0 => now_ms - DAY_MS - rng.below(100) as i64,
        1 => now_ms - 3_600_000 - rng.below(100) as i64,
        2 => now_ms + rng.below(3_600_000) as i64,
        _ => now_ms - rng.below(20) as i64,
    };
    let values = [1.0, -0.0, 0.0, f64::NAN, model::stale_nan(), 1e300, 0.1];
    let mut batch = points(Vec::new());
    for _ in 0..rng.below(30) {
        let (name, i) = (["a", "b", "c"][rng.below(3) as usize], rng.below(4));
        let value = values[rng.below(7) as usize] * (1 + rng.below(3)) as f64;
        let value = if value.is_nan() { values[3 + rng.below(2) as usize] } else { value };
        batch.points.push(point(name, i, time(rng), value));
    }
    for line in 0..rng.below(5) {
        let ns = time(rng) * 1_000_000 + rng.below(1_000) as i64;
        batch
            .log_streams
            .push(stream(["web", "db"][rng.below(2) as usize], vec![(ns, &format!("{number} {line}"))]));
    }
    for probe in 0..rng.below(3) {
        batch.probes.push(ProbeResult {
            timestamp_ms: time(rng),
            probe: "home".into(),
            result_id: format!("{number} {probe}"),
            ..ProbeResult::default()
        });
    }
    batch
}

#[tokio::test]
async fn a_snapshot_holds_what_was_written_whatever_moves() {
    let (mut hot, mut hidden) = (0, 0);
    for seed in 0..crate::testing::seeds(8) {
        let (peak, gone) = move_about(seed).await;
        (hot, hidden) = (hot + peak, hidden + gone);
    }
    // The test is none where nothing ever becomes hot or hidden.
    assert!(hot > 6 && hidden > 6, "{hot} blocks, {hidden} hidden");
}

async fn move_about(seed: u64) -> (u64, u64) {
    let mut rng = Rng(seed);
    let mut rig = Rig::new();
    rig.config.hot_window = Duration::from_secs([0, 600, 7_200, 7_200][rng.below(4) as usize]);
    rig.config.hot_bytes_max = [2_000, 20_000, 1 << 30][rng.below(3) as usize];
    rig.config.hot_logs_bytes_max = [500, 1 << 20][rng.below(2) as usize];
    rig.config.flush_file_rows = [1, 50, 1_000_000][rng.below(3) as usize];
    let (metrics_days, logs_days, probes_days) = (Some(1), Some(1), None);
    rig.config.retention = crate::config::Retention { metrics_days, logs_days, probes_days };
    let mut model = Model::default();
    let mut store = rig.open().await;
    let (mut peak, mut hidden) = (0, 0);
    for step in 0..60 {
        let what = match rng.below(16) {
            0..6 => {
                let batch = some_batch(&mut rng, rig.now_ms(), step);
                model.take(&batch);
                store.append(batch).await.unwrap();
                "append"
            }
            6..10 => {
                store.flush().await.unwrap();
                model.flushed();
                "flush"
            }
            10..12 => {
                let table = Table::ALL[rng.below(Table::ALL.len() as u64) as usize];
                if merge(&store, table, &mut rng).await { "merge" } else { continue }
            }
            12 => {
                // Another process merges; this one sees it some time later.
                let clock: Arc<dyn Clock> = Arc::clone(&rig.clock) as Arc<dyn Clock>;
                let other =
                    Catalog::open(Arc::clone(&rig.objects), Path::from("team/atl"), clock).await.unwrap();
                let day = crate::testing::DAY;
                let files = other.files().day(Table::Metrics, day).to_vec();
                if files.len() < 2 {
                    continue;
                }
                let (adds, removes) = merged(&other, Table::Metrics, day, files).await;
                other.commit(Table::Metrics, adds, removes, None).await.unwrap();
                "merge elsewhere"
            }
            13 => {
                rig.clock.advance_ms([1_000, 300_000, 1_800_000, 7_000_000][rng.below(4) as usize]);
                "time passes"
            }
            14 if rng.one_in(3) => {
                store.inner.apply_retention(None).await.unwrap();
                let today = rig.now_ms().div_euclid(DAY_MS);
                let mut kept = std::mem::take(&mut model);
                let probes = kept.probes.clone();
                kept.retain_from(today);
                model = Model { probes, ..kept };
                "retention"
            }
            14 => {
                let (reply, done) = oneshot::channel();
                store.inner.send(Command::Rotate(reply)).await.unwrap();
                done.await.unwrap();
                "rotate"
            }
            _ => {
                hidden += store.stats().hot.hidden_total;
                kill(store).await;
                store = rig.open().await;
                assert_eq!(store.stats().hot.blocks, 0, "the hot window starts empty");
                "restart"
            }
        };
        peak = peak.max(store.stats().hot.blocks);
        model.check(&store.snapshot(), &format!("seed {seed}, step {step}: {what}")).await;
    }
    (peak, hidden + store.stats().hot.hidden_total)
}

#[tokio::test]
async fn a_block_hides_its_files_until_one_of_them_is_gone() {
    let rig = Rig::new();
    let store = rig.open().await;
    for number in 0..3 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
        store.flush().await.unwrap();
    }
    let counts = |snapshot: &Snapshot, table| (snapshot.files(table).len(), snapshot.all_files(table).len());
    let snapshot = store.snapshot();
    for table in Table::WITH_ROWS {
        assert_eq!(counts(&snapshot, table), (0, 3), "{table}");
        assert_eq!(snapshot.unflushed_rows(table), 0, "{table}");
        assert!(snapshot.head_rows(table) >= 3, "{table}");
    }
    assert_eq!(snapshot.files(Table::Series).len(), 3, "label sets are read from files");
    let hot = store.stats().hot;
    assert_eq!((hot.rows, hot.hidden_total), (3 * 7, 0));
    assert!(hot.blocks <= 12 && hot.merges_total >= 12, "{hot:?}");
    // Two files of one block become one: the block's third file shows again.
    let two = store.catalog().files().table(Table::Logs)[..2].to_vec();
    let (adds, removes) = merged(store.catalog(), Table::Logs, crate::testing::DAY, two).await;
    store.commit_files(Table::Logs, adds, removes, None).await.unwrap();
    let after = store.snapshot();
    assert_eq!(counts(&after, Table::Metrics), (0, 3));
    assert_eq!(after.all_files(Table::Logs).len(), 2);
    assert!(store.stats().hot.hidden_total >= 1);
    Census::of(&after).await.check(&[0, 1, 2], &[], "after the merge");
    Census::of(&snapshot).await.check(&[0, 1, 2], &[], "a snapshot from before");
}

#[tokio::test]
async fn blocks_go_when_their_time_or_the_memory_is_over() {
    let mut rig = Rig::new();
    rig.config.hot_window = Duration::from_secs(3_600);
    let store = rig.open().await;
    let mut numbers = Vec::new();
    for number in 0..24 {
        store.append(everything(number, rig.now_ms() - number as i64)).await.unwrap();
        numbers.push(number);
        store.flush().await.unwrap();
        Census::of(&store.snapshot()).await.check(&numbers, &[], "in the window");
        rig.clock.advance_ms(300_000);
    }
    store.flush().await.unwrap();
    let hot = store.stats().hot;
    // Blocks of half hours go when their newest row is an hour old: 11 to 17 flushes of 12 in the window.
    assert!((11 * 7..=18 * 7).contains(&hot.rows), "{hot:?}");
    assert!(hot.blocks <= 6 * 5, "{hot:?}");
    assert!(hot.dropped_by_time_total >= 3 && hot.dropped_by_memory_total == 0, "{hot:?}");
    kill(store).await;
    rig.config.hot_bytes_max = 3_000;
    let store = rig.open().await;
    for number in 24..40 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
        numbers.push(number);
        store.flush().await.unwrap();
        assert!(store.stats().hot.bytes <= 3_000);
        Census::of(&store.snapshot()).await.check(&numbers, &[], "short of memory");
    }
    assert!(store.stats().hot.dropped_by_memory_total > 0);
}

#[tokio::test]
async fn rows_whose_commit_was_thought_lost_do_not_become_hot() {
    let rig = Rig::new();
    let store = rig.open().await;
    for number in 0..3 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
    }
    kill(store).await;
    let copy = Rig { wal: rig.wal.copy(), ..Rig::new() };
    std::fs::copy(rig.dir.path().join("node"), copy.dir.path().join("node")).unwrap();
    let store = rig.open().await;
    store.append(everything(3, rig.now_ms())).await.unwrap();
    let zombie = copy.try_open_on(Arc::clone(&rig.objects)).await.unwrap();
    zombie.flush().await.unwrap();
    kill(zombie).await;
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    Census::of(&snapshot).await.check(&[0, 1, 2, 3], &[], "after the flush");
    for table in Table::WITH_ROWS {
        assert_eq!((snapshot.files(table).len(), snapshot.all_files(table).len()), (1, 2), "{table}");
        assert!(snapshot.head_rows(table) <= 2, "{table}: the rest alone is hot");
    }
}

/// While batches come in, flushes and merges run and blocks come and go, every snapshot has each batch that
/// was acknowledged before it, and none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_whole_while_blocks_come_and_go() {
    let mut rig = Rig::new();
    rig.config.hot_bytes_max = 60_000;
    let store = Arc::new(rig.open().await);
    let (acked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let now_ms = rig.now_ms();
    let writer = {
        let (store, acked, stop) = (Arc::clone(&store), Arc::clone(&acked), Arc::clone(&stop));
        tokio::spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                store.append(everything(number, now_ms)).await.unwrap();
                acked.store(number + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        })
    };
    let mover = {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut rng = Rng(11);
            let mut merges = 0;
            while !stop.load(Ordering::SeqCst) {
                store.flush().await.unwrap();
                if rng.one_in(3) {
                    let table = Table::ALL[rng.below(Table::ALL.len() as u64) as usize];
                    merges += u64::from(merge(&store, table, &mut rng).await);
                }
            }
            merges
        })
    };
    let mut seen: HashMap<u64, u64> = HashMap::new();
    while store.stats().flush.commits_total < 60 || store.stats().hot.hidden_total < 3 {
        let before = acked.load(Ordering::SeqCst);
        let snapshot = store.snapshot();
        let census = Census::of(&snapshot).await;
        for found in census.tables() {
            assert!(found.values().all(|count| *count == 1), "a row shows twice");
            assert!((0..before).all(|number| found.contains_key(&number)), "a row is missing of {before}");
        }
        *seen.entry(store.stats().hot.blocks).or_default() += 1;
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    assert!(mover.await.unwrap() >= 3);
    assert!(seen.keys().any(|blocks| *blocks > 0), "{seen:?}");
}
