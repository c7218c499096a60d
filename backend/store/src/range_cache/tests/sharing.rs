//! Readers that want the same at the same time, and readers that give up.

use super::*;

const SLOW: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn readers_of_the_same_block_share_one_request() {
    let bed = Arc::new(Bed::new(&[3 * BLOCK_BYTES], sizes(64 * MIB, 0)).await);
    bed.remote.delay(SLOW);
    let readers: Vec<_> = (0..20u64)
        .map(|number| {
            let bed = Arc::clone(&bed);
            // All of the first two blocks, each from elsewhere.
            tokio::spawn(async move { bed.check(0, number * 1_000..BLOCK + 1 + number).await })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(bed.remote.gets(), 1);
    let stats = bed.cache.stats();
    assert_eq!((stats.coalesced_total, stats.requests_total), (38, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_gives_up_takes_nothing_from_those_that_wait() {
    let bed = Arc::new(Bed::new(&[3 * BLOCK_BYTES], sizes(64 * MIB, 64 * MIB)).await);
    bed.remote.delay(SLOW);
    let second = Arc::clone(&bed);
    let first = tokio::time::timeout(Duration::from_secs(1), bed.read(0, 0..100));
    let second = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        second.check(0, 50..BLOCK + 50).await;
    });
    assert!(first.await.is_err(), "the first one asked, and does not wait");
    second.await.unwrap();
    assert_eq!(bed.remote.gets(), 2, "one for the block both wanted and one for the next");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_kept_all_the_same() {
    let bed = Bed::new(&[100], sizes(64 * MIB, 0)).await;
    bed.remote.delay(SLOW);
    for _ in 0..3 {
        let read = tokio::time::timeout(Duration::from_secs(1), bed.read(0, 0..100)).await;
        assert!(read.is_err());
    }
    tokio::time::sleep(SLOW).await;
    bed.check(0, 0..100).await;
    assert_eq!(bed.remote.gets(), 1);
    assert!(bed.cache.flights.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_everybody_and_not_kept() {
    let bed = Arc::new(Bed::new(&[100], sizes(64 * MIB, 64 * MIB)).await);
    bed.remote.delay(SLOW);
    bed.remote.go_wrong(Wrong::Refused, 1);
    let other = Arc::clone(&bed);
    let other = tokio::spawn(async move { other.read(0, 10..20).await });
    let one = bed.read(0, 0..100).await;
    let other = other.await.unwrap();
    let told = [one, other].map(|read| read.expect_err("refused").to_string());
    assert!(told.iter().all(|text| text.contains("connection reset")), "{told:?}");
    bed.check(0, 0..100).await;
    assert_eq!(bed.remote.gets(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_are_bounded() {
    let bed = Arc::new(Bed::new(&[64 * BLOCK_BYTES], sizes(64 * MIB, 0)).await);
    bed.remote.delay(SLOW);
    let start = tokio::time::Instant::now();
    let readers: Vec<_> = (0..32u64)
        .map(|number| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move { bed.check(0, 2 * number * BLOCK..2 * number * BLOCK + 1).await })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    // The clock of this test is moved by the waits alone: 32 requests, eight at a time.
    assert_eq!(start.elapsed().as_secs(), 4 * SLOW.as_secs());
}

#[test]
fn without_the_runtime_it_was_opened_in_it_reads_past_itself() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let bed = first.block_on(Bed::new(&[100], sizes(64 * MIB, 0)));
    drop(first);
    runtime().block_on(async {
        bed.check(0, 10..20).await;
        bed.check(0, 10..20).await;
    });
    assert_eq!((bed.remote.gets(), bed.cache.stats().bypassed_total), (2, 2));
    assert!(bed.cache.flights.lock().is_empty());
}
