//! Chunks of float samples in Prometheus' encoding: timestamps as differences of differences, values as XOR with
//! the one before. Source: Prometheus `tsdb/chunkenc/xor.go`, after Pelkonen et al., "Gorilla: A Fast, Scalable,
//! In-Memory Time Series Database" (VLDB 2015).

use super::bits::BitWriter;
use crate::protobuf::write::{put_varint, zigzag};

/// Widths of the differences of differences behind the prefixes 10, 110 and 1110; others take 64 bits.
const WIDTHS: [(u64, u32, u32); 3] = [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)];
/// Window before the first one was told.
const NO_WINDOW: u32 = u32::MAX;

/// The bytes of a chunk. `samples`: at most 65,535, milliseconds since the Unix epoch and value.
pub(super) fn encode(samples: &[(i64, f64)]) -> Vec<u8> {
    let count = u16::try_from(samples.len()).unwrap_or(u16::MAX);
    let mut bits = BitWriter::after(count.to_be_bytes().to_vec());
    let mut values = XorWriter::default();
    let (mut last_ms, mut last_delta) = (0i64, 0i64);
    for (number, &(timestamp_ms, value)) in samples.iter().enumerate().take(usize::from(count)) {
        let delta = timestamp_ms.wrapping_sub(last_ms);
        match number {
            0 => put_varint_bits(&mut bits, zigzag(timestamp_ms)),
            1 => put_varint_bits(&mut bits, delta.cast_unsigned()),
            _ => put_difference(&mut bits, delta.wrapping_sub(last_delta)),
        }
        if number == 0 {
            values.first(&mut bits, value);
        } else {
            values.next(&mut bits, value);
        }
        (last_ms, last_delta) = (timestamp_ms, delta);
    }
    bits.into_bytes()
}

fn put_varint_bits(bits: &mut BitWriter, value: u64) {
    let mut varint = Vec::with_capacity(10);
    put_varint(&mut varint, value);
    varint.into_iter().for_each(|byte| bits.put_byte(byte));
}

fn put_difference(bits: &mut BitWriter, difference: i64) {
    if difference == 0 {
        return bits.put(0, 1);
    }
    for (prefix, prefix_bits, width) in WIDTHS {
        if fits(difference, width) {
            bits.put(prefix, prefix_bits);
            return bits.put(difference.cast_unsigned(), width);
        }
    }
    bits.put(0b1111, 4);
    bits.put(difference.cast_unsigned(), 64);
}

/// Whether `width` bits hold the number: one more above zero than below, as Prometheus has it.
fn fits(value: i64, width: u32) -> bool {
    let half = 1i64 << (width - 1);
    (1 - half..=half).contains(&value)
}

/// Values, each as the XOR with the one before.
#[derive(Debug)]
struct XorWriter {
    last: u64,
    leading: u32,
    trailing: u32,
}

impl Default for XorWriter {
    fn default() -> XorWriter {
        XorWriter { last: 0, leading: NO_WINDOW, trailing: 0 }
    }
}

impl XorWriter {
    fn first(&mut self, bits: &mut BitWriter, value: f64) {
        self.last = value.to_bits();
        bits.put(self.last, 64);
    }

    fn next(&mut self, bits: &mut BitWriter, value: f64) {
        let xor = value.to_bits() ^ self.last;
        self.last = value.to_bits();
        if xor == 0 {
            return bits.put(0, 1);
        }
        // Five bits tell the leading zeros.
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            bits.put(0b10, 2);
            return bits.put(xor >> self.trailing, 64 - self.leading - self.trailing);
        }
        (self.leading, self.trailing) = (leading, trailing);
        let significant = 64 - leading - trailing;
        bits.put(0b11, 2);
        bits.put(u64::from(leading), 5);
        // 64 does not fit and is told as 0.
        bits.put(u64::from(significant & 63), 6);
        bits.put(xor >> trailing, significant);
    }
}
