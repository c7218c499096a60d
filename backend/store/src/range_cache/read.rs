//! A read: which blocks it needs, which of them are here, on disk or on their way, and the rest in as few requests
//! as there are gaps.

use std::ops::Range;
use std::sync::Arc;

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};
use object_store::{Error, ObjectStoreExt};
use tokio::sync::oneshot;

use super::RangeCache;
use super::assembly::{Assembled, Assembly, runs};
use super::block::{Block, FileRef};
use super::fetch::fetch;
use super::flights::{Brought, Flight, Lost};
use super::stats::Counters;

/// Most blocks one request asks for.
pub(super) const RUN_BLOCKS_MAX: u32 = 8;
/// Runs of one read on their way at once.
const RUNS_AT_ONCE: usize = 4;
/// Reads of more blocks than this go past the cache, as no reader asks for that.
const READ_BLOCKS_MAX: u32 = 16 << 10;

/// Where a block is.
enum Place {
    Here(Block),
    Coming(Flight),
}

/// Takes a flight's blocks off the board when its task ends, however it does.
struct OnBoard {
    cache: Arc<RangeCache>,
    file: FileRef,
    numbers: Range<u32>,
}

impl Drop for OnBoard {
    fn drop(&mut self) {
        self.cache.flights.end(&self.file, self.numbers.clone());
    }
}

impl RangeCache {
    /// `ranges` of a file. Fails as the object store behind does; what only the cache cannot do is asked of that.
    pub(super) async fn read(
        self: &Arc<Self>,
        file: &FileRef,
        ranges: &[Range<u64>],
    ) -> Result<Option<Assembled>, Error> {
        let Some(runs) = runs(ranges, RUN_BLOCKS_MAX, READ_BLOCKS_MAX) else {
            return Ok(self.bypassed());
        };
        let mut assembly = Assembly::new(ranges);
        let coming = runs.iter().map(|run| self.run(file, run.clone()));
        // Collected first: the compiler cannot tell that the closure lives as long as the stream.
        let coming: Vec<_> = coming.collect();
        let mut coming = futures::stream::iter(coming).buffered(RUNS_AT_ONCE);
        loop {
            match coming.try_next().await {
                Ok(Some(blocks)) => blocks.iter().for_each(|(number, block)| assembly.add(*number, block)),
                Ok(None) => break,
                Err(Lost::Store(error)) => return Err(shared(error)),
                Err(Lost::Ended) => return Ok(self.bypassed()),
            }
        }
        if !assembly.agrees() {
            tracing::error!(file = %file.path, "cached blocks are of files of different sizes, they are dropped");
            runs.into_iter().flatten().for_each(|number| self.forget(file.key(number)));
        }
        Ok(assembly.finish().or_else(|| self.bypassed()))
    }

    fn bypassed<T>(&self) -> Option<T> {
        Counters::bump(&self.counters.bypassed);
        None
    }

    /// Neighbouring blocks with their numbers; those behind the end of the file are left out.
    async fn run(self: &Arc<Self>, file: &FileRef, numbers: Range<u32>) -> Result<Vec<(u32, Block)>, Lost> {
        let mut blocks = Vec::with_capacity(numbers.len());
        for (number, place) in numbers.clone().zip(self.places(file, numbers)) {
            let block = match place {
                Place::Here(block) => Some(block),
                Place::Coming(flight) => flight.block(number).await?,
            };
            blocks.extend(block.map(|block| (number, block)));
        }
        Ok(blocks)
    }

    /// Finds blocks in memory or on their way, and sends for the others.
    fn places(self: &Arc<Self>, file: &FileRef, numbers: Range<u32>) -> Vec<Place> {
        let mut flights = self.flights.lock();
        // A flight puts its blocks into memory before it leaves the board, so none is missed in between.
        let mut places: Vec<Option<Place>> = numbers
            .clone()
            .map(|number| {
                let key = file.key(number);
                let coming = flights.get(&key).map(|flight| Place::Coming(flight.clone()));
                if coming.is_some() {
                    Counters::bump(&self.counters.coalesced);
                }
                coming.or_else(|| self.in_memory(&key).map(Place::Here))
            })
            .collect();
        let mut departures = Vec::new();
        for gap in gaps(&places, numbers.start) {
            let (flight, landed) = Flight::new(gap.start);
            for number in gap.clone() {
                flights.insert(file.key(number), flight.clone());
                places[(number - numbers.start) as usize] = Some(Place::Coming(flight.clone()));
            }
            departures.push((gap, landed));
        }
        // A task that cannot start ends here and now, and then takes its blocks off the board.
        drop(flights);
        departures.into_iter().for_each(|(gap, landed)| self.send_for(file, gap, landed));
        places.into_iter().flatten().collect()
    }

    fn send_for(self: &Arc<Self>, file: &FileRef, numbers: Range<u32>, landed: oneshot::Sender<Brought>) {
        let board = OnBoard { cache: Arc::clone(self), file: file.clone(), numbers };
        self.runtime.spawn(async move {
            // Moved in whole, so that it is dropped with the task where that never runs.
            let board = board;
            let brought = board.cache.bring(&board.file, board.numbers.clone()).await;
            // First off the board: who hears of a failure and asks again shall not be told of the same one.
            drop(board);
            // Fails where all who wanted it have given up.
            let _ = landed.send(brought.map(Arc::from).map_err(|error| Lost::Store(Arc::new(error))));
        });
    }

    /// Blocks from disk, and what is not there from the object store; fewer where the file ends before.
    async fn bring(self: &Arc<Self>, file: &FileRef, numbers: Range<u32>) -> Result<Vec<Block>, Error> {
        let mut found = self.on_disk(file, numbers.clone()).await;
        for (number, block) in numbers.clone().zip(&found) {
            if let Some(block) = block {
                self.keep(file.key(number), block.clone());
            }
        }
        let fetches = gaps(&found, numbers.start).into_iter().map(|gap| self.fetch(file, gap));
        for (first, fetched) in try_join_all(fetches).await? {
            for (number, block) in (first..).zip(fetched) {
                found[(number - numbers.start) as usize] = Some(block);
            }
        }
        Ok(found.into_iter().map_while(|block| block).collect())
    }

    /// The blocks that are on disk, in their places.
    async fn on_disk(self: &Arc<Self>, file: &FileRef, numbers: Range<u32>) -> Vec<Option<Block>> {
        let nothing = vec![None; numbers.len()];
        let Some(disk) = &self.disk else { return nothing };
        if !numbers.clone().any(|number| disk.contains(&file.key(number))) {
            Counters::add(&self.counters.disk_misses, numbers.len() as u64);
            return nothing;
        }
        let (cache, file) = (Arc::clone(self), file.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let disk = cache.disk.as_ref()?;
            Some(numbers.map(|number| disk.read(&file, file.key(number))).collect())
        });
        reading.await.ok().flatten().unwrap_or(nothing)
    }

    /// Fetches neighbouring blocks and keeps them.
    async fn fetch(&self, file: &FileRef, numbers: Range<u32>) -> Result<(u32, Vec<Block>), Error> {
        let first = numbers.start;
        // Fails only where the semaphore is closed, which it never is; then there is no limit.
        let _permit = self.fetches.acquire().await.ok();
        let blocks = fetch(self.store.as_ref(), file, numbers, &self.counters).await?;
        for (number, block) in (first..).zip(&blocks) {
            self.keep(file.key(number), block.clone());
            if let Some(disk) = &self.disk {
                disk.write(file, file.key(number), block.clone());
            }
        }
        Ok((first, blocks))
    }

    /// `ranges` of a file, through the cache if it can and else from the object store.
    pub(super) async fn read_ranges(
        self: &Arc<Self>,
        file: &FileRef,
        ranges: &[Range<u64>],
    ) -> Result<Vec<bytes::Bytes>, Error> {
        match self.read(file, ranges).await? {
            Some(assembled) => Ok(assembled.bytes),
            None => match ranges {
                [range] => Ok(vec![self.store.get_range(&file.path, range.clone()).await?]),
                _ => self.store.get_ranges(&file.path, ranges).await,
            },
        }
    }
}

/// Where nothing stands, as runs of numbers; the first place has the number `first`.
fn gaps<T>(places: &[Option<T>], first: u32) -> Vec<Range<u32>> {
    let mut gaps: Vec<Range<u32>> = Vec::new();
    for (number, _) in (first..).zip(places).filter(|(_, place)| place.is_none()) {
        match gaps.last_mut() {
            Some(last) if last.end == number => last.end += 1,
            _ => gaps.push(number..number + 1),
        }
    }
    gaps
}

/// An error several readers get: of the same kind, as far as readers tell kinds apart.
fn shared(error: Arc<Error>) -> Error {
    let path = |path: &String| path.clone();
    match error.as_ref() {
        Error::NotFound { path: of, .. } => Error::NotFound { path: path(of), source: error.into() },
        Error::PermissionDenied { path: of, .. } => {
            Error::PermissionDenied { path: path(of), source: error.into() }
        }
        Error::Unauthenticated { path: of, .. } => {
            Error::Unauthenticated { path: path(of), source: error.into() }
        }
        _ => Error::Generic { store: "range cache", source: error.into() },
    }
}
