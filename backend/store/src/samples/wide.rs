//! Columns of numbers of eight bytes: `ts` and `value`. Pages in the encodings this program writes are unpacked
//! and decoded here, any row at once; columns with other encodings are left to the Parquet library, row by row.
//!
//! Comes in: the pages of a column, rows to be held ready, ascending; goes out: the numbers of rows that are held.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageReader};
use parquet::data_type::{DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::buffers::Buffer;
use super::columns::Column;
use super::deltas::{BYTES_BEHIND, Deltas};
use super::pages::{locations, short};
use super::pieces::Pieces;

/// Bytes of a number.
const WIDTH: usize = 8;
/// Times stored as differences that are taken at once, so that those of the series behind are there, too.
const TIMES_AT_ONCE: usize = 16 << 10;
/// Parquet counts a page's bytes in 32 bits.
pub(super) const PAGE_BYTES_MAX: usize = i32::MAX as usize;

thread_local! {
    /// Setting one up takes longer than unpacking a small page, so that every thread keeps its own.
    static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A column, read forward; some of its pages are held.
pub(super) struct Wide {
    /// Only ever used by who has the column for itself; the lock, which is never taken, says so to the compiler.
    source: Mutex<Source>,
    /// The first row that was not read yet.
    next: usize,
    pages: VecDeque<WidePage>,
}

enum Source {
    /// Page by page, as stored.
    Pages(StoredPages),
    /// Page by page, differences added up.
    Deltas { pages: StoredPages, open: Option<OpenDeltas> },
    /// By the library.
    Times(Box<Column<Int64Type>>),
    /// By the library.
    Values(Box<Column<DoubleType>>),
}

/// The pages of a column as they are stored, read forward.
struct StoredPages {
    reader: Box<SerializedPageReader<Pieces>>,
    packed: bool,
}

/// A page of differences that may have rows left; ends before row `end`.
struct OpenDeltas {
    deltas: Deltas,
    end: usize,
}

/// Rows that follow each other.
struct WidePage {
    first: usize,
    rows: usize,
    bytes: Bytes,
    /// Whether the first bytes of all numbers stand together, then the second bytes, and so on.
    split: bool,
}

/// Rows of one page.
#[derive(Clone, Copy)]
pub(super) struct WideRows<'a> {
    page: &'a WidePage,
    start: usize,
    end: usize,
}

impl Wide {
    /// Column `column` of row group `group`: times.
    pub(super) fn times(
        footer: &ParquetMetaData,
        group: usize,
        column: usize,
        pieces: &Arc<Pieces>,
    ) -> Result<Wide, ParquetError> {
        // Rows of times are compared as bytes, which split ones cannot be.
        if let Some(pages) = pages(footer, group, column, pieces, &[Encoding::PLAIN])? {
            return Ok(Wide::of(Source::Pages(pages)));
        }
        if let Some(pages) = pages(footer, group, column, pieces, &[Encoding::DELTA_BINARY_PACKED])? {
            return Ok(Wide::of(Source::Deltas { pages, open: None }));
        }
        Ok(Wide::of(Source::Times(Box::new(Column::open(footer, group, column, pieces)?))))
    }

    /// Column `column` of row group `group`: values.
    pub(super) fn values(
        footer: &ParquetMetaData,
        group: usize,
        column: usize,
        pieces: &Arc<Pieces>,
    ) -> Result<Wide, ParquetError> {
        let known = [Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT];
        let source = match pages(footer, group, column, pieces, &known)? {
            Some(pages) => Source::Pages(pages),
            None => Source::Values(Box::new(Column::open(footer, group, column, pieces)?)),
        };
        Ok(Wide::of(source))
    }

    fn of(source: Source) -> Wide {
        Wide { source: Mutex::new(source), next: 0, pages: VecDeque::new() }
    }

    /// Holds `rows` ready. Rows held before stay held; others that lie before these cannot be had any more.
    pub(super) fn hold(&mut self, rows: Range<usize>) -> Result<(), ParquetError> {
        while self.next < rows.end {
            let source = self.source.get_mut().unwrap_or_else(PoisonError::into_inner);
            let next = match source {
                Source::Pages(pages) => pages.next(self.next, rows.start)?,
                Source::Deltas { pages, open } => next_times(pages, open, self.next, rows.clone())?,
                Source::Times(column) => {
                    let (rows, mut found) = (self.next.max(rows.start)..rows.end, Vec::new());
                    column.read(rows.clone(), &mut found)?;
                    Next::Read(WidePage::of_numbers(rows, found.into_iter().map(i64::to_le_bytes)))
                }
                Source::Values(column) => {
                    let (rows, mut found) = (self.next.max(rows.start)..rows.end, Vec::new());
                    column.read(rows.clone(), &mut found)?;
                    Next::Read(WidePage::of_numbers(rows, found.into_iter().map(f64::to_le_bytes)))
                }
            };
            match next {
                Next::Skipped(rows) => self.next += rows,
                Next::Read(page) => {
                    self.next = page.first + page.rows;
                    self.pages.push_back(page);
                }
            }
        }
        Ok(())
    }

    /// Lets pages go all of whose rows lie before `row`.
    pub(super) fn let_go(&mut self, row: usize) {
        while self.pages.pop_front_if(|page| page.first + page.rows <= row).is_some() {}
    }

    /// The numbers of `rows`, which are held; page by page.
    pub(super) fn rows(&self, rows: Range<usize>) -> impl Iterator<Item = WideRows<'_>> {
        let first = self.pages.partition_point(|page| page.first + page.rows <= rows.start);
        let touched = self.pages.range(first..).take_while(move |page| page.first < rows.end);
        touched.map(move |page| {
            let start = rows.start.max(page.first) - page.first;
            let end = (rows.end - page.first).min(page.rows);
            WideRows { page, start, end }
        })
    }

    /// The time of a row that is held, if this is a column of times; 0 for one that is not held.
    pub(super) fn time(&self, row: usize) -> i64 {
        self.rows(row..row + 1).next().and_then(|rows| rows.times().next()).unwrap_or_default()
    }

    /// Appends the values of `rows`, which are held.
    pub(super) fn append_values(&self, rows: Range<usize>, values: &mut Vec<f64>) {
        self.rows(rows).for_each(|rows| rows.append_values(values));
    }
}

impl<'a> WideRows<'a> {
    /// The numbers as they are stored, if this is a column of times.
    pub(super) fn bytes(self) -> &'a [u8] {
        debug_assert!(!self.page.split, "times are not split");
        &self.page.bytes[self.start * WIDTH..self.end * WIDTH]
    }

    /// The numbers, if this is a column of times.
    pub(super) fn times(self) -> impl Iterator<Item = i64> + 'a {
        self.bytes().as_chunks().0.iter().map(|time| i64::from_le_bytes(*time))
    }

    /// Whether the numbers are the next of `stored`, if this is a column of times; they are taken off it then.
    pub(super) fn are_next_of(self, stored: &mut &[u8]) -> bool {
        let own = self.bytes();
        match stored.split_at_checked(own.len()) {
            Some((next, rest)) if next == own => {
                *stored = rest;
                true
            }
            _ => false,
        }
    }

    /// Appends the numbers, if this is a column of values.
    fn append_values(self, values: &mut Vec<f64>) {
        if self.page.split {
            join(&self.page.bytes, self.page.rows, self.start..self.end, values);
        } else {
            values.extend(self.bytes().as_chunks().0.iter().map(|value| f64::from_le_bytes(*value)));
        }
    }
}

/// Where to read pages from, if their encodings are among `known` and they are packed in a way known here.
fn pages(
    footer: &ParquetMetaData,
    group: usize,
    column: usize,
    pieces: &Arc<Pieces>,
    known: &[Encoding],
) -> Result<Option<StoredPages>, ParquetError> {
    let chunk = footer.row_group(group).column(column);
    // RLE is that of the levels, of which there are none here.
    let is_known = |encoding| encoding == Encoding::RLE || known.contains(&encoding);
    if chunk.dictionary_page_offset().is_some() || !chunk.encodings().all(is_known) {
        return Ok(None);
    }
    let stored = stored_pages(footer, group, column, pieces)?;
    Ok(stored.map(|(reader, packed)| StoredPages { reader: Box::new(reader), packed }))
}

/// Reads the pages of a column as they are stored; also whether they are packed. None where they are in a way that is
/// not known here.
pub(super) fn stored_pages(
    footer: &ParquetMetaData,
    group: usize,
    column: usize,
    pieces: &Arc<Pieces>,
) -> Result<Option<(SerializedPageReader<Pieces>, bool)>, ParquetError> {
    let chunk = footer.row_group(group).column(column);
    let packed = match chunk.compression() {
        Compression::UNCOMPRESSED => false,
        Compression::ZSTD(_) => true,
        _ => return Ok(None),
    };
    let rows = usize::try_from(footer.row_group(group).num_rows())?;
    let locations = locations(footer, group, column).map(<[_]>::to_vec);
    // The library is told that nothing is packed, so that it hands pages out as they are.
    let as_stored = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
    let reader = SerializedPageReader::new(Arc::clone(pieces), &as_stored, rows, locations)?;
    Ok(Some((reader, packed)))
}

enum Next {
    /// So many rows that nobody wants.
    Skipped(usize),
    Read(WidePage),
}

impl StoredPages {
    /// The next page, which begins with row `first`, unless all its rows lie before `wanted`.
    fn next(&mut self, first: usize, wanted: usize) -> Result<Next, ParquetError> {
        match self.next_stored(first, wanted)? {
            (rows, None) => Ok(Next::Skipped(rows)),
            (rows, Some(page)) => WidePage::of(page, first, rows, self.packed).map(Next::Read),
        }
    }

    /// The rows of the next page, and the page, unless they all lie before `wanted`.
    fn next_stored(&mut self, first: usize, wanted: usize) -> Result<(usize, Option<Page>), ParquetError> {
        let peeked = self.reader.peek_next_page()?.ok_or_else(short)?;
        let rows = peeked.num_rows.or(peeked.num_levels).filter(|rows| *rows > 0).ok_or_else(short)?;
        if first.checked_add(rows).ok_or_else(short)? <= wanted {
            self.reader.skip_next_page()?;
            return Ok((rows, None));
        }
        Ok((rows, Some(self.reader.get_next_page()?.ok_or_else(short)?)))
    }
}

/// The next times from row `first` on, unless they lie before `wanted`; some more than those, where the page has them.
fn next_times(
    pages: &mut StoredPages,
    open: &mut Option<OpenDeltas>,
    first: usize,
    wanted: Range<usize>,
) -> Result<Next, ParquetError> {
    let Some(OpenDeltas { deltas, end }) = open.as_mut().filter(|open| first < open.end) else {
        let (rows, page) = pages.next_stored(first, wanted.start)?;
        let Some(page) = page else { return Ok(Next::Skipped(rows)) };
        *open = Some(OpenDeltas { deltas: deltas_of(page, rows, pages.packed)?, end: first + rows });
        return Ok(Next::Skipped(0));
    };
    if first < wanted.start {
        let rows = wanted.start.min(*end) - first;
        deltas.skip(rows)?;
        return Ok(Next::Skipped(rows));
    }
    let rows = wanted.len().max(TIMES_AT_ONCE).min(*end - first);
    let mut times = Buffer::of(rows * WIDTH);
    deltas.read(rows, times.bytes_mut())?;
    Ok(Next::Read(WidePage { first, rows, bytes: times.into_bytes(), split: false }))
}

fn deltas_of(page: Page, rows: usize, packed: bool) -> Result<Deltas, ParquetError> {
    let (bytes, encoding, packed) = data_of(page, packed)?;
    if encoding != Encoding::DELTA_BINARY_PACKED {
        return Err(unnamed(encoding));
    }
    let mut stored = if packed {
        unpacked_and(&bytes, Deltas::bytes_max(rows).min(PAGE_BYTES_MAX), BYTES_BEHIND)?
    } else {
        let mut copy = Buffer::of(bytes.len() + BYTES_BEHIND);
        copy.bytes_mut().extend_from_slice(&bytes);
        copy
    };
    stored.bytes_mut().extend_from_slice(&[0; BYTES_BEHIND]);
    Deltas::of(stored, rows)
}

fn unnamed(encoding: Encoding) -> ParquetError {
    ParquetError::General(format!("a page in {encoding}, which its column does not name"))
}

impl WidePage {
    fn of(page: Page, first: usize, rows: usize, packed: bool) -> Result<WidePage, ParquetError> {
        let (bytes, encoding, packed) = data_of(page, packed)?;
        let split = encoding == Encoding::BYTE_STREAM_SPLIT;
        if !split && encoding != Encoding::PLAIN {
            return Err(unnamed(encoding));
        }
        let size = rows.checked_mul(WIDTH).filter(|size| *size <= PAGE_BYTES_MAX).ok_or_else(|| {
            ParquetError::General(format!("a page of {rows} rows, which is more than there can be"))
        })?;
        let bytes = if packed { unpacked(&bytes, size)? } else { bytes };
        if bytes.len() < size {
            return Err(ParquetError::EOF("a page has fewer values than it says".to_owned()));
        }
        Ok(WidePage { first, rows, bytes, split })
    }

    fn of_numbers(rows: Range<usize>, numbers: impl Iterator<Item = [u8; WIDTH]>) -> WidePage {
        let bytes: Vec<u8> = numbers.flatten().collect();
        WidePage { first: rows.start, rows: rows.len(), bytes: bytes.into(), split: false }
    }
}

/// The values of a data page as they are stored, their encoding, and whether they are packed in a column that is.
pub(super) fn data_of(page: Page, packed: bool) -> Result<(Bytes, Encoding, bool), ParquetError> {
    match page {
        Page::DataPage { buf, encoding, .. } => Ok((buf, encoding, packed)),
        Page::DataPageV2 {
            buf, encoding, is_compressed, def_levels_byte_len, rep_levels_byte_len, ..
        } => {
            // Levels are never packed.
            let levels = (def_levels_byte_len as usize).saturating_add(rep_levels_byte_len as usize);
            Ok((buf.slice(levels.min(buf.len())..), encoding, packed && is_compressed))
        }
        Page::DictionaryPage { .. } => {
            Err(ParquetError::General("a dictionary where values should be".to_owned()))
        }
    }
}

/// Unpacks a page that has `most` bytes at the most.
pub(super) fn unpacked(packed: &[u8], most: usize) -> Result<Bytes, ParquetError> {
    unpacked_and(packed, most, 0).map(Buffer::into_bytes)
}

/// The same, with room for `more` bytes behind it.
fn unpacked_and(packed: &[u8], most: usize, more: usize) -> Result<Buffer, ParquetError> {
    let failed = |error: std::io::Error| ParquetError::General(format!("a page does not unpack: {error}"));
    // Pages say how large they are, if the program that wrote them knew.
    let told = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let size = told.and_then(|size| usize::try_from(size).ok()).map_or(most, |size| size.min(most));
    let mut buffer = Buffer::of(size + more);
    UNPACKER.with_borrow_mut(|kept| {
        let unpacker = match kept {
            Some(unpacker) => unpacker,
            None => kept.insert(zstd::bulk::Decompressor::new().map_err(failed)?),
        };
        unpacker.decompress_to_buffer(packed, buffer.bytes_mut()).map_err(failed)
    })?;
    // There is room for more than was asked for.
    if buffer.as_ref().len() > most {
        return Err(ParquetError::General(format!("a page unpacks to more than its {most} bytes")));
    }
    Ok(buffer)
}

/// Appends `rows` of `count` values whose first bytes stand together, then their second bytes, and so on:
/// Parquet's `BYTE_STREAM_SPLIT`. Eight values are eight rows of eight bytes to be transposed.
fn join(bytes: &[u8], count: usize, rows: Range<usize>, values: &mut Vec<f64>) {
    let streams: [&[u8]; WIDTH] =
        std::array::from_fn(|stream| &bytes[stream * count + rows.start..stream * count + rows.end]);
    let blocks = rows.len() / WIDTH;
    values.reserve(rows.len());
    for block in 0..blocks {
        let at = block * WIDTH;
        let mut matrix = [0_u64; WIDTH];
        for (row, stream) in matrix.iter_mut().zip(&streams) {
            // Always eight bytes: the array is filled from a slice of that length.
            let mut eight = [0; WIDTH];
            eight.copy_from_slice(&stream[at..at + WIDTH]);
            *row = u64::from_le_bytes(eight);
        }
        transpose(&mut matrix);
        values.extend_from_slice(&matrix.map(f64::from_bits));
    }
    let rest = blocks * WIDTH..rows.len();
    values.extend(rest.map(|at| f64::from_le_bytes(std::array::from_fn(|stream| streams[stream][at]))));
}

/// Swaps byte `j` of row `i` with byte `i` of row `j`: halves, then quarters, then eighths (Hacker's Delight,
/// 7-3).
fn transpose(matrix: &mut [u64; WIDTH]) {
    for (distance, mask) in [(4, 0xffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff_u64)] {
        let shift = distance * 8;
        for low in (0..WIDTH).filter(|row| row & distance == 0) {
            let high = low + distance;
            let differing = ((matrix[low] >> shift) ^ matrix[high]) & mask;
            matrix[high] ^= differing;
            matrix[low] ^= differing << shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_joined_to_the_values_they_were_split_from() {
        for count in [0, 1, 7, 8, 9, 40, 101] {
            let values: Vec<f64> = (0..count).map(|i| (i as f64 * 1.7 - 30.0).exp()).collect();
            let mut bytes = vec![0; count * WIDTH];
            for (i, value) in values.iter().enumerate() {
                for (stream, byte) in value.to_le_bytes().into_iter().enumerate() {
                    bytes[stream * count + i] = byte;
                }
            }
            for start in 0..=count.min(10) {
                for end in start..=count {
                    let mut joined = vec![f64::INFINITY];
                    join(&bytes, count, start..end, &mut joined);
                    assert_eq!(joined[0], f64::INFINITY);
                    assert_eq!(joined[1..], values[start..end]);
                }
            }
        }
    }
}
