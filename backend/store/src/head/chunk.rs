//! Compressed samples of one series, in the order they were written.
//!
//! Timestamps as delta of delta, values as XOR with the one before, after Pelkonen et al., "Gorilla: A Fast,
//! Scalable, In-Memory Time Series Database" (VLDB 2015), 4.1; the buckets are chosen for milliseconds.
//! Differences wrap, so any order and any timestamps come back; values come back bit for bit.

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

    /// Appends the low `count` bits of `value`, highest first.
    fn write(&mut self, value: u64, count: u8) {
        let mut left = count;
        while left > 0 {
            if self.free_bits == 0 {
                self.grow();
                self.bytes.push(0);
                self.free_bits = 8;
            }
            let take = left.min(self.free_bits);
            let piece = (value >> (left - take)) as u8 & (0xffu16 >> (8 - take)) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= piece << (self.free_bits - take);
            }
            self.free_bits -= take;
            left -= take;
        }
    }

    /// Grows by a quarter: doubling would waste as much as the labels of a series take.
    fn grow(&mut self) {
        if self.bytes.len() == self.bytes.capacity() {
            self.bytes.reserve_exact((self.bytes.len() / 4).max(24));
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
        let mut ones = 0;
        while ones < BUCKETS.len() && self.bits.read(1) == 1 {
            ones += 1;
        }
        let Some(bucket) = ones.checked_sub(1) else { return 0 };
        let bits = BUCKETS[bucket];
        let shift = 64 - u32::from(bits);
        (self.bits.read(bits).cast_signed() << shift) >> shift
    }

    fn xor(&mut self) -> u64 {
        if self.bits.read(1) == 0 {
            return 0;
        }
        if self.bits.read(1) == 1 {
            self.leading = self.bits.read(5) as u8;
            let significant = match self.bits.read(6) as u8 {
                0 => 64,
                bits => bits,
            };
            self.trailing = 64 - self.leading - significant;
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
    fn read(&mut self, count: u8) -> u64 {
        let mut value = 0;
        let mut left = count;
        while left > 0 {
            let byte = self.bytes.get(self.position / 8).copied().unwrap_or(0);
            let free = 8 - (self.position % 8) as u8;
            let take = left.min(free);
            let piece = (byte >> (free - take)) & (0xffu16 >> (8 - take)) as u8;
            value = (value << take) | u64::from(piece);
            self.position += usize::from(take);
            left -= take;
        }
        value
    }
}

#[cfg(test)]
mod tests;
