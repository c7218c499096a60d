//! Pages of the columns tsid, ts and value to parts of series: runs of equal ids first, then the times of the
//! runs that are wanted, then the values of the times that are.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType as ColumnType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::error::Error;

use super::merge::{Part, Strip};
use super::pages::{GroupRows, is_within, locations, short};
use super::pieces::Pieces;
use super::wide::Wide;
use super::{Job, ids};

/// Runs of ids looked at between two looks at whether to stop.
const IDS_PER_CHECK: usize = 4 << 10;
/// Runs decoded between two looks at whether to stop.
const RUNS_PER_CHECK: usize = 16;

/// Leaf columns of a file by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) metric: usize,
    pub(super) tsid: usize,
    pub(super) ts: usize,
    pub(super) value: usize,
}

impl Layout {
    /// Where the columns are, if they are stored the way this program stores them.
    pub(super) fn of(footer: &ArrowReaderMetadata) -> Option<Layout> {
        let schema: &Schema = footer.schema();
        let leaves = footer.parquet_schema();
        let leaf = |name: &str, fits: fn(&DataType) -> bool, fitting: parquet::basic::Type| {
            let field = schema.field_with_name(name).ok()?;
            let column = (0..leaves.num_columns()).find(|i| leaves.column(*i).path().parts() == [name])?;
            let descriptor = leaves.column(column);
            let plain = descriptor.max_def_level() == 0 && descriptor.max_rep_level() == 0;
            (plain && fits(field.data_type()) && descriptor.physical_type() == fitting).then_some(column)
        };
        use parquet::basic::Type;
        Some(Layout {
            metric: leaf("metric", |t| matches!(t, DataType::Utf8), Type::BYTE_ARRAY)?,
            tsid: leaf("tsid", |t| matches!(t, DataType::Int64), Type::INT64)?,
            ts: leaf("ts", |t| matches!(t, DataType::Timestamp(TimeUnit::Microsecond, _)), Type::INT64)?,
            value: leaf("value", |t| matches!(t, DataType::Float64), Type::DOUBLE)?,
        })
    }
}

/// What decoding fails with.
#[derive(Debug)]
pub(super) enum DecodeError {
    Parquet(ParquetError),
    Store(Error),
}

impl DecodeError {
    /// The error with the file's name.
    pub(super) fn in_file(self, key: &Path) -> Error {
        match self {
            DecodeError::Parquet(error) => Error::parquet(key, error),
            DecodeError::Store(error) => error,
        }
    }
}

impl From<ParquetError> for DecodeError {
    fn from(error: ParquetError) -> DecodeError {
        DecodeError::Parquet(error)
    }
}

impl From<Error> for DecodeError {
    fn from(error: Error) -> DecodeError {
        DecodeError::Store(error)
    }
}

/// A row group with its packed pages in memory. Its samples are read forward, some series at a time, and no page
/// is unpacked twice.
pub(super) struct OpenGroup {
    runs: Vec<Run>,
    /// The next of `runs`.
    next: usize,
    times: Wide,
    values: Wide,
    /// Whether all of its rows lie in the time asked for.
    in_time: bool,
    /// Parts that were read before their turn, by position, the last one first.
    early: Vec<(usize, Part)>,
}

/// Opens a row group: finds the runs of the series asked for among `rows`.
pub(super) fn open(
    footer: &ParquetMetaData,
    layout: Layout,
    rows: &GroupRows,
    pieces: Pieces,
    job: &Job,
) -> Result<OpenGroup, DecodeError> {
    let pieces = Arc::new(pieces);
    let runs = wanted_runs(footer, layout.tsid, rows, &pieces, job)?;
    let times = Wide::times(footer, rows.group, layout.ts, &pieces)?;
    let values = Wide::values(footer, rows.group, layout.value, &pieces)?;
    let in_time = is_within(footer, layout, rows.group, job);
    Ok(OpenGroup { runs, next: 0, times, values, in_time, early: Vec::new() })
}

impl OpenGroup {
    /// Whether there is nothing left to read.
    pub(super) fn is_done(&self) -> bool {
        self.next == self.runs.len() && self.early.is_empty()
    }

    /// Rows of the series asked for that are left to read.
    pub(super) fn rows_left(&self) -> usize {
        self.runs[self.next..].iter().map(|run| run.rows.len()).sum()
    }

    /// Whether the series lie in the order they were asked for, as they do in files of this program.
    pub(super) fn is_in_order(&self) -> bool {
        self.runs.is_sorted_by_key(|run| run.position)
    }

    /// Adds the rows left of each series from `first` on to `rows`, which has a place a series.
    pub(super) fn count_rows(&self, first: usize, rows: &mut [f64], share: f64) {
        let runs = self.runs[self.next..].iter();
        let end = first + rows.len();
        for run in runs.take_while(|run| run.position < end) {
            // Series before `first` have been read already.
            if run.position >= first {
                rows[run.position - first] += run.rows.len() as f64 * share;
            }
        }
    }

    /// Reads everything now, to be given by [`OpenGroup::take_early`] when its turn comes.
    pub(super) fn read_early(&mut self, job: &Job) -> Result<(), DecodeError> {
        self.early = self.read(job)?.into_parts();
        self.early.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
        Ok(())
    }

    /// What was read early of the series before position `end`.
    pub(super) fn take_early(&mut self, end: usize) -> Strip {
        let mut strip = Strip::default();
        while let Some((position, part)) = self.early.pop_if(|(position, _)| *position < end) {
            strip.add_part(position, &part);
        }
        strip
    }

    /// Holds the rows of the series before position `end` ready, of those that were not passed.
    pub(super) fn hold(&mut self, end: usize, job: &Job) -> Result<(), DecodeError> {
        for (number, run) in self.runs[self.next..].iter().take_while(|run| run.position < end).enumerate() {
            if number.is_multiple_of(RUNS_PER_CHECK) {
                job.check()?;
            }
            self.times.hold(run.rows.clone())?;
            self.values.hold(run.rows.clone())?;
        }
        Ok(())
    }

    /// Passes the series before position `end`, and lets pages go that no other needs.
    pub(super) fn pass(&mut self, end: usize) {
        self.next = self.first_run(end);
        self.let_go();
    }

    /// Lets pages go that the runs left do not need.
    fn let_go(&mut self) {
        let row = self.runs.get(self.next).map_or(usize::MAX, |run| run.rows.start);
        self.times.let_go(row);
        self.values.let_go(row);
    }

    /// The first run of a series at position `position` or later.
    pub(super) fn first_run(&self, position: usize) -> usize {
        self.next + self.runs[self.next..].partition_point(|run| run.position < position)
    }

    /// Rows of run `next`, if it is one of the series at `position`; then `next` is the one after it.
    pub(super) fn run_of(&self, position: usize, next: &mut usize) -> Option<Range<usize>> {
        let run = self.runs.get(*next).filter(|run| run.position == position)?;
        *next += 1;
        Some(run.rows.clone())
    }

    /// Those of the rows of a run that lie in the time asked for; they are held.
    pub(super) fn rows_in_time(&self, rows: Range<usize>, job: &Job) -> Range<usize> {
        if self.in_time {
            return rows;
        }
        let (start_us, end_us) = job.range_us();
        let first = partition_point(rows.clone(), |row| self.times.time(row) < start_us);
        first..partition_point(first..rows.end, |row| self.times.time(row) <= end_us)
    }

    /// The time of a row that is held, in milliseconds.
    pub(super) fn time_ms(&self, row: usize) -> i64 {
        self.times.time(row).div_euclid(1_000)
    }

    /// Times in microseconds.
    pub(super) fn times(&self) -> &Wide {
        &self.times
    }

    /// Values.
    pub(super) fn values(&self) -> &Wide {
        &self.values
    }

    /// All samples left of the series asked for.
    pub(super) fn read(&mut self, job: &Job) -> Result<Strip, DecodeError> {
        let (mut micros, mut strip) = (Vec::new(), Strip::default());
        while let Some(run) = self.runs.get(self.next) {
            if self.next.is_multiple_of(RUNS_PER_CHECK) {
                job.check()?;
            }
            self.times.hold(run.rows.clone())?;
            micros.clear();
            self.times.rows(run.rows.clone()).for_each(|rows| micros.extend(rows.times()));
            let own = &mut self.values;
            strip.add(run.position, |times, values| read_run(run, &micros, own, (times, values), job))?;
            self.next += 1;
            self.let_go();
        }
        Ok(strip)
    }
}

/// The first of `rows` that is not `before`, as [`slice::partition_point`].
fn partition_point(mut rows: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    while !rows.is_empty() {
        let middle = rows.start + rows.len() / 2;
        if before(middle) { rows.start = middle + 1 } else { rows.end = middle }
    }
    rows.start
}

/// Where samples go to: their times in milliseconds, and their values.
type Columns<'a> = (&'a mut Vec<i64>, &'a mut Vec<f64>);

/// Appends the samples of a run that lie in the range of time; `times` are those of its rows, in microseconds.
fn read_run(
    run: &Run,
    times: &[i64],
    values: &mut Wide,
    to: Columns<'_>,
    job: &Job,
) -> Result<(), DecodeError> {
    let (start_us, end_us) = job.range_us();
    if !times.is_sorted() {
        return read_unsorted_run(run, times, values, to, job);
    }
    let first = times.partition_point(|time| *time < start_us);
    let end = times.partition_point(|time| *time <= end_us);
    if first >= end {
        return Ok(());
    }
    job.options.budget.take(end - first)?;
    to.0.extend(times[first..end].iter().map(|us| us.div_euclid(1_000)));
    let rows = run.rows.start + first..run.rows.start + end;
    values.hold(rows.clone())?;
    values.append_values(rows, to.1);
    Ok(())
}

/// The same for files of others, whose order is not known.
fn read_unsorted_run(
    run: &Run,
    times: &[i64],
    values: &mut Wide,
    to: Columns<'_>,
    job: &Job,
) -> Result<(), DecodeError> {
    let (start_us, end_us) = job.range_us();
    let mut all = Vec::with_capacity(times.len());
    values.hold(run.rows.clone())?;
    values.append_values(run.rows.clone(), &mut all);
    let samples = times.iter().zip(all).filter(|(time, _)| (start_us..=end_us).contains(*time));
    let before = to.0.len();
    for (time, value) in samples {
        to.0.push(time.div_euclid(1_000));
        to.1.push(value);
    }
    job.options.budget.take(to.0.len() - before)?;
    Ok(())
}

/// Rows that follow each other and have the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    /// The series' position in the list of those asked for.
    position: usize,
    rows: Range<usize>,
}

/// Runs of the series asked for.
fn wanted_runs(
    footer: &ParquetMetaData,
    column: usize,
    rows: &GroupRows,
    pieces: &Arc<Pieces>,
    job: &Job,
) -> Result<Vec<Run>, DecodeError> {
    let mut runs: Vec<Run> = Vec::new();
    let mut seen = 0_usize;
    ids::each_run(footer, column, rows, pieces, |tsid, rows| {
        seen += 1;
        if seen.is_multiple_of(IDS_PER_CHECK) {
            job.check()?;
        }
        let Some(position) = job.wanted.position(tsid) else { return Ok(()) };
        match runs.last_mut() {
            Some(last) if last.position == position && last.rows.end == rows.start => {
                last.rows.end = rows.end
            }
            _ => runs.push(Run { position, rows }),
        }
        Ok(())
    })?;
    Ok(runs)
}

/// Reads rows of one column, forward, by way of the Parquet library.
pub(super) struct Column<T: ColumnType> {
    reader: ColumnReaderImpl<T>,
    /// The next row.
    row: usize,
}

impl<T: ColumnType> Column<T> {
    pub(super) fn open(
        footer: &ParquetMetaData,
        group: usize,
        column: usize,
        pieces: &Arc<Pieces>,
    ) -> Result<Column<T>, ParquetError> {
        let meta = footer.row_group(group);
        let rows = usize::try_from(meta.num_rows())?;
        let locations = locations(footer, group, column).map(<[_]>::to_vec);
        let pages = SerializedPageReader::new(Arc::clone(pieces), meta.column(column), rows, locations)?;
        let descriptor = footer.file_metadata().schema_descr().column(column);
        Ok(Column { reader: ColumnReaderImpl::new(descriptor, Box::new(pages)), row: 0 })
    }

    /// Appends the values of `rows`, which must not lie before those read already.
    pub(super) fn read(&mut self, rows: Range<usize>, values: &mut Vec<T::T>) -> Result<(), ParquetError> {
        let skip = rows.start.saturating_sub(self.row);
        if skip > 0 && self.reader.skip_records(skip)? != skip {
            return Err(short());
        }
        let before = values.len();
        self.reader.read_records(rows.len(), None, None, values)?;
        if values.len() - before != rows.len() {
            return Err(short());
        }
        self.row = rows.end;
        Ok(())
    }
}
