use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};

use super::*;

/// Lets a number of puts through, then none, as if the process had ended there.
#[derive(Debug)]
struct Cut {
    inner: Arc<dyn ObjectStore>,
    puts_left: AtomicI64,
    /// Whether the put at which it ends is done, without an answer.
    last_is_done: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cut")
    }
}

fn gone() -> object_store::Error {
    object_store::Error::Generic { store: "Cut", source: "the process has ended".into() }
}

#[async_trait]
impl ObjectStore for Cut {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        match self.puts_left.fetch_sub(1, Ordering::SeqCst) {
            1.. => self.inner.put_opts(location, payload, opts).await,
            0 if self.last_is_done => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(gone())
            }
            _ => Err(gone()),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        if self.puts_left.load(Ordering::SeqCst) < 0 {
            return Err(gone());
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_crash_between_any_two_steps_of_a_flush_neither_loses_nor_doubles() {
    let mut flushed_whole = false;
    for step in 0..40 {
        for last_is_done in [false, true] {
            let rig = Rig::new();
            let cut = Arc::new(Cut {
                inner: Arc::clone(&rig.objects),
                puts_left: AtomicI64::new(i64::MAX),
                last_is_done,
            });
            let store = rig.try_open_on(Arc::clone(&cut) as Arc<dyn ObjectStore>).await.unwrap();
            for number in 0..5 {
                store.append(everything(number, rig.now_ms())).await.unwrap();
            }
            cut.puts_left.store(step, Ordering::SeqCst);
            flushed_whole |= store.flush().await.is_ok();
            let _ = store.append(everything(5, rig.now_ms())).await.unwrap();
            let what = format!("step {step}, done {last_is_done}");
            // The process that saw the failure, and the next one, both have every row once.
            if cut.puts_left.load(Ordering::SeqCst) >= 0 {
                Census::of(&store.snapshot()).await.check(&[0, 1, 2, 3, 4, 5], &[], &what);
            }
            kill(store).await;
            let store = rig.open().await;
            Census::of(&store.snapshot()).await.check(&[0, 1, 2, 3, 4, 5], &[], &what);
            store.append(everything(6, rig.now_ms())).await.unwrap();
            store.flush().await.unwrap();
            Census::of(&store.snapshot()).await.check(&[0, 1, 2, 3, 4, 5, 6], &[], &what);
            kill(store).await;
            let store = rig.open().await;
            assert_eq!(store.snapshot().unflushed_rows(Table::Metrics), 0, "{what}");
            Census::of(&store.snapshot()).await.check(&[0, 1, 2, 3, 4, 5, 6], &[], &what);
        }
        if flushed_whole {
            return;
        }
    }
    panic!("no step at which the flush was whole");
}

#[tokio::test]
async fn a_commit_of_the_last_run_that_arrives_after_the_start_is_not_doubled() {
    let mut rig = Rig::new();
    rig.config.retention.metrics_days = Some(30);
    rig.config.retention.logs_days = Some(30);
    let store = rig.open().await;
    for number in 0..5 {
        store.append(everything(number, rig.now_ms())).await.unwrap();
    }
    kill(store).await;
    // The last run's commit of batches 0 to 4, held up somewhere: the same files and watermarks.
    let late = rig.open().await;
    let watermark = late.stats().wal.last_lsn;
    let copy = Rig { wal: rig.wal.copy(), ..Rig::new() };
    copy.batches.put("none", Vec::new());
    kill(late).await;
    std::fs::copy(rig.dir.path().join("node"), copy.dir.path().join("node")).unwrap();
    let store = rig.open().await;
    store.append(everything(5, rig.now_ms())).await.unwrap();
    let zombie = copy.try_open_on(Arc::clone(&rig.objects)).await.unwrap();
    assert_eq!(zombie.stats().wal.last_lsn, watermark);
    zombie.flush().await.unwrap();
    kill(zombie).await;
    Census::of(&store.snapshot()).await.check(&[0, 1, 2, 3, 4, 5], &[], "before the flush");
    store.inner.apply_retention(None).await.unwrap();
    Census::of(&store.snapshot()).await.check(&[0, 1, 2, 3, 4, 5], &[], "files looked at in between");
    store.append(everything(6, rig.now_ms())).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(store.snapshot().unflushed_rows(Table::Metrics), 0);
    Census::of(&store.snapshot()).await.check(&[0, 1, 2, 3, 4, 5, 6], &[], "after the flush");
    kill(store).await;
    Census::of(&rig.open().await.snapshot()).await.check(&[0, 1, 2, 3, 4, 5, 6], &[], "after a start");
}

#[tokio::test]
async fn a_log_larger_than_memory_is_committed_while_it_is_read() {
    let mut rig = Rig::new();
    let store = rig.open().await;
    let all: Vec<u64> = (0..200).collect();
    for number in &all {
        store.append(everything(*number, rig.now_ms())).await.unwrap();
    }
    kill(store).await;
    rig.config.head_bytes_max = 40_000;
    let store = rig.open().await;
    assert!(store.snapshot().all_files(Table::Logs).len() > 2);
    assert!(store.stats().head.bytes < 40_000, "{:?}", store.stats().head);
    Census::of(&store.snapshot()).await.check(&all, &[], "after the start");
    store.flush().await.unwrap();
    Census::of(&store.snapshot()).await.check(&all, &[], "after the flush");
}

/// Lives of a store: batches, flushes, an object store that fails and answers late, disks that fail, kills
/// and power cuts. What was acknowledged is there, once; what was refused for good is not.
#[tokio::test(start_paused = true)]
async fn power_cuts_and_kills_over_whole_lives() {
    for seed in seeds(200) {
        life(seed).await;
    }
}

async fn life(seed: u64) {
    let mut rng = Rng(seed);
    let rig = Rig::new();
    let (mut next, mut acked, mut unknown) = (0, Vec::new(), Vec::new());
    for day in 0..3 {
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&rig.objects), seed * 10 + day, 2 + rng.below(8)));
        faulty.switch(false);
        let store = rig.try_open_on(Arc::clone(&faulty) as Arc<dyn ObjectStore>).await.unwrap();
        let what = format!("seed {seed}, life {day}");
        Census::of(&store.snapshot()).await.check(&acked, &unknown, &what);
        faulty.switch(true);
        if rng.one_in(2) {
            rig.wal.cut_power_after(rng.below(60));
        }
        for _ in 0..rng.below(40) {
            match rng.below(8) {
                0 => drop(store.flush().await),
                1 => {
                    // A flush that is called off at some point of it.
                    let patience = Duration::from_millis(rng.below(200));
                    let _ = tokio::time::timeout(patience, store.flush()).await;
                }
                2 => tokio::time::sleep(Duration::from_secs(rng.below(50))).await,
                _ => {
                    let batch = named(everything(next, rig.now_ms()), &next.to_string());
                    match store.append(batch).await {
                        Ok(_) => acked.push(next),
                        Err(_) => unknown.push(next),
                    }
                    next += 1;
                }
            }
        }
        if !unknown.is_empty() && rng.one_in(2) {
            // A sender does not give up: the same batch again is stored once.
            let number = unknown[rng.below(unknown.len() as u64) as usize];
            if store.append(named(everything(number, rig.now_ms()), &number.to_string())).await.is_ok() {
                unknown.retain(|other| *other != number);
                acked.push(number);
            }
        }
        kill(store).await;
        if rng.one_in(2) {
            rig.wal.reboot(&mut rng);
            rig.batches.reboot(&mut rng);
        }
        rig.wal.cut_power_after(u64::MAX);
    }
    let store = rig.open().await;
    tokio::time::sleep(crate::testing::LATE_MAX).await;
    Census::of(&store.snapshot()).await.check(&acked, &unknown, &format!("seed {seed}, end"));
    store.flush().await.unwrap();
    Census::of(&store.snapshot()).await.check(&acked, &unknown, &format!("seed {seed}, flushed"));
}
