use super::*;

#[tokio::test]
async fn what_is_appended_shows_at_once_and_after_a_flush() {
    let rig = Rig::new();
    let store = rig.open().await;
    for number in 0..20 {
        let appended = store.append(everything(number, rig.now_ms())).await.unwrap();
        assert_eq!(appended, Appended::Stored { rows: 7 });
        let all: Vec<u64> = (0..=number).collect();
        Census::of(&store.snapshot()).await.check(&all, &[], "head");
    }
    let all: Vec<u64> = (0..20).collect();
    let before = samples(&store.snapshot()).await;
    let report = store.flush().await.unwrap();
    assert_eq!((report.commits, report.files, report.rows), (8, 8, 20 * 7 + 13 + 1));
    let snapshot = store.snapshot();
    assert_eq!(snapshot.unflushed_rows(Table::Metrics), 0);
    Census::of(&snapshot).await.check(&all, &[], "files");
    assert_eq!(samples(&snapshot).await, before);
    assert_eq!((count(&snapshot, Table::Series).await, count(&snapshot, Table::LogStreams).await), (13, 1));
    assert_eq!(store.flush().await.unwrap(), FlushReport::default());
    let stats = store.stats();
    assert_eq!((stats.append.batches_total, stats.append.points_total), (20, 40));
    assert_eq!((stats.flush.commits_total, stats.flush.rows_total), (8, 154));
    assert_eq!((stats.wal.segments, stats.wal.last_lsn), (1, 20));
    store.close().await.unwrap();
    assert!(matches!(store.append(Batch::new("late")).await, Err(Error::Closed)));
}

#[tokio::test]
async fn series_are_committed_once_a_day() {
    let rig = Rig::new();
    let store = rig.open().await;
    let day_ms = 86_400_000;
    for (round, expect) in [(0, 1), (1, 1), (2, 1)] {
        store.append(points(vec![point("up", 1, rig.now_ms() + round, 1.0)])).await.unwrap();
        assert_eq!(count(&store.snapshot(), Table::Series).await, expect, "head, round {round}");
        store.flush().await.unwrap();
        assert_eq!(count(&store.snapshot(), Table::Series).await, expect, "files, round {round}");
    }
    let both_days = vec![point("up", 1, rig.now_ms() + 5, 1.0), point("up", 1, rig.now_ms() + day_ms, 1.0)];
    store.append(points(both_days)).await.unwrap();
    let report = store.flush().await.unwrap();
    assert_eq!((report.rows, report.files), (3, 3), "two samples, and the series on its new day");
    let series = store.snapshot().series("up", None).await.unwrap();
    assert_eq!((series.len(), series[0].first_ts_us), (1, rig.now_ms() * 1_000));
    assert_eq!(series[0].labels, super::series("up", 1));
}

#[tokio::test]
async fn of_repeated_samples_the_same_one_counts_in_any_order_before_and_after_the_flush() {
    let now = noon().now_ms();
    let stale = model::stale_nan();
    let sent =
        [(0, 1.0), (0, stale), (0, 7.0), (0, f64::NAN), (1, -0.0), (1, 0.0), (2, stale), (2, f64::NAN)];
    let expect = [7.0f64.to_bits(), 0, f64::NAN.to_bits()];
    let values = |samples: Vec<(String, i64, i64, u64)>| samples.iter().map(|s| s.3).collect::<Vec<_>>();
    let mut rng = Rng(9);
    for round in 0..20 {
        let rig = Rig::new();
        let store = rig.open().await;
        let mut left = sent.to_vec();
        while !left.is_empty() {
            let (offset, value) = left.swap_remove(rng.below(left.len() as u64) as usize);
            store.append(points(vec![point("up", 1, now + offset, value)])).await.unwrap();
            if rng.one_in(4) {
                let (reply, done) = oneshot::channel();
                store.inner.send(Command::Rotate(reply)).await.unwrap();
                done.await.unwrap();
            }
        }
        assert_eq!(values(samples(&store.snapshot()).await), expect, "round {round}, head");
        // Generations that ended before the flush have files of their own; what they repeat is for readers.
        if store.stats().head.unflushed_generations == 0 {
            store.flush().await.unwrap();
            assert_eq!(values(samples(&store.snapshot()).await), expect, "round {round}, files");
        }
    }
}

#[tokio::test]
async fn a_batch_sent_twice_is_stored_once() {
    let rig = Rig::new();
    let store = rig.open().await;
    let send = |id: &str| store.append(named(everything(1, rig.now_ms()), id));
    assert_eq!(send("a").await.unwrap(), Appended::Stored { rows: 7 });
    assert_eq!(send("a").await.unwrap(), Appended::Duplicate);
    let other = Batch { source: "other".into(), ..named(points(Vec::new()), "a") };
    assert_eq!(store.append(other).await.unwrap(), Appended::Stored { rows: 0 });
    let sent = futures::future::join_all((0..20).map(|_| send("b"))).await;
    let stored = sent.into_iter().filter(|sent| *sent.as_ref().unwrap() != Appended::Duplicate).count();
    assert_eq!(stored, 1, "at the same time, too");
    assert_eq!(store.stats().append.duplicates_total, 20);
}

#[tokio::test]
async fn a_batch_is_recognised_after_flush_and_kill_for_24_hours() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(named(everything(1, rig.now_ms()), "flushed")).await.unwrap();
    store.flush().await.unwrap();
    store.append(named(everything(2, rig.now_ms()), "in the log")).await.unwrap();
    kill(store).await;
    rig.clock.advance_ms(23 * 3_600_000);
    let store = rig.open().await;
    for id in ["flushed", "in the log"] {
        assert_eq!(store.append(named(points(Vec::new()), id)).await.unwrap(), Appended::Duplicate, "{id}");
    }
    // A flush trims the log; the names must survive that, too.
    store.flush().await.unwrap();
    kill(store).await;
    let store = rig.open().await;
    for id in ["flushed", "in the log"] {
        assert_eq!(store.append(named(points(Vec::new()), id)).await.unwrap(), Appended::Duplicate, "{id}");
    }
    kill(store).await;
    rig.clock.advance_ms(3 * 3_600_000);
    let store = rig.open().await;
    let again = store.append(named(points(Vec::new()), "flushed")).await.unwrap();
    assert_eq!(again, Appended::Stored { rows: 0 });
}

#[tokio::test]
async fn what_the_tables_cannot_hold_is_refused() {
    let mut rig = Rig::new();
    rig.config.reject_future = None;
    let store = rig.open().await;
    for timestamp_ms in [i64::MIN, i64::MAX, 253_402_300_800_000] {
        let refused = store.append(points(vec![point("up", 1, timestamp_ms, 1.0)])).await;
        assert!(matches!(refused, Err(Error::InvalidBatch(_))));
    }
    let long = Labels::from_pairs([("__name__", "x".repeat(LABELS_BYTES_MAX))]);
    let refused = store.append(points(vec![Point { labels: long, timestamp_ms: 0, value: 1.0 }])).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    assert_eq!(store.stats().append.invalid_total, 4);
    for timestamp_ms in [*TIME_MS.start(), -1, *TIME_MS.end()] {
        store.append(points(vec![point("up", 1, timestamp_ms, 1.0)])).await.unwrap();
    }
    store.flush().await.unwrap();
    assert_eq!(samples(&store.snapshot()).await.len(), 3);
}

#[tokio::test]
async fn metadata_is_remembered_and_comes_back_from_the_log() {
    let rig = Rig::new();
    let store = rig.open().await;
    let family = |help: &str| MetricMetadata {
        family: "http_requests".into(),
        kind: MetricKind::Counter,
        help: help.into(),
        unit: String::new(),
    };
    for help in ["old", "Requests.", "Requests."] {
        let batch = Batch { metadata: vec![family(help)], ..Batch::new("scrape") };
        store.append(batch).await.unwrap();
    }
    assert_eq!(store.metadata()["http_requests"], family("Requests."));
    kill(store).await;
    let store = rig.open().await;
    assert_eq!(store.metadata()["http_requests"], family("Requests."));
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let rig = Rig::new();
    let store = rig.open().await;
    let second = rig.try_open_on(Arc::clone(&rig.objects)).await;
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
    kill(store).await;
    rig.open().await;
}

#[tokio::test]
async fn the_public_door_works_on_real_disks() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = noon();
    let open = || {
        let clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        Store::open(config.clone(), Arc::clone(&objects), Path::from("x"), clock)
    };
    let store = open().await.unwrap();
    store.append(everything(1, clock.now_ms())).await.unwrap();
    kill(store).await;
    let store = open().await.unwrap();
    assert_eq!(store.stats().replay.batches, 1);
    store.append(everything(2, clock.now_ms())).await.unwrap();
    Census::of(&store.snapshot()).await.check(&[1, 2], &[], "after a kill");
    store.close().await.unwrap();
    drop(store);
    let store = open().await.unwrap();
    assert_eq!(store.snapshot().unflushed_rows(Table::Metrics), 0);
    Census::of(&store.snapshot()).await.check(&[1, 2], &[], "after a close");
}
