//! The column `value`. Pages in the two encodings this program writes are decoded here, any row at once;
//! columns with other encodings are left to the Parquet library.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::data_type::DoubleType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::columns::Column;
use super::pages::locations;
use super::pieces::Pieces;

/// Bytes of a value.
const WIDTH: usize = 8;

/// Reads values, forward.
pub(super) enum Values {
    /// By pages.
    Pages(ValuePages),
    /// By the library.
    Library(Box<Column<DoubleType>>),
}

/// The pages of a column, one of them in memory.
pub(super) struct ValuePages {
    pages: SerializedPageReader<Pieces>,
    /// First row of the next page.
    next: usize,
    page: Option<ValuePage>,
}

struct ValuePage {
    first: usize,
    rows: usize,
    bytes: Bytes,
    split: bool,
}

impl Values {
    /// The values of row group `group`, whose leaf column is `column`.
    pub(super) fn open(
        footer: &ParquetMetaData,
        group: usize,
        column: usize,
        pieces: &Arc<Pieces>,
    ) -> Result<Values, ParquetError> {
        let chunk = footer.row_group(group).column(column);
        let known = |encoding| {
            // RLE is that of the levels, of which there are none here.
            matches!(encoding, Encoding::PLAIN | Encoding::BYTE_STREAM_SPLIT | Encoding::RLE)
        };
        if chunk.dictionary_page_offset().is_some() || !chunk.encodings().all(known) {
            return Ok(Values::Library(Box::new(Column::open(footer, group, column, pieces)?)));
        }
        let rows = usize::try_from(footer.row_group(group).num_rows())?;
        let locations = locations(footer, group, column).map(<[_]>::to_vec);
        let pages = SerializedPageReader::new(Arc::clone(pieces), chunk, rows, locations)?;
        Ok(Values::Pages(ValuePages { pages, next: 0, page: None }))
    }

    /// Appends the values of `rows`, which must not lie before those read already.
    pub(super) fn read(&mut self, rows: Range<usize>, values: &mut Vec<f64>) -> Result<(), ParquetError> {
        match self {
            Values::Pages(pages) => pages.read(rows, values),
            Values::Library(column) => column.read(rows, values),
        }
    }
}

impl ValuePages {
    fn read(&mut self, rows: Range<usize>, values: &mut Vec<f64>) -> Result<(), ParquetError> {
        let mut row = rows.start;
        while row < rows.end {
            let page = self.page_of(row)?;
            let end = rows.end.min(page.first + page.rows);
            page.decode(row - page.first..end - page.first, values);
            row = end;
        }
        Ok(())
    }

    /// The page that holds `row`.
    fn page_of(&mut self, row: usize) -> Result<&ValuePage, ParquetError> {
        let held = self.page.as_ref().is_some_and(|page| row < page.first + page.rows);
        if !held {
            self.page = Some(self.read_page(row)?);
        }
        match &self.page {
            Some(page) if page.first <= row => Ok(page),
            _ => Err(ParquetError::General(format!("row {row} was passed already"))),
        }
    }

    fn read_page(&mut self, row: usize) -> Result<ValuePage, ParquetError> {
        let short = || ParquetError::EOF("a column has fewer rows than its row group".to_owned());
        loop {
            let peeked = self.pages.peek_next_page()?.ok_or_else(short)?;
            let rows = peeked.num_rows.or(peeked.num_levels).ok_or_else(short)?;
            let first = self.next;
            self.next += rows;
            if self.next <= row {
                self.pages.skip_next_page()?;
                continue;
            }
            let page = self.pages.get_next_page()?.ok_or_else(short)?;
            return ValuePage::of(page, first, rows);
        }
    }
}

impl ValuePage {
    fn of(page: Page, first: usize, rows: usize) -> Result<ValuePage, ParquetError> {
        let (bytes, encoding) = match page {
            Page::DataPage { buf, encoding, .. } => (buf, encoding),
            Page::DataPageV2 { buf, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = (def_levels_byte_len as usize).saturating_add(rep_levels_byte_len as usize);
                (buf.slice(levels.min(buf.len())..), encoding)
            }
            Page::DictionaryPage { .. } => {
                return Err(ParquetError::General("a dictionary nobody told of".to_owned()));
            }
        };
        let split = encoding == Encoding::BYTE_STREAM_SPLIT;
        if !split && encoding != Encoding::PLAIN {
            return Err(ParquetError::General(format!(
                "a page in {encoding}, which its column does not name"
            )));
        }
        if bytes.len() < rows.saturating_mul(WIDTH) {
            return Err(ParquetError::EOF("a page has fewer values than it says".to_owned()));
        }
        Ok(ValuePage { first, rows, bytes, split })
    }

    /// Appends the values of `rows`, counted from the page's first.
    fn decode(&self, rows: Range<usize>, values: &mut Vec<f64>) {
        let bytes = &self.bytes[..self.rows * WIDTH];
        if self.split {
            join(bytes, self.rows, rows, values);
        } else {
            let (values_of, _) = bytes[rows.start * WIDTH..rows.end * WIDTH].as_chunks::<WIDTH>();
            values.extend(values_of.iter().map(|value| f64::from_le_bytes(*value)));
        }
    }
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
