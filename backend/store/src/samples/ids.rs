//! The column `tsid`: runs of rows with the same id. Files are sorted by it, so that it is stored as runs already:
//! those are taken as they are. Columns stored otherwise are read by the Parquet library, id by id.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::columns::{Column, DecodeError};
use super::pages::{GroupRows, short};
use super::pieces::Pieces;
use super::wide::{PAGE_BYTES_MAX, data_of, stored_pages, unpacked};

/// Ids looked at at once; they stay in the nearest cache.
const IDS_AT_ONCE: usize = 8 << 10;
/// Ids compared without a branch.
const IDS_IN_BLOCK: usize = 32;
/// Most bytes a row takes in a page: a run of its own with a number of 32 bits.
const ROW_BYTES_MAX: usize = 5;
/// Bytes a page may have beside its rows.
const PAGE_BYTES_MORE: usize = 64;

/// Hands runs of rows with the same id to `take`, in order; rows that follow each other and have the same id may
/// come as several runs.
pub(super) fn each_run(
    footer: &ParquetMetaData,
    column: usize,
    rows: &GroupRows,
    pieces: &Arc<Pieces>,
    mut take: impl FnMut(i64, Range<usize>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let chunk = footer.row_group(rows.group).column(column);
    let is_known = |encoding| {
        // The dictionary is plain.
        matches!(
            encoding,
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY | Encoding::RLE | Encoding::PLAIN
        )
    };
    let as_runs = chunk.dictionary_page_offset().is_some() && chunk.encodings().all(is_known);
    let stored = if as_runs { stored_pages(footer, rows.group, column, pieces)? } else { None };
    if let Some((reader, packed)) = stored {
        let mut pages = IdPages { reader, packed, dictionary: Vec::new(), next: 0, page: None };
        return rows.ranges.iter().try_for_each(|range| pages.each_run(range.clone(), &mut take));
    }
    let mut ids = Column::<Int64Type>::open(footer, rows.group, column, pieces)?;
    let mut buffer = Vec::with_capacity(IDS_AT_ONCE);
    for range in &rows.ranges {
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + IDS_AT_ONCE);
            buffer.clear();
            ids.read(start..end, &mut buffer)?;
            let mut at = 0;
            while at < buffer.len() {
                let count = run_length(&buffer[at..]);
                take(buffer[at], start + at..start + at + count)?;
                at += count;
            }
            start = end;
        }
    }
    Ok(())
}

/// How many ids at the beginning are the same. `ids` is not empty.
fn run_length(ids: &[i64]) -> usize {
    let first = ids[0];
    let same = |block: &&[i64]| block.iter().fold(0, |differing, id| differing | (id ^ first)) == 0;
    let whole = ids.chunks_exact(IDS_IN_BLOCK).take_while(same).count() * IDS_IN_BLOCK;
    whole + ids[whole..].iter().take_while(|id| **id == first).count()
}

/// The pages of the column, read forward.
struct IdPages {
    reader: SerializedPageReader<Pieces>,
    packed: bool,
    dictionary: Vec<i64>,
    /// First row of the next page.
    next: usize,
    page: Option<IdPage>,
}

/// A page that may have rows left.
struct IdPage {
    /// The next row.
    row: usize,
    end: usize,
    runs: Runs,
    /// A run that goes on: its entry of the dictionary and its length.
    rest: (usize, usize),
}

impl IdPages {
    fn each_run(
        &mut self,
        rows: Range<usize>,
        take: &mut impl FnMut(i64, Range<usize>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut row = rows.start;
        while row < rows.end {
            if self.page.as_ref().is_none_or(|page| page.end <= row) {
                self.page = self.read_page(row)?;
                continue;
            }
            let Some(page) = &mut self.page else { continue };
            if page.rest.1 == 0 {
                page.rest = page.runs.next().ok_or_else(short)?;
                // The last run may be longer than the page, since ids stand in groups of eight.
                page.rest.1 = page.rest.1.min(page.end - page.row);
            }
            let run = page.row..page.row + page.rest.1;
            let wanted = run.start.max(row)..run.end.min(rows.end);
            if !wanted.is_empty() {
                let unknown = || ParquetError::General("an id that is not in the dictionary".to_owned());
                let id = *self.dictionary.get(page.rest.0).ok_or_else(unknown)?;
                take(id, wanted.clone())?;
            }
            row = row.max(wanted.end.min(rows.end));
            let passed = run.end.min(rows.end.max(run.start)) - run.start;
            page.row += passed;
            page.rest.1 -= passed;
        }
        Ok(())
    }

    /// The next page, if it has `row`; nothing where it was another one.
    fn read_page(&mut self, row: usize) -> Result<Option<IdPage>, ParquetError> {
        let peeked = self.reader.peek_next_page()?.ok_or_else(short)?;
        if peeked.is_dict {
            let page = self.reader.get_next_page()?.ok_or_else(short)?;
            self.dictionary = dictionary(page, self.packed)?;
            return Ok(None);
        }
        let rows = peeked.num_rows.or(peeked.num_levels).filter(|rows| *rows > 0).ok_or_else(short)?;
        let first = self.next;
        self.next = first.checked_add(rows).ok_or_else(short)?;
        if self.next <= row {
            self.reader.skip_next_page()?;
            return Ok(None);
        }
        let page = self.reader.get_next_page()?.ok_or_else(short)?;
        let runs = Runs::of(entries(page, rows, self.packed)?)?;
        Ok(Some(IdPage { row: first, end: self.next, runs, rest: (0, 0) }))
    }
}

fn dictionary(page: Page, packed: bool) -> Result<Vec<i64>, ParquetError> {
    let Page::DictionaryPage { buf, num_values, encoding, .. } = page else { return Err(short()) };
    if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
        return Err(ParquetError::General(format!("a dictionary in {encoding}")));
    }
    let size = (num_values as usize).checked_mul(8).filter(|size| *size <= PAGE_BYTES_MAX);
    let size = size.ok_or_else(|| ParquetError::General(format!("a dictionary of {num_values} ids")))?;
    let bytes = if packed { unpacked(&buf, size)? } else { buf };
    let ids = bytes.get(..size).ok_or_else(short)?;
    Ok(ids.as_chunks().0.iter().map(|id| i64::from_le_bytes(*id)).collect())
}

/// The bytes of a page that say which entry of the dictionary each row has.
fn entries(page: Page, rows: usize, packed: bool) -> Result<Bytes, ParquetError> {
    let (bytes, encoding, packed) = data_of(page, packed)?;
    if !matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY) {
        return Err(ParquetError::General(format!(
            "a page of ids in {encoding}, which its column does not name"
        )));
    }
    if !packed {
        return Ok(bytes);
    }
    // A page does not tell its size otherwise; what is not filled is never touched.
    let most = rows.saturating_mul(ROW_BYTES_MAX).saturating_add(PAGE_BYTES_MORE).min(PAGE_BYTES_MAX);
    unpacked(&bytes, most)
}

/// Parquet's hybrid of run lengths and packed bits (the format's "RLE/Bit-Packing Hybrid", prefixed with the width):
/// gives (number, how many times).
struct Runs {
    bytes: Bytes,
    at: usize,
    /// Bits of a number.
    width: usize,
    /// Numbers of a packed group that are left, the first of them at this bit.
    packed: (usize, usize),
}

impl Runs {
    fn of(bytes: Bytes) -> Result<Runs, ParquetError> {
        let width = usize::from(*bytes.first().ok_or_else(short)?);
        if width > 32 {
            return Err(ParquetError::General(format!("entries of a dictionary of {width} bits")));
        }
        Ok(Runs { bytes, at: 1, width, packed: (0, 0) })
    }

    fn varint(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        for shift in (0..).step_by(7).take(9) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    /// `width` bits from bit `bit` of the page on.
    fn bits(&self, bit: usize) -> Option<usize> {
        let end = (bit + self.width).div_ceil(8);
        let bytes = self.bytes.get(bit / 8..end)?;
        let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        usize::try_from(number >> (bit % 8) & ((1 << self.width) - 1)).ok()
    }
}

impl Iterator for Runs {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        loop {
            if let (left @ 1.., bit) = self.packed {
                self.packed = (left - 1, bit + self.width);
                return Some((self.bits(bit)?, 1));
            }
            let header = self.varint()?;
            if header & 1 == 1 {
                let numbers = (header >> 1).checked_mul(8)?;
                let start = self.at;
                self.at = start.checked_add((header >> 1).checked_mul(self.width)?)?;
                self.packed = (numbers, start.checked_mul(8)?);
                continue;
            }
            let bytes = self.width.div_ceil(8);
            let number = self.bytes.get(self.at..self.at + bytes)?;
            let number = number.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
            self.at += bytes;
            if header >> 1 > 0 {
                return Some((number, header >> 1));
            }
        }
    }
}

#[cfg(test)]
mod tests;
