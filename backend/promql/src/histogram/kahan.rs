//! Sums of many histograms with compensated rounding. Prometheus `FloatHistogram.KahanAdd`, `kahansum.Inc`.

use super::layout::Layout;
use super::{Bucket, Combined, Histogram, IncompatibleSchema};

/// One step of Neumaier's compensated summation: adds `value` to (`sum`, `compensation`).
pub(crate) fn kahan_add(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    if total.is_infinite() {
        (total, 0.0)
    } else if sum.abs() >= value.abs() {
        (total, compensation + ((sum - total) + value))
    } else {
        (total, compensation + ((value - total) + sum))
    }
}

/// A running sum of histograms with its compensation.
#[derive(Clone, Debug)]
pub(crate) struct KahanSum {
    sum: Histogram,
    /// Same layout as `sum`, counts that rounding lost.
    lost: Histogram,
}

impl KahanSum {
    /// A sum that is `first` so far.
    pub(crate) fn new(first: &Histogram) -> KahanSum {
        let lost = Histogram {
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            custom_bounds: std::sync::Arc::clone(&first.custom_bounds),
            positive: emptied(&first.positive),
            negative: emptied(&first.negative),
            ..Histogram::default()
        };
        KahanSum { sum: first.clone(), lost }
    }

    /// Adds `other`.
    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Combined, IncompatibleSchema> {
        let layout = Layout::common(&self.sum, other)?;
        let hints_collide = self.sum.combine_hints(other.reset_hint);
        let mut other = other.clone();
        for histogram in [&mut self.sum, &mut self.lost, &mut other] {
            layout.apply(histogram);
        }
        let (sum, lost) = (&mut self.sum, &mut self.lost);
        (sum.zero_count, lost.zero_count) = kahan_add(other.zero_count, sum.zero_count, lost.zero_count);
        (sum.count, lost.count) = kahan_add(other.count, sum.count, lost.count);
        (sum.sum, lost.sum) = kahan_add(other.sum, sum.sum, lost.sum);
        add_side(&mut sum.positive, &mut lost.positive, &other.positive);
        add_side(&mut sum.negative, &mut lost.negative, &other.negative);
        Ok(Combined { hints_collide, bounds_reconciled: layout.reconciles_bounds() })
    }

    /// The sum without its compensation.
    pub(crate) fn rough(&self) -> &Histogram {
        &self.sum
    }

    /// Multiplies sum and compensation.
    pub(crate) fn multiply(&mut self, factor: f64) {
        self.sum.multiply(factor);
        self.lost.multiply(factor);
    }

    /// Divides sum and compensation.
    pub(crate) fn divide(&mut self, divisor: f64) {
        self.sum.divide(divisor);
        self.lost.divide(divisor);
    }

    /// The compensated sum.
    pub(crate) fn finish(self) -> Histogram {
        let KahanSum { mut sum, mut lost } = self;
        lost.reset_hint = sum.reset_hint;
        // The layouts are equal by construction, so that this cannot fail.
        if sum.add(&lost).is_err() {
            debug_assert!(false, "sum and compensation differ in layout");
        }
        sum
    }
}

fn emptied(buckets: &[Bucket]) -> Vec<Bucket> {
    buckets.iter().map(|bucket| Bucket { index: bucket.index, count: 0.0 }).collect()
}

fn add_side(sum: &mut Vec<Bucket>, lost: &mut Vec<Bucket>, other: &[Bucket]) {
    for bucket in other {
        let at = slot(sum, bucket.index);
        let lost_at = slot(lost, bucket.index);
        (sum[at].count, lost[lost_at].count) = kahan_add(bucket.count, sum[at].count, lost[lost_at].count);
    }
}

/// Position of the bucket `index`, inserted empty if missing.
fn slot(buckets: &mut Vec<Bucket>, index: i32) -> usize {
    match buckets.binary_search_by_key(&index, |bucket| bucket.index) {
        Ok(at) => at,
        Err(at) => {
            buckets.insert(at, Bucket { index, count: 0.0 });
            at
        }
    }
}
