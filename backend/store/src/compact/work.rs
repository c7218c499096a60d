//! One merge, on a thread that may block: inputs to files of the size wanted.

use std::sync::Arc;

use arrow::array::RecordBatch;
use model::Clock;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::merge::{Batches, MergeCounts, MergeFailure, merge};
use super::rows::{Rows, conform};
use super::{CompactionPolicy, CompactionProgress, LEVEL_DAY, ProgressFn, unsorted};
use crate::catalog::{DataFile, NewFiles, OpenFile};
use crate::error::{Error, Result};
use crate::parquet_file::{FileTags, FrontToBack, WriteProfile, WrittenFile};
use crate::tables::Table;

/// Rows of a batch that is written.
const BATCH_ROWS: usize = 32_768;
/// The same for tables whose rows are large.
const LARGE_ROWS: usize = 4_096;

/// What a merge needs.
pub(super) struct Work {
    pub(super) table: Table,
    pub(super) level: u8,
    pub(super) inputs: Vec<Batches>,
    /// Rows of the inputs, as the catalog and as the footer say; 0 where the catalog does not know.
    pub(super) expected: Vec<(u64, u64)>,
    pub(super) new_files: NewFiles,
    pub(super) policy: CompactionPolicy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    pub(super) runtime: Handle,
    pub(super) progress: (ProgressFn, CompactionProgress),
}

/// What it came to.
pub(super) struct Merged {
    pub(super) files: Vec<WrittenFile>,
    pub(super) counts: MergeCounts,
}

/// The rows of open files, sorted where they are not; starts fetching.
pub(super) fn input_batches(
    table: Table,
    files: &[Arc<DataFile>],
    opened: Vec<FrontToBack>,
) -> Vec<Batches> {
    let batches = |(file, opened): (&Arc<DataFile>, FrontToBack)| -> Batches {
        let batches = opened.batches();
        if file.is_sorted() {
            return Box::new(batches.map(move |batch| conform(table, &batch?)));
        }
        let mut unsorted = Some(batches);
        Box::new(std::iter::from_fn(move || Some(unsorted::sort(table, unsorted.take()?))).flat_map(
            |sorted| match sorted {
                Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            },
        ))
    };
    files.iter().zip(opened).map(batches).collect()
}

impl Work {
    /// Merges; blocks.
    pub(super) fn run(self) -> Result<Merged, MergeFailure> {
        let Work { table, level, inputs, expected, new_files, policy, clock, stop, runtime, progress } = self;
        let limit = policy.job_time_max;
        let until_ms = clock.now_ms().saturating_add(policy.job_time_max.as_millis() as i64);
        let mut output = Output { table, level, new_files, policy, runtime, open: None, done: Vec::new(), last: None };
        let (teller, progress) = progress;
        let rows = if table == Table::Metrics { BATCH_ROWS } else { LARGE_ROWS };
        let mut rows_done = 0;
        let merged = merge(table, inputs, rows, &mut |batch| {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if clock.now_ms() > until_ms {
                return Err(Error::TookTooLong { what: "a merge", limit });
            }
            rows_done += batch.num_rows() as u64;
            output.write(batch)?;
            teller.tell(CompactionProgress { rows_done, bytes_done: output.bytes(), ..progress });
            Ok(())
        });
        let checked = merged.and_then(|counts| {
            check_counts(table, &counts, &expected)?;
            Ok(counts)
        });
        match checked {
            Ok(counts) => Ok(Merged { files: output.finish()?, counts }),
            Err(failure) => Err(output.give_up(failure)),
        }
    }
}

/// Every row of the inputs must have been seen, and be in the output or in a row of it.
fn check_counts(table: Table, counts: &MergeCounts, expected: &[(u64, u64)]) -> Result<(), MergeFailure> {
    for (input, (&seen, &(catalog, footer))) in counts.rows_in.iter().zip(expected).enumerate() {
        if seen != footer || (catalog > 0 && seen != catalog) {
            let reason = format!("{seen} rows came, {footer} in the footer and {catalog} in the catalog");
            return Err(MergeFailure { input: Some(input), error: Error::corrupt(table, reason) });
        }
    }
    let rows_in: u64 = counts.rows_in.iter().sum();
    if rows_in == counts.rows_out + counts.repeats {
        return Ok(());
    }
    let reason = format!("a merge made {} rows and {} repetitions of {rows_in}", counts.rows_out, counts.repeats);
    Err(Error::Schema { table: table.name(), reason }.into())
}

/// Writes files of the size wanted; the rows of a series or stream stay together.
struct Output {
    table: Table,
    level: u8,
    new_files: NewFiles,
    policy: CompactionPolicy,
    runtime: Handle,
    open: Option<OpenFile>,
    done: Vec<WrittenFile>,
    /// The last row written.
    last: Option<RecordBatch>,
}

impl Output {
    fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let end = match &self.open {
            Some(open) if self.is_full(open) => self.border(open, &batch)?,
            _ => batch.num_rows(),
        };
        if end > 0 {
            self.append(&batch.slice(0, end))?;
        }
        if end == batch.num_rows() {
            return Ok(());
        }
        self.end_file()?;
        self.append(&batch.slice(end, batch.num_rows() - end))
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let profile =
                    if self.level >= LEVEL_DAY { WriteProfile::Compacted } else { WriteProfile::Flush };
                none.insert(self.new_files.begin(profile, &self.runtime)?)
            }
        };
        open.write(batch)?;
        self.last = Some(batch.slice(batch.num_rows() - 1, 1));
        Ok(())
    }

    fn is_full(&self, open: &OpenFile) -> bool {
        open.bytes() >= self.policy.target_bytes || open.rows() >= self.policy.target_rows
    }

    /// Rows of `batch` that still belong into the open file. A stream that alone would fill it twice over is
    /// cut where it is.
    fn border(&self, open: &OpenFile, batch: &RecordBatch) -> Result<usize> {
        let Some(last) = &self.last else { return Ok(0) };
        if open.bytes() / 2 >= self.policy.target_bytes || open.rows() / 2 >= self.policy.target_rows {
            return Ok(0);
        }
        let (last, rows) = (Rows::new(self.table, 0, last.clone())?, Rows::new(self.table, 0, batch.clone())?);
        if last.compare_group(0, &rows, 0).is_ne() {
            return Ok(0);
        }
        Ok(rows.groups().get(1).map_or(batch.num_rows(), |&row| row as usize))
    }

    fn end_file(&mut self) -> Result<()> {
        let tags = FileTags { level: self.level, may_repeat: true };
        if let Some(open) = self.open.take() {
            self.done.push(open.finish(tags)?);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let done: u64 = self.done.iter().map(|file| file.size).sum();
        done + self.open.as_ref().map_or(0, OpenFile::bytes)
    }

    fn finish(mut self) -> Result<Vec<WrittenFile>> {
        self.end_file()?;
        Ok(self.done)
    }

    /// What to say of a merge that failed: where writing did, the reason of the upload.
    fn give_up(self, failure: MergeFailure) -> MergeFailure {
        let wrote = matches!(failure, MergeFailure { input: None, error: Error::Parquet { .. } });
        let upload = self.open.map_or(Ok(()), OpenFile::give_up);
        match upload {
            Err(error) if wrote => error.into(),
            _ => failure,
        }
    }
}
