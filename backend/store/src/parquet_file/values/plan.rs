//! Cuts the numbers of a row group into pages and chooses the encoding of each, by trial.

use std::ops::Range;

use parquet::errors::Result;

use super::PAGE_ROWS;
use super::compress::{Compressor, Effort};
use super::encodings::{Dictionary, plain, split};

/// Fewest rows worth a choice of their own: metrics with fewer are judged together.
const TRIAL_ROWS: usize = 4_096;
/// Bytes a value above which a dictionary is tried: what is smaller is repetition zstd has found already.
const DICTIONARY_FROM: usize = 2;
/// Most distinct numbers in the dictionary of a chunk. A reader unpacks all of them to see one.
const DICTIONARY_MAX: usize = 1 << 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageEncoding {
    Plain,
    Split,
    Dictionary,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) rows: Range<usize>,
    pub(super) encoding: PageEncoding,
}

/// Pages that cover `values` without a gap, in order.
pub(super) fn plan(values: &[f64], starts: &[usize]) -> Result<Vec<Page>> {
    let mut trial = Trial::new()?;
    let mut pages: Vec<Page> = Vec::new();
    for rows in stretches(values.len(), starts) {
        let encoding = trial.choose(&values[rows.clone()])?;
        match pages.last_mut() {
            Some(last) if last.encoding == encoding && rows.end - last.rows.start <= PAGE_ROWS => {
                last.rows.end = rows.end;
            }
            _ => pages.extend(pieces(&rows).map(|rows| Page { rows, encoding })),
        }
    }
    Ok(pages)
}

/// Neighbouring metrics joined until they have [`TRIAL_ROWS`].
fn stretches(count: usize, starts: &[usize]) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let ends = starts.iter().skip(1).copied().chain([count]);
    for (&start, end) in starts.iter().zip(ends) {
        match stretches.last_mut() {
            Some(last)
                if last.len() < TRIAL_ROWS || end - start < TRIAL_ROWS && last.len() < PAGE_ROWS / 2 =>
            {
                last.end = end;
            }
            _ => stretches.push(start..end),
        }
    }
    stretches.retain(|rows| !rows.is_empty());
    stretches
}

/// `rows` in parts of at most [`PAGE_ROWS`], about equally long.
fn pieces(rows: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = *rows;
    let count = rows.len().div_ceil(PAGE_ROWS).max(1);
    let length = rows.len().div_ceil(count).max(1);
    (0..count).map(move |i| start + i * length..(start + (i + 1) * length).min(end))
}

struct Trial {
    compressor: Compressor,
    /// Numbers in the dictionary so far, those that stand in it twice counted twice.
    in_dictionary: usize,
}

impl Trial {
    fn new() -> Result<Trial> {
        // Quick ranks the encodings as Thorough does.
        Ok(Trial { compressor: Compressor::new(Effort::Quick)?, in_dictionary: 0 })
    }

    fn choose(&mut self, values: &[f64]) -> Result<PageEncoding> {
        let (mut as_is, mut in_streams) = (0, 0);
        for rows in pieces(&(0..values.len())) {
            as_is += self.size(&plain(&values[rows.clone()]))?;
            in_streams += self.size(&split(&values[rows]))?;
        }
        let encoding = if in_streams < as_is { PageEncoding::Split } else { PageEncoding::Plain };
        let best = as_is.min(in_streams);
        if best < values.len() * DICTIONARY_FROM {
            return Ok(encoding);
        }
        let dictionary = Dictionary::of(values.iter());
        if dictionary.len() > values.len() / 2 || self.in_dictionary + dictionary.len() > DICTIONARY_MAX {
            return Ok(encoding);
        }
        let mut indexed = self.size(&dictionary.bytes())?;
        for rows in pieces(&(0..values.len())) {
            let Some(indices) = dictionary.indices(&values[rows]) else { return Ok(encoding) };
            indexed += self.size(&indices)?;
        }
        if indexed >= best {
            return Ok(encoding);
        }
        self.in_dictionary += dictionary.len();
        Ok(PageEncoding::Dictionary)
    }

    fn size(&mut self, bytes: &[u8]) -> Result<usize> {
        self.compressor.compress(bytes).map(|bytes| bytes.len())
    }
}
