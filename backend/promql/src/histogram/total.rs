//! Sum and mean of many histograms, as `sum`, `avg`, `sum_over_time` and `avg_over_time` need them.

use super::{Histogram, KahanSum, ResetHint};

/// A sum or a mean, and what is to be told of it.
#[derive(Clone, Debug)]
pub(crate) struct Total {
    pub(crate) histogram: Histogram,
    /// Some said reset, some said none.
    pub(crate) hints_collide: bool,
    /// Custom bounds differed and were reduced to the common ones.
    pub(crate) bounds_reconciled: bool,
}

/// A histogram whose buckets do not go with those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incompatible {
    /// Its position.
    pub(crate) at: usize,
    /// Custom bounds of those before differed.
    pub(crate) bounds_reconciled: bool,
}

#[derive(Default)]
struct Hints {
    reset: bool,
    no_reset: bool,
}

impl Hints {
    fn see(&mut self, histogram: &Histogram) {
        self.reset |= histogram.reset_hint == ResetHint::Reset;
        self.no_reset |= histogram.reset_hint == ResetHint::NotReset;
    }
}

impl Total {
    /// The sum; `None` without histograms.
    pub(crate) fn sum<'a>(
        histograms: impl IntoIterator<Item = &'a Histogram>,
    ) -> Result<Option<Total>, Incompatible> {
        let mut histograms = histograms.into_iter();
        let Some(first) = histograms.next() else { return Ok(None) };
        let mut hints = Hints::default();
        hints.see(first);
        let mut sum = KahanSum::new(first);
        let mut bounds_reconciled = false;
        for (i, histogram) in histograms.enumerate() {
            hints.see(histogram);
            let failed = |_| Incompatible { at: i + 1, bounds_reconciled };
            bounds_reconciled |= sum.add(histogram).map_err(failed)?.bounds_reconciled;
        }
        let hints_collide = hints.reset && hints.no_reset;
        Ok(Some(Total { histogram: sum.finish(), hints_collide, bounds_reconciled }))
    }

    /// The mean: the sum over the count, unless the sum overflows; then a mean kept up to date one by one.
    pub(crate) fn mean<'a>(
        histograms: impl IntoIterator<Item = &'a Histogram>,
    ) -> Result<Option<Total>, Incompatible> {
        let mut histograms = histograms.into_iter();
        let Some(first) = histograms.next() else { return Ok(None) };
        let mut hints = Hints::default();
        hints.see(first);
        let mut sum = KahanSum::new(first);
        let mut bounds_reconciled = false;
        let mut incremental = false;
        let mut n = 1.0;
        for (i, histogram) in histograms.enumerate() {
            hints.see(histogram);
            n += 1.0;
            let failed = |_| Incompatible { at: i + 1, bounds_reconciled };
            if !incremental {
                let mut next = sum.clone();
                let combined = next.add(histogram).map_err(failed)?;
                if !next.rough().has_overflow() {
                    bounds_reconciled |= combined.bounds_reconciled;
                    sum = next;
                    continue;
                }
                incremental = true;
                sum.divide(n - 1.0);
            }
            sum.multiply((n - 1.0) / n);
            let mut part = histogram.clone();
            part.divide(n);
            bounds_reconciled |= sum.add(&part).map_err(failed)?.bounds_reconciled;
        }
        if !incremental {
            sum.divide(n);
        }
        let hints_collide = hints.reset && hints.no_reset;
        Ok(Some(Total { histogram: sum.finish(), hints_collide, bounds_reconciled }))
    }
}
