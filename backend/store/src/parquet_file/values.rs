//! The column `metrics.value` as Parquet: which encoding each page gets, and the pages' bytes. Numbers in, one
//! column chunk out; every number comes back bit for bit. Knows nothing of the other columns.
//!
//! Samples of one metric behave alike and stand together, so the pages of a chunk are cut where the metric
//! changes and each takes what suits it: as they are (repeating and slowly moving values: zstd finds the
//! repetition), split into byte streams (counters and gauges that move with every sample), or as places in
//! a dictionary (noisy values that come back again and again, such as durations). Mixing
//! encodings within a chunk is plain Parquet 2; any reader follows it, since each page names its own.

use parquet::errors::Result;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

mod chunk;
mod compress;
mod encodings;
mod plan;

use chunk::ChunkWriter;
pub(super) use compress::Effort;
use encodings::Dictionary;
pub(super) use plan::Starts;
use plan::{PageEncoding, plan};

/// Writes `values` as the next column of `group`.
pub(super) fn append<W: std::io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: ColumnDescPtr,
    values: &[f64],
    starts: Starts<'_>,
    effort: Effort,
) -> Result<()> {
    let pages = plan(values, starts, effort.page_rows())?;
    let in_dictionary = pages.iter().filter(|page| page.encoding == PageEncoding::Dictionary);
    let dictionary = Dictionary::of(in_dictionary.flat_map(|page| &values[page.rows.clone()]));
    let mut chunk = ChunkWriter::new(column, effort)?;
    if !dictionary.is_empty() {
        chunk.dictionary(&dictionary)?;
    }
    for page in pages {
        let values = &values[page.rows];
        match page.encoding {
            PageEncoding::Plain => chunk.plain(values)?,
            PageEncoding::Split => chunk.split(values)?,
            PageEncoding::Dictionary => chunk.indexed(values, &dictionary)?,
        }
    }
    let (bytes, close) = chunk.close()?;
    group.append_column(&bytes, close)
}

#[cfg(test)]
mod tests;
