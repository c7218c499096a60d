use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::compact::{CompactionScope, ProgressFn};

fn all() -> CompactionScope {
    CompactionScope { all: true, ..CompactionScope::default() }
}

/// Appends, flushes, merges and looks at once; `faulty` fails except while a look reads files.
async fn append_flush_merge_look(
    store: &Store,
    rig: &Rig,
    faulty: Option<&FaultyStore>,
    batches: u64,
) -> u64 {
    let (stored, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let writing = async {
        for number in 0..batches {
            store.append(everything(number, rig.now_ms())).await.unwrap();
            stored.store(number + 1, Ordering::SeqCst);
            if number % 3 == 2 {
                // Where it fails the rows stay in the log, and the next one takes them along.
                let _ = store.flush().await;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        ended.store(true, Ordering::SeqCst);
    };
    let merging = async {
        while !ended.load(Ordering::SeqCst) {
            // Where it fails, what it merged before stays; the next one goes on from there.
            let _ = store.compact(&all(), &ProgressFn::default()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Counted by the store: the report of a run that fails in the end is lost with it.
        store.stats().compaction.compactions_total
    };
    let looking = async {
        let mut looks = 0;
        while !ended.load(Ordering::SeqCst) {
            let least = stored.load(Ordering::SeqCst);
            let snapshot = store.snapshot();
            faulty.into_iter().for_each(|faulty| faulty.switch(false));
            let census = Census::of(&snapshot).await;
            faulty.into_iter().for_each(|faulty| faulty.switch(true));
            let (must, may): (Vec<u64>, Vec<u64>) = (0..batches).partition(|number| *number < least);
            census.check(&must, &may, "a look");
            looks += 1;
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        looks
    };
    let ((), merged, looks) = tokio::join!(writing, merging, looking);
    assert!(looks > 3, "{looks} looks");
    merged
}

#[tokio::test]
async fn snapshots_hold_every_row_once_while_files_are_merged() {
    let rig = Rig::new();
    let store = rig.open().await;
    let merged = append_flush_merge_look(&store, &rig, None, 60).await;
    assert!(merged > 0);
    store.flush().await.unwrap();
    store.compact(&all(), &ProgressFn::default()).await.unwrap();
    let numbers: Vec<u64> = (0..60).collect();
    Census::of(&store.snapshot()).await.check(&numbers, &[], "in the end");
    for table in Table::ALL {
        let files = store.snapshot().files(table).len();
        assert_eq!(files, 1, "{table}");
    }
    let stats = store.stats();
    assert_eq!((stats.compaction.failures_total, stats.compaction.compactions_total > 0), (0, true));
    assert!(stats.lease.acquired_total > 0 && stats.lease.epoch > 0 && !stats.lease.held);
    kill(store).await;
    Census::of(&rig.open().await.snapshot()).await.check(&numbers, &[], "after a restart");
}

#[tokio::test(start_paused = true)]
async fn merging_on_a_failing_store_loses_and_doubles_nothing() {
    let (mut merged, mut faults) = (0, 0);
    // The tasks share their faults in an order that differs from run to run: some lives are too
    // unlucky to merge anything, so lives are added until one did.
    for seed in 0..crate::testing::seeds(4).max(100) {
        if seed >= crate::testing::seeds(4) && merged > 0 && faults > 20 {
            break;
        }
        let rig = Rig::new();
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&rig.objects), seed, 15));
        faulty.switch(false);
        let store = rig.try_open_on(Arc::clone(&faulty) as Arc<dyn ObjectStore>).await.unwrap();
        faulty.switch(true);
        merged += append_flush_merge_look(&store, &rig, Some(&faulty), 30).await;
        faults += faulty.faults();
        faulty.switch(false);
        tokio::time::sleep(crate::testing::LATE_MAX).await;
        kill(store).await;
        let store = rig.open().await;
        store.flush().await.unwrap();
        let numbers: Vec<u64> = (0..30).collect();
        Census::of(&store.snapshot()).await.check(&numbers, &[], "after a restart");
        assert_eq!(store.stats().compaction.quarantined_files, 0);
        kill(store).await;
    }
    assert!(merged > 0 && faults > 20, "{merged} merges, {faults} faults");
}

#[tokio::test]
async fn files_are_merged_in_the_background_once_their_rows_have_left_memory() {
    let mut rig = Rig::new();
    rig.config.compaction_interval = Duration::from_secs(1);
    rig.config.hot_window = Duration::from_secs(2 * 3_600);
    let store = rig.open().await;
    for number in 0..12 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
        store.flush().await.unwrap();
    }
    let metrics = || store.snapshot().all_files(Table::Metrics).len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(
        (metrics(), store.stats().lease.acquired_total),
        (12, 0),
        "too young: the lease is not asked for"
    );
    rig.clock.advance_ms(2 * 3_600_000 + 1);
    for _ in 0..200 {
        if metrics() == 1 && !store.stats().lease.held {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stats = store.stats();
    assert_eq!((metrics(), stats.compaction.failures_total), (1, 0), "{stats:?}");
    assert!(stats.compaction.rows_in_total >= 24 && stats.compaction.files_in_total >= 12, "{stats:?}");
    Census::of(&store.snapshot()).await.check(&(0..12).collect::<Vec<_>>(), &[], "merged");
}
