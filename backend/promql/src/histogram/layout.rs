//! Bringing two histograms to one layout: resolution, zero bucket, custom bounds. Prometheus
//! `reduceResolution`, `reconcileZeroBuckets`, `intersectCustomBucketBounds`.

use std::sync::Arc;

use super::bounds::same_bounds;
use super::{Bucket, Histogram, IncompatibleSchema};

/// A layout both of two histograms can be brought to without guessing.
pub(super) struct Layout {
    schema: i32,
    zero_threshold: f64,
    /// Set where custom bounds differ: the bounds both know.
    bounds: Option<Arc<[f64]>>,
}

impl Layout {
    /// The finest layout both histograms can be brought to.
    pub(super) fn common(a: &Histogram, b: &Histogram) -> Result<Layout, IncompatibleSchema> {
        if a.has_custom_buckets() != b.has_custom_buckets() {
            return Err(IncompatibleSchema);
        }
        if a.has_custom_buckets() {
            let equal = same_bounds(&a.custom_bounds, &b.custom_bounds);
            let bounds = (!equal).then(|| intersection(&a.custom_bounds, &b.custom_bounds));
            return Ok(Layout { schema: a.schema, zero_threshold: a.zero_threshold, bounds });
        }
        Ok(Layout { schema: a.schema.min(b.schema), zero_threshold: common_threshold(a, b), bounds: None })
    }

    /// True where custom bounds had to be reconciled.
    pub(super) fn reconciles_bounds(&self) -> bool {
        self.bounds.is_some()
    }

    /// Brings `histogram` to this layout.
    pub(super) fn apply(&self, histogram: &mut Histogram) {
        if histogram.has_custom_buckets() {
            if let Some(bounds) = &self.bounds {
                histogram.map_to_bounds(bounds);
            }
            return;
        }
        histogram.widen_zero_bucket(self.zero_threshold);
        histogram.reduce_resolution(self.schema);
    }
}

/// A zero threshold that cuts through no populated bucket of either histogram.
fn common_threshold(a: &Histogram, b: &Histogram) -> f64 {
    let (mut of_a, mut of_b) = (a.zero_threshold, b.zero_threshold);
    // Each round moves one threshold up to a bucket boundary at or above the other; NaN ends it.
    while of_a != of_b && !of_a.is_nan() && !of_b.is_nan() {
        if of_a > of_b {
            of_b = b.zero_bucket_for(of_a).1;
        } else {
            of_a = a.zero_bucket_for(of_b).1;
        }
    }
    of_a
}

/// The bounds in both lists, which are sorted.
fn intersection(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    a.iter().copied().filter(|bound| b.binary_search_by(|other| other.total_cmp(bound)).is_ok()).collect()
}

impl Histogram {
    /// Zero count and threshold for a threshold at least `threshold`: where that cuts a populated bucket, its
    /// far end. Prometheus `zeroCountForLargerThreshold`.
    pub(super) fn zero_bucket_for(&self, mut threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        'again: loop {
            let mut count = self.zero_count;
            for bucket in &self.positive {
                let bounded = self.positive_bounded(*bucket);
                if bounded.lower >= threshold {
                    break;
                }
                count += bounded.count;
                if bounded.upper > threshold {
                    if bounded.count != 0.0 {
                        threshold = bounded.upper;
                    }
                    break;
                }
            }
            for bucket in &self.negative {
                let bounded = self.negative_bounded(*bucket);
                if bounded.upper <= -threshold {
                    break;
                }
                count += bounded.count;
                if bounded.lower < -threshold {
                    if bounded.count != 0.0 {
                        // The positive side was counted for the smaller threshold.
                        threshold = -bounded.lower;
                        continue 'again;
                    }
                    break;
                }
            }
            return (count, threshold);
        }
    }

    /// Moves buckets within `threshold`, which cuts none, into the zero bucket.
    fn widen_zero_bucket(&mut self, threshold: f64) {
        if threshold == self.zero_threshold {
            return;
        }
        (self.zero_count, self.zero_threshold) = self.zero_bucket_for(threshold);
        let schema = self.schema;
        let within = |bucket: &Bucket| {
            super::bounds::exponential_bound(bucket.index.saturating_sub(1), schema) < threshold
        };
        self.positive.retain(|bucket| !within(bucket));
        self.negative.retain(|bucket| !within(bucket));
    }

    /// Merges buckets into those of a coarser exponential schema.
    pub(crate) fn reduce_resolution(&mut self, schema: i32) {
        if schema >= self.schema {
            return;
        }
        let shift = (self.schema - schema).unsigned_abs();
        for side in [&mut self.positive, &mut self.negative] {
            let mut merged: Vec<Bucket> = Vec::with_capacity(side.len());
            for bucket in side.iter() {
                let index = ((bucket.index - 1) >> shift.min(31)) + 1;
                match merged.last_mut() {
                    Some(last) if last.index == index => last.count += bucket.count,
                    _ => merged.push(Bucket { index, count: bucket.count }),
                }
            }
            *side = merged;
        }
        self.schema = schema;
    }

    /// Adds custom buckets up into those of `bounds`, a subset of the own bounds.
    fn map_to_bounds(&mut self, bounds: &Arc<[f64]>) {
        let mut counts = vec![0.0; bounds.len() + 1];
        for bucket in &self.positive {
            let upper = self.bound(bucket.index);
            let target = bounds.partition_point(|bound| *bound < upper);
            counts[target] += bucket.count;
        }
        self.positive = counts
            .into_iter()
            .zip(0..)
            .filter(|(count, _)| *count != 0.0)
            .map(|(count, index)| Bucket { index, count })
            .collect();
        self.custom_bounds = Arc::clone(bounds);
    }
}
