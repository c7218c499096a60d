use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use tempfile::TempDir;

use super::block::{BLOCK_BYTES, FileRef};
use super::disk::files::{Files, Folder};
use super::*;
use crate::testing::{Dice, Remote, Wrong};

mod disks;
mod equality;
mod faults;
mod sharing;

const MIB: u64 = 1 << 20;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// A data file's key, another one for every `number`.
fn key(number: u32) -> Path {
    Path::from(format!("team/atl/metrics/day=2026-11-22/019363a4-0000-7000-8000-{number:012x}.parquet"))
}

/// Bytes that differ everywhere.
fn noise(len: usize, seed: u64) -> Bytes {
    let dice = Dice::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
    }
    bytes.truncate(len);
    Bytes::from(bytes)
}

/// A cache in front of a store that counts, with one file of each size.
struct Bed {
    remote: Arc<Remote>,
    cache: Arc<RangeCache>,
    store: Arc<CachedStore>,
    ledger: Arc<Ledger>,
    folder: TempDir,
    files: Vec<(Path, Bytes)>,
}

impl Bed {
    async fn new(sizes: &[usize], config: CacheConfig) -> Bed {
        let inner = Arc::new(InMemory::new());
        let mut files = Vec::new();
        for (number, size) in (0..).zip(sizes) {
            let bytes = noise(*size, u64::from(number));
            inner.put(&key(number), bytes.clone().into()).await.unwrap();
            files.push((key(number), bytes));
        }
        let remote = Arc::new(Remote::new(inner));
        let ledger = Ledger::new(8 << 30);
        let folder = tempfile::tempdir().unwrap();
        Bed::over(remote, ledger, folder, files, config)
    }

    fn over(
        remote: Arc<Remote>,
        ledger: Arc<Ledger>,
        folder: TempDir,
        files: Vec<(Path, Bytes)>,
        config: CacheConfig,
    ) -> Bed {
        let inner: Arc<dyn ObjectStore> = Arc::<Remote>::clone(&remote);
        let cache = RangeCache::open(inner, folder.path(), config, Arc::clone(&ledger));
        cache.settle();
        let store = Arc::new(CachedStore::new(Arc::clone(&cache)));
        Bed { remote, cache, store, ledger, folder, files }
    }

    /// The same files and folder, with a cache that knows nothing yet.
    fn restarted(self, config: CacheConfig) -> Bed {
        self.cache.close();
        Bed::over(self.remote, self.ledger, self.folder, self.files, config)
    }

    async fn read(&self, file: usize, range: Range<u64>) -> object_store::Result<Bytes> {
        self.store.get_range(&self.files[file].0, range).await
    }

    fn bytes(&self, file: usize, range: Range<u64>) -> Bytes {
        self.files[file].1.slice(range.start as usize..range.end as usize)
    }

    /// Reads, and compares.
    async fn check(&self, file: usize, range: Range<u64>) {
        assert_eq!(self.read(file, range.clone()).await.unwrap(), self.bytes(file, range));
    }

    /// Bytes of all files in the folder.
    fn folder_bytes(&self) -> u64 {
        self.listed().iter().map(|file| file.len).sum()
    }

    fn listed(&self) -> Vec<super::disk::files::Listed> {
        Folder::open(self.folder.path()).unwrap().list(1_000_000).unwrap()
    }
}

impl RangeCache {
    /// Waits until the disk has done what it was told.
    pub(crate) fn settle(&self) {
        assert!(self.disk.as_ref().is_none_or(Disk::settle));
    }
}

fn sizes(memory: u64, disk: u64) -> CacheConfig {
    CacheConfig { memory_bytes_max: memory, disk_bytes_max: Some(disk) }
}

#[tokio::test]
async fn what_was_read_before_needs_no_request() {
    for config in [sizes(64 * MIB, 0), sizes(0, 64 * MIB), sizes(64 * MIB, 64 * MIB)] {
        let bed = Bed::new(&[3_500_000], config).await;
        bed.check(0, 0..3_500_000).await;
        assert_eq!(bed.remote.gets(), 1, "{config:?}: neighbours come in one request");
        bed.cache.settle();
        for range in [0..3_500_000, 0..1, 3_499_999..3_500_000, BLOCK - 1..BLOCK + 1, BLOCK..2 * BLOCK] {
            bed.check(0, range).await;
        }
        let (path, bytes) = &bed.files[0];
        let ranges = [5..6, 2_000_000..3_000_000, 0..2_500_000, 7..8];
        let read = bed.store.get_ranges(path, &ranges).await.unwrap();
        for (range, read) in ranges.into_iter().zip(read) {
            assert_eq!(read, bytes.slice(range.start as usize..range.end as usize));
        }
        assert_eq!(bed.remote.gets(), 1, "{config:?}");
        let stats = bed.cache.stats();
        assert_eq!((stats.requests_total, stats.fetched_bytes_total), (1, 3_500_000));
        assert_eq!(stats.memory.hits_total > 0, config.memory_bytes_max > 0);
        assert_eq!(stats.disk.hits_total > 0, config.memory_bytes_max == 0);
        assert_eq!(stats.bypassed_total, 0);
    }
}

#[tokio::test]
async fn a_request_asks_for_no_more_than_it_may() {
    let bed = Bed::new(&[20 * BLOCK_BYTES + 1], sizes(64 * MIB, 0)).await;
    bed.check(0, 0..20 * BLOCK + 1).await;
    let asked = bed.remote.ranges();
    let longest = asked.iter().map(|range| range.end - range.start).max();
    assert_eq!((asked.len(), longest), (3, Some(8 * BLOCK)));
    // A hole of two blocks is one request for just these.
    bed.cache.forget(FileRef::of(&bed.files[0].0).unwrap().key(3));
    bed.cache.forget(FileRef::of(&bed.files[0].0).unwrap().key(4));
    bed.check(0, 10..6 * BLOCK).await;
    assert_eq!(bed.remote.ranges().last(), Some(&(3 * BLOCK..5 * BLOCK)));
    assert_eq!(bed.remote.gets(), 4);
}

#[tokio::test]
async fn only_data_files_with_unique_names_are_kept() {
    let bed = Bed::new(&[], sizes(64 * MIB, 64 * MIB)).await;
    let id = "019363a4-0000-7000-8000-000000000001";
    for (path, kept) in [
        (format!("a/metrics/day=2026-11-22/{id}.parquet"), true),
        (format!("a/metrics/day=2026-11-22/part-00000-{id}-c000.snappy.parquet"), true),
        ("a/metrics/day=2026-11-22/part-1.parquet".to_owned(), false),
        (format!("a/metrics/{id}.parquet"), false),
        (format!("a/metrics/daylight=2026-11-22/{id}.parquet"), false),
        (format!("a/_index/logs/day=2026-11-22/{id}.tbf"), false),
        ("a/metrics/_delta_log/00000000000000000001.json".to_owned(), false),
        ("a/metrics/_delta_log/_last_checkpoint".to_owned(), false),
        (format!("a/metrics/_delta_log/00000000000000000001.checkpoint.{id}.parquet"), false),
        ("a/_lease/maintenance.json".to_owned(), false),
    ] {
        let path = Path::from(path);
        bed.store.put(&path, Bytes::from_static(b"0123456789").into()).await.unwrap();
        let before = bed.remote.gets();
        for _ in 0..2 {
            assert_eq!(bed.store.get_range(&path, 2..5).await.unwrap(), "234");
        }
        assert_eq!(bed.remote.gets() - before, if kept { 1 } else { 2 }, "{path}");
    }
}

#[tokio::test]
async fn whatever_is_no_plain_range_goes_to_the_store() {
    let bed = Bed::new(&[100], sizes(64 * MIB, 0)).await;
    let path = &bed.files[0].0;
    bed.check(0, 10..20).await;
    assert_eq!(bed.store.get(path).await.unwrap().bytes().await.unwrap(), bed.files[0].1);
    assert_eq!(bed.store.head(path).await.unwrap().size, 100);
    let suffix = GetOptions::new().with_range(Some(object_store::GetRange::Suffix(4)));
    assert_eq!(bed.store.get_opts(path, suffix).await.unwrap().bytes().await.unwrap(), bed.bytes(0, 96..100));
    let mut other = GetOptions::new().with_range(Some(0..4));
    other.if_match = Some("other".to_owned());
    assert!(bed.store.get_opts(path, other).await.is_err(), "the condition does not hold");
    // A range that ends behind the file, as object stores understand it.
    assert_eq!(bed.store.get_range(path, 90..1_000).await.unwrap(), bed.bytes(0, 90..100));
    assert!(bed.store.get_range(path, 4 * BLOCK..5 * BLOCK).await.is_err());
    let missing = bed.store.get_range(&key(9), 0..4).await;
    assert!(matches!(missing, Err(object_store::Error::NotFound { .. })), "{missing:?}");
}

#[tokio::test]
async fn an_answer_from_the_cache_tells_of_the_file_what_the_store_does() {
    let bed = Bed::new(&[3_000_000], sizes(64 * MIB, 0)).await;
    let path = &bed.files[0].0;
    let options = || GetOptions::new().with_range(Some(1_000..2_000));
    let direct = bed.remote.get_opts(path, options()).await.unwrap();
    for _ in 0..2 {
        let cached = bed.store.get_opts(path, options()).await.unwrap();
        assert_eq!((&cached.meta.location, cached.meta.size), (&direct.meta.location, direct.meta.size));
        let ms = [&cached, &direct].map(|result| result.meta.last_modified.timestamp_millis());
        assert_eq!(ms[0], ms[1]);
        assert_eq!(cached.range, direct.range);
    }
}
