use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;
use crate::catalog::Catalog;
use crate::parquet_file::{FileTags, WriteProfile};
use crate::paths::DAY_US;
use crate::tables::{Table, map_builder};
use crate::testing::{DAY, memory, noon, open, sorted};

fn labels(metric: &str, i: i64) -> Labels {
    Labels::from_pairs([("__name__", metric), ("instance", "é:9100"), ("i", &i.to_string())])
}

/// Series `range` of `metric`, seen from `first` to `last` microseconds in the day.
fn rows(metric: &str, range: std::ops::Range<i64>, first: i64, last: i64) -> RecordBatch {
    let sets: Vec<Labels> = range.map(|i| labels(metric, i)).collect();
    let mut maps = map_builder();
    for set in &sets {
        for (name, value) in set.iter() {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true).unwrap();
    }
    let time = |us: i64| -> ArrayRef {
        let us = i64::from(DAY) * DAY_US + us;
        Arc::new(TimestampMicrosecondArray::from(vec![us; sets.len()]).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(sets.iter().map(|set| set.hash64() as i64).collect::<Int64Array>()),
        Arc::new(StringArray::from(vec![metric; sets.len()])),
        Arc::new(maps.finish()),
        time(first),
        time(last),
    ];
    sorted(Table::Series, &RecordBatch::try_new(Table::Series.file_schema(), columns).unwrap())
}

async fn commit(catalog: &Catalog, day: i32, rows: Vec<RecordBatch>) {
    let file =
        catalog.write_file(Table::Series, day, rows, WriteProfile::Flush, FileTags::default()).await.unwrap();
    catalog.commit(Table::Series, vec![file], vec![], None).await.unwrap();
}

async fn filled() -> (Arc<InMemory>, Catalog) {
    let (objects, _) = memory();
    let catalog = open(Arc::<InMemory>::clone(&objects), noon()).await;
    commit(&catalog, DAY - 1, vec![rows("cpu", 0..5, 100, 200)]).await;
    commit(&catalog, DAY, vec![rows("cpu", 3..9, 300, 400), rows("up", 0..4, 10, 20)]).await;
    commit(&catalog, DAY, vec![rows("up", 0..2, 5, 15)]).await;
    (objects, catalog)
}

fn times(entry: &SeriesEntry) -> (i64, i64) {
    let start = i64::from(DAY) * DAY_US;
    (entry.first_ts_us - start, entry.last_ts_us - start)
}

#[tokio::test]
async fn series_are_merged_over_files_and_days() {
    let (_, catalog) = filled().await;
    let files = catalog.files();
    let files = files.table(Table::Series);
    let all = read_series(catalog.objects(), files, None, None).await.unwrap();
    assert_eq!(all.len(), 9 + 4);
    assert!(all.windows(2).all(|pair| pair[0].tsid < pair[1].tsid));
    for entry in &all {
        assert_eq!(entry.labels.hash64() as i64, entry.tsid, "labels come back whole");
    }
    let find = |metric: &str, i| all.iter().find(|entry| entry.labels == labels(metric, i)).unwrap();
    assert_eq!(times(find("cpu", 0)), (100, 200), "only in the older file");
    assert_eq!(times(find("cpu", 4)), (100, 400), "in both");
    assert_eq!(times(find("up", 1)), (5, 20));

    let up = catalog.series().read_series(catalog.objects(), files, Some("up"), None).await.unwrap();
    assert_eq!(up.len(), 4);
    assert!(up.iter().all(|entry| entry.labels.name() == "up"));
    let days = Some(DAY..=DAY);
    let cpu = catalog.series().read_series(catalog.objects(), files, Some("cpu"), days).await.unwrap();
    assert_eq!(cpu.len(), 6);
    let none = catalog.series().read_series(catalog.objects(), files, Some("absent"), None).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn names_are_those_of_the_files() {
    let (_, catalog) = filled().await;
    let names = catalog.series().metric_names(catalog.objects(), catalog.files().table(Table::Series)).await;
    assert_eq!(names.unwrap(), ["cpu", "up"]);
}

#[tokio::test]
async fn a_file_read_once_is_not_read_again() {
    let (objects, catalog) = filled().await;
    let files = catalog.files();
    let files = files.table(Table::Series);
    let read = async || catalog.series().read_series(catalog.objects(), files, Some("up"), None).await;
    let names = async || catalog.series().metric_names(catalog.objects(), files).await;
    let (series, found) = (read().await.unwrap(), names().await.unwrap());
    assert!(catalog.series().bytes() > 500);
    for file in files {
        objects.delete(&file.key).await.unwrap();
    }
    assert_eq!(read().await.unwrap(), series);
    assert_eq!(names().await.unwrap(), found);
    let other = catalog.series().read_series(catalog.objects(), files, Some("cpu"), None).await;
    assert!(other.is_err(), "a file that is gone is an error, not an empty answer");
}
