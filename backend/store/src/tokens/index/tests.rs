use arrow::array::{ArrayRef, RecordBatch, StringArray};
use futures::TryStreamExt;
use model::ManualClock;
use object_store::memory::InMemory;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::*;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::parquet_file::{FileTags, WriteProfile};
use crate::retention::VACUUM_GRACE_MIN;
use crate::snapshot::Snapshot;
use crate::tables::Table;
use crate::testing::{DAY, Dice, Refusing, memory, noon, open, random_rows};
use crate::tokens::prune::RowGroupSelection;
use crate::tokens::{Needle, collect, load};

/// Rows of `logs` with these bodies and random other columns.
fn lines(bodies: impl IntoIterator<Item = String>) -> RecordBatch {
    let bodies: StringArray = bodies.into_iter().map(Some).collect();
    let rows = random_rows(Table::Logs, arrow::array::Array::len(&bodies), &Dice::new(9));
    let place = rows.schema().index_of("body").unwrap();
    let mut columns: Vec<ArrayRef> = rows.columns().iter().map(Arc::clone).collect();
    columns[place] = Arc::new(bodies);
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

/// Commits a file of lines that hold the word `name`.
async fn commit(catalog: &Catalog, day: i32, name: &str, profile: WriteProfile) -> Arc<DataFile> {
    let rows = vec![lines((0..50).map(|i| format!("line {i} of {name} id{name}{i}")))];
    let level = u8::from(profile == WriteProfile::Compacted);
    let tags = FileTags { level, may_repeat: false };
    let written = catalog.write_file(Table::Logs, day, rows, profile, tags).await.unwrap();
    let path = written.path.clone();
    let files = catalog.commit(Table::Logs, vec![written], vec![], None).await.unwrap();
    Arc::clone(files.table(Table::Logs).iter().find(|file| file.path == path).unwrap())
}

async fn snapshot(catalog: &Catalog) -> Snapshot {
    Snapshot::read_only(catalog).await.unwrap()
}

/// Paths of the files left for a word.
async fn left(catalog: &Catalog, word: &str) -> Vec<String> {
    let snapshot = snapshot(catalog).await;
    let pruned = snapshot.prune_logs(snapshot.files(Table::Logs), &[Needle::word(word).unwrap()]);
    pruned.into_iter().map(|(file, _)| file.path.clone()).collect()
}

async fn sidecars(objects: &InMemory) -> Vec<ObjectMeta> {
    let mut listed: Vec<ObjectMeta> = objects.list(None).try_collect().await.unwrap();
    listed.retain(|meta| meta.location.as_ref().starts_with("team/atl/_index/"));
    listed.sort_by(|a, b| a.location.cmp(&b.location));
    listed
}

async fn again(objects: &Arc<InMemory>) -> Catalog {
    open(Arc::<InMemory>::clone(objects), noon()).await
}

#[tokio::test]
async fn files_without_the_word_are_left_out() {
    let (objects, _) = memory();
    let catalog = again(&objects).await;
    let alpha = commit(&catalog, DAY, "alpha", WriteProfile::Compacted).await;
    let beta = commit(&catalog, DAY, "beta", WriteProfile::Flush).await;
    assert_eq!(left(&catalog, "ALPHA").await, [alpha.path.as_str()]);
    assert_eq!(left(&catalog, "idbeta7").await, [beta.path.as_str()]);
    assert_eq!(left(&catalog, "idgamma7").await, [""; 0]);
    assert_eq!(left(&catalog, "line").await.len(), 2);
    let both = [Needle::word("idalpha1").unwrap(), Needle::word("idbeta1").unwrap()];
    let snapshot = snapshot(&catalog).await;
    let files = snapshot.files(Table::Logs);
    assert_eq!(snapshot.prune_logs(files, &both), []);
    let either = Needle::any(both.map(|needle| vec![needle])).unwrap();
    assert_eq!(snapshot.prune_logs(files, &[either]).len(), 2);
    assert_eq!(snapshot.prune_logs(files, &[]).len(), 2);
    let stats = catalog.tokens().stats();
    assert_eq!((stats.files, stats.unknown_files_total), (2, 0));
    assert_eq!((stats.asked_files_total, stats.pruned_files_total), (12, 6));
    assert_eq!(stats.bytes, catalog.tokens().heap_bytes());
}

#[tokio::test]
async fn sidecars_of_lasting_files_are_read_at_the_next_start() {
    let (objects, _) = memory();
    let catalog = again(&objects).await;
    let alpha = commit(&catalog, DAY, "alpha", WriteProfile::Compacted).await;
    let beta = commit(&catalog, DAY - 1, "beta", WriteProfile::Compacted).await;
    let fresh = commit(&catalog, DAY, "fresh", WriteProfile::Flush).await;
    let keys: Vec<String> = sidecars(&objects).await.iter().map(|meta| meta.location.to_string()).collect();
    let sidecar = |file: &DataFile| format!("team/atl/_index/logs/{}", file.path.replace(".parquet", ".tbf"));
    assert_eq!(keys, [sidecar(&beta), sidecar(&alpha)]);
    assert_eq!(catalog.tokens().stats().sidecars_total, 2);

    let catalog = again(&objects).await;
    assert_eq!(left(&catalog, "alpha").await.len(), 3, "nothing is known yet");
    assert_eq!(catalog.load_tokens().await.unwrap(), 2);
    let mut expect = [alpha.path.as_str(), fresh.path.as_str()];
    expect.sort_unstable();
    assert_eq!(left(&catalog, "alpha").await, expect);
    let stats = catalog.tokens().stats();
    assert_eq!((stats.files, stats.files_without, stats.loads_total), (2, 1, 2));
    assert_eq!(catalog.load_tokens().await.unwrap(), 0, "nothing is read twice");
}

#[tokio::test]
async fn what_a_query_lacked_is_there_for_the_next() {
    let (objects, _) = memory();
    let catalog = again(&objects).await;
    commit(&catalog, DAY, "alpha", WriteProfile::Compacted).await;
    let beta = commit(&catalog, DAY, "beta", WriteProfile::Compacted).await;
    let catalog = again(&objects).await;
    assert_eq!(left(&catalog, "beta").await.len(), 2);
    assert_eq!(catalog.load_wanted_tokens().await, 2);
    assert_eq!(left(&catalog, "beta").await, [beta.path.as_str()]);
    assert_eq!(catalog.load_wanted_tokens().await, 0);
}

#[tokio::test]
async fn a_sidecar_that_cannot_be_written_costs_nothing_but_time() {
    let (objects, prefix) = memory();
    let catalog = again(&objects).await;
    let index = TokenIndex::default();
    let subject = Subject { size: 1, crc32c: 1 };
    let sidecar = collect::of_batches(&[lines(["one line".to_owned()])], &[1], subject).unwrap();
    let no_data_file = Path::from("elsewhere/file.parquet");
    assert!(!load::write(&index, objects.as_ref(), &prefix, &no_data_file, &sidecar).await);
    assert_eq!(index.stats().sidecar_failures_total, 1);
    // A store that refuses sidecars alone.
    let refusing = Arc::new(Refusing::new(Arc::<InMemory>::clone(&objects), "/_index/"));
    let refused = open(Arc::<Refusing>::clone(&refusing), noon()).await;
    let alpha = commit(&refused, DAY, "alpha", WriteProfile::Compacted).await;
    assert_eq!(refused.tokens().stats().sidecar_failures_total, 1);
    assert!(sidecars(&objects).await.is_empty());
    assert_eq!(left(&refused, "beta").await, [""; 0], "its filters are in memory all the same");
    catalog.refresh().await.unwrap();
    assert_eq!(catalog.load_tokens().await.unwrap(), 0);
    assert_eq!(left(&catalog, "beta").await, [alpha.path.as_str()]);
}

#[tokio::test]
async fn damaged_and_foreign_sidecars_prune_nothing() {
    let (objects, _) = memory();
    let catalog = again(&objects).await;
    let alpha = commit(&catalog, DAY, "alpha", WriteProfile::Compacted).await;
    let beta = commit(&catalog, DAY, "beta", WriteProfile::Compacted).await;
    let keys: Vec<Path> = sidecars(&objects).await.into_iter().map(|meta| meta.location).collect();
    let of_beta = objects.get(&keys[1]).await.unwrap().bytes().await.unwrap();
    objects.put(&keys[0], of_beta.clone().into()).await.unwrap();
    let mut damaged = of_beta.to_vec();
    damaged[200] ^= 1;
    objects.put(&keys[1], damaged.into()).await.unwrap();
    let catalog = again(&objects).await;
    assert_eq!(catalog.load_tokens().await.unwrap(), 0);
    let mut both = [alpha.path.as_str(), beta.path.as_str()];
    both.sort_unstable();
    assert_eq!(left(&catalog, "nowhere").await, both);
    let stats = catalog.tokens().stats();
    assert_eq!((stats.load_failures_total, stats.files_without, stats.files), (2, 2, 0));

    for file in [&alpha, &beta] {
        assert!(catalog.rebuild_tokens(file).await.unwrap());
    }
    assert_eq!(left(&catalog, "beta").await, [beta.path.as_str()]);
    assert_eq!(catalog.tokens().stats().rebuilt_total, 2);
    let catalog = again(&objects).await;
    assert_eq!(catalog.load_tokens().await.unwrap(), 2);
    assert_eq!(left(&catalog, "alpha").await, [alpha.path.as_str()]);
}

#[tokio::test]
async fn rebuilding_gives_the_same_sidecar() {
    let (objects, _) = memory();
    let catalog = again(&objects).await;
    let alpha = commit(&catalog, DAY, "alpha", WriteProfile::Compacted).await;
    let key = sidecars(&objects).await.remove(0).location;
    let written = objects.get(&key).await.unwrap().bytes().await.unwrap();
    objects.delete(&key).await.unwrap();
    // As a file another writer committed: without a checksum in the log.
    let foreign = DataFile { crc32c: None, ..DataFile::clone(&alpha) };
    assert!(catalog.rebuild_tokens(&foreign).await.unwrap());
    assert_eq!(objects.get(&key).await.unwrap().bytes().await.unwrap(), written);
    let wrong = DataFile { crc32c: None, size: alpha.size + 1, ..DataFile::clone(&alpha) };
    assert!(matches!(catalog.rebuild_tokens(&wrong).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn maintenance_makes_missing_sidecars_of_days_that_are_over() {
    let (objects, _) = memory();
    let catalog = again(&objects).await;
    for (day, name) in [(DAY, "today"), (DAY - 2, "alpha"), (DAY - 3, "beta"), (DAY - 4, "gamma")] {
        commit(&catalog, day, name, WriteProfile::Flush).await;
    }
    let catalog = again(&objects).await;
    assert_eq!(catalog.rebuild_missing_tokens(9).await.unwrap(), 0, "nothing is known to be missing");
    catalog.load_tokens().await.unwrap();
    assert_eq!(catalog.rebuild_missing_tokens(2).await.unwrap(), 2);
    assert_eq!(sidecars(&objects).await.len(), 2);
    assert_eq!(catalog.rebuild_missing_tokens(9).await.unwrap(), 1);
    assert_eq!(catalog.rebuild_missing_tokens(9).await.unwrap(), 0);
    assert_eq!(left(&catalog, "gamma").await.len(), 2, "gamma's own and today's, which has none");
}

#[tokio::test]
async fn vacuum_takes_sidecars_whose_file_is_gone() {
    let (objects, _) = memory();
    let clock = Arc::new(ManualClock::at_ms(model::Clock::now_ms(&model::SystemClock)));
    let catalog = open(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock)).await;
    let today = crate::paths::day_of_us(model::Clock::now_ms(clock.as_ref()) * 1_000);
    commit(&catalog, today, "alpha", WriteProfile::Compacted).await;
    let old = commit(&catalog, today - 9, "beta", WriteProfile::Compacted).await;
    let stray = Path::from("team/atl/_index/logs/day=2020-01-01/stray.tbf");
    objects.put(&stray, "stray".into()).await.unwrap();
    objects.put(&Path::from("team/atl/_index/logs/notes.txt"), "by hand".into()).await.unwrap();
    assert_eq!(sidecars(&objects).await.len(), 4);
    assert_eq!(catalog.vacuum(VACUUM_GRACE_MIN).await.unwrap().sidecars, 0, "all are young");
    clock.advance_ms(3 * 3_600_000);
    catalog.apply_retention(Table::Logs, 5).await.unwrap();
    assert_eq!(catalog.vacuum(VACUUM_GRACE_MIN).await.unwrap().sidecars, 1, "the stray");
    assert_eq!(catalog.tokens().stats().files, 1, "the file past its time is forgotten");
    clock.advance_ms(2 * 3_600_000);
    let report = catalog.vacuum(VACUUM_GRACE_MIN).await.unwrap();
    assert_eq!((report.files, report.sidecars), (1, 1));
    assert!(report.bytes > old.size);
    assert_eq!(sidecars(&objects).await.len(), 2, "alpha's and the note");
}

/// A file of `groups` row groups that exists in memory alone, with its filters.
fn imagined(day: i32, name: &str, groups: u64, rows: u64) -> (Arc<DataFile>, Sidecar) {
    let key = Path::from(format!("team/atl/logs/day={day}/{name}.parquet"));
    let file = DataFile {
        table: Table::Logs,
        day,
        path: format!("day={day}/{name}.parquet"),
        key,
        size: 1_000,
        rows: groups * rows,
        stats: crate::parquet_file::FileStats::default(),
        tags: FileTags::default(),
        written_ms: 0,
        crc32c: Some(7),
    };
    let bodies = (0..groups * rows).map(|i| format!("{name} group{} row{i}{name}", i / rows));
    let subject = Subject { size: file.size, crc32c: 7 };
    let counts = vec![rows; groups as usize];
    let sidecar = collect::of_batches(&[lines(bodies)], &counts, subject).unwrap();
    (Arc::new(file), sidecar)
}

#[test]
fn row_groups_without_the_word_are_left_out() {
    let index = TokenIndex::default();
    let (file, sidecar) = imagined(DAY, "alpha", 5, 40);
    assert!(index.insert(&file, &sidecar, false));
    let prune = |needle: &str| index.prune(&[Arc::clone(&file)], &[Needle::word(needle).unwrap()]);
    let kept = |pruned: Vec<(Arc<DataFile>, Option<RowGroupSelection>)>| -> Option<Vec<bool>> {
        pruned.into_iter().next()?.1.map(|selection| {
            assert_eq!(selection.rows(), 40 * selection.kept().iter().filter(|kept| **kept).count() as u64);
            selection.kept().to_vec()
        })
    };
    assert_eq!(kept(prune("group3")), Some(vec![false, false, false, true, false]));
    assert_eq!(kept(prune("row81alpha")), Some(vec![false, false, true, false, false]));
    assert_eq!(prune("alpha"), [(Arc::clone(&file), None)]);
    assert_eq!(prune("group1 group3"), [], "no row group has both");
    assert_eq!(index.stats().pruned_row_groups_total, 8);
    let other = Sidecar { subject: Subject { size: 1_000, crc32c: 8 }, ..sidecar };
    assert!(!index.insert(&file, &other, false), "the sidecar of another file");
}

#[test]
fn memory_is_bounded_and_older_days_go_first() {
    let index = TokenIndex::default();
    let files: Vec<(Arc<DataFile>, Sidecar)> =
        (0..12).map(|age| imagined(DAY - age, &format!("file{age}"), 3, 60)).collect();
    for (file, sidecar) in &files {
        index.insert(file, sidecar, false);
    }
    let stats = index.stats();
    assert_eq!((stats.files, stats.files_with_groups, stats.evictions_total), (12, 12, 0));
    let all_bytes = index.heap_bytes();

    index.set_bytes_max(all_bytes * 9 / 10);
    assert!(index.heap_bytes() <= all_bytes * 9 / 10);
    let stats = index.stats();
    assert_eq!(stats.files, 12, "filters of row groups go before those of files");
    assert!(stats.files_with_groups > 0 && stats.files_with_groups < 12, "{stats:?}");
    let asked = |index: &TokenIndex, i: usize, word: &str| {
        index.prune(&[Arc::clone(&files[i].0)], &[Needle::word(word).unwrap()])
    };
    assert_eq!(asked(&index, 0, "group1").remove(0).1.unwrap().kept(), [false, true, false]);
    assert_eq!(asked(&index, 11, "group1").remove(0).1, None, "the oldest day's are gone");
    assert_eq!(asked(&index, 11, "nowhere"), [], "its file's are not");
    let wanted: Vec<String> = index.take_wanted().iter().map(|file| file.path.clone()).collect();
    assert_eq!(wanted, [files[11].0.path.as_str()]);

    assert!(index.insert(&files[11].0, &files[11].1, true));
    assert_eq!(asked(&index, 11, "group1").remove(0).1.unwrap().kept(), [false, true, false]);
    assert!(index.heap_bytes() <= all_bytes * 9 / 10);

    index.set_bytes_max(all_bytes / 4);
    assert!(index.heap_bytes() <= all_bytes / 4);
    assert!(index.stats().files < 12);
    assert_eq!(asked(&index, 6, "nowhere").len(), 1, "a file whose filter is gone is kept");
    let live: Vec<Arc<DataFile>> = vec![Arc::clone(&files[11].0)];
    index.retain(&live);
    assert_eq!(index.stats().files, 1);
    index.retain(&[]);
    assert_eq!(index.heap_bytes(), 0);
}
