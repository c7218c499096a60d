//! A store whose files are read through a cache.

use super::*;
use crate::compact::{CompactionScope, ProgressFn};
use crate::range_cache::CacheConfig;
use crate::testing::Remote;

/// A rig with a cache and without hot rows, and its object store, which counts.
fn rig() -> (Rig, Arc<Remote>) {
    let mut rig = Rig::new();
    let remote = Arc::new(Remote::new(Arc::clone(&rig.objects)));
    rig.objects = Arc::<Remote>::clone(&remote);
    rig.config.hot_window = Duration::ZERO;
    rig.config.cache = Some(CacheConfig { disk_bytes_max: Some(64 << 20), ..CacheConfig::default() });
    (rig, remote)
}

/// Waits until the cache knows and has written what there is.
fn settle(store: &Store) {
    store.inner.catalog.cache().expect("a cache").settle();
}

async fn filled(rig: &Rig) -> Store {
    let store = rig.open().await;
    settle(&store);
    for number in 0..30 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
        if number % 10 == 9 {
            store.flush().await.unwrap();
            settle(&store);
        }
    }
    store
}

async fn look(store: &Store) {
    let numbers: Vec<u64> = (0..30).collect();
    Census::of(&store.snapshot()).await.check(&numbers, &[], "a look");
}

#[tokio::test]
async fn files_written_here_are_read_without_a_request() {
    let (rig, remote) = rig();
    let store = filled(&rig).await;
    let before = remote.gets();
    look(&store).await;
    assert!(store.snapshot().files(Table::Metrics).len() == 3);
    assert_eq!(remote.gets(), before);
    let stats = store.stats().cache;
    assert!(stats.disk.hits_total > 0 && stats.memory.hits_total > 0, "{stats:?}");
}

#[tokio::test]
async fn files_are_read_once_over_restarts() {
    let (rig, remote) = rig();
    kill(filled(&rig).await).await;
    // As another process would have written them.
    std::fs::remove_dir_all(rig.config.data_dir.join("cache")).unwrap();
    let store = rig.open().await;
    settle(&store);
    let before = remote.gets();
    look(&store).await;
    assert!(remote.gets() > before);
    settle(&store);
    let before = remote.gets();
    look(&store).await;
    assert_eq!(remote.gets(), before, "the second time");
    kill(store).await;
    let store = rig.open().await;
    settle(&store);
    let before = remote.gets();
    look(&store).await;
    assert_eq!(remote.gets(), before, "after a restart");
}

#[tokio::test]
async fn merges_read_past_the_cache_and_deleted_files_leave_it() {
    let (rig, _) = rig();
    let store = filled(&rig).await;
    look(&store).await;
    let before = store.stats().cache;
    assert!(before.disk.blocks > 0 && before.memory.blocks > 0);
    let scope = CompactionScope { all: true, ..CompactionScope::default() };
    let report = store.compact(&scope, &ProgressFn::default()).await.unwrap();
    assert!(report.jobs > 0);
    settle(&store);
    let after = store.stats().cache;
    let lookups = |stats: &crate::CacheStats| {
        stats.memory.hits_total + stats.memory.misses_total + stats.disk.hits_total + stats.disk.misses_total
    };
    assert_eq!(lookups(&after), lookups(&before));
    assert_eq!(after.requests_total, before.requests_total);
    // The files merged are deleted later than any query may read them.
    look(&store).await;
    let behind_ms = model::SystemClock.now_ms() - rig.now_ms();
    rig.clock.advance_ms(behind_ms.max(0) + 48 * 3_600_000);
    let vacuumed = store.catalog().vacuum(Duration::from_secs(24 * 3600)).await.unwrap();
    assert!(vacuumed.files > 0);
    settle(&store);
    look(&store).await;
    settle(&store);
    let left = store.stats().cache;
    let files: usize = Table::ALL.into_iter().map(|table| store.snapshot().files(table).len()).sum();
    assert!(left.disk.blocks <= files as u64, "{left:?} of {files} files");
    assert!(left.memory.blocks <= files as u64, "{left:?} of {files} files");
}

#[tokio::test]
async fn the_cache_goes_first_when_memory_is_short() {
    let (rig, remote) = rig();
    let store = filled(&rig).await;
    look(&store).await;
    let held = store.stats().cache.memory.bytes;
    assert!(held > 0);
    let with = store.inner.accounted_bytes();
    store.inner.give_up_memory(1);
    assert!(store.stats().cache.memory.bytes < held);
    store.inner.give_up_memory(held);
    assert_eq!(store.stats().cache.memory.bytes, 0);
    assert_eq!(store.inner.accounted_bytes(), with - held, "it was in the account");
    let before = remote.gets();
    look(&store).await;
    assert_eq!(remote.gets(), before, "the disk has the blocks");
}

#[tokio::test]
async fn a_cache_that_cannot_have_its_folder_goes_without() {
    let (rig, _) = rig();
    std::fs::write(rig.config.data_dir.join("cache"), b"a file").unwrap();
    let store = filled(&rig).await;
    look(&store).await;
    let stats = store.stats().cache;
    assert_eq!((stats.disk.limit_bytes, stats.disk.blocks), (0, 0));
    assert!(stats.memory.blocks > 0);
}
