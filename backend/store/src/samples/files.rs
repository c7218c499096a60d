//! The files' samples: which files and row groups are read, several at once.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::catalog::DataFile;
use crate::error::Result;
use crate::paths::DAY_US;
use crate::snapshot::Snapshot;
use crate::tables::Table;

use super::columns::{Layout, decode};
use super::merge::Part;
use super::pages::{GroupRows, wanted_rows};
use super::pieces::fetch;
use super::{Job, SampleStats, batches};

/// Footers read at once.
const FOOTERS_AT_ONCE: usize = 16;

/// A row group to read.
#[derive(Debug)]
struct Unit {
    file: Arc<DataFile>,
    footer: ArrowReaderMetadata,
    layout: Layout,
    rows: GroupRows,
}

/// Adds the samples of the snapshot's files to `parts`, which has a list for every series asked for.
pub(super) async fn read(
    snapshot: &Snapshot,
    job: &Job,
    parts: &mut [Vec<Part>],
    stats: &mut SampleStats,
) -> Result<()> {
    let all = snapshot.files(Table::Metrics);
    let files: Vec<Arc<DataFile>> = all.iter().filter(|file| may_hold(file, job)).map(Arc::clone).collect();
    stats.files_pruned = all.len() - files.len();
    let footers: Vec<_> = files.into_iter().map(|file| with_footer(snapshot, file)).collect();
    let mut footers = futures::stream::iter(footers).buffered(FOOTERS_AT_ONCE);
    let mut units = Vec::new();
    while let Some((file, footer)) = footers.try_next().await? {
        job.check()?;
        match Layout::of(&footer) {
            Some(layout) => plan(&file, &footer, layout, job, &mut units, stats),
            None => {
                stats.files += 1;
                batches::read_file(snapshot, &file, job, parts).await?;
            }
        }
    }
    let reads: Vec<_> = units.into_iter().map(|unit| read_unit(snapshot, job, unit)).collect();
    let mut reads = futures::stream::iter(reads).buffer_unordered(job.options.parallel.max(1));
    while let Some((found, bytes)) = reads.try_next().await? {
        stats.bytes += bytes;
        for (position, part) in found {
            parts[position].push(part);
        }
    }
    Ok(())
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

fn plan(
    file: &Arc<DataFile>,
    footer: &ArrowReaderMetadata,
    layout: Layout,
    job: &Job,
    units: &mut Vec<Unit>,
    stats: &mut SampleStats,
) {
    let before = units.len();
    let groups = footer.metadata().num_row_groups();
    for group in 0..groups {
        if let Some(rows) = wanted_rows(footer.metadata(), layout, group, job) {
            stats.rows += rows.count();
            units.push(Unit { file: Arc::clone(file), footer: footer.clone(), layout, rows });
        }
    }
    let read = units.len() - before;
    stats.row_groups += read;
    stats.row_groups_pruned += groups - read;
    stats.files += usize::from(read > 0);
    stats.files_pruned += usize::from(read == 0);
}

/// Parts with the positions of their series, and the bytes read for them.
async fn read_unit(snapshot: &Snapshot, job: &Job, unit: Unit) -> Result<(Vec<(usize, Part)>, u64)> {
    job.check()?;
    let pieces =
        fetch(snapshot.objects(), &unit.file, unit.footer.metadata(), unit.layout, &unit.rows).await?;
    let bytes = pieces.bytes();
    let job = job.clone();
    let decoded = tokio::task::spawn_blocking(move || {
        let key = &unit.file.key;
        decode(unit.footer.metadata(), unit.layout, &unit.rows, pieces, &job)
            .map_err(|error| error.in_file(key))
    });
    Ok((decoded.await??, bytes))
}
