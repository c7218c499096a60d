//! Compaction against other writers, a store that fails, and its own end.

use super::*;

/// Writers append and compactors merge at once; readers look all the time. Every sample is there exactly once
/// in every look, also where requests fail, get lost and come late.
async fn appends_and_compactions(
    objects: Arc<dyn ObjectStore>,
    inner: Arc<dyn ObjectStore>,
    seed: u64,
) -> CompactionReport {
    let opened = |objects: &Arc<dyn ObjectStore>| {
        let objects = Arc::clone(objects);
        async move {
            loop {
                match Catalog::open(Arc::clone(&objects), Path::from("team/atl"), long_after()).await {
                    Ok(catalog) => return catalog,
                    Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        }
    };
    let written = Arc::new(AtomicU64::new(0));
    let writer = async {
        let catalog = opened(&objects).await;
        for number in 0..24 {
            let rows = metrics(&[("up", 1, number, number as f64), ("zz", number % 3, number, 0.5)]);
            loop {
                let (rows, tags) = (vec![rows.clone()], FileTags::default());
                let file = catalog.write_file(Table::Metrics, DAY, rows, WriteProfile::Flush, tags).await;
                let Ok(file) = file else { continue };
                let txn = Some(("ingest".to_owned(), number + 1));
                match catalog.commit(Table::Metrics, vec![file], vec![], txn).await {
                    Ok(_) => break,
                    Err(Error::WatermarkMoved { watermark, .. }) if watermark == number + 1 => break,
                    Err(Error::WatermarkMoved { .. } | Error::Object { .. }) => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            written.store(number as u64 + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let merging = |number: u64| {
        let (objects, written) = (Arc::clone(&objects), Arc::clone(&written));
        let opening = opened(&objects);
        async move {
            let catalog = opening.await;
            let policy = CompactionPolicy { inputs_max: 2 + number as usize, ..CompactionPolicy::default() };
            let (compactor, scope) =
                (Compactor::new(policy), CompactionScope { all: true, ..Default::default() });
            let mut report = CompactionReport::default();
            for _ in 0..400 {
                let ran = compactor.run(&catalog, &scope, &Leading::default(), &ProgressFn::default()).await;
                if let Ok(ran) = ran {
                    report.add(&ran);
                }
                if written.load(Ordering::SeqCst) == 24 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(30 + 20 * number)).await;
            }
            assert_eq!(compactor.stats().quarantined_files, 0, "nothing is damaged");
            report
        }
    };
    let reader = async {
        let catalog = opened(&inner).await;
        let mut looks = 0;
        while written.load(Ordering::SeqCst) < 24 {
            let least = written.load(Ordering::SeqCst);
            catalog.refresh().await.unwrap();
            let found = all_samples(&catalog).await;
            let mut once = found.clone();
            once.dedup();
            assert_eq!(found, once, "seed {seed}: no row twice");
            assert!(found.len() as u64 >= 2 * least, "seed {seed}: {} of {least} commits", found.len());
            looks += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        looks
    };
    let ((), mut one, two, looks) = tokio::join!(writer, merging(0), merging(1), reader);
    assert!(looks > 3, "seed {seed}: {looks} looks");
    one.add(&two);
    one
}

#[tokio::test]
async fn readers_see_every_row_once_while_writers_append_and_merge() {
    for seed in 0..seeds(3) {
        let (objects, _) = memory();
        let objects: Arc<dyn ObjectStore> = objects;
        let merged = appends_and_compactions(Arc::clone(&objects), Arc::clone(&objects), seed).await;
        assert!(merged.jobs > 0, "seed {seed}: {merged:?}");
        let catalog = open(objects, long_after()).await;
        assert_eq!(all_samples(&catalog).await.len(), 48);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_doubled_on_a_failing_store() {
    let (mut faults, mut merged) = (0, CompactionReport::default());
    for seed in 0..seeds(6) {
        let (objects, _) = memory();
        let inner: Arc<dyn ObjectStore> = objects;
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&inner), seed, 12));
        let objects: Arc<dyn ObjectStore> = Arc::<FaultyStore>::clone(&faulty);
        merged.add(&appends_and_compactions(objects, Arc::clone(&inner), seed).await);
        faulty.switch(false);
        // Commits thought lost may arrive now.
        tokio::time::sleep(LATE_MAX).await;
        let catalog = open(inner, long_after()).await;
        assert_eq!(all_samples(&catalog).await.len(), 48, "seed {seed}");
        compact(&catalog, &compactor(), true).await;
        // Small limits may leave several files of the last level, which are not merged with each other again.
        let files = catalog.files();
        assert!(files.table(Table::Metrics).iter().all(|file| file.tags.level == LEVEL_DAY), "seed {seed}");
        assert_eq!(all_samples(&catalog).await.len(), 48, "seed {seed}");
        faults += faulty.faults();
    }
    assert!(faults > 60 && merged.jobs > 3, "only {faults} faults, {merged:?}");
}

#[tokio::test]
async fn of_two_that_merge_the_same_files_one_throws_its_work_away() {
    let (objects, _) = memory();
    let one = open(Arc::<InMemory>::clone(&objects), long_after()).await;
    for i in 0..4 {
        add(&one, &[("up", 1, i, i as f64)]).await;
    }
    let two = open(Arc::<InMemory>::clone(&objects), long_after()).await;
    let (first, second) = (compactor(), compactor());
    let (a, b) = tokio::join!(compact(&one, &first, true), compact(&two, &second, true));
    assert_eq!(a.jobs + b.jobs, 1, "{a:?} {b:?}");
    assert_eq!(a.failures + b.failures + a.quarantined + b.quarantined, 0);
    one.refresh().await.unwrap();
    assert_eq!(all_samples(&one).await.len(), 4);
}

/// Lets reads through and fails the commit, as if the process had ended before it.
#[tokio::test]
async fn a_crash_before_the_commit_leaves_a_file_nobody_names() {
    let (objects, _) = memory();
    let clock = Arc::new(ManualClock::at_ms(model::SystemClock.now_ms()));
    let catalog = open(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock)).await;
    for i in 0..4 {
        add(&catalog, &[("up", 1, i, i as f64)]).await;
    }
    let before = all_samples(&catalog).await;
    let compactor = compactor();
    let job = {
        let files = catalog.files();
        let policy = CompactionPolicy::default();
        let files = files.day(Table::Metrics, DAY);
        let day = plan::Day { table: Table::Metrics, day: DAY, files, now_ms: 0, policy: &policy, all: true };
        plan::next_job(day, |_| false).unwrap()
    };
    compactor.merge_only(&catalog, &job).await;
    let again = open(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock)).await;
    assert_eq!(all_samples(&again).await, before);
    clock.advance_ms(26 * HOUR_MS);
    let report = again.vacuum(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!((report.files, report.kept), (1, 0), "only what the merge had written");
    assert_eq!(compact(&again, &Compactor::new(CompactionPolicy::default()), true).await.jobs, 1);
    assert_eq!(all_samples(&again).await, before);
}

#[tokio::test]
async fn a_merge_that_is_called_off_or_takes_too_long_changes_nothing() {
    let (objects, _) = memory();
    let catalog = open(objects, long_after()).await;
    for i in 0..3 {
        add(&catalog, &[("up", 1, i, i as f64)]).await;
    }
    let version = || catalog.files().table_files(Table::Metrics).version();
    let before = version();
    let scope = CompactionScope { all: true, ..CompactionScope::default() };
    let leading = Leading::default();
    leading.stop.cancel();
    let outcome = compactor().run(&catalog, &scope, &leading, &ProgressFn::default()).await;
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");

    // Called off in the middle: the first batch is on its way.
    let leading = Leading::default();
    let progress = {
        let stop = leading.stop.clone();
        ProgressFn::new(move |_| stop.cancel())
    };
    let outcome = compactor().run(&catalog, &scope, &leading, &progress).await;
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    assert_eq!(version(), before);
}
