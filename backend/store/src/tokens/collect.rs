//! Rows of `logs` to the filters of their file. Takes a core for as long as it lasts; run it on a blocking
//! thread.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};

use super::bloom::Bloom;
use super::sidecar::{Sidecar, Subject};
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};
use crate::tables::Table;

/// Columns whose tokens are indexed; of the map its values. In the order of the file.
pub(super) const COLUMNS: [&str; 4] = ["body", "attributes", "trace_id", "span_id"];
/// Distinct tokens of a file, summed over its row groups, above which the file gets no filter of its own: the
/// hashes are held until the end, 8 bytes each.
const FILE_TOKENS_MAX: usize = 8 << 20;

/// Takes in the rows of a file in order, row group by row group.
#[derive(Debug)]
pub(crate) struct Collector {
    tokenizer: Tokenizer,
    group: TokenSet,
    groups: Vec<Bloom>,
    group_rows: Vec<u64>,
    group_tokens: Vec<u64>,
    /// Distinct hashes of each row group so far, one group after another; `None` once they are too many.
    all: Option<Vec<u64>>,
    rows: u64,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector {
            tokenizer: Tokenizer::default(),
            group: TokenSet::default(),
            groups: Vec::new(),
            group_rows: Vec::new(),
            group_tokens: Vec::new(),
            all: Some(Vec::new()),
            rows: 0,
        }
    }
}

impl Collector {
    /// Takes in the rows of `batch` after they were written. `group_rows`: rows of the row groups that are
    /// complete by now; those known before come first.
    pub(crate) fn written(&mut self, batch: &RecordBatch, group_rows: &[u64]) -> Result<()> {
        let mut taken = 0;
        for rows in group_rows.get(self.group_rows.len()..).unwrap_or_default() {
            let missing = usize::try_from(rows.saturating_sub(self.rows)).unwrap_or(usize::MAX);
            let count = missing.min(batch.num_rows() - taken);
            self.rows(&batch.slice(taken, count))?;
            taken += count;
            self.end_group();
        }
        self.rows(&batch.slice(taken, batch.num_rows() - taken))
    }

    /// Takes in rows of the row group that is open. `batch` has the columns body, attributes, trace_id and
    /// span_id, and may have others.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        for name in COLUMNS {
            let column = batch.column(batch.schema_ref().index_of(name)?);
            let texts = match column.as_map_opt() {
                Some(map) => {
                    // A slice of a map array still has the values of all rows.
                    let offsets = map.value_offsets();
                    let (start, end) = (offsets[0] as usize, offsets[map.len()] as usize);
                    map.values().slice(start, end - start)
                }
                None => Arc::clone(column),
            };
            let reason = || format!("the column `{name}` is not text");
            let misfit = || Error::Schema { table: Table::Logs.name(), reason: reason() };
            self.strings(texts.as_string_opt().ok_or_else(misfit)?);
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn strings(&mut self, strings: &StringArray) {
        for text in strings.iter().flatten() {
            self.tokenizer.hashes(text, |hash| self.group.insert(hash));
        }
    }

    /// Closes the open row group.
    pub(crate) fn end_group(&mut self) {
        let hashes = self.group.drain();
        self.groups.push(Bloom::of(&hashes));
        self.group_rows.push(std::mem::take(&mut self.rows));
        self.group_tokens.push(hashes.len() as u64);
        self.all = self.all.take().filter(|all| all.len() + hashes.len() <= FILE_TOKENS_MAX);
        if let Some(all) = &mut self.all {
            all.extend(hashes);
        }
    }

    /// The filters of the file, which is `subject`.
    pub(crate) fn finish(mut self, subject: Subject) -> Sidecar {
        if self.rows > 0 || self.groups.is_empty() {
            self.end_group();
        }
        let (file, tokens) = match (self.groups.len(), self.all) {
            (1, _) => (self.groups.pop(), self.group_tokens[0]),
            (_, Some(mut all)) => {
                all.sort_unstable();
                all.dedup();
                (Some(Bloom::of(&all)), all.len() as u64)
            }
            (_, None) => (None, self.group_tokens.iter().sum()),
        };
        Sidecar {
            subject,
            file: file.map(Arc::new),
            groups: self.groups.into(),
            group_rows: self.group_rows.into(),
            tokens,
            group_tokens: self.group_tokens,
        }
    }
}

/// The filters of a file of `batches` in row groups of `group_rows` rows.
pub(super) fn of_batches(batches: &[RecordBatch], group_rows: &[u64], subject: Subject) -> Result<Sidecar> {
    let mut collector = Collector::default();
    let mut seen = 0;
    for batch in batches {
        seen += batch.num_rows() as u64;
        let mut end = 0;
        let complete = group_rows.iter().take_while(|rows| {
            end += **rows;
            end <= seen
        });
        collector.written(batch, &group_rows[..complete.count()])?;
    }
    Ok(collector.finish(subject))
}

/// For measuring: bytes of the sidecar of these rows in row groups of `group_rows` rows.
#[doc(hidden)]
pub fn sidecar_bytes(batches: &[RecordBatch], group_rows: u64) -> Result<usize> {
    let rows: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let group_rows = group_rows.max(1);
    let mut groups = vec![group_rows; (rows / group_rows) as usize];
    groups.extend(Some(rows % group_rows).filter(|rest| *rest > 0));
    Ok(of_batches(batches, &groups, Subject { size: 0, crc32c: 0 })?.encode().len())
}

/// Distinct hashes: open addressing with linear probing, at most half full.
#[derive(Debug)]
struct TokenSet {
    /// 0 is an empty place.
    places: Vec<u64>,
    count: usize,
    /// Whether the hash 0 is in the set.
    zero: bool,
}

impl Default for TokenSet {
    fn default() -> TokenSet {
        TokenSet { places: vec![0; 1 << 12], count: 0, zero: false }
    }
}

impl TokenSet {
    fn insert(&mut self, hash: u64) {
        if hash == 0 {
            self.zero = true;
        } else if put(&mut self.places, hash) {
            self.count += 1;
            if self.count * 2 > self.places.len() {
                self.grow();
            }
        }
    }

    fn grow(&mut self) {
        let mut places = vec![0; self.places.len() * 4];
        for hash in self.places.iter().filter(|hash| **hash != 0) {
            put(&mut places, *hash);
        }
        self.places = places;
    }

    /// All hashes, each once; the set is empty afterwards and keeps its room.
    fn drain(&mut self) -> Vec<u64> {
        let mut hashes: Vec<u64> = Vec::with_capacity(self.count + 1);
        hashes.extend(self.places.iter().filter(|hash| **hash != 0));
        if std::mem::take(&mut self.zero) {
            hashes.push(0);
        }
        self.places.fill(0);
        self.count = 0;
        hashes
    }
}

/// True where `hash` was not in `places`, which have room.
fn put(places: &mut [u64], hash: u64) -> bool {
    let last = places.len() - 1;
    let mut at = hash as usize & last;
    loop {
        match places[at] {
            0 => {
                places[at] = hash;
                return true;
            }
            held if held == hash => return false,
            _ => at = (at + 1) & last,
        }
    }
}

#[cfg(test)]
mod tests;
