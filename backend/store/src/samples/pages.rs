//! Which rows of a row group to look at: those of pages that may hold a series asked for, in its time.

use std::ops::Range;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::statistics::Statistics;

use super::Job;
use super::columns::Layout;

/// Rows of one row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRows {
    /// Number of the row group.
    pub(super) group: usize,
    /// Rows in the group, ascending, apart from each other.
    pub(super) ranges: Vec<Range<usize>>,
}

impl GroupRows {
    /// Number of rows.
    pub(super) fn count(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether a row of `range` is among them.
    pub(super) fn overlap(&self, range: &Range<usize>) -> bool {
        let next = self.ranges.partition_point(|own| own.end <= range.start);
        self.ranges.get(next).is_some_and(|own| own.start < range.end)
    }
}

/// Rows of row group `group` to look at, by its bounds and those of its pages; `None` where there is none.
pub(super) fn wanted_rows(
    footer: &ParquetMetaData,
    layout: Layout,
    group: usize,
    job: &Job,
) -> Option<GroupRows> {
    let meta = footer.row_group(group);
    let rows = usize::try_from(meta.num_rows()).unwrap_or_default();
    if rows == 0 || !group_may_hold(footer, layout, group, job) {
        return None;
    }
    let pages = Pages::of(footer, layout, group, rows);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (page, range) in pages.of_tsid().filter(|(page, range)| pages.may_hold(*page, range, job)) {
        debug_assert!(range.end <= rows, "page {page} ends after its row group");
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    (!ranges.is_empty()).then_some(GroupRows { group, ranges })
}

/// Ids of the series row group `group` may have, by its bounds, each once; `None` where there are more than `max`.
pub(super) fn wanted_series(
    footer: &ParquetMetaData,
    layout: Layout,
    group: usize,
    job: &Job,
    max: usize,
) -> Option<Vec<i64>> {
    let meta = footer.row_group(group);
    job.wanted.few_within(texts(meta, layout.metric), longs(meta, layout.tsid), max)
}

/// Whether all rows of row group `group` lie in the job's time.
pub(super) fn is_within(footer: &ParquetMetaData, layout: Layout, group: usize, job: &Job) -> bool {
    let (start_us, end_us) = job.range_us();
    match longs(footer.row_group(group), layout.ts) {
        (Some(min), Some(max)) => start_us <= min && max <= end_us,
        _ => false,
    }
}

/// Whether row group `group` may have something to give, by its bounds.
pub(super) fn group_may_hold(footer: &ParquetMetaData, layout: Layout, group: usize, job: &Job) -> bool {
    let meta = footer.row_group(group);
    overlaps(longs(meta, layout.ts), job)
        && job.wanted.any_within(texts(meta, layout.metric), longs(meta, layout.tsid))
}

fn texts(meta: &RowGroupMetaData, column: usize) -> (Option<&[u8]>, Option<&[u8]>) {
    match meta.column(column).statistics() {
        Some(Statistics::ByteArray(bounds)) => (bounds.min_bytes_opt(), bounds.max_bytes_opt()),
        _ => (None, None),
    }
}

fn longs(meta: &RowGroupMetaData, column: usize) -> (Option<i64>, Option<i64>) {
    match meta.column(column).statistics() {
        Some(Statistics::Int64(bounds)) => (bounds.min_opt().copied(), bounds.max_opt().copied()),
        _ => (None, None),
    }
}

/// What to expect of a row group before it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    /// Position of the first series it may hold.
    pub(super) first: usize,
    /// The part of its time that is asked for, 0 to 1.
    pub(super) share: f64,
    /// About how many samples it has for the series asked for.
    pub(super) samples: f64,
}

/// What to expect of `rows`, by the row group's bounds and the number of its series.
pub(super) fn expected(footer: &ParquetMetaData, layout: Layout, rows: &GroupRows, job: &Job) -> Expected {
    let meta = footer.row_group(rows.group);
    let (first, series) = job.wanted.first_within(texts(meta, layout.metric), longs(meta, layout.tsid));
    let share = match longs(meta, layout.ts) {
        (Some(min), Some(max)) if min <= max => {
            let (start_us, end_us) = job.range_us();
            let asked = max.min(end_us).saturating_sub(min.max(start_us)).saturating_add(1);
            (asked as f64 / max.saturating_sub(min).saturating_add(1) as f64).clamp(0.0, 1.0)
        }
        _ => 1.0,
    };
    // The dictionary of ids has each of them once, and hashes do not compress.
    let ids = meta.column(layout.tsid);
    let dictionary = ids.dictionary_page_offset().map_or(0, |offset| ids.data_page_offset() - offset);
    let all = rows.count() as f64;
    let of_series = match usize::try_from(dictionary / 8) {
        Ok(known) if known > 0 => meta.num_rows() as f64 / known as f64 * series as f64,
        _ => all,
    };
    Expected { first, share, samples: all.min(of_series) * share }
}

fn overlaps(times: (Option<i64>, Option<i64>), job: &Job) -> bool {
    let (start_us, end_us) = job.range_us();
    times.0.is_none_or(|min| min <= end_us) && times.1.is_none_or(|max| start_us <= max)
}

/// The pages of a row group with their bounds.
struct Pages<'a> {
    rows: usize,
    metric: PageColumn<'a>,
    tsid: PageColumn<'a>,
    ts: PageColumn<'a>,
}

/// The pages of one column; without locations where the file has none, which makes one page of all rows.
struct PageColumn<'a> {
    locations: &'a [PageLocation],
    bounds: Option<&'a ColumnIndexMetaData>,
}

impl<'a> Pages<'a> {
    fn of(footer: &'a ParquetMetaData, layout: Layout, group: usize, rows: usize) -> Pages<'a> {
        let column = |column: usize| PageColumn {
            locations: locations(footer, group, column).unwrap_or(&[]),
            bounds: footer.column_index().and_then(|index| index.get(group)?.get(column)),
        };
        Pages { rows, metric: column(layout.metric), tsid: column(layout.tsid), ts: column(layout.ts) }
    }

    /// Pages of the column `tsid` with their rows.
    fn of_tsid(&self) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
        let pages = self.tsid.locations.len().max(1);
        (0..pages).map(|page| (page, self.tsid.rows(page, self.rows)))
    }

    fn may_hold(&self, page: usize, range: &Range<usize>, job: &Job) -> bool {
        let times = self.ts.longs(range, self.rows);
        if !overlaps(times, job) {
            return false;
        }
        let metrics = self.metric.texts(range, self.rows);
        job.wanted.any_within(metrics, self.tsid.long(page))
    }
}

impl<'a> PageColumn<'a> {
    fn rows(&self, page: usize, rows: usize) -> Range<usize> {
        page_rows(self.locations, page, rows)
    }

    /// Pages that have a row of `range`.
    fn pages(&self, range: &Range<usize>, rows: usize) -> Range<usize> {
        let pages = self.locations.len().max(1);
        let touched = |page: &usize| {
            let own = self.rows(*page, rows);
            own.start < range.end && range.start < own.end
        };
        let first = (0..pages).find(touched).unwrap_or(pages);
        let last = (first..pages).take_while(touched).last().map_or(first, |last| last + 1);
        first..last
    }

    fn long(&self, page: usize) -> (Option<i64>, Option<i64>) {
        match self.bounds {
            Some(ColumnIndexMetaData::INT64(index)) if !self.locations.is_empty() => {
                (index.min_value(page).copied(), index.max_value(page).copied())
            }
            _ => (None, None),
        }
    }

    /// Bounds of the pages with rows of `range`.
    fn longs(&self, range: &Range<usize>, rows: usize) -> (Option<i64>, Option<i64>) {
        let bounds = self.pages(range, rows).map(|page| self.long(page));
        bounds.reduce(|a, b| (both(a.0, b.0, i64::min), both(a.1, b.1, i64::max))).unwrap_or((None, None))
    }

    fn texts(&self, range: &Range<usize>, rows: usize) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        let Some(ColumnIndexMetaData::BYTE_ARRAY(index)) = self.bounds else { return (None, None) };
        if self.locations.is_empty() {
            return (None, None);
        }
        let bounds = self.pages(range, rows).map(|page| (index.min_value(page), index.max_value(page)));
        bounds.reduce(|a, b| (both(a.0, b.0, Ord::min), both(a.1, b.1, Ord::max))).unwrap_or((None, None))
    }
}

/// A bound of two pages; none where one of them has none.
fn both<T>(a: Option<T>, b: Option<T>, pick: impl Fn(T, T) -> T) -> Option<T> {
    Some(pick(a?, b?))
}

/// What reading fails with where a column ends before its row group does.
pub(super) fn short() -> ParquetError {
    ParquetError::EOF("a column has fewer rows than its row group".to_owned())
}

/// The pages of a column, if the file says where they are.
pub(super) fn locations(footer: &ParquetMetaData, group: usize, column: usize) -> Option<&[PageLocation]> {
    let index = footer.offset_index()?.get(group)?.get(column)?;
    Some(index.page_locations().as_slice()).filter(|locations| !locations.is_empty())
}

/// Rows of a page; all of them where there are no locations.
pub(super) fn page_rows(locations: &[PageLocation], page: usize, rows: usize) -> Range<usize> {
    let first = |page: usize| {
        locations.get(page).map(|location| usize::try_from(location.first_row_index).unwrap_or_default())
    };
    first(page).unwrap_or(0).min(rows)..first(page + 1).unwrap_or(rows).min(rows)
}
