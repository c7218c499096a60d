//! Definitions of label sets: a segment names each label set once, by a number that its batches use.
//!
//! A definitions record stands alone: first number, the texts it uses (each once), then for every label set
//! the positions of its names and values. The writer puts every such record down twice in a row, so that
//! one damaged frame does not take every later batch of the segment with it.

use std::collections::HashMap;

use model::Labels;

use super::wire::{Reader, WireError, put_str, put_u64};

/// Appends the record that gives `sets` the numbers `first`, `first + 1` …
pub(crate) fn encode(first: u32, sets: &[Labels], out: &mut Vec<u8>) {
    let mut texts: Vec<&str> = Vec::new();
    let mut positions: HashMap<&str, u64> = HashMap::new();
    let mut body = Vec::new();
    for labels in sets {
        put_u64(&mut body, labels.len() as u64);
        for piece in labels.iter().flat_map(|(name, value)| [name, value]) {
            let position = *positions.entry(piece).or_insert_with(|| {
                texts.push(piece);
                texts.len() as u64 - 1
            });
            put_u64(&mut body, position);
        }
    }
    put_u64(out, u64::from(first));
    put_u64(out, texts.len() as u64);
    for text in texts {
        put_str(out, text);
    }
    put_u64(out, sets.len() as u64);
    out.extend_from_slice(&body);
}

/// Label sets by number, as a segment's definitions told them.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    sets: Vec<Option<Labels>>,
}

/// A number further than this beyond the last known one is damage, not a gap that lost records left.
const GAP_MAX: u64 = 1 << 22;

impl Dictionary {
    /// Takes in a definitions record.
    pub(crate) fn learn(&mut self, payload: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(payload);
        let first = reader.u64()?;
        let text_count = reader.count(1)?;
        let texts = (0..text_count).map(|_| reader.str()).collect::<Result<Vec<&str>, WireError>>()?;
        let set_count = reader.count(1)?;
        if first > self.sets.len() as u64 + GAP_MAX {
            return Err(WireError::Count);
        }
        let first = first as usize;
        if self.known(first, set_count) {
            return Ok(());
        }
        for number in first..first + set_count {
            let pair_count = reader.count(2)?;
            let mut text = || {
                let position = usize::try_from(reader.u64()?).map_err(|_| WireError::Count)?;
                texts.get(position).copied().ok_or(WireError::Count)
            };
            let pairs =
                (0..pair_count).map(|_| Ok((text()?, text()?))).collect::<Result<Vec<_>, WireError>>()?;
            self.put(number, Labels::from_pairs(pairs));
        }
        reader.finish()
    }

    /// The label set with this number.
    pub(crate) fn get(&self, number: u64) -> Result<&Labels, WireError> {
        let index = usize::try_from(number).map_err(|_| WireError::Undefined)?;
        self.sets.get(index).and_then(Option::as_ref).ok_or(WireError::Undefined)
    }

    fn known(&self, first: usize, count: usize) -> bool {
        self.sets.get(first..first + count).is_some_and(|sets| sets.iter().all(Option::is_some))
    }

    fn put(&mut self, number: usize, labels: Labels) {
        if self.sets.len() <= number {
            self.sets.resize(number + 1, None);
        }
        self.sets[number] = Some(labels);
    }
}
