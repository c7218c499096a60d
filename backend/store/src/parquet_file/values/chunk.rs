//! Pages to a column chunk: headers, compression, and what the footer and the page index say of it.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::compress::{Compressor, Effort};
use super::encodings::{Dictionary, plain, split};

/// A chunk of a required column of doubles, page by page, the dictionary first.
pub(super) struct ChunkWriter {
    column: ColumnDescPtr,
    compression: Compression,
    compressor: Compressor,
    sink: TrackedWrite<Vec<u8>>,
    offsets: OffsetIndexBuilder,
    pages: Vec<PageEncodingStats>,
    rows: u64,
    uncompressed: usize,
    dictionary_at: Option<i64>,
    data_at: Option<i64>,
}

impl ChunkWriter {
    pub(super) fn new(column: ColumnDescPtr, effort: Effort) -> Result<ChunkWriter> {
        Ok(ChunkWriter {
            column,
            compression: effort.compression()?,
            compressor: Compressor::new(effort)?,
            sink: TrackedWrite::new(Vec::new()),
            offsets: OffsetIndexBuilder::new(),
            pages: Vec::new(),
            rows: 0,
            uncompressed: 0,
            dictionary_at: None,
            data_at: None,
        })
    }

    pub(super) fn dictionary(&mut self, dictionary: &Dictionary) -> Result<()> {
        let (body, num_values) = (dictionary.bytes(), count(dictionary.len())?);
        let page =
            |buf| Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
        let (at, _) = self.page(&body, page)?;
        self.dictionary_at = Some(at);
        Ok(())
    }

    pub(super) fn plain(&mut self, values: &[f64]) -> Result<()> {
        self.data(values.len(), Encoding::PLAIN, &plain(values))
    }

    pub(super) fn split(&mut self, values: &[f64]) -> Result<()> {
        self.data(values.len(), Encoding::BYTE_STREAM_SPLIT, &split(values))
    }

    /// `values` as places in `dictionary`, which must hold all of them.
    pub(super) fn indexed(&mut self, values: &[f64], dictionary: &Dictionary) -> Result<()> {
        let missing = || ParquetError::General("a value is not in its dictionary".to_owned());
        let body = dictionary.indices(values).ok_or_else(missing)?;
        self.data(values.len(), Encoding::RLE_DICTIONARY, &body)
    }

    fn data(&mut self, rows: usize, encoding: Encoding, body: &[u8]) -> Result<()> {
        let num_values = count(rows)?;
        // A required column has no levels; their encodings are named because the header has a place for them.
        let (at, size) = self.page(body, |buf| Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.data_at.get_or_insert(at);
        self.offsets.append_offset_and_size(at, size);
        self.offsets.append_row_count(i64::from(num_values));
        self.rows += u64::from(num_values);
        Ok(())
    }

    /// Writes a page and returns its place and size, header included.
    fn page(&mut self, body: &[u8], page: impl FnOnce(Bytes) -> Page) -> Result<(i64, i32)> {
        let page = page(self.compressor.compress(body)?.into());
        self.note(page.page_type(), page.encoding());
        let page = CompressedPage::new(page, body.len());
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.uncompressed += spec.uncompressed_size;
        let size = i32::try_from(spec.compressed_size).map_err(too_large)?;
        Ok((i64::try_from(spec.offset).map_err(too_large)?, size))
    }

    fn note(&mut self, page_type: PageType, encoding: Encoding) {
        let same =
            |stats: &&mut PageEncodingStats| stats.page_type == page_type && stats.encoding == encoding;
        match self.pages.iter_mut().find(same) {
            Some(stats) => stats.count += 1,
            None => self.pages.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
    }

    /// The chunk's bytes, and its description with places counted from their start.
    pub(super) fn close(self) -> Result<(Bytes, ColumnCloseResult)> {
        let bytes = Bytes::from(self.sink.into_inner()?);
        let size = i64::try_from(bytes.len()).map_err(too_large)?;
        let mut encodings = vec![Encoding::RLE];
        encodings.extend(self.pages.iter().map(|stats| stats.encoding));
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_encodings(encodings)
            .set_page_encoding_stats(self.pages)
            .set_total_compressed_size(size)
            .set_total_uncompressed_size(i64::try_from(self.uncompressed).map_err(too_large)?)
            .set_num_values(i64::try_from(self.rows).map_err(too_large)?)
            .set_dictionary_page_offset(self.dictionary_at)
            .set_data_page_offset(self.data_at.unwrap_or(0))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows,
            metadata,
            bloom_filter: None,
            // Bounds of values prune nothing, and NaN has no place in them.
            column_index: None,
            offset_index: Some(self.offsets.build()),
        };
        Ok((bytes, close))
    }
}

fn count(rows: usize) -> Result<u32> {
    u32::try_from(rows).map_err(too_large)
}

fn too_large(error: std::num::TryFromIntError) -> ParquetError {
    ParquetError::External(Box::new(error))
}
