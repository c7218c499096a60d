use proptest::prelude::*;

use super::*;

const QUIET: u64 = 0x7ff8_0000_0000_0000;

/// Any bits; values that are hard to order come up often.
fn bits() -> impl Strategy<Value = u64> {
    let hard = prop::sample::select(vec![
        0,
        1 << 63,
        1,
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        f64::MAX.to_bits(),
        f64::MIN.to_bits(),
        QUIET,
        QUIET | 1 << 63,
        STALE_NAN_BITS,
        STALE_NAN_BITS | 1 << 63,
        STALE_NAN_BITS - 1,
        STALE_NAN_BITS + 1,
    ]);
    prop_oneof![hard, any::<u64>(), any::<f64>().prop_map(f64::to_bits)]
}

fn of(a: u64, b: u64) -> u64 {
    wins(f64::from_bits(a), f64::from_bits(b)).to_bits()
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(a in bits(), b in bits(), c in bits()) {
        prop_assert_eq!(of(a, b), of(b, a));
        prop_assert_eq!(of(of(a, b), c), of(a, of(b, c)));
        prop_assert_eq!(of(a, a), a);
        prop_assert!(of(a, b) == a || of(a, b) == b, "one of the two, bit for bit");
    }

    #[test]
    fn of_two_numbers_the_greater_counts(a in any::<f64>(), b in any::<f64>()) {
        prop_assume!(!a.is_nan() && !b.is_nan());
        let greater = if a.total_cmp(&b).is_ge() { a } else { b };
        prop_assert_eq!(wins(a, b).to_bits(), greater.to_bits());
    }

    #[test]
    fn numbers_beat_nans_and_nans_beat_the_stale_marker(a in bits(), b in bits()) {
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        let winner = of(a, b);
        if !x.is_nan() || !y.is_nan() {
            prop_assert!(!f64::from_bits(winner).is_nan());
        } else if a != b {
            prop_assert_ne!(winner, STALE_NAN_BITS);
        }
    }
}

#[test]
fn the_rule_by_example() {
    let stale = STALE_NAN_BITS;
    let number = f64::to_bits;
    let examples = [
        (number(1.0), number(2.0), number(2.0)),
        (number(-0.0), number(0.0), number(0.0)),
        (number(f64::NEG_INFINITY), QUIET, number(f64::NEG_INFINITY)),
        (number(-1.0), stale, number(-1.0)),
        (QUIET, stale, QUIET),
        (stale, stale - 1, stale - 1),
        (QUIET, QUIET | 1 << 63, QUIET | 1 << 63),
    ];
    for (a, b, expect) in examples {
        assert_eq!((of(a, b), of(b, a)), (expect, expect), "{a:#x} and {b:#x}");
    }
}
