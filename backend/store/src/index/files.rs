//! The index of a table's files: which series or streams have rows on which day.
//!
//! Comes in: the files of the days a query asks for. Goes out: a [`FileView`] that holds these days. A
//! series is indexed once however many days it lives; a day is a bitmap over the series. So a further day
//! costs the reading of its ids, and only series not seen before are decoded whole. What is loaded stays
//! until the memory is needed for other days; files never change, so it is never stale. Knows nothing of
//! matchers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use roaring::RoaringBitmap;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::build::Builder;
use super::decode::{read_ids, read_segment};
use super::key_label;
use super::live::IdSet;
use super::postings::{bitmap_bytes, of_sorted};
use super::segment::Segment;
use crate::catalog::DataFile;
use crate::error::Result;
use crate::parquet_file::Footers;
use crate::stats::Counters;
use crate::tables::Table;

/// Files whose ids are read at once.
const FILES_AT_ONCE: usize = 8;
/// Files whose labels are decoded at once; each takes a thread.
const DECODED_AT_ONCE: usize = 2;
/// Bytes kept unless told otherwise.
const BYTES_MAX: u64 = 96 << 20;

/// What is loaded of one table.
#[derive(Debug)]
pub(crate) struct FileIndex {
    table: Table,
    state: ArcSwap<FileView>,
    /// One load at a time: what two queries want is often the same.
    loading: tokio::sync::Mutex<()>,
    footers: Arc<Footers>,
    bytes_max: AtomicU64,
    counters: FileIndexCounters,
}

/// What a file index has done.
#[derive(Debug, Default)]
pub(crate) struct FileIndexCounters {
    /// Time of use, for what was used longest ago.
    tick: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_us: AtomicU64,
    pub(crate) decoded_series: AtomicU64,
    pub(crate) evictions: AtomicU64,
}

/// Days and the series they have, at one moment.
#[derive(Debug, Default)]
pub(crate) struct FileView {
    /// No id is in two of them.
    pub(crate) segments: Vec<Arc<Segment>>,
    days: BTreeMap<i32, Day>,
    bytes: usize,
}

#[derive(Debug)]
struct Day {
    files: Arc<HashSet<Path>>,
    /// Numbers by segment.
    members: Vec<Arc<RoaringBitmap>>,
    used: Arc<AtomicU64>,
}

/// A day to load.
struct Missing {
    day: i32,
    files: Arc<HashSet<Path>>,
    /// Files to read: all of the day's, or those that came after the ones loaded.
    to_read: Vec<Arc<DataFile>>,
    /// Members known from before.
    members: Vec<Arc<RoaringBitmap>>,
    used: Arc<AtomicU64>,
}

impl FileIndex {
    /// An index of `table` with nothing loaded.
    pub(crate) fn new(table: Table) -> FileIndex {
        FileIndex {
            table,
            state: ArcSwap::default(),
            loading: tokio::sync::Mutex::default(),
            footers: Arc::default(),
            bytes_max: AtomicU64::new(BYTES_MAX),
            counters: FileIndexCounters::default(),
        }
    }

    /// Changes how much is kept, in bytes.
    pub(crate) fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Relaxed);
    }

    pub(crate) fn counters(&self) -> &FileIndexCounters {
        &self.counters
    }

    /// What is loaded now.
    pub(crate) fn loaded(&self) -> Arc<FileView> {
        self.state.load_full()
    }

    /// A view that holds `days`, each given with all its files; reads what is not loaded.
    pub(crate) async fn view(
        &self,
        objects: &Arc<dyn ObjectStore>,
        days: &[(i32, &[Arc<DataFile>])],
    ) -> Result<Arc<FileView>> {
        let view = self.state.load_full();
        if self.missing(&view, days).is_empty() {
            return Ok(view);
        }
        let _one = self.loading.lock().await;
        let view = self.state.load_full();
        let missing = self.missing(&view, days);
        if missing.is_empty() {
            return Ok(view);
        }
        let start = Instant::now();
        let ids = self.read_ids(objects, &missing).await?;
        let segments = self.decode(objects, &view, &missing, &ids).await?;
        let needed: HashSet<i32> = days.iter().map(|(day, _)| *day).collect();
        let (table, bytes_max) = (self.table, self.bytes_max.load(Relaxed));
        let (next, evicted) = spawn_blocking(move || {
            let mut next = view.with(segments, missing, &ids);
            let evicted = next.evict(bytes_max, &needed);
            (next.tidied(table), evicted)
        })
        .await?;
        let next = Arc::new(next);
        self.state.store(Arc::clone(&next));
        Counters::bump(&self.counters.loads);
        Counters::add(&self.counters.evictions, evicted);
        Counters::add_time(&self.counters.load_us, start.elapsed());
        Ok(next)
    }

    /// Days that are not loaded, or lack a file.
    fn missing(&self, view: &FileView, days: &[(i32, &[Arc<DataFile>])]) -> Vec<Missing> {
        let now = self.counters.tick.fetch_add(1, Relaxed);
        let missing = days.iter().filter_map(|(day, files)| {
            let known = view.days.get(day);
            if let Some(known) = known {
                known.used.store(now, Relaxed);
                if files.iter().all(|file| known.files.contains(&file.key)) {
                    return None;
                }
            }
            let all: HashSet<Path> = files.iter().map(|file| file.key.clone()).collect();
            // Files that are gone were compacted or removed: what they said no longer counts.
            let grown = known.filter(|known| known.files.is_subset(&all));
            let is_new = |file: &&Arc<DataFile>| grown.is_none_or(|known| !known.files.contains(&file.key));
            Some(Missing {
                day: *day,
                to_read: files.iter().filter(is_new).map(Arc::clone).collect(),
                members: grown.map_or_else(Vec::new, |known| known.members.clone()),
                used: known.map_or_else(|| Arc::new(AtomicU64::new(now)), |known| Arc::clone(&known.used)),
                files: Arc::new(all),
            })
        });
        missing.collect()
    }

    /// Ids of every file to read, by day.
    async fn read_ids(
        &self,
        objects: &Arc<dyn ObjectStore>,
        missing: &[Missing],
    ) -> Result<Vec<Vec<Vec<i64>>>> {
        let reads: Vec<_> = missing
            .iter()
            .flat_map(|day| &day.to_read)
            .map(|file| {
                let (objects, footers) = (Arc::clone(objects), Arc::clone(&self.footers));
                let (file, runtime) = (Arc::clone(file), Handle::current());
                let read = move || runtime.block_on(read_ids(&objects, &footers, &file));
                async { spawn_blocking(read).await? }
            })
            .collect();
        let read: Vec<Vec<i64>> = futures::stream::iter(reads).buffered(FILES_AT_ONCE).try_collect().await?;
        let mut read = read.into_iter();
        Ok(missing.iter().map(|day| read.by_ref().take(day.to_read.len()).collect()).collect())
    }

    /// Segments of the series that are not in `view`.
    async fn decode(
        &self,
        objects: &Arc<dyn ObjectStore>,
        view: &FileView,
        missing: &[Missing],
        ids: &[Vec<Vec<i64>>],
    ) -> Result<Vec<Arc<Segment>>> {
        let mut taken = IdSet::default();
        let mut reads = Vec::new();
        for (file, ids) in missing.iter().zip(ids).flat_map(|(day, ids)| day.to_read.iter().zip(ids)) {
            let wanted: IdSet = view.unknown(ids).into_iter().filter(|id| taken.insert(*id)).collect();
            if wanted.is_empty() {
                continue;
            }
            Counters::add(&self.counters.decoded_series, wanted.len() as u64);
            let (objects, footers) = (Arc::clone(objects), Arc::clone(&self.footers));
            let (file, runtime) = (Arc::clone(file), Handle::current());
            let read = move || runtime.block_on(read_segment(&objects, &footers, &file, wanted));
            reads.push(async { spawn_blocking(read).await?.map(Arc::new) });
        }
        futures::stream::iter(reads).buffered(DECODED_AT_ONCE).try_collect().await
    }
}

impl FileView {
    /// Those of `ids`, which ascend, that are in no segment.
    fn unknown(&self, ids: &[i64]) -> Vec<i64> {
        let mut known = vec![false; ids.len()];
        for segment in &self.segments {
            segment.find_all(ids, |place, _| known[place] = true);
        }
        ids.iter().zip(known).filter(|(_, known)| !known).map(|(id, _)| *id).collect()
    }

    /// This view with more segments and days.
    fn with(&self, new: Vec<Arc<Segment>>, missing: Vec<Missing>, ids: &[Vec<Vec<i64>>]) -> FileView {
        let mut days: BTreeMap<i32, Day> =
            self.days.iter().map(|(day, known)| (*day, known.clone())).collect();
        let segments: Vec<Arc<Segment>> = self.segments.iter().cloned().chain(new).collect();
        for (Missing { day, files, members, used, .. }, ids) in missing.into_iter().zip(ids) {
            let grown = |(place, segment): (usize, &Arc<Segment>)| {
                let mut numbers = Vec::new();
                for ids in ids {
                    segment.find_all(ids, |_, number| numbers.push(number));
                }
                numbers.sort_unstable();
                numbers.dedup();
                let mut grown = of_sorted(&numbers);
                if let Some(known) = members.get(place) {
                    grown |= &**known;
                }
                grown.optimize();
                Arc::new(grown)
            };
            let members = segments.iter().enumerate().map(grown).collect();
            days.insert(day, Day { files, members, used });
        }
        for day in days.values_mut() {
            day.members.resize_with(segments.len(), Arc::default);
        }
        FileView { segments, days, bytes: 0 }
    }

    /// Forgets days not `needed`, those used longest ago first, until what is left fits; gives their number.
    fn evict(&mut self, bytes_max: u64, needed: &HashSet<i32>) -> u64 {
        let mut evicted = 0;
        while self.live_bytes() as u64 > bytes_max {
            let idle = self.days.iter().filter(|(day, _)| !needed.contains(day));
            let oldest = idle.min_by_key(|(_, entry)| entry.used.load(Relaxed)).map(|(day, _)| *day);
            let Some(day) = oldest else { break };
            self.days.remove(&day);
            evicted += 1;
        }
        evicted
    }

    /// Bytes without the share of series that are on no day.
    fn live_bytes(&self) -> usize {
        let segments = self.segments.iter().enumerate().map(|(place, segment)| {
            let share = self.living(place).len() as f64 / f64::from(segment.len().max(1));
            (segment.heap_bytes() as f64 * share) as usize
        });
        segments.sum::<usize>() + self.day_bytes()
    }

    fn day_bytes(&self) -> usize {
        let of_day = |day: &Day| {
            let files: usize = day.files.iter().map(|key| key.as_ref().len() + 48).sum();
            files + day.members.iter().map(|members| bitmap_bytes(members) + 48).sum::<usize>() + 128
        };
        self.days.values().map(of_day).sum()
    }

    /// Series of a segment that are on some day.
    fn living(&self, place: usize) -> RoaringBitmap {
        let mut living = RoaringBitmap::new();
        self.days.values().for_each(|day| living |= &*day.members[place]);
        living
    }

    /// With small segments merged, and those of which most series are on no day any more built anew.
    fn tidied(mut self, table: Table) -> FileView {
        let living: Vec<RoaringBitmap> = (0..self.segments.len()).map(|place| self.living(place)).collect();
        let count = |place: usize| living[place].len();
        let is_wasteful = |place: &usize| count(*place) * 2 < u64::from(self.segments[*place].len());
        let some = (0..self.segments.len()).filter(|place| count(*place) > 0);
        let (mut rebuilt, mut places): (Vec<usize>, Vec<usize>) = some.partition(is_wasteful);
        places.sort_by_key(|place| std::cmp::Reverse(count(*place)));
        if rebuilt.is_empty() {
            rebuilt.extend(places.pop());
        }
        let mut series: u64 = rebuilt.iter().map(|place| count(*place)).sum();
        // So that a series is built anew a logarithmic number of times, as segments grow.
        while let Some(place) = places.pop_if(|place| count(*place) <= 2 * series) {
            series += count(place);
            rebuilt.push(place);
        }
        if let [single] = rebuilt[..]
            && !is_wasteful(&single)
        {
            places.push(single);
            rebuilt.clear();
        }
        if !rebuilt.is_empty() || places.len() < self.segments.len() {
            self = self.rearranged(table, &places, &rebuilt, &living);
        }
        self.bytes =
            self.segments.iter().map(|segment| segment.heap_bytes()).sum::<usize>() + self.day_bytes();
        self
    }

    /// With the segments at `places` as they are and one more of the living series of those at `rebuilt`.
    fn rearranged(
        self,
        table: Table,
        places: &[usize],
        rebuilt: &[usize],
        living: &[RoaringBitmap],
    ) -> FileView {
        let mut segments: Vec<Arc<Segment>> =
            places.iter().map(|place| Arc::clone(&self.segments[*place])).collect();
        let mut builder = Builder::packed(key_label(table));
        for place in rebuilt {
            builder.add_segment(&self.segments[*place], |number| living[*place].contains(number));
        }
        let merged = (!rebuilt.is_empty()).then(|| Arc::new(builder.finish()));
        let moves: Vec<Vec<u32>> = match &merged {
            Some(merged) => rebuilt.iter().map(|place| moves(&self.segments[*place], merged)).collect(),
            None => Vec::new(),
        };
        segments.extend(merged);
        let days = self.days.into_iter().map(|(number, day)| {
            let mut members: Vec<Arc<RoaringBitmap>> =
                places.iter().map(|place| Arc::clone(&day.members[*place])).collect();
            if !rebuilt.is_empty() {
                let moved = rebuilt.iter().zip(&moves).flat_map(|(place, moves)| {
                    day.members[*place].iter().map(|number| moves[number as usize])
                });
                let mut moved: Vec<u32> = moved.collect();
                moved.sort_unstable();
                let mut moved = of_sorted(&moved);
                moved.optimize();
                members.push(Arc::new(moved));
            }
            (number, Day { members, ..day })
        });
        FileView { days: days.collect(), segments, bytes: 0 }
    }

    /// Series of a segment with rows on one of the days.
    pub(crate) fn on_days(&self, place: usize, days: &[i32]) -> RoaringBitmap {
        let mut on_days = RoaringBitmap::new();
        days.iter().for_each(|day| on_days |= self.on_day(place, *day));
        on_days
    }

    /// Series of a segment with rows on a day, which must be loaded.
    pub(crate) fn on_day(&self, place: usize, day: i32) -> &RoaringBitmap {
        &self.days[&day].members[place]
    }

    /// Days loaded.
    pub(crate) fn day_count(&self) -> usize {
        self.days.len()
    }

    /// Series loaded.
    pub(crate) fn series_count(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.len())).sum()
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes
    }
}

impl Clone for Day {
    fn clone(&self) -> Day {
        Day { files: Arc::clone(&self.files), members: self.members.clone(), used: Arc::clone(&self.used) }
    }
}

/// New numbers of the series of `from` in `to`; of series that are not there, none that is asked for.
fn moves(from: &Segment, to: &Segment) -> Vec<u32> {
    let ids: Vec<i64> = from.by_id.iter().map(|number| from.id(*number)).collect();
    let mut moves = vec![u32::MAX; ids.len()];
    to.find_all(&ids, |place, number| moves[from.by_id[place] as usize] = number);
    moves
}
