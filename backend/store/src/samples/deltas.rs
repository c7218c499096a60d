//! Times stored as differences: Parquet's `DELTA_BINARY_PACKED` (Lemire and Boytsov, "Decoding billions of integers per
//! second through vectorization", 2012, as the format's "Delta encoding" describes it).
//!
//! Comes in: the bytes of a page; goes out: its numbers, forward, as many as are asked for; others are added up and not
//! written down. Knows nothing of columns and rows.
//!
//! ```text
//! page:  values a block | parts a block | values | first value | blocks …
//! block: least difference | bits of each part | parts: what each difference is more than the least, bit by bit
//! ```

use parquet::errors::ParquetError;

use super::buffers::Buffer;
use super::pages::short;

/// Values of a part that are unpacked at once; parts have a multiple of it.
const VALUES_AT_ONCE: usize = 32;
/// Most parts a block may have; more make no sense.
const PARTS_MAX: usize = 1_024;
/// Most values a block may have; the format's writers use 128 and 256.
const BLOCK_MAX: usize = 1 << 20;
/// A number is read with eight bytes from where it begins.
pub(super) const BYTES_BEHIND: usize = 8;
/// Most bits a difference may have so that those eight bytes hold it wherever in a byte it begins.
const BITS_IN_EIGHT: usize = 57;

/// A page being read.
pub(super) struct Deltas {
    /// With [`BYTES_BEHIND`] bytes behind the page's own.
    bytes: Buffer,
    /// Where to read on.
    at: usize,
    values_a_part: usize,
    parts_a_block: usize,
    /// Values that were not given yet.
    left: usize,
    /// The value given last, if `begun`; else the first one.
    last: i64,
    begun: bool,
    /// The block's least difference, and where the bits of its parts stand.
    least: i64,
    bits_at: usize,
    /// Parts of the block that are left.
    parts: usize,
    part: Part,
}

/// What is left of a part of a block.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Where its bytes begin.
    at: usize,
    /// Bits a difference.
    bits: usize,
    /// The next difference.
    next: usize,
    /// Differences it has in all.
    end: usize,
}

impl Deltas {
    /// Most bytes a page of `rows` numbers has: more than any writer has reason to use.
    pub(super) fn bytes_max(rows: usize) -> usize {
        rows.saturating_mul(9).saturating_add(64 << 10)
    }

    /// Of a page that must have `rows` values; `bytes` have [`BYTES_BEHIND`] more behind them.
    pub(super) fn of(bytes: Buffer, rows: usize) -> Result<Deltas, ParquetError> {
        let mut deltas = Deltas {
            bytes,
            at: 0,
            values_a_part: 0,
            parts_a_block: 0,
            left: rows,
            last: 0,
            begun: false,
            least: 0,
            bits_at: 0,
            parts: 0,
            part: Part::default(),
        };
        let values_a_block = deltas.size()?;
        deltas.parts_a_block = deltas.size()?;
        let values = deltas.size()?;
        deltas.last = deltas.number()?;
        let makes_sense = (1..=PARTS_MAX).contains(&deltas.parts_a_block)
            && (1..=BLOCK_MAX).contains(&values_a_block)
            && values_a_block.is_multiple_of(deltas.parts_a_block * VALUES_AT_ONCE);
        if !makes_sense {
            return Err(ParquetError::General(format!(
                "a page of differences in blocks of {values_a_block} in {} parts",
                deltas.parts_a_block
            )));
        }
        if values != rows {
            return Err(ParquetError::General(format!("a page of {values} differences for {rows} rows")));
        }
        deltas.values_a_part = values_a_block / deltas.parts_a_block;
        Ok(deltas)
    }

    /// Passes `count` values.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), ParquetError> {
        self.each_run(count, |deltas, run| deltas.add_up(run))
    }

    /// Appends `count` values to `to`, little-endian.
    pub(super) fn read(&mut self, count: usize, to: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.each_run(count, |deltas, run| deltas.write_down(run, to))
    }

    /// Goes over the next `count` values: the first of the page by itself, others by runs within a part.
    fn each_run(
        &mut self,
        count: usize,
        mut take: impl FnMut(&mut Deltas, Run) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        self.left = self.left.checked_sub(count).ok_or_else(short)?;
        let mut wanted = count;
        if !self.begun && wanted > 0 {
            self.begun = true;
            take(self, Run { first: 0, count: 1, part: None })?;
            wanted -= 1;
        }
        while wanted > 0 {
            if self.part.next == self.part.end {
                self.next_part()?;
            }
            let Part { next, end, .. } = self.part;
            let count = wanted.min(end - next);
            take(self, Run { first: next, count, part: Some(self.part) })?;
            self.part.next += count;
            wanted -= count;
        }
        Ok(())
    }

    fn next_part(&mut self) -> Result<(), ParquetError> {
        if self.parts == 0 {
            self.least = self.number()?;
            self.bits_at = self.at;
            self.parts = self.parts_a_block;
            self.at += self.parts_a_block;
        }
        let bits = usize::from(*self.own_bytes().get(self.bits_at).ok_or_else(short)?);
        if bits > 64 {
            return Err(ParquetError::General(format!("differences of {bits} bits")));
        }
        self.part = Part { at: self.at, bits, next: 0, end: self.values_a_part };
        self.bits_at += 1;
        self.parts -= 1;
        self.at += self.values_a_part / 8 * bits;
        Ok(())
    }

    fn add_up(&mut self, run: Run) -> Result<(), ParquetError> {
        let Some(part) = run.part else { return Ok(()) };
        let least = self.least.wrapping_mul(run.count as i64);
        let mut sum = 0_i64;
        self.unpack(part, run, |more| sum = sum.wrapping_add(more))?;
        self.last = self.last.wrapping_add(least).wrapping_add(sum);
        Ok(())
    }

    fn write_down(&mut self, run: Run, to: &mut Vec<u8>) -> Result<(), ParquetError> {
        let Some(part) = run.part else {
            to.extend_from_slice(&self.last.to_le_bytes());
            return Ok(());
        };
        let (mut last, least) = (self.last, self.least);
        let before = to.len();
        to.resize(before + run.count * size_of::<i64>(), 0);
        let mut places = to[before..].as_chunks_mut().0.iter_mut();
        self.unpack(part, run, |more| {
            last = last.wrapping_add(least).wrapping_add(more);
            if let Some(place) = places.next() {
                *place = last.to_le_bytes();
            }
        })?;
        self.last = last;
        Ok(())
    }

    /// Gives the differences of a run, the least one taken off, to `take`.
    #[inline(always)]
    fn unpack(&self, part: Part, run: Run, mut take: impl FnMut(i64)) -> Result<(), ParquetError> {
        let Part { at, bits, .. } = part;
        if bits == 0 {
            (0..run.count).for_each(|_| take(0));
            return Ok(());
        }
        let (first, end) = (run.first * bits, (run.first + run.count) * bits);
        if at + end.div_ceil(8) > self.own_bytes().len() {
            return Err(short());
        }
        let bytes = self.bytes.as_ref().get(at..at + end.div_ceil(8) + BYTES_BEHIND).ok_or_else(short)?;
        let mask = u64::MAX >> (64 - bits);
        for bit in (first..end).step_by(bits) {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[bit / 8..bit / 8 + 8]);
            let mut number = u64::from_le_bytes(eight) >> (bit % 8);
            if bits > BITS_IN_EIGHT && bit % 8 > 0 {
                number |= u64::from(bytes[bit / 8 + 8]) << (64 - bit % 8);
            }
            take((number & mask).cast_signed());
        }
        Ok(())
    }

    fn own_bytes(&self) -> &[u8] {
        let bytes = self.bytes.as_ref();
        &bytes[..bytes.len().saturating_sub(BYTES_BEHIND)]
    }

    /// A number that is not negative.
    fn size(&mut self) -> Result<usize, ParquetError> {
        usize::try_from(self.varint()?).map_err(|_| short())
    }

    /// A number of either sign.
    fn number(&mut self) -> Result<i64, ParquetError> {
        let folded = self.varint()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    fn varint(&mut self) -> Result<u64, ParquetError> {
        let mut number = 0_u64;
        for shift in (0..).step_by(7).take(10) {
            let byte = *self.own_bytes().get(self.at).ok_or_else(short)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ParquetError::General("a number of more than ten bytes".to_owned()))
    }
}

/// Values that follow each other.
#[derive(Clone, Copy)]
struct Run {
    /// The first, within its part.
    first: usize,
    count: usize,
    /// None for the first value of a page, which is stored as it is.
    part: Option<Part>,
}

#[cfg(test)]
mod tests;
