use super::*;

fn buckets(spans: &[(i32, u32)], counts: &[f64]) -> Buckets {
    let spans = spans.iter().map(|(offset, length)| BucketSpan { offset: *offset, length: *length });
    Buckets { spans: spans.collect(), counts: counts.to_vec() }
}

fn exponential(schema: i32, positive: Buckets) -> NativeHistogram {
    let count = positive.counts.iter().sum();
    NativeHistogram { schema, positive, count, ..NativeHistogram::default() }
}

fn custom(bounds: &[f64], positive: Buckets) -> NativeHistogram {
    NativeHistogram { custom_bounds: bounds.to_vec(), ..exponential(CUSTOM_BUCKETS_SCHEMA, positive) }
}

#[track_caller]
fn refused(histogram: &NativeHistogram, error: HistogramError) {
    assert_eq!(histogram.check(), Err(error));
}

#[test]
fn what_fits_together_passes() {
    exponential(3, buckets(&[(-5, 2), (0, 1), (3, 0)], &[1.0, 2.0, 0.5])).check().unwrap();
    exponential(52, Buckets::default()).check().unwrap();
    custom(&[1.0, 2.0], buckets(&[(0, 1), (1, 1)], &[1.0, 2.0])).check().unwrap();
    custom(&[f64::NEG_INFINITY, 2.0], buckets(&[(0, 2)], &[1.0, 2.0])).check().unwrap();
    let stale = NativeHistogram { sum: crate::stale_nan(), ..NativeHistogram::default() };
    stale.check().unwrap();
    assert!(stale.is_stale());
}

#[test]
fn what_does_not_is_named() {
    refused(&exponential(53, Buckets::default()), HistogramError::Schema(53));
    refused(&exponential(-5, Buckets::default()), HistogramError::Schema(-5));
    let mismatch = HistogramError::SpansMismatch { spans: 3, counts: 1 };
    refused(&exponential(0, buckets(&[(0, 3)], &[1.0])), mismatch);
    refused(&exponential(0, buckets(&[(0, 1), (-1, 1)], &[1.0, 1.0])), HistogramError::SpanOffset);
    refused(&exponential(0, buckets(&[(i32::MAX, 1)], &[1.0])), HistogramError::Index);
    refused(&exponential(0, buckets(&[(0, 1)], &[-1.0])), HistogramError::NegativeCount);
    refused(&custom(&[1.0, 1.0], Buckets::default()), HistogramError::Bounds);
    refused(&custom(&[1.0, f64::INFINITY], Buckets::default()), HistogramError::Bounds);
    refused(&custom(&[f64::NAN], Buckets::default()), HistogramError::Bounds);
    refused(&custom(&[1.0], buckets(&[(0, 1), (1, 1)], &[1.0, 1.0])), HistogramError::BeyondBounds);
    refused(&custom(&[1.0], buckets(&[(-1, 1)], &[1.0])), HistogramError::SpanOffset);
    let zero = NativeHistogram { zero_threshold: 0.1, ..custom(&[1.0], Buckets::default()) };
    refused(&zero, HistogramError::CustomWithOthers);
    let bounds = NativeHistogram { custom_bounds: vec![1.0], ..NativeHistogram::default() };
    refused(&bounds, HistogramError::BoundsNotWanted);
}

#[test]
fn finer_buckets_than_known_are_merged() {
    // Two steps finer: buckets 1 to 4 make up the coarse bucket 1, 5 the coarse 2, -3 to 0 the coarse 0.
    let mut fine =
        exponential(10, buckets(&[(-3, 1), (2, 3), (1, 2), (8, 1)], &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]));
    let before: Vec<(i32, f64)> = fine.positive.iter().collect();
    assert_eq!(before.iter().map(|b| b.0).collect::<Vec<_>>(), [-3, 0, 1, 2, 4, 5, 14]);
    fine.reduce_to_known_schema();
    assert_eq!(fine.schema, 8);
    assert_eq!(fine.positive, buckets(&[(0, 3), (1, 1)], &[3.0, 28.0, 32.0, 64.0]));
    fine.check().unwrap();

    let mut known = exponential(8, buckets(&[(7, 1)], &[1.0]));
    known.reduce_to_known_schema();
    assert_eq!(known, exponential(8, buckets(&[(7, 1)], &[1.0])));
}

#[test]
fn bits_are_compared_not_numbers() {
    let stale = NativeHistogram { sum: crate::stale_nan(), ..NativeHistogram::default() };
    assert!(stale.same_bits(&stale.clone()));
    assert!(!stale.same_bits(&NativeHistogram { sum: f64::NAN, ..stale.clone() }));
    assert!(!stale.same_bits(&NativeHistogram { reset_hint: ResetHint::Gauge, ..stale.clone() }));
    assert!(stale.same_layout(&NativeHistogram { reset_hint: ResetHint::Gauge, ..stale.clone() }));
    for number in 0..4 {
        assert_eq!(ResetHint::from_number(number).number(), number);
    }
}
