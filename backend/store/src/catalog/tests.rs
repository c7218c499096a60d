use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use futures::TryStreamExt;
use model::ManualClock;
use object_store::memory::InMemory;

use super::*;
use crate::parquet_file::{Footers, ReadOptions, read_batches};
use crate::testing::{DAY, Dice, FaultyStore, LATE_MAX, memory, metrics, noon, open, random_rows, seeds};

mod many_commits;

async fn write(catalog: &Catalog, value: f64) -> WrittenFile {
    let rows = vec![metrics(&[("up", 1, value as i64, value)])];
    catalog.write_file(Table::Metrics, DAY, rows, WriteProfile::Flush, FileTags::default()).await.unwrap()
}

fn txn(version: i64) -> Option<(String, i64)> {
    Some(("ingest".to_owned(), version))
}

/// Every value of every committed metrics file.
async fn values(catalog: &Catalog) -> Vec<f64> {
    let footers = Footers::default();
    let mut values = Vec::new();
    for file in catalog.files().table(Table::Metrics) {
        let stream = read_batches(catalog.objects(), &footers, file, &ReadOptions::default()).await.unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        for batch in batches {
            values
                .extend(batch.column_by_name("value").unwrap().as_primitive::<Float64Type>().values().iter());
        }
    }
    values.sort_by(f64::total_cmp);
    values
}

#[tokio::test]
async fn what_is_committed_is_seen_and_what_is_only_written_is_not() {
    let (objects, _) = memory();
    let catalog = open(objects, noon()).await;
    let before = catalog.files();
    let file = write(&catalog, 1.0).await;
    assert!(catalog.files().table(Table::Metrics).is_empty());
    let after = catalog.commit(Table::Metrics, vec![file.clone()], vec![], txn(5)).await.unwrap();
    let found = &after.table(Table::Metrics)[0];
    assert_eq!((found.day, found.rows, found.size, &found.key), (DAY, 1, file.size, &file.key));
    assert_eq!((found.stats.clone(), found.crc32c), (file.stats, Some(file.crc32c)));
    assert!(before.table(Table::Metrics).is_empty(), "a set given out never changes");
    assert_eq!(catalog.watermark(Table::Metrics, "ingest"), Some(5));
    assert_eq!(catalog.watermark(Table::Logs, "ingest"), None);
    assert_eq!(values(&catalog).await, [1.0]);
    let key = found.key.to_string();
    assert!(key.starts_with("team/atl/metrics/day=2026-11-22/") && key.ends_with(".parquet"), "{key}");
}

#[tokio::test]
async fn all_tables_come_back_after_a_restart() {
    let (objects, prefix) = memory();
    let catalog = open(Arc::<InMemory>::clone(&objects), noon()).await;
    for table in Table::ALL {
        for day in [DAY, DAY - 3] {
            let rows = vec![random_rows(table, 20, &Dice::new(5))];
            let file =
                catalog.write_file(table, day, rows, WriteProfile::Flush, FileTags::default()).await.unwrap();
            catalog.commit(table, vec![file], vec![], None).await.unwrap();
        }
    }
    catalog.checkpoint().await.unwrap();
    for read_only in [false, true] {
        let objects: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&objects);
        let again = match read_only {
            true => Catalog::open_read_only(objects, prefix.clone(), noon()).await.unwrap(),
            false => open(objects, noon()).await,
        };
        for table in Table::ALL {
            assert_eq!(again.files().table(table), catalog.files().table(table));
            assert_eq!(again.files().day(table, DAY).len(), 1);
            assert_eq!(again.files().day(table, DAY - 1).len(), 0);
            let days: Vec<i32> = again.files().table_files(table).days().map(|(day, _)| day).collect();
            assert_eq!(days, [DAY - 3, DAY]);
        }
    }
}

#[tokio::test]
async fn tags_come_back_after_a_restart_and_files_without_them_are_taken_for_fresh() {
    let (objects, _) = memory();
    let catalog = open(Arc::<InMemory>::clone(&objects), noon()).await;
    let kinds = [(0, true), (0, false), (1, true), (2, false), (255, false)];
    let kinds = kinds.map(|(level, may_repeat)| FileTags { level, may_repeat });
    let mut expected = Vec::new();
    for tags in kinds {
        let rows = vec![metrics(&[("up", 1, 1, 1.0)])];
        let file = catalog.write_file(Table::Metrics, DAY, rows, WriteProfile::Flush, tags).await.unwrap();
        expected.push((file.path.clone(), tags, noon().now_ms()));
        catalog.commit(Table::Metrics, vec![file], vec![], None).await.unwrap();
    }
    // As an earlier version wrote it, and as somebody else may write it.
    let strange = [(LEVEL_TAG.to_owned(), Some("high".to_owned())), (MAY_REPEAT_TAG.to_owned(), None)];
    for (name, tags) in [("old", None), ("strange", Some(strange.into()))] {
        let path = format!("day={}/{name}.parquet", day_name(DAY));
        let file = write(&catalog, 1.0).await;
        let mut change = change(&[WrittenFile { path: path.clone(), ..file }], &[], &None, 0);
        change.adds[0].tags = tags;
        let mut loaded = catalog.handle(Table::Metrics).state.lock().await;
        catalog.commit_locked(catalog.handle(Table::Metrics), &mut loaded, change).await.unwrap();
        expected.push((path, FileTags { level: 0, may_repeat: true }, noon().now_ms()));
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    for with_checkpoint in [false, true] {
        if with_checkpoint {
            catalog.checkpoint().await.unwrap();
        }
        let again = open(Arc::<InMemory>::clone(&objects), noon()).await;
        let files = again.files();
        let found = files.table(Table::Metrics).iter();
        let mut found: Vec<_> = found.map(|file| (file.path.clone(), file.tags, file.written_ms)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn reading_only_never_writes() {
    let (objects, prefix) = memory();
    let shared: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&objects);
    let reader = Catalog::open_read_only(shared, prefix, noon()).await.unwrap();
    assert!(reader.files().table(Table::Logs).is_empty());
    let none: Vec<_> = objects.list(None).try_collect().await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    let error = reader.commit(Table::Metrics, vec![], vec![], txn(1)).await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly), "{error}");

    let writer = open(objects, noon()).await;
    let file = write(&writer, 4.0).await;
    writer.commit(Table::Metrics, vec![file], vec![], None).await.unwrap();
    let files = reader.refresh().await.unwrap();
    assert_eq!(files.table(Table::Metrics), writer.files().table(Table::Metrics));
}

#[tokio::test]
async fn two_catalogs_on_one_store_see_each_other() {
    let (objects, _) = memory();
    let one = open(Arc::<InMemory>::clone(&objects), noon()).await;
    let two = open(objects, noon()).await;
    for i in 0..6 {
        let catalog = if i % 2 == 0 { &one } else { &two };
        let file = write(catalog, f64::from(i)).await;
        catalog.commit(Table::Metrics, vec![file], vec![], None).await.unwrap();
    }
    assert_eq!(one.files().table(Table::Metrics).len(), 5, "not the one that came last");
    one.refresh().await.unwrap();
    assert_eq!(values(&one).await, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(values(&two).await, values(&one).await);
}

#[tokio::test]
async fn a_replacement_is_one_step_and_can_happen_once() {
    let (objects, _) = memory();
    let one = open(Arc::<InMemory>::clone(&objects), noon()).await;
    for i in 0..3 {
        let file = write(&one, f64::from(i)).await;
        one.commit(Table::Metrics, vec![file], vec![], txn(i64::from(i) + 1)).await.unwrap();
    }
    let two = open(objects, noon()).await;
    let old: Vec<_> = one.files().table(Table::Metrics)[..2].to_vec();
    let merged = write(&one, 10.0).await;
    one.commit(Table::Metrics, vec![merged], old.clone(), None).await.unwrap();
    // Which of the three stayed is not known: files of one moment come in the order of their random names.
    let left = values(&one).await;
    assert!(left.len() == 2 && left[0] <= 2.0 && left[1] == 10.0, "{left:?}");
    let merged = write(&two, 20.0).await;
    let error = two.commit(Table::Metrics, vec![merged], old, None).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert_eq!(values(&two).await, left, "it learned of the other's on the way");
}

#[tokio::test]
async fn a_watermark_only_grows_and_a_commit_thought_lost_is_told_of() {
    let (objects, _) = memory();
    let one = open(Arc::<InMemory>::clone(&objects), noon()).await;
    one.commit(Table::Metrics, vec![write(&one, 1.0).await], vec![], txn(10)).await.unwrap();
    for version in [9, 10] {
        let error = one.commit(Table::Metrics, vec![write(&one, 2.0).await], vec![], txn(version)).await;
        assert!(matches!(error, Err(Error::WatermarkMoved { watermark: 10, .. })), "{version}");
    }
    // Another process of the same name: what it does not know of, it is told of.
    let two = open(objects, noon()).await;
    let error = two.commit(Table::Metrics, vec![write(&two, 3.0).await], vec![], txn(11)).await.unwrap_err();
    assert!(matches!(error, Error::WatermarkMoved { watermark: 10, .. }), "{error}");
    two.commit(Table::Metrics, vec![write(&two, 3.0).await], vec![], txn(11)).await.unwrap();

    one.refresh().await.unwrap();
    let error = one.commit(Table::Metrics, vec![write(&one, 4.0).await], vec![], txn(12)).await.unwrap_err();
    assert!(matches!(error, Error::WatermarkMoved { watermark: 11, .. }), "also after a refresh: {error}");
    assert_eq!(one.watermark(Table::Metrics, "ingest"), Some(11));
    one.commit(Table::Metrics, vec![write(&one, 4.0).await], vec![], txn(12)).await.unwrap();
    assert_eq!(values(&one).await, [1.0, 3.0, 4.0]);
}

#[tokio::test]
async fn a_file_vacuumed_before_its_commit_is_not_committed() {
    let (objects, _) = memory();
    let clock = noon();
    let catalog = open(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock)).await;
    let (kept, gone) = (write(&catalog, 1.0).await, write(&catalog, 2.0).await);
    objects.delete(&gone.key).await.unwrap();
    clock.advance_ms(3_600_000);
    let error = catalog.commit(Table::Metrics, vec![gone], vec![], None).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    catalog.commit(Table::Metrics, vec![kept], vec![], None).await.unwrap();
}

#[tokio::test]
async fn a_writer_that_slept_for_days_does_not_take_a_version_that_was_cleaned_up() {
    let (objects, _) = memory();
    let clock = Arc::new(ManualClock::at_ms(model::SystemClock.now_ms()));
    let sleeper = open(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock)).await;
    let busy = open(objects, Arc::<ManualClock>::clone(&clock)).await;
    for i in 0..99 {
        let file = write(&busy, f64::from(i)).await;
        busy.commit(Table::Metrics, vec![file], vec![], None).await.unwrap();
    }
    clock.advance_ms(2 * 86_400_000);
    busy.commit(Table::Metrics, vec![write(&busy, 99.0).await], vec![], None).await.unwrap();
    let key = busy.handle(Table::Metrics).log.commit_key(1);
    assert!(busy.objects().head(&key).await.is_err(), "version 1 looks free");

    sleeper.commit(Table::Metrics, vec![write(&sleeper, 100.0).await], vec![], None).await.unwrap();
    busy.refresh().await.unwrap();
    assert_eq!(busy.files().table_files(Table::Metrics).version(), 101);
    assert_eq!(values(&busy).await.len(), 101);
}

#[tokio::test]
async fn unsorted_rows_are_refused_and_a_large_file_goes_up_in_parts() {
    let (objects, _) = memory();
    let catalog = open(objects, noon()).await;
    let bad = vec![metrics(&[("b", 1, 1, 1.0), ("a", 1, 1, 1.0)])];
    let error = catalog
        .write_file(Table::Metrics, DAY, bad, WriteProfile::Flush, FileTags::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Schema { table: "metrics", .. }), "{error}");

    let bytes = bytes::Bytes::from(vec![7u8; 40 << 20]);
    let key = Path::from("team/atl/large");
    upload(catalog.objects().as_ref(), &key, bytes.clone()).await.unwrap();
    assert_eq!(catalog.objects().get(&key).await.unwrap().bytes().await.unwrap(), bytes);
}

/// Several processes ingest into one store that fails, loses replies and answers late. Every value is in the
/// table exactly once in the end.
#[tokio::test(start_paused = true)]
async fn every_row_is_stored_exactly_once_on_a_failing_store() {
    for seed in 0..seeds(8) {
        let (objects, prefix) = memory();
        let inner: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&objects);
        let faulty = Arc::new(FaultyStore::new(inner, seed, 4));
        let processes = (0..2).map(|process| {
            let objects: Arc<dyn ObjectStore> = Arc::<FaultyStore>::clone(&faulty);
            tokio::spawn(ingest(objects, prefix.clone(), process))
        });
        for process in futures::future::join_all(processes).await {
            process.unwrap();
        }
        faulty.switch(false);
        tokio::time::sleep(LATE_MAX).await;
        let mut counts = BTreeMap::<u64, usize>::new();
        let fresh = open(objects, noon()).await;
        for value in values(&fresh).await {
            *counts.entry(value as u64).or_default() += 1;
        }
        let expected = (0..2).flat_map(|process| (1..=8).map(move |i| (process * 1_000 + i, 1))).collect();
        assert_eq!(counts, expected, "seed {seed}");
    }
}

/// Commits values 1 to 8 of one process, and now and then restarts.
async fn ingest(objects: Arc<dyn ObjectStore>, prefix: Path, process: u64) {
    let app = format!("process{process}");
    let again = || tokio::time::sleep(Duration::from_millis(300));
    let mut next = 1;
    'restart: loop {
        let opened = Catalog::open(Arc::clone(&objects), prefix.clone(), noon()).await;
        let Ok(catalog) = opened else {
            again().await;
            continue;
        };
        next = catalog.watermark(Table::Metrics, &app).map_or(1, |watermark| watermark + 1).max(next);
        while next <= 8 {
            let value = (process * 1_000) as f64 + next as f64;
            let rows = vec![metrics(&[("up", process as i64, next, value)])];
            let written =
                catalog.write_file(Table::Metrics, DAY, rows, WriteProfile::Flush, FileTags::default()).await;
            let Ok(file) = written else {
                again().await;
                continue;
            };
            match catalog.commit(Table::Metrics, vec![file], vec![], Some((app.clone(), next))).await {
                Ok(_) => next += 1,
                Err(Error::WatermarkMoved { watermark, .. }) => next = watermark + 1,
                Err(Error::Object { .. }) if next % 3 == 0 => continue 'restart,
                Err(Error::Object { .. }) => again().await,
                Err(error) => panic!("{error}"),
            }
        }
        return;
    }
}

/// Writes a store into a local folder: commits beyond a checkpoint, a replacement, a removed day, every
/// table. With `ATL_INTEROP_DIR` set the store stays there, with `expected.json` beside it, for other
/// engines to read.
#[tokio::test]
async fn a_store_in_a_folder_can_be_read_by_others() {
    let kept = std::env::var_os("ATL_INTEROP_DIR").map(std::path::PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    let folder = kept.clone().unwrap_or_else(|| dir.path().to_owned());
    let url = format!("file:{}", folder.display());
    let config = crate::objects::ObjectsConfig { url, ..Default::default() };
    let opened = crate::objects::open(&config).unwrap();
    let catalog = Catalog::open(Arc::clone(&opened.store), opened.prefix.clone(), noon()).await.unwrap();
    let dice = Dice::new(11);
    for table in Table::ALL {
        for day in [DAY - 40, DAY - 1, DAY] {
            let rows = vec![random_rows(table, 300, &dice)];
            let file = catalog
                .write_file(table, day, rows, WriteProfile::Compacted, FileTags::default())
                .await
                .unwrap();
            catalog.commit(table, vec![file], vec![], None).await.unwrap();
        }
        assert_eq!(catalog.apply_retention(table, 30).await.unwrap(), 1);
    }
    for i in 1..=110 {
        let file = write(&catalog, f64::from(i)).await;
        catalog.commit(Table::Metrics, vec![file], vec![], txn(i64::from(i))).await.unwrap();
    }
    let old: Vec<_> =
        catalog.files().day(Table::Metrics, DAY).iter().filter(|file| file.rows == 1).cloned().collect();
    let rows: Vec<_> = (1..=110).map(|i| ("up", 1, i, i as f64)).collect();
    let merged = vec![metrics(&rows)];
    let merged = catalog
        .write_file(Table::Metrics, DAY, merged, WriteProfile::Compacted, FileTags::default())
        .await
        .unwrap();
    catalog.commit(Table::Metrics, vec![merged], old, None).await.unwrap();
    catalog.commit(Table::Metrics, vec![write(&catalog, 1_000.0).await], vec![], txn(111)).await.unwrap();

    let again = Catalog::open_read_only(opened.store, opened.prefix, noon()).await.unwrap();
    let tables = again.files();
    let expected: BTreeMap<_, _> = Table::ALL
        .map(|table| {
            let files = tables.table_files(table);
            let expected = serde_json::json!({
                "rows": files.rows(), "files": files.files().len(), "version": files.version(),
            });
            (table.name(), expected)
        })
        .into();
    assert_eq!(tables.table_files(Table::Metrics).rows(), 600 + 110 + 1);
    assert_eq!(tables.table(Table::Metrics).len(), 4);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Metrics) {
        assert_eq!((tables.table_files(table).rows(), tables.table(table).len()), (600, 2));
    }
    let log = folder.join("metrics/_delta_log");
    assert!(
        log.join("_last_checkpoint").exists() && log.join("00000000000000000100.checkpoint.parquet").exists()
    );
    if let Some(kept) = kept {
        std::fs::write(kept.join("expected.json"), serde_json::to_string_pretty(&expected).unwrap()).unwrap();
    }
}
