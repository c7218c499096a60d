//! The files' samples: which files and row groups are read, several at once.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::catalog::DataFile;
use crate::error::Result;
use crate::paths::DAY_US;
use crate::snapshot::Snapshot;
use crate::tables::Table;

use super::columns::{Layout, OpenGroup, open};
use super::merge::Part;
use super::pages::{Expected, GroupRows, expected, wanted_rows};
use super::pieces::{Pieces, fetch};
use super::{Job, SampleStats, batches};

/// Footers read at once.
const FOOTERS_AT_ONCE: usize = 16;

/// What is to be read of files.
#[derive(Debug, Default)]
pub(super) struct FilesPlan {
    pub(super) units: Vec<Unit>,
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
    let footers: Vec<_> = files.into_iter().map(|file| with_footer(snapshot, file)).collect();
    let mut footers = futures::stream::iter(footers).buffered(FOOTERS_AT_ONCE);
    while let Some((file, footer)) = footers.try_next().await? {
        job.check()?;
        match Layout::of(&footer) {
            Some(layout) => add_units(&file, &footer, layout, job, &mut plan),
            None => {
                plan.stats.files += 1;
                plan.foreign.push(file);
            }
        }
    }
    Ok(plan)
}

/// Adds all samples of the files planned to `parts`, which has a list for every series asked for.
pub(super) async fn read(
    snapshot: &Snapshot,
    job: &Job,
    plan: FilesPlan,
    parts: &mut [Vec<Part>],
) -> Result<SampleStats> {
    let mut stats = plan.stats;
    for file in &plan.foreign {
        batches::read_file(snapshot, file, job, parts).await?;
    }
    let reads: Vec<_> = plan.units.into_iter().map(|unit| read_unit(snapshot, job, unit)).collect();
    let mut reads = futures::stream::iter(reads).buffer_unordered(job.options.parallel.max(1));
    while let Some((found, bytes)) = reads.try_next().await? {
        stats.bytes += bytes;
        for (position, part) in found {
            parts[position].push(part);
        }
    }
    Ok(stats)
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

async fn with_footer(
    snapshot: &Snapshot,
    file: Arc<DataFile>,
) -> Result<(Arc<DataFile>, ArrowReaderMetadata)> {
    let footer = snapshot.footers().read(snapshot.objects(), &file.key, file.size).await?;
    Ok((file, footer))
}

fn add_units(
    file: &Arc<DataFile>,
    footer: &ArrowReaderMetadata,
    layout: Layout,
    job: &Job,
    plan: &mut FilesPlan,
) {
    let before = plan.units.len();
    let groups = footer.metadata().num_row_groups();
    for group in 0..groups {
        if let Some(rows) = wanted_rows(footer.metadata(), layout, group, job) {
            plan.stats.rows += rows.count();
            let Expected { first, share, samples } = expected(footer.metadata(), layout, &rows, job);
            let (file, footer) = (Arc::clone(file), footer.clone());
            plan.units.push(Unit { file, footer, layout, rows, first, share, samples });
        }
    }
    let read = plan.units.len() - before;
    plan.stats.row_groups += read;
    plan.stats.row_groups_pruned += groups - read;
    plan.stats.files += usize::from(read > 0);
    plan.stats.files_pruned += usize::from(read == 0);
}

/// Parts with the positions of their series, and the bytes read for them.
async fn read_unit(snapshot: &Snapshot, job: &Job, unit: Unit) -> Result<(Vec<(usize, Part)>, u64)> {
    job.check()?;
    let pieces = unit.fetch(snapshot).await?;
    let bytes = pieces.bytes();
    let job = job.clone();
    let decoded = tokio::task::spawn_blocking(move || {
        let mut group = unit.decode(pieces, &job)?;
        group.read(usize::MAX, &job).map_err(|error| error.in_file(&unit.file.key))
    });
    Ok((decoded.await??, bytes))
}

impl Unit {
    async fn fetch(&self, snapshot: &Snapshot) -> Result<Pieces> {
        fetch(snapshot.objects(), &self.file, self.footer.metadata(), self.layout, &self.rows).await
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
            if !group.is_in_order() {
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
    /// Whether there is nothing left to read.
    pub(super) fn is_done(&self) -> bool {
        self.group.is_done()
    }

    /// Adds to `samples`, which has a place for every series from `first` on, about what it has of each.
    pub(super) fn count(&self, first: usize, samples: &mut [f64]) {
        self.group.count_rows(first, samples, self.unit.share);
    }

    /// Itself, and parts of the series before position `end` with their positions.
    pub(super) async fn read(mut self, end: usize, job: &Job) -> Result<(OpenUnit, Vec<(usize, Part)>)> {
        let job = job.clone();
        let read = tokio::task::spawn_blocking(move || {
            let parts = self.group.read(end, &job).map_err(|error| error.in_file(&self.unit.file.key))?;
            Ok::<_, crate::error::Error>((self, parts))
        });
        read.await?
    }
}
