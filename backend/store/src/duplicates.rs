//! Which of two samples of one series and one time counts. Comes in: two values; goes out: one of them. The
//! rule does not depend on their order, so the answer is the same before and after flush, compaction and
//! restart, in whatever order the samples arrived.

use model::is_stale;

/// The value that counts where a series has two at one time.
///
/// A number beats any NaN, a NaN beats the stale marker; of two numbers the greater by IEEE 754 `totalOrder`
/// counts, of two NaNs the one with the greater bit pattern.
pub fn wins(a: f64, b: f64) -> f64 {
    let rank = |value: f64| match () {
        () if is_stale(value) => 0,
        () if value.is_nan() => 1,
        () => 2,
    };
    let a_wins = match (rank(a), rank(b)) {
        (2, 2) => a.total_cmp(&b).is_ge(),
        (1, 1) => a.to_bits() >= b.to_bits(),
        (a, b) => a >= b,
    };
    if a_wins { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::stale_nan;

    #[test]
    fn numbers_beat_nans_and_nans_beat_stale_markers() {
        let odd_nan = f64::from_bits(f64::NAN.to_bits() | 7);
        let rising = [stale_nan(), f64::NAN, odd_nan, f64::NEG_INFINITY, -1.0, -0.0, 0.0, 2.0, f64::INFINITY];
        for (i, low) in rising.iter().enumerate() {
            for high in &rising[i..] {
                assert_eq!(wins(*low, *high).to_bits(), high.to_bits(), "{low} {high}");
                assert_eq!(wins(*high, *low).to_bits(), high.to_bits(), "{high} {low}");
            }
        }
    }
}
