use proptest::prelude::*;

use super::*;

fn exponential(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
    let positive = Histogram::buckets_from_spans(
        &[BucketSpan { offset, length: u32::try_from(counts.len()).expect("few buckets") }],
        counts,
    );
    // An empty sum of floats is -0.0.
    let count = counts.iter().sum::<f64>() + 0.0;
    Histogram { schema, positive, count, sum: count, ..Histogram::default() }
}

fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
    let mut histogram = exponential(CUSTOM_BUCKETS_SCHEMA, 0, counts);
    histogram.custom_bounds = bounds.into();
    histogram
}

#[test]
fn spans_become_buckets() {
    let spans = [BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 3, length: 1 }];
    let buckets = Histogram::buckets_from_spans(&spans, &[1.0, 2.0, 3.0]);
    let indices: Vec<i32> = buckets.iter().map(|bucket| bucket.index).collect();
    assert_eq!(indices, [-1, 0, 4]);
}

#[test]
fn bounds_of_buckets() {
    let check = |index: i32, schema: i32, bound: f64| {
        let got = bounds::exponential_bound(index, schema);
        assert!((got - bound).abs() <= bound * 1e-15, "{index} of schema {schema}: {got}");
    };
    check(0, 0, 1.0);
    check(3, 0, 8.0);
    check(-1, 0, 0.5);
    check(1, 1, std::f64::consts::SQRT_2);
    check(1, -1, 4.0);
    check(-3, 2, 2_f64.powf(-0.75));
    check(1024, 0, f64::MAX);
}

#[expect(clippy::approx_constant, reason = "what Prometheus has is one float below")]
#[test]
fn bounds_are_those_of_prometheus_to_the_last_bit() {
    for (index, schema, bound) in [
        (-13, 1, 0.011048543456039804),
        (1, 1, 1.414213562373095),
        (-2, 3, 0.8408964152537144),
        (-3, 3, 0.7711054127039704),
        (-63, 6, 0.5054446430258502),
        (-1, 8, 0.9972960560854698),
        (-255, 8, 0.5013556375251013),
        (-68, 8, 0.8318382901633681),
    ] {
        assert_eq!(
            bounds::exponential_bound(index, schema).to_bits(),
            f64::to_bits(bound),
            "{index} of {schema}"
        );
    }
    assert!(bounds::exponential_bound(-1074, 0) > 0.0 && bounds::exponential_bound(i32::MIN, 8) == 0.0);
}

#[test]
fn sums_take_the_coarser_schema() {
    let mut sum = exponential(1, 1, &[1.0, 2.0, 3.0]);
    let combined = sum.add(&exponential(0, 1, &[10.0])).expect("compatible");
    assert_eq!(combined, Combined::default());
    assert_eq!(sum.schema, 0);
    assert_eq!(sum.positive, [Bucket { index: 1, count: 13.0 }, Bucket { index: 2, count: 3.0 }]);
}

#[test]
fn sums_widen_the_zero_bucket() {
    let mut a = exponential(0, 0, &[1.0, 2.0]);
    let b = Histogram { zero_threshold: 0.75, zero_count: 5.0, count: 5.0, ..Histogram::default() };
    a.add(&b).expect("compatible");
    // 0.75 lies within the populated bucket (0.5, 1], which joins the zero bucket as a whole.
    assert_eq!((a.zero_threshold, a.zero_count), (1.0, 6.0));
    assert_eq!(a.positive, [Bucket { index: 1, count: 2.0 }]);
}

#[test]
fn custom_bounds_are_reduced_to_the_common_ones() {
    let mut sum = custom(&[1.0, 2.0, 5.0], &[1.0, 1.0, 1.0, 1.0]);
    let combined = sum.add(&custom(&[2.0, 3.0], &[1.0, 1.0, 1.0])).expect("compatible");
    assert!(combined.bounds_reconciled);
    assert_eq!(&sum.custom_bounds[..], [2.0]);
    assert_eq!(sum.positive, [Bucket { index: 0, count: 3.0 }, Bucket { index: 1, count: 4.0 }]);
    assert_eq!(sum.add(&exponential(0, 0, &[1.0])), Err(IncompatibleSchema));
}

#[test]
fn resets_are_found() {
    let before = exponential(0, 0, &[1.0, 2.0]);
    assert!(!exponential(0, 0, &[1.0, 2.0]).is_reset_after(&before));
    assert!(!exponential(0, 0, &[2.0, 2.0, 1.0]).is_reset_after(&before));
    assert!(exponential(0, 0, &[0.0, 5.0]).is_reset_after(&before), "a bucket fell");
    assert!(exponential(0, 1, &[5.0]).is_reset_after(&before), "a bucket is missing");
    assert!(exponential(1, 0, &[5.0]).is_reset_after(&before), "the resolution rose");
    assert!(!exponential(-1, 0, &[1.0, 2.0]).is_reset_after(&before), "the resolution fell");
    let hinted = Histogram { reset_hint: ResetHint::NotReset, ..exponential(0, 1, &[5.0]) };
    assert!(!hinted.is_reset_after(&before), "the hint decides");
}

#[test]
fn printed_like_prometheus() {
    let mut histogram = exponential(0, 0, &[1.0, 2.0]);
    histogram.zero_count = 1.0;
    histogram.zero_threshold = 0.001;
    histogram.negative = vec![Bucket { index: 0, count: 3.0 }];
    let text = "{count:3, sum:3, [-1,-0.5):3, [-0.001,0.001]:1, (0.5,1]:1, (1,2]:2}";
    assert_eq!(histogram.to_string(), text);
}

#[test]
fn kahan_sums_keep_what_rounding_loses() {
    let parts: Vec<Histogram> =
        [1.0, 1e100, 1.0, -1e100].iter().map(|count| exponential(0, 0, &[*count])).collect();
    let total = Total::sum(&parts).expect("compatible").expect("not empty");
    assert_eq!(total.histogram.positive[0].count, 2.0);
}

fn any_histogram() -> impl Strategy<Value = Histogram> {
    (-2_i32..4, -5_i32..5, prop::collection::vec(0_u8..5, 0..12)).prop_map(|(schema, offset, counts)| {
        let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
        exponential(schema, offset, &counts)
    })
}

proptest! {
    #[test]
    fn adding_and_subtracting_gives_the_same_back(a in any_histogram(), b in any_histogram()) {
        let mut sum = a.clone();
        sum.add(&b).expect("exponential");
        sum.subtract(&b).expect("exponential");
        sum.compact();
        let mut expected = a;
        expected.reduce_resolution(sum.schema);
        expected.compact();
        prop_assert!(sum.same_data(&expected), "{} is not {}", sum, expected);
    }

    #[test]
    fn a_sum_is_no_reset_after_its_parts(a in any_histogram(), b in any_histogram()) {
        let mut sum = a.clone();
        sum.add(&b).expect("exponential");
        prop_assert!(!sum.is_reset_after(&a));
    }

    #[test]
    fn fractions_invert_quantiles(histogram in any_histogram(), q in 0.01_f64..0.99) {
        prop_assume!(histogram.count > 0.0);
        let (value, _) = histogram.quantile(q);
        let (below, _) = histogram.fraction(f64::NEG_INFINITY, value);
        // Between populated buckets a quantile is ambiguous by what the gap leaves open, never by observations.
        prop_assert!((below - q).abs() < 1e-6, "{below} is not {q} of {histogram}");
    }

    #[test]
    fn trimming_keeps_all_observations_between_both_sides(histogram in any_histogram(), at in -2.0_f64..20.0) {
        let [mut below, mut above] = [histogram.clone(), histogram.clone()];
        below.trim(at, Keep::Below);
        above.trim(at, Keep::Above);
        prop_assert!((below.count + above.count - histogram.count).abs() < 1e-9);
    }
}
