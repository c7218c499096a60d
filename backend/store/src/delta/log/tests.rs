use model::Clock;
use object_store::PutPayload;
use object_store::memory::InMemory;

use super::*;
use crate::delta::Change;
use crate::delta::actions::{Add, Protocol, encode};
use crate::testing::{memory, noon};

fn log(objects: &Arc<InMemory>) -> TableLog {
    let objects: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(objects);
    TableLog::new(objects, &Path::from("team/atl"), Table::Metrics, noon())
}

fn add(name: &str) -> Add {
    Add {
        path: format!("day=2026-11-22/{name}.parquet"),
        partition_values: [("day".to_owned(), Some("2026-11-22".to_owned()))].into(),
        size: 1,
        modification_time: 0,
        data_change: true,
        stats: None,
        tags: None,
    }
}

async fn with_commits(log: &TableLog, count: usize) -> TableState {
    let mut state = log.create().await.unwrap();
    for i in 0..count {
        let change = Change { adds: vec![add(&i.to_string())], ..Change::default() };
        log.commit(&mut state, change).await.unwrap();
    }
    state
}

fn names(state: &TableState) -> Vec<String> {
    state.files().map(|file| file.path.clone()).collect()
}

#[test]
fn names_of_log_objects() {
    let commit = LogObject::of("00000000000000000012.json");
    assert_eq!(commit, Some(LogObject::Commit(12)));
    let whole = LogObject::of("00000000000000000010.checkpoint.parquet");
    assert_eq!(whole, Some(LogObject::CheckpointPart { version: 10, parts: 1 }));
    let part = LogObject::of("00000000000000000010.checkpoint.0000000002.0000000003.parquet");
    assert_eq!(part, Some(LogObject::CheckpointPart { version: 10, parts: 3 }));
    for other in ["_last_checkpoint", "00000000000000000012.crc", "0000000000000000001x.json", "1.json", ""] {
        assert_eq!(LogObject::of(other), None, "{other}");
    }
}

#[tokio::test]
async fn no_log_is_no_table() {
    assert!(log(&memory().0).load().await.unwrap().is_none());
}

#[tokio::test]
async fn a_hint_that_is_wrong_or_damaged_is_only_a_hint() {
    let (objects, _) = memory();
    let log = log(&objects);
    let mut state = with_commits(&log, 5).await;
    log.checkpoint(&mut state).await.unwrap();
    for hint in ["{\"version\":99}", "{\"version\":-4}", "not json", "{\"version\":0}", ""] {
        objects.put(&log.last_checkpoint_key(), PutPayload::from(hint.to_owned())).await.unwrap();
        let loaded = log.load().await.unwrap().unwrap();
        assert_eq!((loaded.version, names(&loaded)), (5, names(&state)), "{hint}");
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_is_passed_over_while_the_commits_are_there() {
    let (objects, _) = memory();
    let log = log(&objects);
    let mut state = with_commits(&log, 3).await;
    log.checkpoint(&mut state).await.unwrap();
    objects.put(&log.checkpoint_key(3), PutPayload::from_static(b"PAR1")).await.unwrap();
    assert_eq!(names(&log.load().await.unwrap().unwrap()), names(&state));

    objects.delete(&log.commit_key(1)).await.unwrap();
    let error = log.load().await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_commit_is_told_by_name() {
    let (objects, _) = memory();
    let log = log(&objects);
    with_commits(&log, 4).await;
    objects.delete(&log.commit_key(2)).await.unwrap();
    let error = log.load().await.unwrap_err().to_string();
    assert!(error.contains("00000000000000000002.json"), "{error}");
}

#[tokio::test]
async fn a_table_of_a_newer_protocol_is_refused() {
    let (objects, _) = memory();
    let log = log(&objects);
    with_commits(&log, 1).await;
    let newer = vec![Line::from(Protocol { min_reader_version: 3, min_writer_version: 7 })];
    objects.put(&log.commit_key(2), PutPayload::from(encode(&newer).unwrap())).await.unwrap();
    let error = log.load().await.unwrap_err();
    assert!(matches!(error, Error::Protocol { reader: 3, writer: 7, .. }), "{error}");
}

#[tokio::test]
async fn a_reader_that_slept_through_the_clean_up_starts_again_from_the_checkpoint() {
    let (objects, _) = memory();
    let clock = Arc::new(model::ManualClock::at_ms(model::SystemClock.now_ms()));
    let mut log = log(&objects);
    log.clock = Arc::<model::ManualClock>::clone(&clock);
    let mut sleeper = with_commits(&log, 2).await;
    let mut state = sleeper.clone();
    for i in 10..15 {
        let change = Change { adds: vec![add(&i.to_string())], ..Change::default() };
        log.commit(&mut state, change).await.unwrap();
    }
    log.checkpoint(&mut state).await.unwrap();
    clock.advance_ms(2 * 86_400_000);
    assert_eq!(log.clean_up(state.checkpoint_version).await.unwrap(), 7, "versions 0 to 6");
    assert!(log.catch_up(&mut sleeper).await.unwrap());
    assert_eq!((sleeper.version, names(&sleeper)), (7, names(&state)));
    assert!(!log.catch_up(&mut sleeper).await.unwrap());
}

#[tokio::test]
async fn actions_of_later_protocols_that_may_be_ignored_are() {
    let (objects, _) = memory();
    let log = log(&objects);
    with_commits(&log, 1).await;
    let text = "{\"cdc\":{\"path\":\"x\"}}\n{\"domainMetadata\":{\"domain\":\"d\"}}\n\n";
    objects.put(&log.commit_key(2), PutPayload::from_static(text.as_bytes())).await.unwrap();
    assert_eq!(log.load().await.unwrap().unwrap().version, 2);
}
