//! Addition and subtraction. Prometheus `FloatHistogram.Add`, `.Sub`.

use std::cmp::Ordering;

use super::layout::Layout;
use super::{Bucket, Histogram, IncompatibleSchema, ResetHint};

/// What a caller may want to tell the user about a sum or a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Combined {
    /// One side says reset, the other says none.
    pub(crate) hints_collide: bool,
    /// Custom bounds differed and were reduced to the common ones.
    pub(crate) bounds_reconciled: bool,
}

impl Histogram {
    /// `self += other`, at the coarser layout of both.
    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Combined, IncompatibleSchema> {
        self.combine(other, 1.0)
    }

    /// `self -= other`, at the coarser layout of both. Hints combine as in an addition.
    pub(crate) fn subtract(&mut self, other: &Histogram) -> Result<Combined, IncompatibleSchema> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Histogram, sign: f64) -> Result<Combined, IncompatibleSchema> {
        let layout = Layout::common(self, other)?;
        let hints_collide = self.combine_hints(other.reset_hint);
        layout.apply(self);
        let aligned;
        let other = if other.has_layout_of(self) {
            other
        } else {
            let mut copy = other.clone();
            layout.apply(&mut copy);
            aligned = copy;
            &aligned
        };
        self.zero_count += sign * other.zero_count;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        self.positive = merged(&self.positive, &other.positive, sign);
        self.negative = merged(&self.negative, &other.negative, sign);
        if layout.reconciles_bounds() {
            self.compact();
        }
        Ok(Combined { hints_collide, bounds_reconciled: layout.reconciles_bounds() })
    }

    fn has_layout_of(&self, other: &Histogram) -> bool {
        self.schema == other.schema
            && (self.has_custom_buckets() || self.zero_threshold == other.zero_threshold)
            && super::bounds::same_bounds(&self.custom_bounds, &other.custom_bounds)
    }

    /// Sets the hint of a sum; true where the two contradict each other. Prometheus `adjustCounterReset`.
    pub(super) fn combine_hints(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let own = self.reset_hint;
        self.reset_hint = match (own, other) {
            _ if own == other => own,
            (Gauge, _) | (_, Gauge) => Gauge,
            _ => Unknown,
        };
        matches!((own, other), (Reset, NotReset) | (NotReset, Reset))
    }
}

/// `a + sign · b`, both sorted by index.
fn merged(a: &[Bucket], b: &[Bucket], sign: f64) -> Vec<Bucket> {
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.index.cmp(&y.index),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return out,
        };
        let left = if order.is_le() { a.next() } else { None };
        let right = if order.is_ge() { b.next() } else { None };
        if let Some(index) = left.or(right).map(|bucket| bucket.index) {
            let count = left.map_or(0.0, |x| x.count) + right.map_or(0.0, |y| sign * y.count);
            out.push(Bucket { index, count });
        }
    }
}
