//! Faults of the world around a store that are neither a crash nor an error: answers that do not come, answers without their
//! end, a clock that jumps.

use super::*;

#[tokio::test]
async fn an_object_store_that_does_not_answer_holds_up_no_batch() {
    let rig = Rig::new();
    let wire = Arc::new(Wire::new(Arc::clone(&rig.objects), 1));
    let store = Arc::new(rig.try_open_on(Arc::clone(&wire) as Arc<dyn ObjectStore>).await.unwrap());
    store.append(everything(0, rig.now_ms())).await.unwrap();
    let held = wire.hold().await;
    let before = wire.traffic().requests;
    let flushing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.flush().await }
    });
    while wire.traffic().requests == before {
        tokio::task::yield_now().await;
    }
    let mut numbers = vec![0];
    for number in 1..200 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
        numbers.push(number);
        if number % 50 == 0 {
            Census::of(&store.snapshot()).await.check(&numbers, &[], "during the flush");
        }
    }
    assert!(!flushing.is_finished());
    drop(held);
    flushing.await.unwrap().unwrap();
    Census::of(&store.snapshot()).await.check(&numbers, &[], "after the flush");
}

/// An answer that lost its end without an error is noticed, whatever it is of: the log, a checkpoint, the lease, a
/// data file. Whoever asks gets an error or everything, and nothing is written on the strength of it.
#[tokio::test(start_paused = true)]
async fn answers_without_their_end_are_never_taken_for_whole() {
    let (mut cuts, mut refused, mut whole) = (0, 0, 0);
    for seed in seeds(60) {
        let rig = Rig::new();
        let store = rig.open().await;
        let numbers: Vec<u64> = (0..12).collect();
        for number in &numbers {
            store.append(everything(*number, rig.now_ms())).await.unwrap();
            if number % 3 == 2 {
                store.flush().await.unwrap();
            }
        }
        if seed % 2 == 0 {
            store.catalog().checkpoint().await.unwrap();
        }
        store.flush().await.unwrap();
        kill(store).await;
        let wire = Arc::new(Wire::new(Arc::clone(&rig.objects), seed));
        wire.cut_answers(20);
        for _ in 0..4 {
            match rig.try_open_on(Arc::clone(&wire) as Arc<dyn ObjectStore>).await {
                Err(_) => refused += 1,
                Ok(store) => {
                    match Census::try_of(&store.snapshot()).await {
                        Ok(census) => {
                            census.check(&numbers, &[], &format!("seed {seed}"));
                            whole += 1;
                        }
                        Err(_) => refused += 1,
                    }
                    // A merge reads the lease and all files; it may fail, and must not lose a row.
                    let scope = CompactionScope { all: true, ..CompactionScope::default() };
                    let _ = store.compact(&scope, &ProgressFn::default()).await;
                    kill(store).await;
                }
            }
        }
        cuts += wire.cuts();
        let store = rig.open().await;
        Census::of(&store.snapshot()).await.check(&numbers, &[], &format!("seed {seed}, in the end"));
        kill(store).await;
    }
    assert!(cuts > 100 && refused > 10 && whole > 10, "{cuts} cuts, {refused} refused, {whole} whole");
}

/// The clock goes an hour forward and back, as after a wrong setting or a time server's word: rows keep their times
/// and their number, names of files their order, and retention takes nothing that is not old by any clock.
#[tokio::test]
async fn a_clock_that_jumps_by_an_hour_loses_doubles_and_removes_nothing() {
    let mut rig = Rig::new();
    rig.config.retention =
        crate::config::Retention { metrics_days: Some(2), logs_days: Some(2), probes_days: Some(2) };
    // Half an hour before and after midnight, where an hour changes the day.
    rig.clock.advance_ms(11 * 3_600_000 + 1_800_000);
    let (scope, progress) =
        (CompactionScope { all: true, ..CompactionScope::default() }, ProgressFn::default());
    let mut store = rig.open().await;
    let mut numbers = Vec::new();
    let real_ms = rig.now_ms();
    for (round, jump_hours) in [0i64, 1, -1, -1, 1, 1, -1].into_iter().enumerate() {
        rig.clock.advance_ms(jump_hours * 3_600_000);
        for i in 0..3 {
            let number = round as u64 * 3 + i;
            // Senders have clocks of their own.
            store.append(named(everything(number, real_ms), &number.to_string())).await.unwrap();
            numbers.push(number);
        }
        let what = format!("jump {round}");
        Census::of(&store.snapshot()).await.check(&numbers, &[], &what);
        store.flush().await.unwrap();
        store.inner.apply_retention(None).await.unwrap();
        if round % 2 == 1 {
            store.compact(&scope, &progress).await.unwrap();
        }
        Census::of(&store.snapshot()).await.check(&numbers, &[], &format!("{what}, flushed"));
        if round % 3 == 2 {
            kill(store).await;
            store = rig.open().await;
            Census::of(&store.snapshot()).await.check(&numbers, &[], &format!("{what}, after a start"));
        }
        // A batch sent again is known, whichever hour it is said to be.
        let again = store.append(named(everything(0, real_ms), "0")).await.unwrap();
        assert_eq!(again, Appended::Duplicate, "{what}");
    }
    kill(store).await;
}
