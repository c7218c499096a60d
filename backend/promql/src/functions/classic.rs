//! Quantiles and fractions of classic histograms: cumulative counts by upper bound. Prometheus
//! `BucketQuantile`, `BucketFraction`.

/// A bucket: observations up to `upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClassicBucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// Counts that differ by less than this share are taken as equal: rounding, not data.
const SMALL_DELTA: f64 = 1e-12;

/// What had to be corrected so that counts do not fall: bounds of the first and last corrected bucket, and the
/// largest correction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Correction {
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) difference_max: f64,
}

/// Sorts by bound and adds up buckets of the same bound.
fn normalize(buckets: &mut Vec<ClassicBucket>) {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// The `q`-quantile, interpolated linearly; the first bucket starts at zero if its bound is positive. In the last
/// bucket, +Inf, the bound before it. NaN without observations or without a bucket of +Inf.
pub(crate) fn quantile(q: f64, mut buckets: Vec<ClassicBucket>) -> (f64, Option<Correction>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    normalize(&mut buckets);
    let [.., before_last, last] = buckets[..] else { return (f64::NAN, None) };
    if last.upper != f64::INFINITY {
        return (f64::NAN, None);
    }
    let second_highest = before_last.upper;
    let correction = make_monotonic(&mut buckets);
    let observations = buckets[buckets.len() - 1].count;
    if observations == 0.0 {
        return (f64::NAN, None);
    }
    let mut rank = q * observations;
    let at = buckets[..buckets.len() - 1]
        .iter()
        .position(|bucket| bucket.count >= rank)
        .unwrap_or(buckets.len() - 1);
    if at == buckets.len() - 1 {
        return (second_highest, correction);
    }
    let bucket = buckets[at];
    if at == 0 && bucket.upper <= 0.0 {
        return (bucket.upper, correction);
    }
    let (mut start, mut count) = (0.0, bucket.count);
    if at > 0 {
        let previous = buckets[at - 1];
        start = previous.upper;
        count -= previous.count;
        rank -= previous.count;
    }
    (start + (bucket.upper - start) * (rank / count), correction)
}

/// Raises counts that fall to the highest before them; tiny differences go without a word.
fn make_monotonic(buckets: &mut [ClassicBucket]) -> Option<Correction> {
    let mut correction: Option<Correction> = None;
    let mut highest = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == highest {
            continue;
        }
        if almost_equal(count, highest) {
            bucket.count = highest;
        } else if count < highest {
            bucket.count = highest;
            let known = correction.get_or_insert(Correction {
                first: bucket.upper,
                last: bucket.upper,
                difference_max: 0.0,
            });
            known.last = bucket.upper;
            known.difference_max = known.difference_max.max(highest - count);
        } else {
            highest = count;
        }
    }
    correction
}

/// Prometheus `almost.Equal`.
fn almost_equal(a: f64, b: f64) -> bool {
    let difference = (a - b).abs();
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

/// The fraction of observations between `lower` and `upper`, interpolated linearly.
pub(crate) fn fraction(lower: f64, upper: f64, mut buckets: Vec<ClassicBucket>) -> f64 {
    normalize(&mut buckets);
    let Some(last) = buckets.last().copied().filter(|last| last.upper == f64::INFINITY) else {
        return f64::NAN;
    };
    if last.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, &buckets) - rank_of(lower, &buckets)) / last.count
}

/// Observations up to `value`.
fn rank_of(value: f64, buckets: &[ClassicBucket]) -> f64 {
    let mut below = 0.0;
    let mut start = if buckets[0].upper > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets {
        if start >= value {
            return below;
        }
        if bucket.upper > value {
            // Nothing is known of how values lie in a bucket without an end.
            if start == f64::NEG_INFINITY {
                return bucket.count;
            }
            return below + (bucket.count - below) * (value - start) / (bucket.upper - start);
        }
        below = bucket.count;
        start = bucket.upper;
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<ClassicBucket> {
        pairs.iter().map(|&(upper, count)| ClassicBucket { upper, count }).collect()
    }

    #[test]
    fn quantiles_interpolate_within_buckets() {
        let data = buckets(&[(1.0, 2.0), (f64::INFINITY, 4.0), (2.0, 4.0)]);
        assert_eq!(quantile(0.5, data.clone()), (1.0, None));
        assert_eq!(quantile(0.25, data.clone()), (0.5, None));
        assert_eq!(quantile(1.0, data), (2.0, None));
    }

    #[test]
    fn falling_counts_are_raised_and_told() {
        let data = buckets(&[(1.0, 5.0), (2.0, 3.0), (f64::INFINITY, 10.0)]);
        let (_, correction) = quantile(0.9, data);
        assert_eq!(correction, Some(Correction { first: 2.0, last: 2.0, difference_max: 2.0 }));
    }

    #[test]
    fn fractions_need_the_last_bucket() {
        assert!(fraction(0.0, 1.0, buckets(&[(1.0, 5.0)])).is_nan());
        assert_eq!(fraction(0.0, 0.5, buckets(&[(1.0, 5.0), (f64::INFINITY, 10.0)])), 0.25);
    }
}
