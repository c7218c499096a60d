//! Whatever its sizes, the cache answers as the store behind it does.

use proptest::prelude::*;

use super::*;
use crate::testing::FaultyStore;

fn config() -> impl Strategy<Value = CacheConfig> {
    let bytes = || prop_oneof![Just(0), Just(5_000), Just(MIB), Just(3 * MIB), Just(64 * MIB)];
    (bytes(), bytes()).prop_map(|(memory, disk)| sizes(memory, disk))
}

/// Sizes around the places where blocks begin and end.
fn file_sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![
        1..5_000usize,
        (1..4usize, -2..3isize).prop_map(|(blocks, more)| (blocks * BLOCK_BYTES).saturating_add_signed(more)),
        1..10 * BLOCK_BYTES,
    ];
    prop::collection::vec(size, 1..4)
}

/// File, begin and length of a read, as parts of what there is.
type Asked = Vec<(usize, f64, f64)>;

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let part = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64, 0.0..0.001f64];
    prop::collection::vec(prop::collection::vec((any::<usize>(), part(), part()), 1..6), 1..12)
}

/// The files' ranges a read is for: all of the file of its first part.
fn ranges(bed: &Bed, asked: &Asked) -> (usize, Vec<Range<u64>>) {
    let file = asked[0].0 % bed.files.len();
    let size = bed.files[file].1.len() as u64;
    let range = |(_, begin, part): &(usize, f64, f64)| {
        let start = ((size - 1) as f64 * begin) as u64;
        let len = (((size - start) as f64 * part) as u64).max(1);
        start..start + len
    };
    (file, asked.iter().map(range).collect())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reads_are_the_same(config in config(), file_sizes in file_sizes(), reads in asked(), restart: bool) {
        block_on(async {
            let mut bed = Bed::new(&file_sizes, config).await;
            for (number, asked) in reads.iter().enumerate() {
                if restart && number == reads.len() / 2 {
                    bed.cache.settle();
                    bed = bed.restarted(config);
                }
                let (file, ranges) = ranges(&bed, asked);
                let read = bed.store.get_ranges(&bed.files[file].0, &ranges).await.unwrap();
                for (range, read) in ranges.into_iter().zip(read) {
                    assert_eq!(read, bed.bytes(file, range));
                }
            }
            bed.cache.settle();
            let stats = bed.cache.stats();
            assert!(stats.memory.bytes <= config.memory_bytes_max);
            let limit = config.disk_bytes_max.unwrap_or_default();
            assert!(stats.disk.bytes <= limit && bed.folder_bytes() <= limit);
            assert_eq!((stats.damaged_total, stats.disk_failures_total, stats.bypassed_total), (0, 0, 0));
        });
    }

    #[test]
    fn many_readers_at_once_read_the_same(config in config(), file_sizes in file_sizes(), reads in asked()) {
        block_on(async {
            let bed = Arc::new(Bed::new(&file_sizes, config).await);
            let readers = reads.into_iter().map(|asked| {
                let bed = Arc::clone(&bed);
                tokio::spawn(async move {
                    let (file, ranges) = ranges(&bed, &asked);
                    let read = bed.store.get_ranges(&bed.files[file].0, &ranges).await.unwrap();
                    for (range, read) in ranges.into_iter().zip(read) {
                        assert_eq!(read, bed.bytes(file, range));
                    }
                })
            });
            for reader in readers.collect::<Vec<_>>() {
                reader.await.unwrap();
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A store that fails makes reads fail, and none wrong.
    #[test]
    fn reads_fail_or_are_the_same(config in config(), file_sizes in file_sizes(), reads in asked(), seed: u64) {
        block_on(async {
            let bed = Bed::new(&file_sizes, config).await;
            let faulty = Arc::new(FaultyStore::new(Arc::<Remote>::clone(&bed.remote), seed, 3));
            let inner: Arc<dyn ObjectStore> = Arc::<FaultyStore>::clone(&faulty);
            let folder = tempfile::tempdir().unwrap();
            let cache = RangeCache::open(inner, folder.path(), config, Arc::clone(&bed.ledger));
            let store = CachedStore::new(cache);
            let mut failed = 0;
            for asked in &reads {
                let (file, ranges) = ranges(&bed, asked);
                match store.get_ranges(&bed.files[file].0, &ranges).await {
                    Ok(read) => {
                        for (range, read) in ranges.into_iter().zip(read) {
                            assert_eq!(read, bed.bytes(file, range));
                        }
                    }
                    Err(_) => failed += 1,
                }
            }
            assert!(failed <= faulty.faults(), "{failed} reads failed with {} faults", faulty.faults());
        });
    }
}
