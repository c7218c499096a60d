use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Clock, ManualClock, SystemClock};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::delta::actions::decode;
use crate::tables::Table;
use crate::testing::{Dice, FaultyStore, LATE_MAX, memory, noon, seeds};

fn log_on(objects: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> TableLog {
    TableLog::new(objects, &Path::from("team/atl"), Table::Logs, clock)
}

fn add(path: String) -> Add {
    Add {
        path,
        partition_values: [("day".to_owned(), Some("2026-11-22".to_owned()))].into(),
        size: 1,
        modification_time: 0,
        data_change: true,
        stats: Some("{\"numRecords\":1}".to_owned()),
        tags: None,
    }
}

fn remove(path: &str, now_ms: i64) -> Remove {
    Remove {
        path: path.to_owned(),
        deletion_timestamp: Some(now_ms),
        data_change: true,
        extended_file_metadata: None,
        partition_values: None,
        size: None,
    }
}

fn txn(app_id: &str, version: i64) -> Option<Txn> {
    Some(Txn { app_id: app_id.to_owned(), version, last_updated: None })
}

fn paths(state: &TableState) -> BTreeSet<String> {
    state.files().map(|file| file.path.clone()).collect()
}

#[tokio::test]
async fn two_writers_take_turns_and_each_takes_in_the_other() {
    let (objects, _) = memory();
    let log = log_on(objects, noon());
    let mut one = log.create().await.unwrap();
    let mut two = log.create().await.unwrap();
    assert_eq!((one.version, two.version), (0, 0), "the second found the table made");
    for i in 0..10 {
        let (mine, name) = if i % 3 == 0 { (&mut one, "one") } else { (&mut two, "two") };
        let change = Change { adds: vec![add(format!("{name}{i}"))], ..Change::default() };
        log.commit(mine, change).await.unwrap();
        assert_eq!(mine.version, i + 1);
    }
    log.catch_up(&mut one).await.unwrap();
    log.catch_up(&mut two).await.unwrap();
    assert_eq!(paths(&one), paths(&two));
    assert_eq!(paths(&one).len(), 10);
}

#[tokio::test]
async fn of_two_that_remove_the_same_file_one_is_told() {
    let (objects, _) = memory();
    let log = log_on(objects, noon());
    let mut one = log.create().await.unwrap();
    log.commit(&mut one, Change { adds: vec![add("a".into())], ..Change::default() }).await.unwrap();
    let mut two = log.load().await.unwrap().unwrap();
    let change =
        |name: &str| Change { adds: vec![add(name.to_owned())], removes: vec![remove("a", 1)], txn: None, ..Change::default() };
    log.commit(&mut one, change("b")).await.unwrap();
    let error = log.commit(&mut two, change("c")).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert_eq!(paths(&two), BTreeSet::from(["b".to_owned()]), "it knows better now");
    let error = log.commit(&mut two, Change { adds: vec![add("b".into())], ..Change::default() }).await;
    assert!(matches!(error, Err(Error::Conflict { .. })), "a file is committed once only");
}

#[tokio::test]
async fn a_commit_of_the_same_application_in_between_is_told() {
    let (objects, _) = memory();
    let log = log_on(objects, noon());
    let mut one = log.create().await.unwrap();
    let mut two = one.clone();
    let change = |name: &str, version| Change {
        adds: vec![add(name.to_owned())],
        removes: vec![],
        txn: txn("ingest", version), ..Change::default()
    };
    log.commit(&mut one, change("a", 5)).await.unwrap();
    let error = log.commit(&mut two, change("b", 9)).await.unwrap_err();
    assert!(matches!(error, Error::WatermarkMoved { watermark: 5, .. }), "{error}");
    log.commit(&mut two, change("b", 9)).await.unwrap();
    assert_eq!(two.watermark("ingest"), Some(9));
}

#[tokio::test]
async fn a_commit_says_who_made_it_and_how() {
    let (objects, _) = memory();
    let log = log_on(Arc::<InMemory>::clone(&objects), noon());
    let mut state = log.create().await.unwrap();
    let change = Change { adds: vec![add("a".into())], removes: vec![], txn: txn("ingest", 3), ..Change::default() };
    log.commit(&mut state, change).await.unwrap();
    let bytes = objects.get(&log.commit_key(1)).await.unwrap().bytes().await.unwrap();
    let lines = decode(&bytes).unwrap();
    let info = lines[0].commit_info.as_ref().unwrap();
    assert_eq!((info.operation.as_str(), info.is_blind_append), ("WRITE", Some(true)));
    assert!(info.engine_info.as_deref().unwrap().starts_with("atl/"));
    assert_eq!(info.txn_id.as_ref().unwrap().len(), 36);
    assert_eq!(lines[1].txn.as_ref().unwrap().version, 3);
    assert_eq!(lines[2].add.as_ref().unwrap().path, "a");
}

/// Random appends, replacements, removals, checkpoints, clean-ups and restarts: what a fresh reader finds is
/// what an ordinary set would hold.
#[tokio::test]
async fn the_log_replays_to_what_was_done() {
    for seed in 0..seeds(25) {
        let dice = Dice::new(seed);
        let (objects, _) = memory();
        let clock = Arc::new(ManualClock::at_ms(SystemClock.now_ms()));
        let log = log_on(objects, Arc::<ManualClock>::clone(&clock));
        let mut state = log.create().await.unwrap();
        let mut files = BTreeSet::new();
        let mut watermarks = BTreeMap::new();
        for step in 0..120 {
            let now_ms = log.clock.now_ms();
            let mut change = Change::default();
            match dice.below(10) {
                0..=5 => {
                    for i in 0..=dice.below(3) {
                        change.adds.push(add(format!("{step}-{i}")));
                    }
                    if dice.one_in(2) {
                        let app = format!("app{}", dice.below(3));
                        change.txn = txn(&app, step);
                        watermarks.insert(app, step);
                    }
                }
                6 | 7 => {
                    let gone: Vec<String> = files.iter().filter(|_| dice.one_in(3)).cloned().collect();
                    change.removes = gone.iter().map(|path| remove(path, now_ms)).collect();
                    if dice.one_in(2) && !gone.is_empty() {
                        change.adds.push(add(format!("{step}-merged")));
                    }
                }
                8 => log.checkpoint(&mut state).await.unwrap(),
                _ => {
                    clock.advance_ms(dice.below(30) as i64 * 3_600_000);
                    log.clean_up(state.checkpoint_version).await.unwrap();
                    state = log.load().await.unwrap().unwrap();
                }
            }
            if change.adds.is_empty() && change.removes.is_empty() {
                continue;
            }
            change.removes.iter().for_each(|remove| assert!(files.remove(&remove.path)));
            files.extend(change.adds.iter().map(|add| add.path.clone()));
            log.commit(&mut state, change).await.unwrap();
            if dice.one_in(5) {
                let loaded = log.load().await.unwrap().unwrap();
                assert_eq!(loaded.version, state.version, "seed {seed} step {step}");
                assert_eq!(paths(&loaded), files, "seed {seed} step {step}");
                assert_eq!(loaded.watermarks(), watermarks, "seed {seed} step {step}");
            }
        }
    }
}

#[tokio::test]
async fn checkpoints_come_every_hundred_commits_and_forget_old_removals() {
    let (objects, _) = memory();
    let clock = noon();
    let log = log_on(Arc::<InMemory>::clone(&objects), Arc::<ManualClock>::clone(&clock));
    let mut state = log.create().await.unwrap();
    let change = Change { adds: vec![add("old".into())], ..Change::default() };
    log.commit(&mut state, change).await.unwrap();
    let change = Change { removes: vec![remove("old", clock.now_ms())], ..Change::default() };
    log.commit(&mut state, change).await.unwrap();
    let mut written = Vec::new();
    for i in 3..=205 {
        let change = Change { adds: vec![add(i.to_string())], ..Change::default() };
        log.commit(&mut state, change).await.unwrap();
        if log.checkpoint_if_due(&mut state).await.unwrap() {
            written.push(state.version);
        }
        if i == 150 {
            assert_eq!(state.tombstones().count(), 1);
            clock.advance_ms(8 * 86_400_000);
        }
    }
    assert_eq!(written, [100, 200]);
    assert_eq!(log.last_checkpoint().await.unwrap(), Some(200));
    let loaded = log.load().await.unwrap().unwrap();
    assert_eq!((loaded.checkpoint_version, loaded.version), (200, 205));
    assert_eq!((loaded.tombstones().count(), paths(&loaded)), (0, paths(&state)));
}

/// Writers on a store that fails, loses replies, answers late and tells of conflicts that are none: every
/// commit that was reported done is in the log once, and one reported failed is there at most once.
#[tokio::test(start_paused = true)]
async fn no_commit_is_lost_or_made_twice_on_a_failing_store() {
    let mut faults = 0;
    for seed in 0..seeds(12) {
        let (objects, _) = memory();
        let inner: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&objects);
        let faulty = Arc::new(FaultyStore::new(inner, seed, 3));
        faulty.switch(false);
        let log = log_on(Arc::<FaultyStore>::clone(&faulty), noon());
        log.create().await.unwrap();
        faulty.switch(true);
        let writers = (0..3).map(|writer| tokio::spawn(write(log.clone(), writer)));
        let mut reported = BTreeMap::new();
        for writer in futures::future::join_all(writers).await {
            reported.extend(writer.unwrap());
        }
        faulty.switch(false);
        tokio::time::sleep(LATE_MAX).await;
        faults += faulty.faults();
        let mut seen = BTreeMap::<String, usize>::new();
        for version in 1.. {
            let Some(lines) = log.read_commit(version).await.unwrap() else { break };
            lines
                .into_iter()
                .filter_map(|line| line.add)
                .for_each(|add| *seen.entry(add.path).or_default() += 1);
        }
        for (path, done) in reported {
            let times = seen.get(&path).copied().unwrap_or(0);
            assert!(times <= 1, "seed {seed}: {path} committed {times} times");
            assert!(times == 1 || !done, "seed {seed}: {path} lost");
        }
    }
    assert!(faults > 300, "only {faults} faults");
}

/// Commits six files as a well-behaved application does: one after the other, each until it is in.
async fn write(log: TableLog, writer: usize) -> BTreeMap<String, bool> {
    let app = format!("writer{writer}");
    let mut reported = BTreeMap::new();
    let mut state = loop {
        match log.load().await {
            Ok(state) => break state.unwrap(),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    for i in 1..=6 {
        let path = format!("{app}-{i}");
        let change = Change { adds: vec![add(path.clone())], removes: vec![], txn: txn(&app, i), ..Change::default() };
        let done = loop {
            if state.watermark(&app) == Some(i) {
                break true;
            }
            match log.commit(&mut state, change.clone()).await {
                Ok(()) => break true,
                Err(Error::WatermarkMoved { watermark, .. }) if watermark == i => break true,
                Err(Error::Object { .. }) => tokio::time::sleep(Duration::from_millis(200)).await,
                Err(error) => panic!("{error}"),
            }
        };
        reported.insert(path, done);
    }
    reported
}
