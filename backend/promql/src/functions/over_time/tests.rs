use proptest::prelude::*;

use super::*;
use crate::ast::RangeMode;
use crate::error::Span;
use crate::functions::window::{Resets, exact_sums};

fn window<'a>(values: &'a [f64], sums: &'a [f64]) -> Window<'a> {
    Window {
        timestamps: &[],
        values,
        starts: &[],
        resets: Resets::Unknown,
        sums,
        histograms: &[],
        use_starts: false,
        time_ms: 0,
        start_ms: 0,
        end_ms: 0,
        mode: RangeMode::Plain,
        parameters: [0.0; 2],
        metric: "",
        span: Span::default(),
    }
}

fn reference_sum(values: &[f64]) -> f64 {
    let (sum, lost) = values.iter().fold((0.0, 0.0), |(sum, lost), value| kahan_add(*value, sum, lost));
    if sum.is_infinite() { sum } else { sum + lost }
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a == 0.0 && b == 0.0) || (a.is_nan() && b.is_nan())
}

#[test]
fn extremes_pass_over_nan() {
    let max = |values: &[f64]| extreme(values, f64::NEG_INFINITY, |value, max| value > max);
    assert_eq!(max(&[1.0, f64::NAN, 3.0, 2.0]), 3.0);
    assert!(max(&[f64::NAN; 20]).is_nan());
    assert_eq!(max(&[f64::NEG_INFINITY, f64::NAN]), f64::NEG_INFINITY);
    assert_eq!(max(&(0..20).map(f64::from).collect::<Vec<_>>()), 19.0);
}

#[test]
fn exact_sums_are_for_whole_numbers() {
    assert_eq!(exact_sums(&[1.0, -2.0, 3.0]), [1.0, -1.0, 2.0]);
    assert!(exact_sums(&[0.5]).is_empty());
    assert!(exact_sums(&[f64::NAN]).is_empty());
    assert!(exact_sums(&[1e16]).is_empty());
}

proptest! {
    #[test]
    fn fast_sums_have_the_bits_of_slow_ones(values in prop::collection::vec(prop_oneof![
        -1e6..1e6_f64,
        prop::num::f64::NORMAL,
        Just(f64::INFINITY),
        Just(0.1),
    ], 1..40)) {
        prop_assert!(same(float_sum(&window(&values, &[])), reference_sum(&values)));
    }

    #[test]
    fn sums_of_whole_numbers_need_no_adding_up(values in prop::collection::vec(-1_000_i32..1_000, 2..40), cut in 0_usize..20) {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let sums = exact_sums(&values);
        let cut = cut.min(values.len() - 1);
        let within = window(&values[cut..], &sums[cut..]);
        prop_assert!(same(float_sum(&within), reference_sum(&values[cut..])));
    }
}
