//! Reads histograms, start times and exemplars of chosen series. Comes in: a snapshot, series, a time range,
//! limits; goes out: for every series that has some its rows by time, of repeated ones those that count.
//!
//! Most stores have none of them, and most that have some have few: where neither memory nor the list of files
//! has any for the time, nothing is read. Files are read by record batches, row groups and pages left out by the
//! series' ids.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use super::files::may_hold;
use super::wanted::Wanted;
use super::{Job, SampleOptions};
use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::head::generation::Generation;
use crate::head::sparse::{SparseRows, SparseTable};
use crate::offload::offload;
use crate::parquet_file::{ReadOptions, read_batches};
use crate::series_files::SeriesEntry;
use crate::snapshot::Snapshot;
use crate::sparse::columns::tsids;
use crate::sparse::{ExemplarRow, HistogramRow, SparseRow, StartRow, keep_counting};
use crate::tables::Table;

/// Rows of a batch.
const BATCH_ROWS: usize = 4 << 10;
/// Most series looked up in memory without handing them to another thread.
const READ_HERE_MAX: usize = 64;
/// Most rows looked through for repeated ones likewise.
const KEPT_HERE_MAX: usize = 1_024;
/// Bytes a sample takes, which the limit on samples stands for.
const SAMPLE_BYTES: usize = 16;

/// Rows of series, by their id; series without rows are left out.
pub type RowsById<R> = HashMap<i64, Vec<R>>;

impl Snapshot {
    /// Whether there may be rows of `table` from `start_ms` to `end_ms`, both inclusive, milliseconds since the
    /// Unix epoch. Reads nothing. Only for the tables of this module.
    pub fn may_hold_sparse(&self, table: Table, start_ms: i64, end_ms: i64) -> bool {
        let (start_us, end_us) =
            (start_ms.saturating_mul(1_000), end_ms.saturating_mul(1_000).saturating_add(999));
        let in_files = self.files(table).iter().any(|file| file.may_hold_time(Some(start_us), Some(end_us)));
        in_files
            || self.generations(table).iter().any(|generation| {
                let span =
                    generation.sparse.table(table).and_then(|rows| Some((rows.min_ms()?, rows.max_ms()?)));
                span.is_some_and(|(min_ms, max_ms)| min_ms <= end_ms && start_ms <= max_ms)
            })
    }

    /// Native histograms of `series` from `start_ms` to `end_ms`, as [`Snapshot::read_samples`]; strictly
    /// increasing in time. Each counts as many samples as its bytes would hold.
    pub async fn read_histograms(
        &self,
        series: &[SeriesEntry],
        start_ms: i64,
        end_ms: i64,
        options: &SampleOptions,
    ) -> Result<RowsById<HistogramRow>> {
        self.read_sparse(series, start_ms, end_ms, options, |of| &of.sparse.histograms).await
    }

    /// Start times of float samples of `series`, as [`Snapshot::read_histograms`].
    pub async fn read_starts(
        &self,
        series: &[SeriesEntry],
        start_ms: i64,
        end_ms: i64,
        options: &SampleOptions,
    ) -> Result<RowsById<StartRow>> {
        self.read_sparse(series, start_ms, end_ms, options, |of| &of.sparse.starts).await
    }

    /// Exemplars of `series`, as [`Snapshot::read_histograms`]; several may have the same time.
    pub async fn read_exemplars(
        &self,
        series: &[SeriesEntry],
        start_ms: i64,
        end_ms: i64,
        options: &SampleOptions,
    ) -> Result<RowsById<ExemplarRow>> {
        self.read_sparse(series, start_ms, end_ms, options, |of| &of.sparse.exemplars).await
    }

    async fn read_sparse<R: SparseRow>(
        &self,
        series: &[SeriesEntry],
        start_ms: i64,
        end_ms: i64,
        options: &SampleOptions,
        of: fn(&Generation) -> &SparseRows<R>,
    ) -> Result<RowsById<R>> {
        let mut found = RowsById::new();
        if start_ms > end_ms || series.is_empty() || !self.may_hold_sparse(R::TABLE, start_ms, end_ms) {
            return Ok(found);
        }
        let job = Job { wanted: Arc::new(Wanted::new(series)), start_ms, end_ms, options: options.clone() };
        let generations = self.generations(R::TABLE);
        let reading = job.clone();
        let is_short = series.len() <= READ_HERE_MAX;
        for (tsid, mut rows) in offload(is_short, move || head_rows(&reading, &generations, of)).await?? {
            found.entry(tsid).or_default().append(&mut rows);
        }
        let ids: Arc<HashSet<i64>> = Arc::new(job.wanted.tsids().iter().copied().collect());
        let files = self.files(R::TABLE).iter().filter(|file| may_hold(file, &job));
        let reads: Vec<_> =
            files.map(|file| file_rows::<R>(self, &job, Arc::clone(file), Arc::clone(&ids))).collect();
        let mut reads = futures::stream::iter(reads).buffer_unordered(options.parallel.max(1));
        while let Some(rows) = reads.try_next().await? {
            rows.into_iter().for_each(|(tsid, row)| found.entry(tsid).or_default().push(row));
        }
        let is_short = found.values().map(Vec::len).sum::<usize>() <= KEPT_HERE_MAX;
        Ok(offload(is_short, move || {
            found.values_mut().for_each(keep_counting);
            found
        })
        .await?)
    }
}

fn head_rows<R: SparseRow>(
    job: &Job,
    generations: &[Arc<Generation>],
    of: fn(&Generation) -> &SparseRows<R>,
) -> Result<Vec<(i64, Vec<R>)>> {
    let mut found = Vec::new();
    for rows in generations.iter().map(|generation| of(generation)) {
        job.check()?;
        let tsids = job.wanted.tsids();
        // Whichever are fewer are looked up among the others.
        let series = if (rows.series_count() as usize) < tsids.len() {
            rows.series_rows(job.start_ms, job.end_ms, |tsid, _| job.wanted.position(tsid).is_some())
        } else {
            rows.by_ids(tsids, job.start_ms, job.end_ms)
        };
        for one in series {
            take(job, one.rows.iter())?;
            found.push((one.tsid, one.rows));
        }
    }
    Ok(found)
}

/// Takes room for rows before they are kept.
fn take<'a, R: SparseRow>(job: &Job, rows: impl Iterator<Item = &'a R>) -> Result<()> {
    let bytes: usize = rows.map(SparseRow::bytes).sum();
    job.options.budget.take(bytes.div_ceil(SAMPLE_BYTES))
}

async fn file_rows<R: SparseRow>(
    snapshot: &Snapshot,
    job: &Job,
    file: Arc<DataFile>,
    ids: Arc<HashSet<i64>>,
) -> Result<Vec<(i64, R)>> {
    job.check()?;
    let (start_us, end_us) = job.range_us();
    let options = ReadOptions {
        ids: Some(ids),
        start_us: Some(start_us),
        end_us: Some(end_us),
        batch_rows: Some(BATCH_ROWS),
        ..ReadOptions::default()
    };
    let mut batches = read_batches(snapshot.objects(), snapshot.footers(), &file, &options).await?;
    let mut found = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        job.check()?;
        let damaged = |error| Error::corrupt(&file.key, error);
        let tsids = tsids(R::TABLE, &batch).map_err(damaged)?;
        let rows = R::decode(&batch).map_err(damaged)?;
        let within = |row: &R| (job.start_ms..=job.end_ms).contains(&row.timestamp_ms());
        let rows: Vec<(i64, R)> = tsids.into_iter().zip(rows).filter(|(_, row)| within(row)).collect();
        take(job, rows.iter().map(|(_, row)| row))?;
        found.extend(rows);
    }
    Ok(found)
}
