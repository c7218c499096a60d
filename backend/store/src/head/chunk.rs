//! Compressed samples of one series, in the order they were written.
//!
//! Timestamps as delta of delta, values as XOR with the one before, after Pelkonen et al., "Gorilla: A Fast,
//! Scalable, In-Memory Time Series Database" (VLDB 2015), 4.1; the buckets are chosen for milliseconds.
//! Differences wrap, so any order and any timestamps come back; values come back bit for bit. A [`Chunk`]
//! grows; [`Encoded`] is what a reader gets: the same bits, shared and fixed.

use bytes::Bytes;

/// Growing, append-only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    /// Bits free in the last byte.
    free_bits: u8,
    leading: u8,
    trailing: u8,
    count: u32,
    last_ms: i64,
    last_delta: i64,
    last_value: u64,
}

/// One sample: milliseconds since the Unix epoch, value.
pub(crate) type Sample = (i64, f64);

/// `leading` before any XOR window was written.
const NO_WINDOW: u8 = 0xff;
/// Payload bits of the delta-of-delta buckets behind the prefixes 10, 110, 1110, 1111.
const BUCKETS: [u8; 4] = [7, 14, 20, 64];
/// Bytes behind the bits of a chunk that a reader may load with them and does not look at.
pub(crate) const PADDING: usize = 8;

impl Chunk {
    /// Appends a sample.
    pub(crate) fn push(&mut self, timestamp_ms: i64, value: f64) {
        let bits = value.to_bits();
        if self.count == 0 {
            self.write(timestamp_ms.cast_unsigned(), 64);
            self.write(bits, 64);
            self.leading = NO_WINDOW;
        } else {
            let delta = timestamp_ms.wrapping_sub(self.last_ms);
            self.write_delta_of_delta(delta.wrapping_sub(self.last_delta));
            self.write_xor(bits ^ self.last_value);
            self.last_delta = delta;
        }
        self.last_ms = timestamp_ms;
        self.last_value = bits;
        self.count += 1;
    }

    /// Samples in the chunk.
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The encoded bits, filled up to whole bytes.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the chunk empty and keeps its buffer.
    pub(crate) fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        *self = Chunk { bytes, ..Chunk::default() };
    }

    /// A copy of the samples as they are now.
    pub(crate) fn encoded(&self) -> Encoded {
        let mut bytes = Vec::with_capacity(self.bytes.len() + PADDING);
        bytes.extend_from_slice(&self.bytes);
        bytes.resize(self.bytes.len() + PADDING, 0);
        Encoded { bytes: bytes.into(), count: self.count }
    }

    fn write_delta_of_delta(&mut self, difference: i64) {
        if difference == 0 {
            return self.write(0, 1);
        }
        let bucket = BUCKETS.iter().position(|bits| fits(difference, *bits)).unwrap_or(BUCKETS.len() - 1);
        match bucket {
            0 => self.write(0b10, 2),
            1 => self.write(0b110, 3),
            2 => self.write(0b1110, 4),
            _ => self.write(0b1111, 4),
        }
        self.write(difference.cast_unsigned(), BUCKETS[bucket]);
    }

    fn write_xor(&mut self, xor: u64) {
        if xor == 0 {
            return self.write(0, 1);
        }
        // Five bits hold the leading zeros, so 31 is the most that is told.
        let (leading, trailing) = (xor.leading_zeros().min(31) as u8, xor.trailing_zeros() as u8);
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            self.write(0b10, 2);
        } else {
            (self.leading, self.trailing) = (leading, trailing);
            self.write(0b11, 2);
            self.write(u64::from(leading), 5);
            // 1 to 64 significant bits; 64 is written as 0.
            self.write(u64::from(64 - leading - trailing) & 63, 6);
        }
        self.write(xor >> self.trailing, 64 - self.leading - self.trailing);
    }

    /// Appends the low `count` bits of `value`, 1 to 64, highest first.
    fn write(&mut self, value: u64, count: u8) {
        // The bits to write, at the top; what is above them in `value` falls out.
        let mut bits = value << (64 - count);
        let mut left = count;
        if self.free_bits > 0 {
            let take = left.min(self.free_bits);
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((bits >> 56) as u8) >> (8 - self.free_bits);
            }
            self.free_bits -= take;
            left -= take;
            if left == 0 {
                return;
            }
            bits <<= take;
        }
        let whole = left.div_ceil(8);
        self.grow(usize::from(whole));
        self.bytes.extend_from_slice(&bits.to_be_bytes()[..usize::from(whole)]);
        self.free_bits = whole * 8 - left;
    }

    /// Grows by a quarter: doubling would waste as much as the labels of a series take.
    fn grow(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() < more {
            self.bytes.reserve_exact((self.bytes.len() / 4).max(24));
        }
    }
}

/// Samples that do not change any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    /// The bits of a chunk and at least [`PADDING`] bytes more, if there are samples.
    bytes: Bytes,
    count: u32,
}

impl Encoded {
    /// `count` samples whose bits begin where `bytes` begins and are followed by padding or other chunks.
    pub(crate) fn new(bytes: Bytes, count: u32) -> Encoded {
        Encoded { bytes, count }
    }

    /// Samples held.
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// All samples in the order they were written.
    pub(crate) fn iter(&self) -> Samples<'_> {
        Samples {
            bits: BitReader { bytes: &self.bytes, position: 0 },
            left: self.count,
            first: true,
            timestamp_ms: 0,
            delta: 0,
            value: 0,
            leading: 0,
            trailing: 0,
        }
    }
}

/// Whether `difference` survives being cut to `bits` bits, two's complement.
fn fits(difference: i64, bits: u8) -> bool {
    let shift = 64 - u32::from(bits);
    (difference << shift) >> shift == difference
}

/// Decodes a chunk.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    bits: BitReader<'a>,
    left: u32,
    first: bool,
    timestamp_ms: i64,
    delta: i64,
    value: u64,
    leading: u8,
    trailing: u8,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        if self.first {
            self.first = false;
            self.timestamp_ms = self.bits.read(64).cast_signed();
            self.value = self.bits.read(64);
        } else {
            self.delta = self.delta.wrapping_add(self.delta_of_delta());
            self.timestamp_ms = self.timestamp_ms.wrapping_add(self.delta);
            self.value ^= self.xor();
        }
        Some((self.timestamp_ms, f64::from_bits(self.value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl Samples<'_> {
    fn delta_of_delta(&mut self) -> i64 {
        let window = self.bits.window();
        let ones = (!window).leading_zeros().min(4) as u8;
        let Some(bucket) = ones.checked_sub(1) else {
            self.bits.skip(1);
            return 0;
        };
        let (bits, prefix) = (BUCKETS[usize::from(bucket)], (ones + 1).min(4));
        if bits == 64 {
            self.bits.skip(prefix);
            return self.bits.read(64).cast_signed();
        }
        self.bits.skip(prefix + bits);
        (window << prefix).cast_signed() >> (64 - bits)
    }

    fn xor(&mut self) -> u64 {
        let window = self.bits.window();
        if window >> 63 == 0 {
            self.bits.skip(1);
            return 0;
        }
        if window >> 62 == 0b11 {
            self.leading = (window >> 57) as u8 & 31;
            let significant = match (window >> 51) as u8 & 63 {
                0 => 64,
                bits => bits,
            };
            // Damaged bits must not make the arithmetic fail; chunks never leave memory.
            self.trailing = 64u8.saturating_sub(self.leading + significant);
            self.bits.skip(13);
        } else {
            self.bits.skip(2);
        }
        self.bits.read(64 - self.leading - self.trailing) << self.trailing
    }
}

#[derive(Debug)]
struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl BitReader<'_> {
    /// The next bits, at the top; at least 57 of them are told.
    fn window(&self) -> u64 {
        let byte = self.position / 8;
        let word = match self.bytes.get(byte..byte + 8) {
            Some(next) => next.try_into().map_or(0, u64::from_be_bytes),
            None => 0,
        };
        word << (self.position % 8)
    }

    fn skip(&mut self, count: u8) {
        self.position += usize::from(count);
    }

    /// The next 1 to 64 bits.
    fn read(&mut self, count: u8) -> u64 {
        if count <= 57 {
            let value = self.window() >> (64 - count);
            self.skip(count);
            return value;
        }
        let high = self.read(32);
        let low = self.read(count - 32);
        (high << (count - 32)) | low
    }
}

#[cfg(test)]
mod tests;
