//! The files' samples: which files and row groups are read, several at once. What a question for few series
//! decodes is kept ([`super::part_cache`]), and row groups that were decoded before are not read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, try_join};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::catalog::DataFile;
use crate::error::Result;
use crate::objects::DurableFolder;
use crate::offload::{READERS_A_THREAD, on_blocking_threads};
use crate::paths::DAY_US;
use crate::snapshot::Snapshot;
use crate::tables::Table;

use super::columns::{Layout, OpenGroup, open};
use super::footers::footers;
use super::merge::{Cut, Gathered, Part, Strip, join};
use super::pages::{Expected, GroupRows, expected, group_may_hold, wanted_rows, wanted_series};
use super::part_cache::{GroupKey, PartCache};
use super::pieces::{Pieces, fetch, fetch_blocking};
use super::{Job, SampleStats, batches};

/// Most series of a question whose samples are kept: one for more would drive out the others' for little use.
const KEPT_SERIES_MAX: usize = 1_024;
/// Most series of a row group whose samples are kept.
const KEPT_OF_GROUP_MAX: usize = 256;
/// Most rows of a row group looked at for the sake of samples outside the time asked for.
const KEPT_ROWS_MAX: usize = 512 << 10;
/// Most rows of a small row group. All times of a row group are unpacked at once.
const SMALL_ROWS: i64 = 256 << 10;

/// What is to be read of files.
#[derive(Debug, Default)]
pub(super) struct FilesPlan {
    pub(super) units: Vec<Unit>,
    /// Samples of row groups that need not be read.
    pub(super) kept: Vec<Cut>,
    /// Files not laid out as this program does it.
    pub(super) foreign: Vec<Arc<DataFile>>,
    pub(super) stats: SampleStats,
}

/// A row group to read.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    file: Arc<DataFile>,
    footer: ArrowReaderMetadata,
    layout: Layout,
    rows: GroupRows,
    /// No series before this position has rows here.
    pub(super) first: usize,
    /// Under which name its samples are kept, and of which series it may have any; none where they are not kept.
    kept: Option<(GroupKey, Vec<i64>)>,
    /// About how much of its time is asked for.
    pub(super) share: f64,
    /// About how many samples it has to give.
    pub(super) samples: f64,
}

/// Finds out what to read: the footers of files that may hold something are looked at, nothing else.
pub(super) async fn plan(snapshot: &Snapshot, job: &Job) -> Result<FilesPlan> {
    let all = snapshot.files(Table::Metrics);
    let files: Vec<Arc<DataFile>> = all.iter().filter(|file| may_hold(file, job)).map(Arc::clone).collect();
    let mut plan = FilesPlan::default();
    plan.stats.files_pruned = all.len() - files.len();
    let footers = footers(snapshot, &files, job.options.parallel).await?;
    for (file, footer) in files.into_iter().zip(footers) {
        job.check()?;
        match Layout::of(&footer) {
            Some(layout) => add_units(&file, &footer, layout, job, snapshot.parts(), &mut plan),
            None => {
                plan.stats.files += 1;
                plan.foreign.push(file);
            }
        }
    }
    Ok(plan)
}

/// Adds all samples of the files planned to `gathered`.
pub(super) async fn read(
    snapshot: &Snapshot,
    job: &Job,
    plan: FilesPlan,
    gathered: &mut Gathered,
) -> Result<SampleStats> {
    let mut stats = plan.stats;
    for file in &plan.foreign {
        batches::read_file(snapshot, file, job, 0, gathered).await?;
    }
    for cut in plan.kept {
        job.options.budget.take(cut.2.len())?;
        gathered.add_kept(cut);
    }
    let unread = plan.units;
    let mut take = |read: UnitRead| {
        stats.bytes += read.bytes;
        stats.rows += read.rows_added;
        gathered.add_strip(read.strip);
        read.kept.into_iter().for_each(|cut| gathered.add_kept(cut));
    };
    if unread.is_empty() {
        return Ok(stats);
    }
    if let Some(folder) = snapshot.folder() {
        read_here(snapshot, folder, job, unread).await?.into_iter().for_each(take);
        return Ok(stats);
    }
    let reads: Vec<_> = unread.into_iter().map(|unit| read_unit(snapshot, job, unit)).collect();
    let mut reads = futures::stream::iter(reads).buffer_unordered(job.options.parallel.max(1));
    while let Some(read) = reads.try_next().await? {
        take(read);
    }
    Ok(stats)
}

/// Reads row groups of files of this machine: as many threads as allowed take one after the other, reading and
/// decoding without a change of threads between, which would take longer than small files do.
async fn read_here(
    snapshot: &Snapshot,
    folder: &DurableFolder,
    job: &Job,
    units: Vec<Unit>,
) -> Result<Vec<UnitRead>> {
    let (folder, cache, job) = (folder.clone(), snapshot.parts().map(Arc::clone), job.clone());
    let threads = job.options.parallel.max(1);
    let read = move |unit| {
        job.check()?;
        let reading = Reading::new(unit, cache.as_ref(), &job);
        let pieces = reading.unit.fetch_blocking(&folder)?;
        reading.decode(pieces, &job)
    };
    let (small, large): (Vec<_>, Vec<_>) =
        units.into_iter().partition(|unit| unit.group_rows() <= SMALL_ROWS);
    // While small ones come from the disk, others can be decoded. Large ones need much memory, which few threads take
    // turns at.
    let small = on_blocking_threads(small, threads.saturating_mul(READERS_A_THREAD), read.clone());
    let large = on_blocking_threads(large, threads, read);
    let (mut small, mut large) = try_join!(small, large)?;
    small.append(&mut large);
    Ok(small)
}

/// Which samples of a whole part lie in the time asked for.
fn range_of(whole: &Part, job: &Job) -> Range<usize> {
    let times = whole.timestamps.as_slice();
    if let [first, .., last] = times
        && job.start_ms <= *first
        && *last <= job.end_ms
    {
        return 0..times.len();
    }
    let first = times.partition_point(|time| *time < job.start_ms);
    first..times.partition_point(|time| *time <= job.end_ms).max(first)
}

/// False where the catalog knows that the file has nothing to give.
pub(super) fn may_hold(file: &DataFile, job: &Job) -> bool {
    let (start_us, end_us) = job.range_us();
    let day_us = i64::from(file.day).saturating_mul(DAY_US);
    let bytes = |key: &'_ Option<String>| key.as_ref().map(|key| key.as_bytes().to_vec());
    let (min, max) = (bytes(&file.stats.min_key), bytes(&file.stats.max_key));
    day_us <= end_us
        && day_us.saturating_add(DAY_US) > start_us
        && file.may_hold_time(Some(start_us), Some(end_us))
        && job.wanted.any_within((min.as_deref(), max.as_deref()), (file.stats.min_id, file.stats.max_id))
}

fn add_units(
    file: &Arc<DataFile>,
    footer: &ArrowReaderMetadata,
    layout: Layout,
    job: &Job,
    cache: Option<&Arc<PartCache>>,
    plan: &mut FilesPlan,
) {
    // Of files of others it is not known whether their pages' bounds are right.
    let cache = cache.filter(|_| file.is_sorted() && job.wanted.tsids().len() <= KEPT_SERIES_MAX);
    let mut kept_groups = 0;
    let before = plan.units.len();
    let groups = footer.metadata().num_row_groups();
    for group in 0..groups {
        if !group_may_hold(footer.metadata(), layout, group, job) {
            continue;
        }
        let name = cache.and_then(|cache| Some((cache, GroupKey::of(&file.key, group)?)));
        let few = || wanted_series(footer.metadata(), layout, group, job, KEPT_OF_GROUP_MAX);
        let name = name.and_then(|(cache, name)| Some((cache, name, few()?)));
        if let Some(cuts) = name.as_ref().and_then(|(cache, name, series)| kept(cache, *name, series, job)) {
            kept_groups += 1;
            plan.stats.parts_cached += cuts.len();
            plan.kept.extend(cuts);
        } else if let Some(rows) = wanted_rows(footer.metadata(), layout, group, job) {
            plan.stats.rows += rows.count();
            let Expected { first, share, samples } = expected(footer.metadata(), layout, &rows, job);
            let kept = name.map(|(_, name, series)| (name, series));
            let (file, footer) = (Arc::clone(file), footer.clone());
            plan.units.push(Unit { file, footer, layout, rows, first, kept, share, samples });
        }
    }
    let read = plan.units.len() - before;
    plan.stats.row_groups += read;
    plan.stats.row_groups_pruned += groups - read - kept_groups;
    plan.stats.files += usize::from(read > 0);
    plan.stats.files_pruned += usize::from(read + kept_groups == 0);
}

/// What was kept of all the series a row group may have; `None` where something is missing.
fn kept(cache: &PartCache, name: GroupKey, series: &[i64], job: &Job) -> Option<Vec<Cut>> {
    let positions = series.iter().map(|tsid| job.wanted.position(*tsid));
    let parts = cache.get_all(name, series)?;
    let cut = |(position, part): (Option<usize>, Arc<Part>)| {
        let range = range_of(&part, job);
        Some((position?, part, range))
    };
    positions.zip(parts).map(cut).collect()
}

/// What a row group gave.
struct UnitRead {
    strip: Strip,
    /// Of parts that are kept.
    kept: Vec<Cut>,
    /// Bytes read.
    bytes: u64,
    /// Rows looked at beside those planned.
    rows_added: usize,
}

async fn read_unit(snapshot: &Snapshot, job: &Job, unit: Unit) -> Result<UnitRead> {
    job.check()?;
    let reading = Reading::new(unit, snapshot.parts(), job);
    let pieces = reading.unit.fetch(snapshot).await?;
    let job = job.clone();
    tokio::task::spawn_blocking(move || reading.decode(pieces, &job)).await?
}

/// A row group about to be read.
struct Reading {
    unit: Unit,
    /// Where its samples are to be kept, if they are.
    cache: Option<Arc<PartCache>>,
    rows_added: usize,
}

impl Reading {
    fn new(mut unit: Unit, cache: Option<&Arc<PartCache>>, job: &Job) -> Reading {
        let planned = unit.rows.count();
        let cache = cache.filter(|cache| unit.widen(cache, job)).map(Arc::clone);
        let rows_added = unit.rows.count().saturating_sub(planned);
        Reading { unit, cache, rows_added }
    }

    fn decode(self, pieces: Pieces, job: &Job) -> Result<UnitRead> {
        let Reading { unit, cache, rows_added } = self;
        let bytes = pieces.bytes();
        let mut group = unit.decode(pieces, job)?;
        let keep = cache.as_ref().zip(unit.kept.as_ref());
        match keep.filter(|(cache, (_, series))| cache.has_room(series.len(), group.rows_left())) {
            Some((cache, (name, series))) => {
                let kept = read_and_keep(&unit, &mut group, cache, (*name, series), job)?;
                Ok(UnitRead { strip: Strip::default(), kept, bytes, rows_added })
            }
            None => {
                let strip = group.read(job).map_err(|error| error.in_file(&unit.file.key))?;
                Ok(UnitRead { strip, kept: Vec::new(), bytes, rows_added })
            }
        }
    }
}

/// Reads all a row group has of the series asked for, keeps it, and gives what lies in the time asked for.
fn read_and_keep(
    unit: &Unit,
    group: &mut OpenGroup,
    cache: &PartCache,
    (name, series): (GroupKey, &[i64]),
    job: &Job,
) -> Result<Vec<Cut>> {
    let found = group.read(&job.of_all_time()).map_err(|error| error.in_file(&unit.file.key))?;
    let mut by_position: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    for (position, part) in found.into_parts() {
        by_position.entry(position).or_default().push(part);
    }
    let whole: BTreeMap<usize, Arc<Part>> =
        by_position.into_iter().map(|(position, parts)| (position, Arc::new(join(parts)))).collect();
    let of_series = |tsid: &i64| {
        let part = job.wanted.position(*tsid).and_then(|position| whole.get(&position));
        (*tsid, part.map_or_else(Arc::default, Arc::clone))
    };
    cache.insert(name, series.iter().map(of_series));
    let cut = |(position, part): (usize, Arc<Part>)| {
        let range = range_of(&part, job);
        job.options.budget.take(range.len())?;
        Ok((position, part, range))
    };
    whole.into_iter().map(cut).collect()
}

impl Unit {
    /// Takes the rows of all time in, where what is read is to be kept; whether it is.
    fn widen(&mut self, cache: &PartCache, job: &Job) -> bool {
        let Some((_, series)) = &self.kept else { return false };
        if !cache.has_room(series.len(), 0) {
            return false;
        }
        let rows = wanted_rows(self.footer.metadata(), self.layout, self.rows.group, &job.of_all_time());
        match rows.filter(|rows| rows.count() <= KEPT_ROWS_MAX) {
            Some(rows) => {
                self.rows = rows;
                true
            }
            None => false,
        }
    }

    /// Rows of the row group.
    fn group_rows(&self) -> i64 {
        self.footer.metadata().row_group(self.rows.group).num_rows()
    }

    async fn fetch(&self, snapshot: &Snapshot) -> Result<Pieces> {
        fetch(snapshot.objects(), &self.file, self.footer.metadata(), self.layout, &self.rows).await
    }

    fn fetch_blocking(&self, folder: &DurableFolder) -> Result<Pieces> {
        fetch_blocking(folder, &self.file, self.footer.metadata(), self.layout, &self.rows)
    }

    fn decode(&self, pieces: Pieces, job: &Job) -> Result<OpenGroup> {
        open(self.footer.metadata(), self.layout, &self.rows, pieces, job)
            .map_err(|error| error.in_file(&self.file.key))
    }

    /// Opens the row group to be read some series at a time; also gives the bytes read.
    pub(super) async fn open(self, snapshot: &Snapshot, job: &Job) -> Result<(OpenUnit, u64)> {
        job.check()?;
        let pieces = self.fetch(snapshot).await?;
        let bytes = pieces.bytes();
        let job = job.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let mut group = self.decode(pieces, &job)?;
            // Bounds and order of files of others are not to be relied upon.
            if !group.is_in_order() || !self.file.is_sorted() {
                group.read_early(&job).map_err(|error| error.in_file(&self.file.key))?;
            }
            Ok::<_, crate::error::Error>(OpenUnit { unit: self, group })
        });
        Ok((opened.await??, bytes))
    }
}

/// A row group that is being read.
pub(super) struct OpenUnit {
    unit: Unit,
    group: OpenGroup,
}

impl OpenUnit {
    /// Adds to `samples`, which has a place for every series from `first` on, about what it has of each.
    pub(super) fn count(&self, first: usize, samples: &mut [f64]) {
        self.group.count_rows(first, samples, self.unit.share);
    }

    /// Holds what it has of the series before position `end` ready. Computes.
    pub(super) fn hold(&mut self, end: usize, job: &Job) -> Result<()> {
        self.group.hold(end, job).map_err(|error| error.in_file(&self.unit.file.key))
    }

    /// The row group, to be read from what is held.
    pub(super) fn group(&self) -> &OpenGroup {
        &self.group
    }

    /// The same, to be changed.
    pub(super) fn group_mut(&mut self) -> &mut OpenGroup {
        &mut self.group
    }

    /// About when its samples begin, in microseconds.
    pub(super) fn starts_us(&self) -> Option<i64> {
        self.unit.file.stats.min_ts_us
    }
}
