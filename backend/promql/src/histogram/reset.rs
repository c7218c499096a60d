//! Counter resets between two histograms. Prometheus `FloatHistogram.DetectReset`.

use super::bounds::{exponential_bound, same_bounds};
use super::{Bucket, Histogram, ResetHint};

impl Histogram {
    /// True if something counted before is missing now: the counter started anew in between.
    pub(crate) fn is_reset_after(&self, previous: &Histogram) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.has_custom_buckets() {
            if !previous.has_custom_buckets() {
                return true;
            }
            if !same_bounds(&self.custom_bounds, &previous.custom_bounds) {
                return self.any_common_bucket_fell(previous);
            }
            return any_bucket_fell(&self.positive, &previous.positive);
        }
        // A finer resolution or a narrower zero bucket only comes with a restart.
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_bucket_for(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let mut coarse;
        let previous = if previous.schema == self.schema {
            previous
        } else {
            coarse = previous.clone();
            coarse.reduce_resolution(self.schema);
            &coarse
        };
        let beyond_zero = |buckets: &[Bucket]| {
            let first = buckets
                .iter()
                .position(|bucket| exponential_bound(bucket.index, self.schema) > self.zero_threshold)
                .unwrap_or(buckets.len());
            if self.zero_threshold == 0.0 { 0 } else { first }
        };
        [(&self.positive, &previous.positive), (&self.negative, &previous.negative)]
            .into_iter()
            .any(|(now, before)| any_bucket_fell(&now[beyond_zero(now)..], &before[beyond_zero(before)..]))
    }

    /// Custom buckets with different bounds: compares what both can tell, bucket by common bucket.
    fn any_common_bucket_fell(&self, previous: &Histogram) -> bool {
        let common = |bound: &f64| previous.custom_bounds.iter().any(|other| other == bound);
        let mut lower = f64::NEG_INFINITY;
        for upper in self.custom_bounds.iter().copied().filter(common).chain([f64::INFINITY]) {
            if self.observations_between(lower, upper) < previous.observations_between(lower, upper) {
                return true;
            }
            lower = upper;
        }
        false
    }

    fn observations_between(&self, lower: f64, upper: f64) -> f64 {
        self.positive
            .iter()
            .filter(|bucket| {
                let bound = self.bound(bucket.index);
                bound > lower && bound <= upper
            })
            .map(|bucket| bucket.count)
            .sum()
    }
}

/// True if a populated bucket of `before` is smaller or missing in `now`; both sorted by index.
fn any_bucket_fell(now: &[Bucket], before: &[Bucket]) -> bool {
    let mut now = now.iter().peekable();
    before.iter().any(|bucket| {
        while now.next_if(|current| current.index < bucket.index).is_some() {}
        match now.peek() {
            Some(current) if current.index == bucket.index => current.count < bucket.count,
            _ => bucket.count != 0.0,
        }
    })
}
