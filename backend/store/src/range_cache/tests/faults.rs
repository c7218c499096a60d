//! Answers that are not what was asked for.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_is_asked_for_again() {
    for wrong in [Wrong::CutShort, Wrong::Breaks, Wrong::TooLong, Wrong::Elsewhere] {
        let bed = Bed::new(&[2_500_000], sizes(64 * MIB, 64 * MIB)).await;
        bed.remote.go_wrong(wrong, 2);
        bed.check(0, 1_000..2_400_000).await;
        assert_eq!((bed.remote.gets(), bed.cache.stats().retries_total), (3, 2), "{wrong:?}");
        bed.check(0, 0..2_500_000).await;
        assert_eq!(bed.remote.gets(), 3, "{wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stays_wrong_is_an_error_and_never_kept() {
    for wrong in [Wrong::CutShort, Wrong::Breaks, Wrong::TooLong, Wrong::Elsewhere] {
        let bed = Bed::new(&[2_500_000], sizes(64 * MIB, 64 * MIB)).await;
        bed.remote.go_wrong(wrong, u32::MAX);
        for _ in 0..2 {
            assert!(bed.read(0, 0..2_500_000).await.is_err(), "{wrong:?}");
        }
        bed.cache.settle();
        let stats = bed.cache.stats();
        assert_eq!((stats.memory.blocks, stats.disk.blocks), (0, 0), "{wrong:?}");
        bed.remote.go_wrong(wrong, 0);
        bed.check(0, 0..2_500_000).await;
    }
}

#[tokio::test]
async fn memory_that_is_short_is_given_back() {
    let bed = Bed::new(&[4 * BLOCK_BYTES], sizes(64 * MIB, 0)).await;
    bed.check(0, 0..4 * BLOCK).await;
    assert_eq!(bed.cache.memory_bytes(), 4 * MIB);
    assert_eq!(bed.cache.give_up_memory(1), MIB);
    assert_eq!(bed.cache.give_up_memory(u64::MAX), 3 * MIB);
    assert_eq!(bed.cache.stats().memory.blocks, 0);
    // While it is short, nothing is kept.
    bed.ledger.reserve(bed.ledger.limit());
    bed.check(0, 0..BLOCK).await;
    assert_eq!(bed.cache.stats().memory.blocks, 0);
    bed.ledger.release(u64::MAX);
    bed.check(0, 0..BLOCK).await;
    assert_eq!(bed.cache.stats().memory.blocks, 1);
}

#[tokio::test]
async fn the_memory_is_a_small_part_of_a_small_account() {
    let remote = Arc::new(Remote::new(Arc::new(InMemory::new())));
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::over(remote, Ledger::new(64 << 20), folder, Vec::new(), CacheConfig::default());
    assert_eq!(bed.cache.stats().memory.limit_bytes, 4 << 20);
}
