//! Quantiles, fractions and variance. Prometheus `HistogramQuantile`, `HistogramFraction`, `histogramVariance`.

use super::kahan::kahan_add;
use super::{BoundedBucket, Histogram};

/// What to tell the user about a quantile of observations that include NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuantileNote {
    /// The rank falls among the NaN.
    NanResult,
    /// NaN counts as the highest values, so that the quantile is too high.
    NanSkew,
}

/// NaN observations belong to no fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FractionNote;

impl Histogram {
    /// The `q`-quantile: interpolated exponentially within exponential buckets, linearly within the zero bucket
    /// and custom buckets. NaN without observations; ±Inf for `q` outside of 0 to 1.
    pub(crate) fn quantile(&self, q: f64) -> (f64, Option<QuantileNote>) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if q > 1.0 {
            return (f64::INFINITY, None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, None);
        }
        // From the nearer end, for precision; with NaN observations, which are in no bucket, from below.
        let forward = self.sum.is_nan() || q < 0.5;
        let rank = if forward { q * self.count } else { (1.0 - q) * self.count };
        let buckets = self.all_buckets();
        let mut ordered: Box<dyn Iterator<Item = &BoundedBucket>> =
            if forward { Box::new(buckets.iter()) } else { Box::new(buckets.iter().rev()) };

        let mut bucket = None;
        let mut count = 0.0;
        for candidate in ordered.by_ref() {
            bucket = Some(*candidate);
            count += candidate.count;
            if candidate.count != 0.0 && count >= rank {
                break;
            }
        }
        let nothing = BoundedBucket {
            lower: 0.0,
            upper: 0.0,
            lower_inclusive: false,
            upper_inclusive: false,
            count: 0.0,
        };
        let mut bucket = bucket.unwrap_or(nothing);
        if self.has_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return (bucket.upper, None);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return (bucket.lower, None);
            }
        } else {
            self.narrow_zero_bucket(&mut bucket, |b| b.lower < 0.0 && b.upper > 0.0);
        }
        let reached = count.min(self.count);
        if reached < rank {
            return match self.sum.is_nan() {
                true => (f64::NAN, Some(QuantileNote::NanResult)),
                false => (bucket.upper, None),
            };
        }
        let within = if forward { rank - (reached - bucket.count) } else { reached - rank };
        let rest: f64 = if self.sum.is_nan() { ordered.map(|bucket| bucket.count).sum() } else { 0.0 };
        let note = (self.sum.is_nan() && reached + rest < self.count).then_some(QuantileNote::NanSkew);
        (self.interpolate(&bucket, within / bucket.count), note)
    }

    fn interpolate(&self, bucket: &BoundedBucket, fraction: f64) -> f64 {
        if self.has_custom_buckets() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
            return bucket.lower + (bucket.upper - bucket.lower) * fraction;
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    }

    /// With observations on one side of zero only, the zero bucket is taken to reach no further than zero.
    pub(super) fn narrow_zero_bucket(
        &self,
        bucket: &mut BoundedBucket,
        is_zero: impl Fn(&BoundedBucket) -> bool,
    ) {
        if !is_zero(bucket) {
            return;
        }
        if self.negative.is_empty() && !self.positive.is_empty() {
            bucket.lower = 0.0;
        } else if self.positive.is_empty() && !self.negative.is_empty() {
            bucket.upper = 0.0;
        }
    }

    /// The fraction of observations between `lower` and `upper`, interpolated as for quantiles.
    pub(crate) fn fraction(&self, lower: f64, upper: f64) -> (f64, Option<FractionNote>) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, None);
        }
        if lower >= upper {
            return (0.0, None);
        }
        let mut rank = 0.0;
        let (mut lower_rank, mut upper_rank) = (None, None);
        for mut bucket in self.all_buckets() {
            let zero_bucket = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if self.has_custom_buckets() {
                if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                    bucket.lower = 0.0;
                }
            } else {
                self.narrow_zero_bucket(&mut bucket, |_| zero_bucket);
            }
            let linear = self.has_custom_buckets() || zero_bucket;
            for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
                if found.is_none() && bucket.lower >= value {
                    *found = Some(rank);
                } else if found.is_none() && bucket.upper > value {
                    *found = Some(rank + bucket.count * share_below(&bucket, value, linear));
                }
            }
            rank += bucket.count;
        }
        let all = rank.min(self.count);
        // Observations in no bucket are NaN; they count in the total but in no fraction.
        let lacks_nan = self.sum.is_nan() && rank < self.count;
        let top = if lacks_nan { all } else { self.count };
        let at = |found: Option<f64>| found.map_or(top, |rank| rank.min(top));
        ((at(upper_rank) - at(lower_rank)) / self.count, lacks_nan.then_some(FractionNote))
    }

    /// Variance around the mean, with each bucket's observations at its middle.
    pub(crate) fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let (mut sum, mut lost) = (0.0, 0.0);
        for bucket in self.all_buckets().into_iter().filter(|bucket| bucket.count != 0.0) {
            let middle = if self.has_custom_buckets() {
                f64::midpoint(bucket.upper, bucket.lower)
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let delta = middle - mean;
            (sum, lost) = kahan_add(bucket.count * delta * delta, sum, lost);
        }
        (sum + lost) / self.count
    }
}

/// Share of the bucket's observations up to `value`, which lies within.
fn share_below(bucket: &BoundedBucket, value: f64, linear: bool) -> f64 {
    if linear {
        if bucket.lower == f64::NEG_INFINITY {
            // Nothing is known of how far down they lie: all of them may be below.
            return 1.0;
        }
        return (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let [lower, upper, value_log] = [bucket.lower, bucket.upper, value].map(|bound| bound.abs().log2());
    if value > 0.0 {
        (value_log - lower) / (upper - lower)
    } else {
        1.0 - (value_log - upper) / (lower - upper)
    }
}
