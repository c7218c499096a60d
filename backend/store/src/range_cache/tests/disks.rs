//! The blocks on disk: over restarts, within their limit, damaged, and on a disk that is full.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::super::disk::files::{Listed, Space};
use super::*;

#[tokio::test]
async fn blocks_outlive_the_process() {
    let config = sizes(0, 64 * MIB);
    let bed = Bed::new(&[2_500_000, 70], config).await;
    bed.check(0, 0..2_500_000).await;
    bed.check(1, 0..70).await;
    bed.cache.settle();
    let bed = bed.restarted(config);
    assert_eq!(bed.cache.stats().disk.blocks, 4);
    bed.check(0, 0..2_500_000).await;
    bed.check(1, 0..70).await;
    assert_eq!(bed.remote.gets(), 2, "both before the restart");
    // A smaller limit holds from the start.
    let bed = bed.restarted(sizes(0, 2 * MIB));
    assert!(bed.folder_bytes() <= 2 * MIB && bed.cache.stats().disk.blocks > 0);
    bed.check(0, 0..2_500_000).await;
}

#[tokio::test]
async fn what_is_not_a_block_is_removed_at_the_start() {
    let config = sizes(0, 64 * MIB);
    let bed = Bed::new(&[70], config).await;
    bed.check(0, 0..70).await;
    bed.cache.settle();
    let name = bed.listed().remove(0).name;
    let folder = Folder::open(bed.folder.path()).unwrap();
    for other in [format!("{name}.new"), name.to_uppercase(), "core".to_owned(), format!("0{name}")] {
        folder.write(&other, b"not", b" a block").unwrap();
    }
    let bed = bed.restarted(config);
    let left: Vec<String> = bed.listed().into_iter().map(|file| file.name).collect();
    assert_eq!(left, [name]);
}

#[tokio::test]
async fn the_folder_never_takes_more_than_its_limit() {
    let bed = Bed::new(&[12 * BLOCK_BYTES, 3_000, 12 * BLOCK_BYTES], sizes(0, 3 * MIB)).await;
    for file in [0, 1, 2, 0, 1] {
        let size = bed.files[file].1.len() as u64;
        for start in (0..size).step_by(BLOCK_BYTES) {
            bed.check(file, start..(start + BLOCK).min(size)).await;
            bed.cache.settle();
            assert!(bed.folder_bytes() <= 3 * MIB);
        }
    }
    let stats = bed.cache.stats().disk;
    assert!(stats.evictions_total > 0 && stats.bytes <= stats.limit_bytes);
}

#[tokio::test]
async fn a_damaged_block_is_read_anew() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 6] = [
        |bytes| bytes[60_000] ^= 1,
        |bytes| bytes[5] ^= 1,
        |bytes| bytes[21] ^= 1,
        |bytes| bytes.truncate(50_000),
        Vec::clear,
        |bytes| bytes.push(0),
    ];
    for damage in damages {
        let bed = Bed::new(&[100_000], sizes(0, 64 * MIB)).await;
        bed.check(0, 0..100_000).await;
        bed.cache.settle();
        let folder = Folder::open(bed.folder.path()).unwrap();
        let name = bed.listed().remove(0).name;
        let mut bytes = folder.read(&name).unwrap();
        damage(&mut bytes);
        folder.write(&name, &bytes, &[]).unwrap();
        bed.check(0, 10..100_000).await;
        assert_eq!((bed.remote.gets(), bed.cache.stats().damaged_total), (2, 1));
        bed.cache.settle();
        bed.check(0, 10..100_000).await;
        assert_eq!(bed.remote.gets(), 2, "it was written anew");
    }
}

#[tokio::test]
async fn a_block_under_the_name_of_another_is_none() {
    let bed = Bed::new(&[100_000, 100_000], sizes(0, 64 * MIB)).await;
    bed.check(0, 0..10).await;
    bed.cache.settle();
    let first = bed.listed().remove(0).name;
    bed.check(1, 0..10).await;
    bed.cache.settle();
    let folder = Folder::open(bed.folder.path()).unwrap();
    let bytes = folder.read(&first).unwrap();
    for file in bed.listed() {
        folder.write(&file.name, &bytes, &[]).unwrap();
    }
    bed.check(0, 0..10).await;
    bed.check(1, 0..10).await;
    assert_eq!((bed.remote.gets(), bed.cache.stats().damaged_total), (3, 1));
}

#[tokio::test]
async fn a_file_that_is_gone_is_read_anew() {
    let bed = Bed::new(&[100], sizes(0, 64 * MIB)).await;
    bed.check(0, 0..10).await;
    bed.cache.settle();
    std::fs::remove_dir_all(bed.folder.path()).unwrap();
    bed.check(0, 0..10).await;
    bed.cache.settle();
    bed.check(0, 0..10).await;
    assert_eq!(bed.remote.gets(), 3);
    assert_eq!(bed.cache.stats().damaged_total, 0);
    std::fs::create_dir_all(bed.folder.path()).unwrap();
}

#[tokio::test]
async fn a_file_written_here_is_there_for_its_first_reader() {
    let bed = Bed::new(&[2_500_000, 9 * BLOCK_BYTES], sizes(64 * MIB, 64 * MIB)).await;
    for (path, bytes) in &bed.files {
        bed.cache.put_file(path, bytes, 1_000);
        bed.cache.settle();
    }
    bed.check(0, 0..2_500_000).await;
    assert_eq!(bed.remote.gets(), 0);
    // More than the queue holds, of which the rest is fetched.
    bed.check(1, 0..9 * BLOCK).await;
    assert!(bed.remote.gets() <= 2);
}

#[tokio::test]
async fn a_deleted_file_leaves_both_tiers() {
    let bed = Bed::new(&[2_500_000], sizes(64 * MIB, 64 * MIB)).await;
    bed.check(0, 0..2_500_000).await;
    bed.cache.settle();
    bed.cache.forget_file(&bed.files[0].0, 2_500_000);
    bed.cache.settle();
    let stats = bed.cache.stats();
    assert_eq!((stats.memory.blocks, stats.disk.blocks, bed.folder_bytes()), (0, 0, 0));
}

/// A folder on a disk that can be full.
#[derive(Debug)]
struct Full {
    inner: Folder,
    full: AtomicBool,
    free: Mutex<u64>,
}

impl Files for Full {
    fn list(&self, max: usize) -> io::Result<Vec<Listed>> {
        self.inner.list(max)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner.read(name)
    }

    fn write(&self, name: &str, head: &[u8], body: &[u8]) -> io::Result<()> {
        if self.full.load(SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.inner.write(name, head, body)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space { free: *self.free.lock().unwrap(), total: 100 << 30 })
    }
}

/// A bed whose cache lies on that disk.
fn on(disk: &Arc<Full>, bed: Bed, limit: Option<u64>) -> Bed {
    let counters = Arc::new(Counters::default());
    let files: Arc<dyn Files> = Arc::<Full>::clone(disk);
    let tier = Disk::start(files, limit, Arc::clone(&counters)).unwrap();
    let inner: Arc<dyn ObjectStore> = Arc::<Remote>::clone(&bed.remote);
    let cache = RangeCache::of(inner, Some(tier), 0, Arc::clone(&bed.ledger), counters);
    cache.settle();
    let store = Arc::new(CachedStore::new(Arc::clone(&cache)));
    Bed { cache, store, ..bed }
}

fn full_disk(bed: &Bed, free: u64) -> Arc<Full> {
    let inner = Folder::open(bed.folder.path()).unwrap();
    Arc::new(Full { inner, full: AtomicBool::new(false), free: Mutex::new(free) })
}

#[tokio::test]
async fn a_full_disk_costs_requests_and_gets_room_back() {
    let bed = Bed::new(&[8 * BLOCK_BYTES, BLOCK_BYTES], sizes(0, 0)).await;
    let disk = full_disk(&bed, 50 << 30);
    let bed = on(&disk, bed, Some(64 * MIB));
    bed.check(0, 0..8 * BLOCK).await;
    bed.cache.settle();
    let before = bed.folder_bytes();
    disk.full.store(true, SeqCst);
    for _ in 0..3 {
        bed.check(1, 0..BLOCK).await;
        bed.cache.settle();
    }
    assert_eq!(bed.remote.gets(), 4, "nothing new is kept");
    let stats = bed.cache.stats();
    assert_eq!(
        (stats.disk_failures_total, stats.dropped_writes_total),
        (1, 3),
        "it does not try all the time"
    );
    assert!(bed.folder_bytes() <= before / 4 * 3);
    // What is left serves on.
    bed.check(0, 7 * BLOCK..8 * BLOCK).await;
    assert_eq!(bed.remote.gets(), 4);
}

#[tokio::test]
async fn the_limit_is_a_tenth_of_the_free_disk_or_four_gibibytes() {
    for (free, limit) in [(1_000 << 30, 4 << 30), (10 << 30, 1 << 30), (0, 0)] {
        let bed = Bed::new(&[], sizes(0, 0)).await;
        let disk = full_disk(&bed, free);
        let bed = on(&disk, bed, None);
        assert_eq!(bed.cache.stats().disk.limit_bytes, limit, "{free} bytes free");
    }
    // What an earlier process cached counts as free.
    let bed = Bed::new(&[5 * BLOCK_BYTES], sizes(0, 64 * MIB)).await;
    bed.check(0, 0..5 * BLOCK).await;
    bed.cache.settle();
    bed.cache.close();
    let disk = full_disk(&bed, 10 << 30);
    let bed = on(&disk, bed, None);
    let stats = bed.cache.stats().disk;
    assert_eq!((stats.limit_bytes, stats.blocks), (((10 << 30) + stats.bytes) / 10, 5));
}

#[tokio::test]
async fn a_disk_that_runs_full_gets_the_cache_s_room() {
    let bed = Bed::new(&[8 * BLOCK_BYTES], sizes(0, 64 * MIB)).await;
    bed.check(0, 0..8 * BLOCK).await;
    bed.cache.settle();
    bed.cache.close();
    // Of 100 GiB, 2 are to stay free, and 5 MiB of them are not.
    let disk = full_disk(&bed, (2 << 30) - 5 * MIB);
    let bed = on(&disk, bed, Some(64 * MIB));
    assert!((1..=3).contains(&bed.cache.stats().disk.blocks), "{:?}", bed.cache.stats().disk);
    assert!(bed.folder_bytes() <= 3 * (MIB + 4096));
    bed.check(0, 0..8 * BLOCK).await;
    bed.cache.settle();
    assert!(bed.folder_bytes() <= 3 * (MIB + 4096), "nothing is written where there is no room");
}
