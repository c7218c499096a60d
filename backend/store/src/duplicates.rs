//! Which of two samples with the same series and timestamp counts.
//!
//! Comes in: two values. Goes out: one of them, bit for bit. The rule is commutative, associative and
//! idempotent, so it does not matter in which order samples arrive, how often they are sent, and where they
//! meet: in the head, in a flush, in a compaction or in a reader. Knows nothing of where values come from.
//!
//! A number beats every NaN and a NaN beats the staleness marker; of two numbers the greater one counts, by
//! the order IEEE 754-2019 calls totalOrder (so `0` beats `-0`); of two NaNs the one with the greater bits.

use model::STALE_NAN_BITS;

/// The value that counts where `a` and `b` have the same series and timestamp.
pub fn wins(a: f64, b: f64) -> f64 {
    if rank(a) >= rank(b) { a } else { b }
}

/// Class, then place in the class; equal for equal bits only.
fn rank(value: f64) -> (u8, u64) {
    let bits = value.to_bits();
    if !value.is_nan() {
        return (2, ordered(bits));
    }
    (u8::from(bits != STALE_NAN_BITS), bits)
}

/// Maps the bits of numbers to integers in totalOrder, as [`f64::total_cmp`] compares them: positive ones
/// get the highest bit, of negative ones all bits are turned over.
fn ordered(bits: u64) -> u64 {
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

#[cfg(test)]
mod tests;
