//! Bytes of a file that lie apart: the pages of three columns that hold certain rows.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::objects::DurableFolder;

use super::columns::Layout;
use super::pages::{GroupRows, locations, page_rows};

/// Gap between two ranges that is read along, in bytes: less than what a request more costs.
const GAP_MAX: u64 = 16 << 10;

/// Pieces of a file by offset.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Ascending, apart from each other.
    pieces: Vec<(u64, Bytes)>,
    size: u64,
}

impl Pieces {
    /// All of a file.
    #[cfg(test)]
    pub(super) fn of_all(bytes: Bytes) -> Pieces {
        Pieces { size: bytes.len() as u64, pieces: vec![(0, bytes)] }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    fn from(&self, start: u64) -> parquet::errors::Result<Bytes> {
        let next = self.pieces.partition_point(|(offset, _)| *offset <= start);
        let piece = next.checked_sub(1).map(|i| &self.pieces[i]);
        let inside = piece.and_then(|(offset, bytes)| {
            let skipped = usize::try_from(start - offset).ok()?;
            (skipped < bytes.len()).then(|| bytes.slice(skipped..))
        });
        inside.ok_or_else(|| ParquetError::EOF(format!("byte {start} was not read")))
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} were not read")));
        }
        Ok(bytes.slice(..length))
    }
}

/// Where the pages lie that hold `rows`, of the columns a sample is made of.
fn wanted_ranges(
    file: &DataFile,
    footer: &ParquetMetaData,
    layout: Layout,
    rows: &GroupRows,
) -> Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    for column in [layout.tsid, layout.ts, layout.value] {
        page_ranges(footer, column, rows, &mut ranges);
    }
    if ranges.iter().any(|range| range.start >= range.end || range.end > file.size) {
        return Err(Error::corrupt(&file.key, "its footer names pages outside of the file"));
    }
    Ok(coalesced(ranges))
}

/// Reads the pages that hold `rows`, of the columns a sample is made of.
pub(super) async fn fetch(
    objects: &Arc<dyn ObjectStore>,
    file: &DataFile,
    footer: &ParquetMetaData,
    layout: Layout,
    rows: &GroupRows,
) -> Result<Pieces> {
    let ranges = wanted_ranges(file, footer, layout, rows)?;
    let failed = |error| Error::object("read", &file.key, error);
    let bytes = match ranges.as_slice() {
        [range] => vec![objects.get_range(&file.key, range.clone()).await.map_err(failed)?],
        _ => objects.get_ranges(&file.key, &ranges).await.map_err(failed)?,
    };
    let pieces = ranges.iter().map(|range| range.start).zip(bytes).collect();
    Ok(Pieces { pieces, size: file.size })
}

/// The same from a folder of this machine. Blocks.
pub(super) fn fetch_blocking(
    folder: &DurableFolder,
    file: &DataFile,
    footer: &ParquetMetaData,
    layout: Layout,
    rows: &GroupRows,
) -> Result<Pieces> {
    let ranges = wanted_ranges(file, footer, layout, rows)?;
    let pieces = folder
        .open_blocking(&file.key)
        .and_then(|object| ranges.iter().map(|range| Ok((range.start, object.read(range)?))).collect());
    let pieces = pieces.map_err(|error| Error::object("read", &file.key, error))?;
    Ok(Pieces { pieces, size: file.size })
}

/// Adds where the pages of a column lie that hold `rows`, with its dictionary.
fn page_ranges(footer: &ParquetMetaData, column: usize, rows: &GroupRows, ranges: &mut Vec<Range<u64>>) {
    let group = footer.row_group(rows.group);
    let (start, length) = group.column(column).byte_range();
    let Some(locations) = locations(footer, rows.group, column) else {
        ranges.push(start..start.saturating_add(length));
        return;
    };
    let offset = |offset: i64| u64::try_from(offset).unwrap_or(u64::MAX);
    let first = offset(locations[0].offset);
    if first > start {
        ranges.push(start..first);
    }
    let count = usize::try_from(group.num_rows()).unwrap_or_default();
    for (page, location) in locations.iter().enumerate() {
        if rows.overlap(&page_rows(locations, page, count)) {
            let begin = offset(location.offset);
            let size = u64::try_from(location.compressed_page_size).unwrap_or_default();
            ranges.push(begin..begin.saturating_add(size));
        }
    }
}

/// The ranges in order, those close to each other as one.
fn coalesced(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_MAX) => {
                last.end = last.end.max(range.end)
            }
            _ => joined.push(range),
        }
    }
    joined
}
