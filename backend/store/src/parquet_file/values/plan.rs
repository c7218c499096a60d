//! Cuts the numbers of a row group into pages and chooses the encoding of each, by trial.

use std::collections::HashMap;
use std::ops::Range;

use parquet::errors::Result;

use super::compress::{Compressor, Effort};
use super::encodings::{Dictionary, plain, split};

/// Fewest rows worth a choice of their own: metrics, and series of one, with fewer are judged together.
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

/// Where in the numbers something begins, ascending; 0 is among them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Starts<'a> {
    pub(crate) metrics: &'a [usize],
    pub(crate) series: &'a [usize],
}

/// Pages of at most `page_rows` rows that cover `values` without a gap, in order.
pub(super) fn plan(values: &[f64], starts: Starts<'_>, page_rows: usize) -> Result<Vec<Page>> {
    let mut trial = Trial::new(page_rows)?;
    let mut pages = Vec::new();
    for rows in joined(0..values.len(), starts.metrics) {
        match trial.choose(&values[rows.clone()])? {
            Choice::Direct(encoding) => add(&mut pages, rows, encoding, page_rows),
            Choice::Dictionary(cost) => {
                for (rows, encoding) in trial.refine(values, joined(rows, starts.series), cost)? {
                    add(&mut pages, rows, encoding, page_rows);
                }
            }
        }
    }
    Ok(pages)
}

fn add(pages: &mut Vec<Page>, rows: Range<usize>, encoding: PageEncoding, page_rows: usize) {
    match pages.last_mut() {
        Some(last) if last.encoding == encoding && rows.end - last.rows.start <= page_rows => {
            last.rows.end = rows.end;
        }
        _ => pages.extend(pieces(&rows, page_rows).map(|rows| Page { rows, encoding })),
    }
}

/// What begins at `starts` within `rows`, neighbours joined until they have [`TRIAL_ROWS`].
fn joined(rows: Range<usize>, starts: &[usize]) -> Vec<Range<usize>> {
    let first = starts.partition_point(|start| *start <= rows.start);
    let last = starts.partition_point(|start| *start < rows.end);
    let inner = &starts[first..last.max(first)];
    let begins = std::iter::once(rows.start).chain(inner.iter().copied());
    let ends = inner.iter().copied().chain([rows.end]);
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (start, end) in begins.zip(ends) {
        match parts.last_mut() {
            Some(part) if part.len() < TRIAL_ROWS => part.end = end,
            _ => parts.push(start..end),
        }
    }
    parts.retain(|rows| !rows.is_empty());
    parts
}

/// `rows` in parts of at most `page_rows`, about equally long.
fn pieces(rows: &Range<usize>, page_rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = *rows;
    let count = rows.len().div_ceil(page_rows).max(1);
    let length = rows.len().div_ceil(count).max(1);
    (0..count).map(move |i| start + i * length..(start + (i + 1) * length).min(end))
}

enum Choice {
    Direct(PageEncoding),
    Dictionary(Cost),
}

/// Bytes a dictionary takes.
#[derive(Clone, Copy)]
struct Cost {
    /// For each distinct number.
    entry: f64,
    /// For each row.
    place: f64,
}

struct Trial {
    compressor: Compressor,
    /// Rows in a page at most.
    page_rows: usize,
    /// Numbers in the dictionary so far, those that stand in it twice counted twice.
    in_dictionary: usize,
}

impl Trial {
    fn new(page_rows: usize) -> Result<Trial> {
        // Quick ranks the encodings as Thorough does.
        Ok(Trial { compressor: Compressor::new(Effort::Quick)?, page_rows, in_dictionary: 0 })
    }

    fn choose(&mut self, values: &[f64]) -> Result<Choice> {
        let (direct, encoding) = self.direct(values)?;
        if direct < values.len() * DICTIONARY_FROM {
            return Ok(Choice::Direct(encoding));
        }
        let dictionary = Dictionary::of(values.iter());
        if dictionary.len() > values.len() / 2 || self.in_dictionary + dictionary.len() > DICTIONARY_MAX {
            return Ok(Choice::Direct(encoding));
        }
        let (entries, mut places) = (self.size(&dictionary.bytes())?, 0);
        for rows in pieces(&(0..values.len()), self.page_rows) {
            let Some(indices) = dictionary.indices(&values[rows]) else {
                return Ok(Choice::Direct(encoding));
            };
            places += self.size(&indices)?;
        }
        if entries + places >= direct {
            return Ok(Choice::Direct(encoding));
        }
        self.in_dictionary += dictionary.len();
        let entry = entries as f64 / dictionary.len() as f64;
        Ok(Choice::Dictionary(Cost { entry, place: places as f64 / values.len() as f64 }))
    }

    /// Bytes of `values` without a dictionary, and how.
    fn direct(&mut self, values: &[f64]) -> Result<(usize, PageEncoding)> {
        let (mut as_is, mut in_streams) = (0, 0);
        for rows in pieces(&(0..values.len()), self.page_rows) {
            as_is += self.size(&plain(&values[rows.clone()]))?;
            in_streams += self.size(&split(&values[rows]))?;
        }
        let encoding = if in_streams < as_is { PageEncoding::Split } else { PageEncoding::Plain };
        Ok((as_is.min(in_streams), encoding))
    }

    /// Leaves out of the dictionary those `parts` of a metric that cost more in it than out of it: a part pays
    /// for its places and for the entries that it alone needs.
    fn refine(
        &mut self,
        values: &[f64],
        parts: Vec<Range<usize>>,
        cost: Cost,
    ) -> Result<Vec<(Range<usize>, PageEncoding)>> {
        let own = own_entries(values, &parts);
        let mut refined = Vec::with_capacity(parts.len());
        for (rows, own) in parts.into_iter().zip(own) {
            let (direct, encoding) = self.direct(&values[rows.clone()])?;
            if (direct as f64) < own as f64 * cost.entry + rows.len() as f64 * cost.place {
                self.in_dictionary -= own;
                refined.push((rows, encoding));
            } else {
                refined.push((rows, PageEncoding::Dictionary));
            }
        }
        Ok(refined)
    }

    fn size(&mut self, bytes: &[u8]) -> Result<usize> {
        self.compressor.compress(bytes).map(|bytes| bytes.len())
    }
}

/// For each part, how many distinct numbers no other part has.
fn own_entries(values: &[f64], parts: &[Range<usize>]) -> Vec<usize> {
    // The only part that has a number, or none where several have it.
    let mut owners: HashMap<u64, Option<usize>> = HashMap::new();
    for (part, rows) in parts.iter().enumerate() {
        for value in &values[rows.clone()] {
            let owner = owners.entry(value.to_bits()).or_insert(Some(part));
            if *owner != Some(part) {
                *owner = None;
            }
        }
    }
    let mut own = vec![0; parts.len()];
    for part in owners.into_values().flatten() {
        own[part] += 1;
    }
    own
}
