//! Ranges cut out of blocks. Pure.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::block::{BLOCK_BYTES, Block};

/// A slice keeps its whole block in memory; one smaller than this part of it is copied.
const SLICE_PART: usize = 4;

/// Runs of block numbers that hold all of `ranges`, ascending and apart, at most `run_max` blocks each; `None`
/// where a range is empty or reaches further than block numbers, or where there are more than `blocks_max` blocks.
pub(super) fn runs(ranges: &[Range<u64>], run_max: u32, blocks_max: u32) -> Option<Vec<Range<u32>>> {
    let number = |offset: u64| u32::try_from(offset / BLOCK_BYTES as u64).ok();
    let mut touched = Vec::with_capacity(ranges.len());
    for range in ranges {
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start)?;
        touched.push(number(range.start)?..number(last)?.checked_add(1)?);
    }
    touched.sort_unstable_by_key(|range| range.start);
    let mut stretches: Vec<Range<u32>> = Vec::new();
    for range in touched {
        match stretches.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => stretches.push(range),
        }
    }
    let blocks: u64 = stretches.iter().map(|range| u64::from(range.end - range.start)).sum();
    if blocks > u64::from(blocks_max) {
        return None;
    }
    let cut = |range: Range<u32>| {
        let end = range.end;
        range.step_by(run_max as usize).map(move |start| start..end.min(start.saturating_add(run_max)))
    };
    Some(stretches.into_iter().flat_map(cut).collect())
}

/// Ranges that are being put together from blocks in ascending order.
#[derive(Debug)]
pub(super) struct Assembly {
    ranges: Vec<Range<u64>>,
    parts: Vec<Part>,
    /// Size of the file and when it was written, as the first block says.
    file: Option<(u64, i64)>,
    /// False once a block says otherwise.
    agree: bool,
}

#[derive(Debug)]
enum Part {
    Missing,
    Slice(Bytes),
    Growing(BytesMut),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Part::Missing => 0,
            Part::Slice(bytes) => bytes.len(),
            Part::Growing(bytes) => bytes.len(),
        }
    }
}

/// What was put together.
#[derive(Debug)]
pub(super) struct Assembled {
    /// In the order of the ranges asked for.
    pub(super) bytes: Vec<Bytes>,
    pub(super) file_size: u64,
    pub(super) modified_ms: i64,
}

impl Assembly {
    pub(super) fn new(ranges: &[Range<u64>]) -> Assembly {
        let parts = ranges.iter().map(|_| Part::Missing).collect();
        Assembly { ranges: ranges.to_vec(), parts, file: None, agree: true }
    }

    /// Takes from block `number` what the ranges need of it.
    pub(super) fn add(&mut self, number: u32, block: &Block) {
        let (file_size, _) = *self.file.get_or_insert((block.file_size, block.modified_ms));
        self.agree &= file_size == block.file_size;
        let start = u64::from(number) * BLOCK_BYTES as u64;
        let end = start + block.bytes.len() as u64;
        for (range, part) in self.ranges.iter().zip(&mut self.parts) {
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from >= to {
                continue;
            }
            // Both are within the block, whose length is a `usize`.
            let within = (from - start) as usize..(to - start) as usize;
            if from == range.start && to == range.end {
                *part = Part::Slice(slice(&block.bytes, within));
                continue;
            }
            if let Part::Missing = part {
                let len = range.end.min(file_size).saturating_sub(range.start);
                *part = Part::Growing(BytesMut::with_capacity(usize::try_from(len).unwrap_or_default()));
            }
            if let Part::Growing(bytes) = part {
                bytes.extend_from_slice(&block.bytes[within]);
            }
        }
    }

    /// Whether all blocks were of one file.
    pub(super) fn agrees(&self) -> bool {
        self.agree
    }

    /// The ranges, if they are whole.
    pub(super) fn finish(self) -> Option<Assembled> {
        let (file_size, modified_ms) = self.file?;
        let mut whole = self.ranges.iter().zip(&self.parts);
        if !self.agree || !whole.all(|(range, part)| part.len() as u64 == range.end - range.start) {
            return None;
        }
        let bytes = self.parts.into_iter().map(|part| match part {
            Part::Missing => Bytes::new(),
            Part::Slice(bytes) => bytes,
            Part::Growing(bytes) => bytes.freeze(),
        });
        Some(Assembled { bytes: bytes.collect(), file_size, modified_ms })
    }
}

fn slice(block: &Bytes, within: Range<usize>) -> Bytes {
    if within.len() < block.len() / SLICE_PART {
        Bytes::copy_from_slice(&block[within])
    } else {
        block.slice(within)
    }
}
