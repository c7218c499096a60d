use super::*;

#[tokio::test]
async fn a_disk_that_fails_refuses_and_the_same_batch_goes_in_later_once() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(named(everything(1, rig.now_ms()), "1")).await.unwrap();
    rig.wal.fail_syncs(1);
    let refused = store.append(named(everything(2, rig.now_ms()), "2")).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    Census::of(&store.snapshot()).await.check(&[1], &[], "refused");
    let again = store.append(named(everything(2, rig.now_ms()), "2")).await.unwrap();
    assert_eq!(again, Appended::Stored { rows: 7 });
    kill(store).await;
    let store = rig.open().await;
    Census::of(&store.snapshot()).await.check(&[1, 2], &[], "after a kill");
    assert_eq!(store.stats().replay.voided, 1, "the refused record is there and left out");
    kill(store).await;
    rig.wal.reboot(&mut Rng(3));
    Census::of(&rig.open().await.snapshot()).await.check(&[1, 2], &[], "after a power cut");
}

/// The number of a refused record may be given again after a power cut. Were it in a watermark, a commit that
/// arrives late would claim to hold the record that has the number then.
#[tokio::test]
async fn watermarks_name_stored_records_only() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(everything(1, rig.now_ms())).await.unwrap();
    rig.wal.fail_syncs(1);
    store.append(everything(2, rig.now_ms())).await.unwrap_err();
    store.flush().await.unwrap();
    for table in Table::ALL {
        assert_eq!(store.catalog().watermark(table, &store.inner.app_id), Some(1), "{table}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_batches_and_still_answers_reads() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(everything(1, rig.now_ms())).await.unwrap();
    rig.wal.set_capacity(Some(0));
    for _ in 0..3 {
        let refused = store.append(everything(2, rig.now_ms())).await;
        assert!(matches!(refused, Err(Error::Unavailable { retry_after, .. }) if !retry_after.is_zero()));
    }
    Census::of(&store.snapshot()).await.check(&[1], &[], "full");
    store.flush().await.unwrap();
    rig.wal.set_capacity(None);
    store.append(everything(2, rig.now_ms())).await.unwrap();
    Census::of(&store.snapshot()).await.check(&[1, 2], &[], "healed");
    let stats = store.stats();
    assert_eq!(stats.append.unavailable_total, 3);
    // Batches that came while one was being refused share its failure.
    assert!((1..=3).contains(&stats.wal.failures_total));
}

#[tokio::test(start_paused = true)]
async fn an_object_store_that_is_away_for_an_hour_costs_nothing_but_time() {
    let mut rig = Rig::new();
    rig.config.flush_interval = Duration::from_secs(300);
    let faulty = Arc::new(FaultyStore::new(Arc::clone(&rig.objects), 1, 1));
    faulty.switch(false);
    let store = rig.try_open_on(Arc::clone(&faulty) as Arc<dyn ObjectStore>).await.unwrap();
    faulty.switch(true);
    let mut all = Vec::new();
    for number in 0..60 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
        all.push(number);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let stats = store.stats();
    assert!(stats.flush.failures_in_a_row > 5 && stats.flush.failures_total < 100, "{stats:?}");
    assert!(stats.head.unflushed_generations <= 1, "{stats:?}");
    Census::of(&store.snapshot()).await.check(&all, &[], "away");
    faulty.switch(false);
    tokio::time::sleep(Duration::from_secs(300)).await;
    store.flush().await.unwrap();
    assert_eq!(store.snapshot().unflushed_rows(Table::Metrics), 0);
    assert_eq!(store.stats().wal.segments, 1, "the backlog is out of the log");
    Census::of(&store.snapshot()).await.check(&all, &[], "back");
}

#[tokio::test(start_paused = true)]
async fn a_log_at_its_limit_pushes_back_until_the_tables_can_be_written() {
    let mut rig = Rig::new();
    rig.config.wal_bytes_max = 20_000;
    let faulty = Arc::new(FaultyStore::new(Arc::clone(&rig.objects), 1, 1));
    faulty.switch(false);
    let store = rig.try_open_on(Arc::clone(&faulty) as Arc<dyn ObjectStore>).await.unwrap();
    faulty.switch(true);
    let mut stored = Vec::new();
    for number in 0..1_000 {
        match store.append(everything(number, rig.now_ms())).await {
            Ok(_) => stored.push(number),
            Err(Error::Backpressure { limit, .. }) => {
                assert_eq!(limit, 20_000);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(stored.len() > 20 && stored.len() < 500, "{} stored", stored.len());
    assert!(store.stats().wal.bytes < 30_000);
    faulty.switch(false);
    store.flush().await.unwrap();
    store.append(everything(2_000, rig.now_ms())).await.unwrap();
    stored.push(2_000);
    Census::of(&store.snapshot()).await.check(&stored, &[], "after backpressure");
}

#[tokio::test(start_paused = true)]
async fn close_says_what_could_not_be_committed_and_the_next_start_has_it() {
    let rig = Rig::new();
    let faulty = Arc::new(FaultyStore::new(Arc::clone(&rig.objects), 1, 1));
    faulty.switch(false);
    let store = rig.try_open_on(Arc::clone(&faulty) as Arc<dyn ObjectStore>).await.unwrap();
    store.append(everything(1, rig.now_ms())).await.unwrap();
    faulty.switch(true);
    let closed = store.close().await;
    assert!(matches!(closed, Err(Error::Unflushed { rows: 7, .. })), "{closed:?}");
    drop(store);
    // A put that was thought lost may still arrive, before or after the next start.
    let store = rig.open().await;
    Census::of(&store.snapshot()).await.check(&[1], &[], "at once");
    tokio::time::sleep(crate::testing::LATE_MAX).await;
    store.append(everything(2, rig.now_ms())).await.unwrap();
    store.flush().await.unwrap();
    Census::of(&store.snapshot()).await.check(&[1, 2], &[], "after late puts");
}
