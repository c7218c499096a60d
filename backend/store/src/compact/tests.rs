use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use futures::TryStreamExt;
use model::{Clock, ManualClock};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::*;
use crate::catalog::{Catalog, DataFile};
use crate::parquet_file::{FileTags, Footers, ReadOptions, WriteProfile, read_batches};
use crate::testing::{DAY, Dice, FaultyStore, LATE_MAX, memory, metrics, noon, open, random_rows, seeds};

mod faults;

const HOUR_MS: i64 = 3_600_000;

/// A time long after [`DAY`], by which everything is due.
fn long_after() -> Arc<ManualClock> {
    let clock = noon();
    clock.advance_ms(60 * HOUR_MS);
    clock
}

type Sample = (String, i64, i64, u64);

async fn rows_of(objects: &Arc<dyn ObjectStore>, file: &DataFile) -> Vec<RecordBatch> {
    let stream = read_batches(objects, &Footers::default(), file, &ReadOptions::default()).await.unwrap();
    stream.try_collect().await.unwrap()
}

/// All samples of the table, by the contract's rule for repeated ones.
async fn samples(catalog: &Catalog) -> Vec<Sample> {
    let mut winners: BTreeMap<(String, i64, i64), f64> = BTreeMap::new();
    for sample in all_samples(catalog).await {
        let value = f64::from_bits(sample.3);
        winners
            .entry((sample.0, sample.1, sample.2))
            .and_modify(|known| *known = crate::duplicates::wins(*known, value))
            .or_insert(value);
    }
    winners.into_iter().map(|((metric, tsid, ts), value)| (metric, tsid, ts, value.to_bits())).collect()
}

/// All rows as they stand in the files.
async fn all_samples(catalog: &Catalog) -> Vec<Sample> {
    let mut samples = Vec::new();
    for file in catalog.files().table(Table::Metrics) {
        for batch in rows_of(catalog.objects(), file).await {
            let metric = batch["metric"].as_string::<i32>();
            let tsid = batch["tsid"].as_primitive::<Int64Type>();
            let ts = batch["ts"].as_primitive::<TimestampMicrosecondType>();
            let value = batch["value"].as_primitive::<Float64Type>();
            samples.extend(
                (0..batch.num_rows()).map(|i| {
                    (metric.value(i).to_owned(), tsid.value(i), ts.value(i), value.value(i).to_bits())
                }),
            );
        }
    }
    samples.sort();
    samples
}

async fn add(catalog: &Catalog, rows: &[(&str, i64, i64, f64)]) -> Arc<DataFile> {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
    add_batch(catalog, Table::Metrics, metrics(&rows)).await
}

async fn add_batch(catalog: &Catalog, table: Table, rows: RecordBatch) -> Arc<DataFile> {
    let tags = FileTags::default();
    let file = catalog.write_file(table, DAY, vec![rows], WriteProfile::Flush, tags).await.unwrap();
    let path = file.path.clone();
    let files = catalog.commit(table, vec![file], vec![], None).await.unwrap();
    files.table(table).iter().find(|file| file.path == path).map(Arc::clone).unwrap()
}

async fn compact(catalog: &Catalog, compactor: &Compactor, all: bool) -> CompactionReport {
    let scope = CompactionScope { all, ..CompactionScope::default() };
    compactor.run(catalog, &scope, &Leading::default(), &ProgressFn::default()).await.unwrap()
}

fn compactor() -> Compactor {
    Compactor::new(CompactionPolicy::default())
}

#[tokio::test]
async fn many_files_of_every_table_become_one_and_are_told_as_the_same_rows() {
    let (objects, _) = memory();
    let catalog = open(Arc::<InMemory>::clone(&objects), long_after()).await;
    for table in Table::ALL {
        for seed in 0..5 {
            add_batch(&catalog, table, random_rows(table, 300, &Dice::new(seed))).await;
        }
    }
    let before = samples(&catalog).await;
    let compactor = compactor();
    let report = compact(&catalog, &compactor, true).await;
    assert_eq!(
        (report.jobs, report.files_in, report.files_out, report.failures),
        (8, 40, 8, 0),
        "{report:?}"
    );
    assert_eq!(report.rows_in, report.rows_out + report.duplicates);
    for table in Table::ALL {
        let files = catalog.files();
        let [file] = files.table(table) else { panic!("{table}: one file") };
        assert_eq!((file.tags.level, file.is_sorted()), (LEVEL_DAY, true));
        assert_eq!(file.tags.may_repeat, matches!(table, Table::Logs | Table::Probes), "{table}");
        crate::inspect::verify(catalog.objects().as_ref(), file).await.unwrap();
    }
    assert_eq!(all_samples(&catalog).await, before);
    let log = Path::from("team/atl/logs/_delta_log/00000000000000000006.json");
    let text = objects.get(&log).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("\"dataChange\":false") && !text.contains("\"dataChange\":true"), "{text}");
    assert_eq!(compact(&catalog, &compactor, true).await.jobs, 0, "once is enough");
    let stats = compactor.stats();
    assert_eq!((stats.compactions_total, stats.rows_in_total), (8, report.rows_in));
}

use object_store::path::Path;

#[tokio::test]
async fn levels_come_one_after_the_other_as_a_day_goes_by() {
    let (objects, _) = memory();
    let clock = Arc::new(ManualClock::at_ms(i64::from(DAY) * 24 * HOUR_MS));
    let catalog = open(objects, Arc::<ManualClock>::clone(&clock)).await;
    let compactor = compactor();
    let mut most = 0;
    for step in 0..24 * 12 + 40 {
        if step < 24 * 12 {
            add(&catalog, &[("up", 1, step, step as f64), ("up", 2, step, 0.5)]).await;
        }
        compact(&catalog, &compactor, false).await;
        clock.advance_ms(HOUR_MS / 12);
        most = most.max(catalog.files().table(Table::Metrics).len());
    }
    assert!(most < 24 + 24 + 13, "{most} files at most");
    let files = catalog.files();
    let [file] = files.table(Table::Metrics) else { panic!("{:?}", files.table(Table::Metrics)) };
    assert_eq!((file.tags, file.rows), (FileTags { level: LEVEL_DAY, may_repeat: false }, 2 * 24 * 12));
    // Late rows wait, then go into the files they belong to.
    add(&catalog, &[("up", 1, 3, 9.5)]).await;
    clock.advance_ms(5 * HOUR_MS);
    assert_eq!(compact(&catalog, &compactor, false).await.jobs, 0);
    clock.advance_ms(2 * HOUR_MS);
    let report = compact(&catalog, &compactor, false).await;
    assert_eq!((report.files_in, report.files_out, report.duplicates), (2, 1, 1));
}

#[tokio::test]
async fn a_day_is_split_by_key_and_a_series_stays_whole() {
    let (objects, _) = memory();
    let catalog = open(objects, long_after()).await;
    let mut expected = 0;
    for file in 0..4 {
        let name: Vec<String> = (0..30).map(|i| format!("metric_{i:02}")).collect();
        let rows = (0..60_000)
            .map(|i| (name[i / 2_000].as_str(), (i / 500) as i64, file * 1_000 + i as i64 % 500, 1.0));
        let rows: Vec<_> = rows.collect();
        expected += rows.len() as u64;
        add(&catalog, &rows).await;
    }
    let policy = CompactionPolicy { target_rows: 70_000, ..CompactionPolicy::default() };
    let report = compact(&catalog, &Compactor::new(policy), true).await;
    assert_eq!((report.rows_out, report.files_out), (expected, 3), "{report:?}");
    let files = catalog.files();
    let files = files.table(Table::Metrics);
    let mut series = BTreeMap::new();
    for (place, file) in files.iter().enumerate() {
        for batch in rows_of(catalog.objects(), file).await {
            for tsid in batch["tsid"].as_primitive::<Int64Type>().values() {
                assert_eq!(*series.entry(*tsid).or_insert(place), place, "series {tsid} in two files");
            }
        }
    }
    let mut by_path = files.to_vec();
    by_path.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(by_path, files, "names go with keys");
    let borders = files.windows(2).all(|pair| pair[0].stats.max_key <= pair[1].stats.min_key);
    assert!(borders, "{files:?}");
}

#[tokio::test]
async fn large_files_are_read_piece_by_piece() {
    let (objects, _) = memory();
    let catalog = open(Arc::<InMemory>::clone(&objects), long_after()).await;
    let dice = Dice::new(5);
    let mut damaged = None;
    for file in 0..3 {
        // Full entropy, several row groups: more than is fetched whole.
        let rows: Vec<_> =
            (0..300_000).map(|i| ("m", i / 1_000, file * 1_000 + i % 1_000, dice.next() as f64)).collect();
        let rows = metrics(&rows);
        damaged = Some(add_batch(&catalog, Table::Metrics, rows).await);
    }
    let damaged = damaged.unwrap();
    assert!(damaged.size > 1 << 20, "{}", damaged.size);
    let before = all_samples(&catalog).await;
    assert_eq!(compact(&catalog, &compactor(), true).await.rows_out, 900_000);
    assert_eq!(all_samples(&catalog).await, before);

    // A flipped bit is found by the checksum, wherever it is.
    for place in [5, damaged.size / 2, damaged.size - 200_000] {
        let catalog = open(Arc::new(InMemory::new()), long_after()).await;
        let rows: Vec<_> = (0..300_000).map(|i| ("m", i / 1_000, i % 1_000, dice.next() as f64)).collect();
        let bad = add_batch(&catalog, Table::Metrics, metrics(&rows)).await;
        add(&catalog, &[("m", 1, 7, 1.0)]).await;
        flip(catalog.objects(), &bad, place).await;
        let compactor = compactor();
        let report = compact(&catalog, &compactor, true).await;
        assert_eq!((report.quarantined, report.failures, report.jobs), (1, 0, 1), "byte {place}: {report:?}");
        assert_eq!(compactor.quarantined(), [bad.key.to_string()]);
    }
}

async fn flip(objects: &Arc<dyn ObjectStore>, file: &DataFile, place: u64) {
    let mut bytes = objects.get(&file.key).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[place as usize] ^= 0x10;
    objects.put(&file.key, PutPayload::from(Bytes::from(bytes))).await.unwrap();
}

#[tokio::test]
async fn damaged_files_are_left_out_and_the_rest_of_the_day_is_merged() {
    for damage in 0..4 {
        let (objects, _) = memory();
        let catalog = open(Arc::<InMemory>::clone(&objects), long_after()).await;
        let mut files = Vec::new();
        for i in 0..6 {
            files.push(add(&catalog, &[("up", 1, i, i as f64), ("up", 2, i, 1.0)]).await);
        }
        let bad = Arc::clone(&files[2]);
        match damage {
            0 => objects.delete(&bad.key).await.unwrap(),
            1 => {
                let bytes = objects.get(&bad.key).await.unwrap().bytes().await.unwrap();
                let cut = bytes.slice(..bytes.len() - 9);
                objects.put(&bad.key, PutPayload::from(cut)).await.unwrap();
            }
            2 => flip(catalog.objects(), &bad, 30).await,
            _ => {
                objects.put(&bad.key, PutPayload::from_static(b"nothing of the sort")).await.unwrap();
            }
        }
        let compactor = compactor();
        let report = compact(&catalog, &compactor, true).await;
        assert_eq!((report.jobs, report.files_in, report.quarantined), (1, 5, 1), "{damage}: {report:?}");
        let left = catalog.files();
        assert!(left.table(Table::Metrics).iter().any(|file| file.path == bad.path), "it stays in the table");
        assert_eq!(left.table(Table::Metrics).len(), 2);
        assert_eq!(compact(&catalog, &compactor, true).await, CompactionReport::default());
        assert_eq!(compactor.stats().quarantined_files, 1);
        let removed =
            left.table(Table::Metrics).iter().filter(|file| file.path == bad.path).cloned().collect();
        catalog.commit(Table::Metrics, vec![], removed, None).await.unwrap();
        compact(&catalog, &compactor, true).await;
        assert_eq!(compactor.stats().quarantined_files, 0, "forgotten once it has left the table");
    }
}

/// Log lines of one stream and moment, numbered.
fn lines(from: usize, count: usize) -> RecordBatch {
    let rows = random_rows(Table::Logs, count, &Dice::new(1));
    let constant = |i: usize| {
        let row = rows.column(i).slice(0, 1);
        let places = arrow::array::UInt32Array::from(vec![0; count]);
        arrow::compute::take(&row, &places, None).unwrap()
    };
    let mut columns: Vec<_> = (0..rows.num_columns()).map(constant).collect();
    columns[7] = Arc::new((from..from + count).map(|i| Some(i.to_string())).collect::<StringArray>());
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

async fn bodies(catalog: &Catalog) -> Vec<usize> {
    let files = catalog.files();
    let mut files = files.table(Table::Logs).to_vec();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut bodies = Vec::new();
    for file in files {
        for batch in rows_of(catalog.objects(), &file).await {
            bodies.extend(
                batch["body"].as_string::<i32>().iter().map(|body| body.unwrap().parse::<usize>().unwrap()),
            );
        }
    }
    bodies
}

#[tokio::test]
async fn log_lines_of_one_moment_keep_their_order_also_around_a_damaged_file() {
    let (objects, _) = memory();
    let clock = Arc::new(ManualClock::at_ms(i64::from(DAY) * 24 * HOUR_MS));
    let catalog = open(objects, Arc::<ManualClock>::clone(&clock)).await;
    let compactor = compactor();
    let mut bad = None;
    for step in 0..60 {
        let file = add_batch(&catalog, Table::Logs, lines(step * 10, 10)).await;
        if step == 29 {
            flip(catalog.objects(), &file, 40).await;
            bad = Some(file);
        }
        compact(&catalog, &compactor, false).await;
        clock.advance_ms(HOUR_MS / 6);
    }
    for _ in 0..24 {
        compact(&catalog, &compactor, false).await;
        clock.advance_ms(HOUR_MS);
    }
    let files = catalog.files();
    assert_eq!(files.table(Table::Logs).len(), 3, "one before the damaged file and one after");
    // Mend it, so that it can be read at its place.
    flip(catalog.objects(), &bad.unwrap(), 40).await;
    assert_eq!(bodies(&catalog).await, (0..600).collect::<Vec<_>>());
    let fresh = Compactor::new(CompactionPolicy::default());
    compact(&catalog, &fresh, true).await;
    assert_eq!(bodies(&catalog).await, (0..600).collect::<Vec<_>>(), "mended, it is merged with the others");
}

/// A file another writer committed: no tags, other column order, plain rows out of order.
async fn foreign(catalog: &Catalog, rows: &[(&str, i64, i64, f64)], name: &str) -> Arc<DataFile> {
    let rows = metrics(rows).project(&[5, 3, 2, 0, 1]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let path = format!("day={}/{name}.parquet", crate::paths::day_name(DAY));
    let key = Path::from(format!("team/atl/metrics/{path}"));
    let size = bytes.len();
    catalog.objects().put(&key, PutPayload::from(bytes)).await.unwrap();
    let version = catalog.files().table_files(Table::Metrics).version() + 1;
    let line = serde_json::json!({"add": {
        "path": path, "partitionValues": {"day": crate::paths::day_name(DAY)}, "size": size,
        "modificationTime": 0, "dataChange": true,
    }});
    let log = Path::from(format!("team/atl/metrics/_delta_log/{version:020}.json"));
    catalog.objects().put(&log, PutPayload::from(line.to_string().into_bytes())).await.unwrap();
    let files = catalog.refresh().await.unwrap();
    files.table(Table::Metrics).iter().find(|file| file.path == path).map(Arc::clone).unwrap()
}

#[tokio::test]
async fn files_of_other_writers_are_sorted_first_or_left_alone() {
    let (objects, _) = memory();
    let catalog = open(objects, long_after()).await;
    add(&catalog, &[("b", 1, 5, 1.0), ("b", 1, 7, 1.0)]).await;
    let shuffled = [("c", 1, 1, 1.0), ("b", 1, 6, 2.0), ("b", 1, 5, 3.0), ("a", 9, 0, 4.0)];
    let file = foreign(&catalog, &shuffled, "part-00000").await;
    assert!(!file.is_sorted());
    let before = samples(&catalog).await;
    let policy = CompactionPolicy { unsorted_bytes_max: file.size - 1, ..CompactionPolicy::default() };
    let small = Compactor::new(policy);
    let report = compact(&catalog, &small, true).await;
    assert_eq!((report.files_in, report.skipped, small.stats().skipped_files), (1, 1, 1));
    let report = compact(&catalog, &compactor(), true).await;
    assert_eq!((report.files_in, report.files_out, report.duplicates, report.skipped), (2, 1, 1, 0));
    assert_eq!(all_samples(&catalog).await, before);
    let files = catalog.files();
    assert!(files.table(Table::Metrics)[0].is_sorted());

    // Rows that lack what every row must have are nobody's to mend.
    let rows = metrics(&[("x", 1, 1, 1.0)]);
    let bad = RecordBatch::try_from_iter([("metric", Arc::clone(&rows["metric"]))]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, bad.schema(), None).unwrap();
    writer.write(&bad).unwrap();
    writer.close().unwrap();
    let file = foreign(&catalog, &[("x", 1, 1, 1.0)], "part-00001").await;
    catalog.objects().put(&file.key, PutPayload::from(bytes)).await.unwrap();
    let compactor = compactor();
    let report = compact(&catalog, &compactor, true).await;
    assert_eq!((report.jobs, report.failures), (0, 0), "{report:?}");
    assert_eq!(report.skipped + report.quarantined, 1, "{report:?}");
}

#[tokio::test]
async fn only_what_is_asked_for_is_merged_and_told_step_by_step() {
    let (objects, _) = memory();
    let catalog = open(objects, noon()).await;
    for i in 0..3 {
        add(&catalog, &[("up", 1, i, 1.0)]).await;
        add_batch(&catalog, Table::Probes, random_rows(Table::Probes, 4, &Dice::new(i as u64))).await;
    }
    let (rows, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let progress = {
        let (rows, done) = (Arc::clone(&rows), Arc::clone(&done));
        ProgressFn::new(move |progress| {
            rows.fetch_max(progress.rows_done, Ordering::SeqCst);
            done.fetch_add(u64::from(progress.done), Ordering::SeqCst);
        })
    };
    let run = async |scope: CompactionScope| {
        compact_catalog(&catalog, CompactionPolicy::default(), &scope, &progress).await.unwrap()
    };
    assert_eq!(run(CompactionScope::default()).await.jobs, 0, "everything is young");
    let other_days = CompactionScope { all: true, first_day: Some(DAY + 1), ..CompactionScope::default() };
    assert_eq!(run(other_days).await.jobs, 0);
    let probes = CompactionScope { tables: vec![Table::Probes], all: true, ..CompactionScope::default() };
    let report = run(probes).await;
    assert_eq!((report.jobs, report.rows_out), (1, 12));
    assert_eq!((rows.load(Ordering::SeqCst), done.load(Ordering::SeqCst)), (12, 1));
    assert_eq!(catalog.files().table(Table::Metrics).len(), 3);
    assert_eq!(catalog.maintenance_epoch(), 3, "every run was led by somebody");
}

#[tokio::test]
async fn a_leader_that_was_replaced_cannot_commit_any_more() {
    let (objects, _) = memory();
    let old = open(Arc::<InMemory>::clone(&objects), long_after()).await;
    let new = open(objects, long_after()).await;
    let leading = |epoch| Leading { epoch: Some(epoch), ..Leading::default() };
    let scope = CompactionScope { all: true, ..CompactionScope::default() };
    let run = async |catalog: &Catalog, epoch| {
        compactor().run(catalog, &scope, &leading(epoch), &ProgressFn::default()).await
    };
    for i in 0..2 {
        add(&old, &[("up", 1, i, 1.0)]).await;
    }
    assert_eq!(run(&new, 8).await.unwrap().jobs, 1);
    for i in 2..4 {
        add(&old, &[("up", 1, i, 1.0)]).await;
    }
    let error = run(&old, 7).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { epoch: 7, leader: 8, .. }), "{error}");
    assert_eq!(run(&new, 8).await.unwrap().jobs, 1, "its own epoch it may use again");
    let error = old.apply_retention_fenced(Table::Metrics, 1, Some(7)).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
}
