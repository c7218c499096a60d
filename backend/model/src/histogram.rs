//! Native histograms: counts in buckets whose bounds follow from a schema.
//!
//! Kept in the layout wire formats and tables use, runs of buckets and a list of counts, so that storing one is
//! copying it. Counts are floats; integer histograms are exact up to 2^53 observations a bucket. Semantics:
//! Prometheus "Native Histograms" specification.

use std::sync::Arc;

use thiserror::Error;

use crate::{Labels, is_stale};

/// Schema of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// Coarsest and finest exponential schema.
pub const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;
/// Finest schema senders may use; what is finer than [`EXPONENTIAL_SCHEMAS`] is merged into its finest.
const SCHEMA_REDUCIBLE_MAX: i32 = 52;

/// What is known of a counter reset between a histogram and the one before; the numbers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum ResetHint {
    /// Nothing: compare the buckets.
    #[default]
    Unknown = 0,
    /// There was one.
    Reset = 1,
    /// There was none.
    NotReset = 2,
    /// Not a counter at all.
    Gauge = 3,
}

impl ResetHint {
    /// The stored number, that of Prometheus' protobuf enumerations.
    pub fn number(self) -> i8 {
        self as i8
    }

    /// The hint with this number; numbers of later versions mean "unknown".
    pub fn from_number(number: i8) -> ResetHint {
        match number {
            1 => ResetHint::Reset,
            2 => ResetHint::NotReset,
            3 => ResetHint::Gauge,
            _ => ResetHint::Unknown,
        }
    }
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// Gap to the end of the run before; for the first run the index it starts with.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// The buckets of one sign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Which buckets have a count.
    pub spans: Vec<BucketSpan>,
    /// Observations, a number for every bucket of the spans.
    pub counts: Vec<f64>,
}

/// A native histogram with float counts.
///
/// `==` compares as floats do; [`NativeHistogram::same_bits`] tells whether two are the same data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram {
    /// Counter-reset information.
    pub reset_hint: ResetHint,
    /// Resolution, see [`EXPONENTIAL_SCHEMAS`], or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum; the staleness marker here makes the whole histogram one.
    pub sum: f64,
    /// Buckets of positive observations; with custom bounds all buckets.
    pub positive: Buckets,
    /// Buckets of negative observations; the highest index is the lowest value.
    pub negative: Buckets,
    /// Upper bounds of custom buckets, without the last one, which is +Inf.
    pub custom_bounds: Vec<f64>,
}

/// One native histogram of one series.
#[derive(Clone, Debug)]
pub struct HistogramPoint {
    /// The series, metric name included.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// When counting began, milliseconds since the Unix epoch; 0 where not told.
    pub start_ms: i64,
    /// The histogram.
    pub histogram: Arc<NativeHistogram>,
}

/// Why a histogram makes no sense. Checks are those of Prometheus' `FloatHistogram.Validate`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HistogramError {
    /// A schema nobody defined.
    #[error("unknown histogram schema {0}")]
    Schema(i32),
    /// A run of buckets that goes back.
    #[error("bucket span has a negative offset")]
    SpanOffset,
    /// A bucket index beyond 32 bits.
    #[error("bucket index is out of range")]
    Index,
    /// Spans and counts of different length.
    #[error("bucket spans name {spans} buckets and there are {counts} counts")]
    SpansMismatch {
        /// Buckets the spans name.
        spans: u64,
        /// Counts there are.
        counts: usize,
    },
    /// A count below zero.
    #[error("negative count of observations")]
    NegativeCount,
    /// Custom bounds that do not rise, or are not finite.
    #[error("custom bucket bounds are not finite and rising")]
    Bounds,
    /// Custom buckets without a bound.
    #[error("bucket beyond the custom bounds")]
    BeyondBounds,
    /// Custom buckets along with what only exponential ones have.
    #[error("custom buckets together with a zero bucket or negative buckets")]
    CustomWithOthers,
    /// Exponential buckets with bounds.
    #[error("custom bounds together with an exponential schema")]
    BoundsNotWanted,
    /// Buckets of an integer histogram that do not add up.
    #[error("count of observations does not fit the buckets")]
    CountMismatch,
}

impl NativeHistogram {
    /// True for the marker that ends a series of histograms.
    pub fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }

    /// Checks that the parts fit together.
    pub fn check(&self) -> Result<(), HistogramError> {
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            self.check_custom()?;
        } else {
            if !(*EXPONENTIAL_SCHEMAS.start()..=SCHEMA_REDUCIBLE_MAX).contains(&self.schema) {
                return Err(HistogramError::Schema(self.schema));
            }
            if !self.custom_bounds.is_empty() {
                return Err(HistogramError::BoundsNotWanted);
            }
            self.positive.last_index(false)?;
            self.negative.last_index(false)?;
        }
        let counts = self.positive.counts.iter().chain(&self.negative.counts);
        if counts.chain([&self.count, &self.zero_count]).any(|count| *count < 0.0) {
            return Err(HistogramError::NegativeCount);
        }
        Ok(())
    }

    fn check_custom(&self) -> Result<(), HistogramError> {
        let no_zero_bucket = self.zero_count == 0.0 && self.zero_threshold == 0.0;
        if !no_zero_bucket || self.negative != Buckets::default() {
            return Err(HistogramError::CustomWithOthers);
        }
        let bounds = &self.custom_bounds;
        let rising = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        // The lowest bound may be -Inf: a bucket for just that.
        let ends = bounds.iter().all(|bound| !bound.is_nan()) && bounds.last() != Some(&f64::INFINITY);
        if !rising || !ends {
            return Err(HistogramError::Bounds);
        }
        match self.positive.last_index(true)? {
            Some(last) if last > bounds.len() as i64 => Err(HistogramError::BeyondBounds),
            _ => Ok(()),
        }
    }

    /// Merges buckets of a schema finer than [`EXPONENTIAL_SCHEMAS`] into those of its finest; others stay as
    /// they are. The histogram must have passed [`NativeHistogram::check`].
    pub fn reduce_to_known_schema(&mut self) {
        let finest = *EXPONENTIAL_SCHEMAS.end();
        if self.schema <= finest {
            return;
        }
        let shift = (self.schema - finest).unsigned_abs().min(63);
        for side in [&mut self.positive, &mut self.negative] {
            *side = side.merged(shift);
        }
        self.schema = finest;
    }

    /// Equal bit by bit: every NaN equals itself, 0 and -0 differ.
    pub fn same_bits(&self, other: &NativeHistogram) -> bool {
        let floats = |h: &NativeHistogram| [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
        self.same_layout(other)
            && self.reset_hint == other.reset_hint
            && floats(self) == floats(other)
            && same_bits(&self.positive.counts, &other.positive.counts)
            && same_bits(&self.negative.counts, &other.negative.counts)
    }

    /// True where both have the same buckets: schema, spans and bounds.
    pub fn same_layout(&self, other: &NativeHistogram) -> bool {
        self.schema == other.schema
            && self.positive.spans == other.positive.spans
            && self.negative.spans == other.negative.spans
            && self.positive.counts.len() == other.positive.counts.len()
            && self.negative.counts.len() == other.negative.counts.len()
            && same_bits(&self.custom_bounds, &other.custom_bounds)
    }

    /// Bytes on the heap, the histogram itself not counted.
    pub fn heap_bytes(&self) -> usize {
        let side = |b: &Buckets| {
            b.spans.capacity() * size_of::<BucketSpan>() + b.counts.capacity() * size_of::<f64>()
        };
        side(&self.positive) + side(&self.negative) + self.custom_bounds.capacity() * size_of::<f64>()
    }
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

impl Buckets {
    /// Checks spans against counts; gives the index after the last bucket's, less one, or none without spans.
    fn last_index(&self, first_from_zero: bool) -> Result<Option<i64>, HistogramError> {
        let (mut next, mut named) = (0i64, 0u64);
        for (number, span) in self.spans.iter().enumerate() {
            if span.offset < 0 && (number > 0 || first_from_zero) {
                return Err(HistogramError::SpanOffset);
            }
            next += i64::from(span.offset) + i64::from(span.length);
            named += u64::from(span.length);
            if i32::try_from(next).is_err() {
                return Err(HistogramError::Index);
            }
        }
        if named != self.counts.len() as u64 {
            return Err(HistogramError::SpansMismatch { spans: named, counts: self.counts.len() });
        }
        Ok((!self.spans.is_empty()).then_some(next - 1))
    }

    /// Indexes of the buckets and their counts, in order of index.
    pub fn iter(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let mut start = 0i32;
        let indexes = self.spans.iter().flat_map(move |span| {
            let first = start.wrapping_add(span.offset);
            start = first.wrapping_add_unsigned(span.length);
            (0..span.length).map(move |i| first.wrapping_add_unsigned(i))
        });
        indexes.zip(self.counts.iter().copied())
    }

    /// Buckets with a resolution `shift` powers of two coarser.
    fn merged(&self, shift: u32) -> Buckets {
        let mut merged = Buckets::default();
        let mut last: Option<i32> = None;
        for (index, count) in self.iter() {
            // Bucket `i` reaches up to base^i, so its neighbours below share the coarse bucket.
            let index = (((i64::from(index) - 1) >> shift) + 1) as i32;
            match (last, merged.counts.last_mut()) {
                (Some(last), Some(sum)) if last == index => *sum += count,
                _ => merged.push(last, index, count),
            }
            last = Some(index);
        }
        merged
    }

    fn push(&mut self, last: Option<i32>, index: i32, count: f64) {
        let offset = last.map_or(index, |last| index - last - 1);
        match self.spans.last_mut() {
            Some(span) if offset == 0 => span.length += 1,
            _ => self.spans.push(BucketSpan { offset, length: 1 }),
        }
        self.counts.push(count);
    }
}

#[cfg(test)]
mod tests;
