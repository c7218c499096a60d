//! `atl store`: what an operator does to the tables, beside a running server and without one.

use serde_json::Value;

use crate::harness::atl::NO_BUILTIN;
use crate::harness::edge::{Signed, key_config, sample_push};
use crate::harness::{Atl, http};

fn run(atl: &Atl, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = format!("file:{}", atl.folder().join("atl-data/store").display());
    let output = atl.command(&[&["store"], arguments, &["--store", &folder]].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A server over several files of `logs` and `probes`: every start flushes once.
async fn with_files(files: usize) -> Atl {
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}", key_config())).await;
    for round in 0..files {
        let push = Signed::push(&format!("batch-{round}"), &sample_push(&format!("round{round}"), 3));
        assert_eq!(push.send(&atl.base_url()).await.expect("an answer").status, 200);
        atl.stop().await;
        atl.start_again().await;
    }
    atl
}

#[tokio::test]
async fn stat_ls_and_verify_tell_what_is_there() {
    let atl = with_files(2).await;
    let (code, table, _) = run(&atl, &["stat"]);
    assert_eq!(code, Some(0));
    assert!(table.lines().any(|line| line.starts_with("probes") && line.contains(" all ")), "{table}");
    let (_, json, _) = run(&atl, &["stat", "--json"]);
    assert!(serde_json::from_str::<Value>(&json).expect("JSON")["tables"].is_array());
    let (_, files, _) = run(&atl, &["ls", "--table", "probes"]);
    let keys: Vec<Value> = files.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(keys.len(), 2, "{files}");
    assert!(keys.iter().all(|file| file["table"] == "probes" && file["level"] == 0), "{files}");
    let (code, sound, error) = run(&atl, &["verify", "--deep"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(sound.contains("files are sound"), "{sound}");
    // One bit turned over.
    let path = atl.folder().join("atl-data/store").join(keys[0]["key"].as_str().expect("a key"));
    let mut bytes = std::fs::read(&path).expect("the file is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("the file is written");
    let (code, named, _) = run(&atl, &["verify"]);
    assert_eq!(code, Some(1));
    assert!(named.contains(keys[0]["key"].as_str().expect("a key")), "{named}");
}

#[tokio::test]
async fn compaction_beside_a_running_server_changes_no_answer() {
    let atl = with_files(3).await;
    let statement = "SELECT probe, location, ts, success FROM probes ORDER BY probe, location, ts";
    let before = atl.sql(statement).await;
    assert!(before.rows.len() >= 9, "{before:?}");
    let (code, said, error) = run(&atl, &["compact", "--all"]);
    assert_eq!(code, Some(0), "{said}{error}");
    assert!(said.contains("files of"), "{said}");
    let (_, files, _) = run(&atl, &["ls", "--table", "probes"]);
    assert_eq!(files.lines().count(), 1, "{files}");
    assert_eq!(atl.sql(statement).await.rows, before.rows);
    // The server goes on writing to the tables that changed under it.
    let push = Signed::push("after", &sample_push("after", 2));
    assert_eq!(push.send(&atl.base_url()).await.expect("an answer").status, 200);
    let mut atl = atl;
    atl.stop().await;
    atl.start_again().await;
    assert_eq!(atl.sql(statement).await.rows.len(), before.rows.len() + 2);
    let page = http::get(&atl.url("/metrics")).await.expect("an answer").text();
    assert!(page.contains("atl_store_lease_epoch") && page.contains("atl_store_compactions_total"), "{page}");
}

#[tokio::test]
async fn vacuum_keeps_its_grace_and_mistakes_are_told() {
    let atl = with_files(1).await;
    let (code, said, _) = run(&atl, &["vacuum", "--grace", "2h"]);
    assert_eq!((code, said.trim()), (Some(0), "0 files deleted, 0 B"));
    let (code, _, error) = run(&atl, &["vacuum", "--grace", "1m"]);
    assert!(code == Some(1) && error.contains("at least 1h"), "{error}");
    let (code, _, error) = run(&atl, &["ls", "--table", "metric"]);
    assert!(code == Some(2) && error.contains("log_streams"), "{error}");
}
