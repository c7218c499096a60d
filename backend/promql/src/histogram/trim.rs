//! The operators `</` and `>/`: a histogram without the observations above or below a value. What a bucket keeps
//! is interpolated as for quantiles; the sum is estimated anew, with the kept observations in the middle of what
//! is left of their bucket. Prometheus `trimHistogram`.

use super::{BoundedBucket, Histogram};

/// Which observations stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// `</`
    Below,
    /// `>/`
    Above,
}

/// How values lie within a bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spread {
    Linear,
    Positive,
    Negative,
}

/// What stays of a bucket: how many observations, and where they lie in the middle.
#[derive(Clone, Copy)]
struct Kept {
    count: f64,
    middle: f64,
}

impl Kept {
    const NOTHING: Kept = Kept { count: 0.0, middle: 0.0 };

    fn sum(self) -> f64 {
        if self.count == 0.0 { 0.0 } else { self.count * self.middle }
    }
}

impl Histogram {
    /// Keeps the observations on one side of `at`. Where all of them stay, nothing changes.
    pub(crate) fn trim(&mut self, at: f64, keep: Keep) {
        let custom = self.has_custom_buckets();
        let spread = if custom { Spread::Linear } else { Spread::Positive };
        let mut positive: Vec<Kept> = Vec::with_capacity(self.positive.len());
        positive.extend(self.positive.iter().map(|b| trimmed(&self.positive_bounded(*b), at, keep, spread)));
        let mut negative: Vec<Kept> = Vec::with_capacity(self.negative.len());
        negative.extend(
            self.negative.iter().map(|b| trimmed(&self.negative_bounded(*b), at, keep, Spread::Negative)),
        );
        let mut zero_bucket = self.zero_bounded();
        self.narrow_zero_bucket(&mut zero_bucket, |_| true);
        let zero = if custom { Kept::NOTHING } else { trimmed(&zero_bucket, at, keep, Spread::Linear) };

        let same = |buckets: &[super::Bucket], kept: &[Kept]| {
            buckets.iter().zip(kept).all(|(bucket, kept)| bucket.count == kept.count)
        };
        if same(&self.positive, &positive)
            && same(&self.negative, &negative)
            && (custom || zero.count == self.zero_count)
        {
            return;
        }
        for (buckets, kept) in [(&mut self.positive, &positive), (&mut self.negative, &negative)] {
            for (bucket, kept) in buckets.iter_mut().zip(kept) {
                bucket.count = kept.count;
            }
        }
        self.zero_count = zero.count;
        let all = || positive.iter().chain(&negative).chain([&zero]);
        self.count = all().map(|kept| kept.count).sum();
        self.sum = all().map(|kept| kept.sum()).sum();
        self.compact();
    }
}

fn trimmed(bucket: &BoundedBucket, at: f64, keep: Keep, spread: Spread) -> Kept {
    if bucket.lower == f64::NEG_INFINITY {
        return trimmed_lowest(bucket, at, keep);
    }
    if bucket.upper == f64::INFINITY {
        return trimmed_highest(bucket, at, keep);
    }
    let whole = Kept { count: bucket.count, middle: middle(bucket.lower, bucket.upper, spread) };
    let (all, none) = match keep {
        Keep::Below => (at >= bucket.upper, at <= bucket.lower),
        Keep::Above => (at <= bucket.lower, at >= bucket.upper),
    };
    if all {
        return whole;
    }
    if none || at.is_nan() {
        return Kept::NOTHING;
    }
    let below = bucket.count * share_below(bucket, at, spread);
    match keep {
        Keep::Below => Kept { count: below, middle: middle(bucket.lower, at, spread) },
        Keep::Above => Kept { count: bucket.count - below, middle: middle(at, bucket.upper, spread) },
    }
}

/// The bucket from -Inf. Up to a bound of zero or more it is taken to start at zero, as for quantiles.
fn trimmed_lowest(bucket: &BoundedBucket, at: f64, keep: Keep) -> Kept {
    let BoundedBucket { upper, count, .. } = *bucket;
    if upper == f64::INFINITY {
        let all = match keep {
            Keep::Below => at == f64::INFINITY,
            Keep::Above => at == f64::NEG_INFINITY,
        };
        return if all { Kept { count, middle: 0.0 } } else { Kept::NOTHING };
    }
    let whole = Kept { count, middle: if upper > 0.0 { upper / 2.0 } else { upper } };
    match keep {
        Keep::Below if at >= upper => whole,
        Keep::Below if at > 0.0 => Kept { count: count * at / upper, middle: at / 2.0 },
        // Nobody knows how far down a bucket below zero reaches; its observations move to the edge.
        Keep::Below if upper < 0.0 && at > f64::NEG_INFINITY => Kept { count, middle: at },
        Keep::Above if at == f64::NEG_INFINITY => whole,
        Keep::Above if at >= 0.0 && at < upper => {
            Kept { count: count * (1.0 - at / upper), middle: f64::midpoint(at, upper) }
        }
        Keep::Below | Keep::Above => Kept::NOTHING,
    }
}

/// The bucket to +Inf: from above nothing of it can be kept, from below everything, at the edge.
fn trimmed_highest(bucket: &BoundedBucket, at: f64, keep: Keep) -> Kept {
    let whole = Kept { count: bucket.count, middle: bucket.lower };
    match keep {
        Keep::Below if at == f64::INFINITY => whole,
        Keep::Above if at <= bucket.lower => whole,
        Keep::Above if at < f64::INFINITY => Kept { count: bucket.count, middle: at },
        Keep::Below | Keep::Above => Kept::NOTHING,
    }
}

/// Share of the bucket's observations up to `at`, which lies within.
fn share_below(bucket: &BoundedBucket, at: f64, spread: Spread) -> f64 {
    let [lower, upper, value] = [bucket.lower, bucket.upper, at].map(|bound| bound.abs().log2());
    match spread {
        Spread::Linear => (at - bucket.lower) / (bucket.upper - bucket.lower),
        Spread::Positive => (value - lower) / (upper - lower),
        Spread::Negative => 1.0 - (value - upper) / (lower - upper),
    }
}

fn middle(lower: f64, upper: f64, spread: Spread) -> f64 {
    match spread {
        Spread::Linear => f64::midpoint(lower, upper),
        Spread::Positive => (lower * upper).sqrt(),
        Spread::Negative => -(lower * upper).sqrt(),
    }
}
