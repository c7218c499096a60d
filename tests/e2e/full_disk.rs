//! A disk that is full, a real one: batches are refused and never half stored, what is stored can be read, nothing
//! torn is left behind, and all goes on once there is room.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use tokio::time::sleep;

use crate::harness::atl::NO_BUILTIN;
use crate::harness::disk::SmallDisk;
use crate::harness::edge::{Signed, key_config, sample_push};
use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually, http, tools};

/// Results in a batch.
const BATCH: usize = 20;

/// Pushes a batch until it is stored, as a worker does; gives how often it was refused. What refuses it must say
/// that it is for want of room and when to come back.
async fn push(atl: &Atl, number: usize, attempts: usize) -> Result<usize, usize> {
    let name = format!("batch-{number}");
    for refused in 0..attempts {
        let answer =
            Signed::push(&name, &sample_push(&name, BATCH)).send(&atl.base_url()).await.expect("an answer");
        if answer.status == 200 {
            return Ok(refused);
        }
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(
            answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0),
            "{:?}",
            answer.headers
        );
        sleep(Duration::from_millis(100)).await;
    }
    Err(attempts)
}

/// Exactly the results of these batches are there, each once.
async fn check(atl: &Atl, stored: &BTreeSet<usize>) {
    let answer = atl.sql("SELECT probe FROM probes").await;
    let mut found = answer.texts("probe");
    found.sort_unstable();
    let mut expected: Vec<String> =
        stored.iter().flat_map(|number| (0..BATCH).map(move |i| format!("batch-{number}-{i}"))).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

async fn flush_failures(atl: &Atl) -> u64 {
    let page = http::get(&atl.url("/metrics")).await.expect("an answer").text();
    let line = page.lines().find_map(|line| line.strip_prefix("atl_store_flush_failures_total "));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no count of failures:\n{page}"))
}

/// Reads every file the tables name, with its checksum.
fn verify(disk: &SmallDisk) -> (bool, String) {
    let prefix = disk.prefix();
    let mut command = Command::new(&prefix[0]);
    let store = format!("file:{}", disk.inside().join("data/store").display());
    command
        .args(&prefix[1..])
        .arg(tools::atl_binary())
        .args(["store", "verify", "--deep", "--store", &store]);
    let output = command.output().expect("atl runs");
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), text)
}

#[tokio::test]
async fn a_full_disk_refuses_batches_keeps_files_whole_and_heals() {
    let disk = SmallDisk::new(24).await;
    let folder = disk.inside().join("data");
    let config = format!(
        "{NO_BUILTIN}{}data_dir: {}\nstore: {{ flush_interval: 1s, hot_window: 1s }}\n",
        key_config(),
        folder.display()
    );
    let mut atl = Atl::start_within(&disk.prefix(), &config).await;
    let mut stored = BTreeSet::new();
    for number in 0..10 {
        assert_eq!(push(&atl, number, 1).await, Ok(0));
        stored.insert(number);
    }
    eventually("the first rows are in files", Duration::from_secs(30), || async {
        let (sound, text) = verify(&disk);
        ensure(sound && !text.starts_with("0 files"), || text)
    })
    .await;

    // Room for some batches in the log, and not for many files: flushes fail first, then the log.
    disk.fill(96 << 10);
    let mut number = 10;
    while push(&atl, number, 3).await.is_ok() {
        stored.insert(number);
        number += 1;
        assert!(number < 5_000, "the disk does not fill up");
    }
    check(&atl, &stored).await;
    let failures = flush_failures(&atl).await;
    eventually("a flush has failed", Duration::from_secs(60), || async {
        let now = flush_failures(&atl).await;
        ensure(now > failures.min(1), || format!("{now} failures"))
    })
    .await;
    assert!(push(&atl, number, 3).await.is_err(), "no flush has made room, and none is there");
    check(&atl, &stored).await;
    let (sound, text) = verify(&disk);
    assert!(sound, "{text}");

    disk.empty();
    assert!(push(&atl, number, 100).await.is_ok(), "it heals by itself");
    stored.insert(number);
    check(&atl, &stored).await;
    atl.kill9();
    atl.start_again().await;
    check(&atl, &stored).await;
    atl.stop().await;
    let (sound, text) = verify(&disk);
    assert!(sound, "{text}");
    atl.start_again().await;
    check(&atl, &stored).await;
}
