//! Acknowledged is stored: kill -9 under load, again and again, with a ledger of everything that was sent.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use crate::harness::atl::NO_BUILTIN;
use crate::harness::edge::{Signed, key_config, sample_push};
use crate::harness::{Atl, tools};

const WRITERS: usize = 4;
/// Results in a batch, and log lines.
const BATCH: usize = 5;

/// What the writers share.
#[derive(Debug, Default)]
struct Ledger {
    /// Batches the server said it has.
    acknowledged: Mutex<BTreeSet<String>>,
    /// Batches sent at least once.
    sent: Mutex<BTreeSet<String>>,
    pushes: AtomicUsize,
    duplicates: AtomicUsize,
    stop: AtomicBool,
    /// Where the server is now; it changes with every start.
    base_url: Mutex<String>,
}

/// Sends batch after batch; one that was not acknowledged is sent again under the same id until it is, as a
/// worker does. The last one may stay open. `first`: number of the first batch.
async fn write(ledger: Arc<Ledger>, writer: usize, first: usize) {
    for number in first.. {
        let name = format!("w{writer}-b{number}");
        let push = sample_push(&name, BATCH);
        loop {
            if ledger.stop.load(Ordering::SeqCst) {
                return;
            }
            let base_url = ledger.base_url.lock().expect("no writer panicked").clone();
            ledger.sent.lock().expect("no writer panicked").insert(name.clone());
            match Signed::push(&name, &push).send(&base_url).await {
                Ok(answer) if answer.status == 200 => {
                    if answer.json()["status"] == "duplicate" {
                        ledger.duplicates.fetch_add(1, Ordering::SeqCst);
                    }
                    ledger.pushes.fetch_add(1, Ordering::SeqCst);
                    ledger.acknowledged.lock().expect("no writer panicked").insert(name.clone());
                    break;
                }
                // Refused for the moment or cut off by the kill: it may or may not be stored.
                Ok(answer) => assert!(answer.status >= 500, "{}: {}", answer.status, answer.text()),
                Err(_) => {}
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Names of rows the acknowledged batches must have left, and those any sent batch may have left.
fn names(batches: &BTreeSet<String>) -> BTreeSet<String> {
    batches.iter().flat_map(|batch| (0..BATCH).map(move |index| format!("{batch}-{index}"))).collect()
}

async fn check(atl: &Atl, ledger: &Ledger) {
    // The writers may be at work: what was acknowledged before the question must be in the answer, and what is in the
    // answer must have been sent by the time it is there.
    let must = names(&ledger.acknowledged.lock().expect("no writer panicked"));
    for statement in ["SELECT probe AS name FROM probes", "SELECT body AS name FROM logs"] {
        let answer = atl.sql(statement).await;
        let may = names(&ledger.sent.lock().expect("no writer panicked"));
        let found: Vec<&str> = answer.texts("name");
        let distinct: BTreeSet<String> = found.iter().map(|name| (*name).to_owned()).collect();
        let lost: Vec<&String> = must.difference(&distinct).take(5).collect();
        assert!(lost.is_empty(), "`{statement}`: acknowledged and lost: {lost:?} …");
        assert_eq!(found.len(), distinct.len(), "`{statement}`: some rows are there twice");
        let unknown: Vec<&String> = distinct.difference(&may).take(5).collect();
        assert!(unknown.is_empty(), "`{statement}`: never sent: {unknown:?}");
    }
    // The metrics derived from each result came with it, in the same batch.
    let derived = atl.sql("SELECT job FROM prom.probe_success").await;
    let distinct: BTreeSet<String> = derived.texts("job").iter().map(|job| (*job).to_owned()).collect();
    assert!(must.is_subset(&distinct), "a result without its probe_success");
    assert_eq!(derived.rows.len(), distinct.len(), "probe_success twice for one result");
}

/// Kills of one server over one folder. More of them go over several: the ledger is held against everything the
/// server has after each.
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_under_load_loses_nothing_acknowledged_and_doubles_nothing() {
    for _ in 0..tools::rounds(1, 100) {
        kill_again_and_again().await;
    }
}

async fn kill_again_and_again() {
    // A short flush interval, so that kills fall into flushes and commits too.
    let config = format!("{NO_BUILTIN}{}store: {{ flush_interval: 1s }}\n", key_config());
    let mut atl = Atl::start(&config).await;
    let ledger = Arc::new(Ledger::default());
    *ledger.base_url.lock().expect("fresh") = atl.base_url();
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&ledger), writer, 0))).collect();
    for round in 0..KILLS {
        // Different offsets into the flush interval, without chance: a failure can be repeated.
        sleep(Duration::from_millis(300 + 270 * (round as u64 % 7))).await;
        atl.kill9();
        atl.start_again().await;
        *ledger.base_url.lock().expect("no writer panicked") = atl.base_url();
        check(&atl, &ledger).await;
    }
    sleep(Duration::from_secs(1)).await;
    ledger.stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("no writer panicked");
    }
    let pushes = ledger.pushes.load(Ordering::SeqCst);
    assert!(pushes > 20 * KILLS, "only {pushes} pushes were acknowledged: that is no load");
    atl.stop().await;
    atl.start_again().await;
    check(&atl, &ledger).await;
}

#[tokio::test]
async fn sigterm_under_load_ends_in_time_and_loses_nothing() {
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}", key_config())).await;
    let ledger = Arc::new(Ledger::default());
    for round in 0..tools::rounds(2, 50) {
        *ledger.base_url.lock().expect("no writer panicked") = atl.base_url();
        ledger.stop.store(false, Ordering::SeqCst);
        let first = round * 1_000_000;
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&ledger), writer, first))).collect();
        sleep(Duration::from_millis(400 + 310 * (round as u64 % 5))).await;
        atl.stop().await;
        ledger.stop.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.expect("no writer panicked");
        }
        atl.start_again().await;
        check(&atl, &ledger).await;
    }
}

#[tokio::test]
async fn a_torn_last_record_costs_only_what_was_not_acknowledged() {
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}", key_config())).await;
    let base_url = atl.base_url();
    for number in 0..10 {
        let push = Signed::push(&format!("b{number}"), &sample_push(&format!("b{number}"), BATCH));
        assert_eq!(push.send(&base_url).await.expect("an answer").status, 200);
    }
    atl.kill9();
    // What a power cut leaves behind: the beginning of a record that nobody was told is stored.
    let segment = newest_file(&atl.folder().join("atl-data/wal"));
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let whole = bytes.len();
    let head: Vec<u8> = bytes[whole.saturating_sub(120)..].iter().copied().take(60).collect();
    bytes.extend(head);
    std::fs::write(&segment, bytes).expect("segment is written");
    atl.start_again().await;
    let rows = atl.sql("SELECT count(*), count(DISTINCT probe) FROM probes").await;
    assert_eq!(rows.rows[0], [serde_json::json!(50), serde_json::json!(50)]);
    assert_eq!(atl.sql("SELECT count(*) FROM logs").await.number(), 50);
    // And it goes on taking writes, which are there after the next start.
    let push = Signed::push("after", &sample_push("after", BATCH));
    assert_eq!(push.send(&atl.base_url()).await.expect("an answer").status, 200);
    atl.kill9();
    atl.start_again().await;
    assert_eq!(atl.sql("SELECT count(*) FROM probes").await.number(), 55);
}

fn newest_file(folder: &std::path::Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()));
    let files = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    files.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok()).expect("a segment")
}
