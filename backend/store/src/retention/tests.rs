use model::{Clock, ManualClock, SystemClock};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::*;
use crate::parquet_file::{FileTags, WriteProfile, WrittenFile};
use crate::testing::{memory, metrics, open};

const HOUR: Duration = Duration::from_secs(3_600);

/// A catalog whose clock shows the time of the store's own.
async fn catalog() -> (Arc<InMemory>, Arc<ManualClock>, Catalog) {
    let (objects, _) = memory();
    let clock = Arc::new(ManualClock::at_ms(SystemClock.now_ms()));
    let catalog = open(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock)).await;
    (objects, clock, catalog)
}

async fn write(catalog: &Catalog, day: i32) -> WrittenFile {
    let rows = vec![metrics(&[("up", 1, 1, 1.0)])];
    catalog.write_file(Table::Metrics, day, rows, WriteProfile::Flush, FileTags::default()).await.unwrap()
}

async fn data_keys(objects: &InMemory) -> Vec<String> {
    let listed: Vec<ObjectMeta> = objects.list(None).try_collect().await.unwrap();
    let keys = listed.into_iter().map(|meta| meta.location.to_string());
    keys.filter(|key| !key.contains("_delta_log")).collect()
}

#[tokio::test]
async fn whole_days_leave_in_one_commit() {
    let (_, clock, catalog) = catalog().await;
    let today = day_of_us(clock.now_ms() * 1_000);
    for age in 0..6 {
        let adds = vec![write(&catalog, today - age).await, write(&catalog, today - age).await];
        catalog.commit(Table::Metrics, adds, vec![], None).await.unwrap();
    }
    let before = catalog.files().table_files(Table::Metrics).version();
    assert_eq!(catalog.apply_retention(Table::Metrics, 4).await.unwrap(), 4);
    let files = catalog.files();
    let days: Vec<i32> = files.table_files(Table::Metrics).days().map(|(day, _)| day).collect();
    assert_eq!(days, [today - 3, today - 2, today - 1, today]);
    assert_eq!(files.table_files(Table::Metrics).version(), before + 1);
    assert_eq!(catalog.apply_retention(Table::Metrics, 4).await.unwrap(), 0);
    assert_eq!(catalog.files().table_files(Table::Metrics).version(), before + 1, "nothing to do, no commit");
    clock.advance_ms(86_400_000);
    assert_eq!(catalog.apply_retention(Table::Metrics, 4).await.unwrap(), 2);
    assert_eq!(catalog.apply_retention(Table::Metrics, 0).await.unwrap(), 6, "today always stays");
}

#[tokio::test]
async fn vacuum_takes_what_belongs_to_no_table_once_it_is_old() {
    let (objects, clock, catalog) = catalog().await;
    let day = day_of_us(clock.now_ms() * 1_000);
    let (live, removed, orphan) =
        (write(&catalog, day).await, write(&catalog, day - 9).await, write(&catalog, day).await);
    let adds = vec![live.clone(), removed.clone()];
    catalog.commit(Table::Metrics, adds, vec![], None).await.unwrap();
    let foreign = Path::from("team/atl/metrics/notes.txt");
    objects.put(&foreign, PutPayload::from_static(b"by hand")).await.unwrap();

    let report = catalog.vacuum(Duration::ZERO).await.unwrap();
    assert_eq!(report, VacuumReport { kept: 1, ..VacuumReport::default() }, "an hour of grace at least");

    clock.advance_ms(3 * 3_600_000);
    assert_eq!(catalog.apply_retention(Table::Metrics, 5).await.unwrap(), 1);
    let report = catalog.vacuum(HOUR).await.unwrap();
    assert_eq!(
        report,
        VacuumReport { files: 1, bytes: orphan.size, kept: 1, sidecars: 0 },
        "a query may still read it"
    );
    clock.advance_ms(2 * 3_600_000);
    let report = catalog.vacuum(HOUR).await.unwrap();
    assert_eq!(report, VacuumReport { files: 1, bytes: removed.size, kept: 0, sidecars: 0 });
    assert_eq!(data_keys(&objects).await, [live.key.to_string(), foreign.to_string()]);
}

#[tokio::test]
async fn vacuum_spares_files_another_writer_has_committed() {
    let (objects, clock, one) = catalog().await;
    let two = open(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock)).await;
    let file = write(&two, 20_000).await;
    two.commit(Table::Metrics, vec![file], vec![], None).await.unwrap();
    clock.advance_ms(48 * 3_600_000);
    assert_eq!(one.vacuum(HOUR).await.unwrap(), VacuumReport::default());
    assert_eq!(data_keys(&objects).await.len(), 1);
}
