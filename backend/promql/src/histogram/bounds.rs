//! Where buckets begin and end. Exponential bounds: Prometheus `getBoundExponential`, to the last bit.

use std::sync::LazyLock;

use super::{Bucket, CUSTOM_BUCKETS_SCHEMA, Histogram};

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundedBucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether an observation at the lower bound counts here.
    pub lower_inclusive: bool,
    /// Whether an observation at the upper bound counts here.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

/// Upper bound of bucket `index` of an exponential schema.
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    if schema < 0 {
        let exponent = index.checked_shl(schema.unsigned_abs()).unwrap_or(i32::MAX);
        return if exponent == 1024 { f64::MAX } else { scaled(1.0, exponent) };
    }
    let per_power = 1 << schema;
    let (power, part) = (index.div_euclid(per_power), index.rem_euclid(per_power));
    if part == 0 && power == 1024 {
        return f64::MAX;
    }
    let fraction = match usize::try_from(part << (FINEST_SCHEMA - schema).max(0)) {
        Ok(place) if schema <= FINEST_SCHEMA => FRACTIONS.get(place).copied(),
        _ => None,
    };
    match fraction {
        Some(fraction) => scaled(fraction, power + 1),
        None => scaled((f64::from(part) / f64::from(per_power)).exp2(), power),
    }
}

/// The finest schema there is in use.
const FINEST_SCHEMA: i32 = 8;
/// The square root of two as Go's `math.Exp2` has it, one bit below the nearest float.
#[expect(clippy::approx_constant, reason = "one float below the nearest to √2, as client_golang has it")]
const ROOT_OF_TWO: f64 = 1.414_213_562_373_095;

/// Bounds of the finest schema from 0.5 to 1. Every other is that of a schema coarser, those between are the one before
/// times the schema's factor: so are the bounds of Prometheus's clients made (client_golang, `nativeHistogramBounds`),
/// whose last bits differ from those of the powers of two. Bounds that differ in a bit are other buckets to whoever
/// compares.
static FRACTIONS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut fractions = vec![0.5];
    for schema in 1..=FINEST_SCHEMA {
        let factor = if schema == 1 { ROOT_OF_TWO } else { f64::from(-schema).exp2().exp2() };
        fractions = fractions.iter().flat_map(|fraction| [*fraction, fraction * factor]).collect();
    }
    fractions
});

/// `value` · 2^`exponent`, in two steps so that subnormal results survive.
fn scaled(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    value * f64::from(half).exp2() * f64::from(exponent - half).exp2()
}

/// Bounds of the custom schema that mean the same layout.
pub(super) fn same_bounds(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
}

impl Histogram {
    /// Absolute upper bound of a bucket.
    pub(super) fn bound(&self, index: i32) -> f64 {
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            let position = usize::try_from(index);
            return match position {
                Ok(i) => self.custom_bounds.get(i).copied().unwrap_or(f64::INFINITY),
                Err(_) => f64::NEG_INFINITY,
            };
        }
        exponential_bound(index, self.schema)
    }

    /// A positive (or custom) bucket with its bounds.
    pub(super) fn positive_bounded(&self, bucket: Bucket) -> BoundedBucket {
        let lower = self.bound(bucket.index.saturating_sub(1));
        BoundedBucket {
            lower,
            upper: self.bound(bucket.index),
            lower_inclusive: lower < 0.0,
            upper_inclusive: true,
            count: bucket.count,
        }
    }

    /// A negative bucket with its bounds.
    pub(super) fn negative_bounded(&self, bucket: Bucket) -> BoundedBucket {
        BoundedBucket {
            lower: -self.bound(bucket.index),
            upper: -self.bound(bucket.index.saturating_sub(1)),
            lower_inclusive: true,
            upper_inclusive: false,
            count: bucket.count,
        }
    }

    /// The zero bucket.
    pub(super) fn zero_bounded(&self) -> BoundedBucket {
        BoundedBucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// All buckets from the lowest values to the highest. Those that overlap the zero bucket end at it.
    pub fn all_buckets(&self) -> Vec<BoundedBucket> {
        let threshold = self.zero_threshold;
        let mut out = Vec::with_capacity(self.negative.len() + self.positive.len() + 1);
        for bucket in self.negative.iter().rev() {
            let mut bounded = self.negative_bounded(*bucket);
            if bounded.upper < 0.0 && bounded.upper > -threshold {
                bounded.upper = -threshold;
            }
            out.push(bounded);
        }
        if self.zero_count > 0.0 {
            out.push(self.zero_bounded());
        }
        for bucket in &self.positive {
            let mut bounded = self.positive_bounded(*bucket);
            if bounded.lower > 0.0 && bounded.lower < threshold {
                bounded.lower = threshold;
            }
            out.push(bounded);
        }
        out
    }
}
