//! Native histograms: what the engine computes with. Buckets are kept as sorted (index, count) pairs, so that
//! arithmetic is merging lists; spans are a matter of wire formats ([`Histogram::buckets_from_spans`]).
//! Semantics: Prometheus `model/histogram/float_histogram.go` and the native-histogram specification.

use std::sync::Arc;

mod arithmetic;
mod bounds;
mod kahan;
mod layout;
mod print;
mod quantile;
mod reset;
mod total;
mod trim;

pub(crate) use arithmetic::Combined;
pub use bounds::BoundedBucket;
pub(crate) use kahan::{KahanSum, kahan_add};
pub(crate) use quantile::QuantileNote;
pub(crate) use total::{Incompatible, Total};
pub(crate) use trim::Keep;

/// Schema of histograms with custom bucket boundaries.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What is known of a counter reset between a sample and the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// Nothing: compare the buckets.
    #[default]
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// Not a counter at all.
    Gauge,
}

/// One bucket: its index in the schema and the observations in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Exponential schemas: the upper bound is 2^(index · 2^-schema). Custom schema: index of the upper bound.
    pub index: i32,
    /// Observations; fractional after arithmetic.
    pub count: f64,
}

/// A run of consecutive buckets in the form wire formats use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSpan {
    /// Gap to the end of the run before; for the first run the index it starts with.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// A native histogram with float counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Counter-reset information.
    pub reset_hint: ResetHint,
    /// Resolution, -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Buckets of positive observations, by index; with the custom schema all buckets.
    pub positive: Vec<Bucket>,
    /// Buckets of negative observations, by index (the highest index is the lowest value).
    pub negative: Vec<Bucket>,
    /// Upper bounds of the custom schema, without the last one (+Inf).
    pub custom_bounds: Arc<[f64]>,
}

/// Two histograms that cannot be brought to one layout: one has custom buckets, the other has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleSchema;

impl Histogram {
    /// True for [`CUSTOM_BUCKETS_SCHEMA`].
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// True for the marker that ends a series of histograms.
    pub fn is_stale(&self) -> bool {
        model::is_stale(self.sum)
    }

    /// Buckets from spans and absolute counts. Surplus counts or spans are ignored.
    pub fn buckets_from_spans(spans: &[BucketSpan], counts: &[f64]) -> Vec<Bucket> {
        let mut out = Vec::with_capacity(counts.len());
        let mut counts = counts.iter();
        let mut index: i32 = 0;
        for span in spans {
            index = index.saturating_add(span.offset);
            for _ in 0..span.length {
                let Some(&count) = counts.next() else { return out };
                out.push(Bucket { index, count });
                index = index.saturating_add(1);
            }
        }
        out
    }

    /// How many float samples the histogram counts as against the sample limit (Prometheus `HPoint.size`:
    /// its bytes over those of a float sample).
    pub(crate) fn size_in_samples(&self) -> usize {
        let slices = self.positive.len() + self.negative.len() + self.custom_bounds.len();
        (168 + 8 + 8 * slices) / 16
    }

    /// Scales everything by `factor`.
    pub(crate) fn multiply(&mut self, factor: f64) {
        self.map_counts(|count| count * factor);
        self.sum *= factor;
        self.flip_hint(factor);
    }

    /// Divides everything by `divisor`. By zero, buckets vanish and the rest is infinite or NaN.
    pub(crate) fn divide(&mut self, divisor: f64) {
        self.map_counts(|count| count / divisor);
        self.sum /= divisor;
        self.flip_hint(divisor);
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
    }

    /// A negative factor turns a counter into a gauge.
    fn flip_hint(&mut self, factor: f64) {
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    fn map_counts(&mut self, f: impl Fn(f64) -> f64) {
        self.zero_count = f(self.zero_count);
        self.count = f(self.count);
        for bucket in self.positive.iter_mut().chain(&mut self.negative) {
            bucket.count = f(bucket.count);
        }
    }

    /// Drops empty buckets.
    pub(crate) fn compact(&mut self) {
        self.positive.retain(|bucket| bucket.count != 0.0);
        self.negative.retain(|bucket| bucket.count != 0.0);
    }

    /// True where any count or the sum is infinite.
    pub(crate) fn has_overflow(&self) -> bool {
        [self.zero_count, self.count, self.sum]
            .into_iter()
            .chain(self.positive.iter().chain(&self.negative).map(|bucket| bucket.count))
            .any(f64::is_infinite)
    }

    /// Equal as data: counts bit by bit, NaN equal to the same NaN, hints ignored.
    pub fn same_data(&self, other: &Histogram) -> bool {
        let same_buckets = |a: &[Bucket], b: &[Bucket]| {
            a.len() == b.len()
                && a.iter().zip(b).all(|(x, y)| x.index == y.index && x.count.to_bits() == y.count.to_bits())
        };
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.has_custom_buckets() || bounds::same_bounds(&self.custom_bounds, &other.custom_bounds))
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && same_buckets(&self.negative, &other.negative)
            && same_buckets(&self.positive, &other.positive)
    }
}

#[cfg(test)]
mod tests;
