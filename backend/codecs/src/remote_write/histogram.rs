//! The message `Histogram`, the same in both versions: integer histograms as differences between buckets, float
//! histograms as counts.

use model::{BucketSpan, Buckets, HistogramError, NativeHistogram, ResetHint};

use super::refused::Reason;
use super::{Error, Limits, in_message};
use crate::protobuf::{ProtobufError, Reader, Value, unzigzag, varints_in};

/// A histogram with its times in milliseconds; `start_ms` is 0 where not told.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) timestamp_ms: i64,
    pub(super) start_ms: i64,
    pub(super) histogram: NativeHistogram,
}

/// Reads a histogram and checks it. What it holds is taken from `buckets_left`; the request fails where that
/// does not suffice.
pub(super) fn read(
    message: &[u8],
    limits: &Limits,
    buckets_left: &mut usize,
) -> Result<Result<Decoded, Reason>, Error> {
    let room = limits.histogram_buckets_max;
    let mut fields = Fields { room, ..Fields::default() };
    in_message("Histogram", fields.read(message))?;
    if fields.too_many {
        return Ok(Err(Reason::TooManyBuckets(limits.histogram_buckets_max)));
    }
    *buckets_left = buckets_left
        .checked_sub(room - fields.room)
        .ok_or(Error::TooMany { what: "histogram buckets", limit: limits.buckets_max })?;
    Ok(fields.finish().map_err(Reason::Histogram))
}

/// A count as it is sent.
#[derive(Clone, Copy, Debug)]
enum Count {
    Integer(u64),
    Float(f64),
}

#[derive(Debug, Default)]
struct Fields {
    count: Option<Count>,
    zero_count: Option<Count>,
    histogram: NativeHistogram,
    positive: Side,
    negative: Side,
    timestamp_ms: i64,
    start_ms: i64,
    /// Buckets, spans and bounds there may still be.
    room: usize,
    too_many: bool,
}

/// Buckets of one sign, in both forms; the kind of the count tells which is meant.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<BucketSpan>,
    integers: Integers,
    floats: Vec<f64>,
}

/// Counts from differences.
#[derive(Debug, Default)]
struct Integers {
    counts: Vec<f64>,
    last: i64,
    total: u64,
    fault: Option<HistogramError>,
}

impl Fields {
    fn read(&mut self, message: &[u8]) -> Result<(), ProtobufError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => self.count = Some(Count::Integer(value.uint(number)?)),
                2 => self.count = Some(Count::Float(value.double(number)?)),
                3 => self.histogram.sum = value.double(number)?,
                4 => self.histogram.schema = value.sint32(number)?,
                5 => self.histogram.zero_threshold = value.double(number)?,
                6 => self.zero_count = Some(Count::Integer(value.uint(number)?)),
                7 => self.zero_count = Some(Count::Float(value.double(number)?)),
                8..=10 => self.side(true, number, number - 8, value)?,
                11..=13 => self.side(false, number, number - 11, value)?,
                14 => self.histogram.reset_hint = reset_hint(value.uint(number)?),
                15 => self.timestamp_ms = value.int(number)?,
                16 => {
                    let (room, too_many) = (&mut self.room, &mut self.too_many);
                    let bounds = &mut self.histogram.custom_bounds;
                    value.each_double(number, |bound| {
                        if take(room, too_many) {
                            bounds.push(bound);
                        }
                    })?;
                }
                17 => self.start_ms = value.int(number)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Spans (`part` 0), differences (1) or counts (2) of one side.
    fn side(
        &mut self,
        negative: bool,
        number: u32,
        part: u32,
        value: Value<'_>,
    ) -> Result<(), ProtobufError> {
        let side = if negative { &mut self.negative } else { &mut self.positive };
        let (room, too_many) = (&mut self.room, &mut self.too_many);
        match part {
            0 => {
                let span = read_span(value.bytes(number)?)?;
                if take(room, too_many) {
                    side.spans.push(span);
                }
            }
            1 => {
                side.integers.counts.reserve(varints_in(value).min(*room));
                value.each_varint(number, |delta| {
                    if take(room, too_many) {
                        side.integers.push(unzigzag(delta));
                    }
                })?;
            }
            _ => {
                let packed = if let Value::Bytes(packed) = value { packed.len() / 8 } else { 1 };
                side.floats.reserve(packed.min(*room));
                value.each_double(number, |count| {
                    if take(room, too_many) {
                        side.floats.push(count);
                    }
                })?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Decoded, HistogramError> {
        let Fields { count, zero_count, mut histogram, positive, negative, timestamp_ms, start_ms, .. } =
            self;
        let is_float = matches!(count, Some(Count::Float(_)));
        if !is_float {
            check_integers(count, zero_count, &positive.integers, &negative.integers, histogram.sum)?;
        }
        histogram.count = as_float(count, is_float);
        histogram.zero_count = as_float(zero_count, is_float);
        histogram.positive = positive.finish(is_float);
        histogram.negative = negative.finish(is_float);
        histogram.check()?;
        histogram.reduce_to_known_schema();
        Ok(Decoded { timestamp_ms, start_ms, histogram })
    }
}

impl Side {
    fn finish(self, is_float: bool) -> Buckets {
        let counts = if is_float { self.floats } else { self.integers.counts };
        Buckets { spans: self.spans, counts }
    }
}

impl Integers {
    fn push(&mut self, delta: i64) {
        match self.last.checked_add(delta) {
            Some(count @ 0..) => {
                self.last = count;
                match self.total.checked_add(count.cast_unsigned()) {
                    Some(total) => self.total = total,
                    None => self.fault = self.fault.or(Some(HistogramError::CountMismatch)),
                }
                self.counts.push(count as f64);
            }
            _ => self.fault = self.fault.or(Some(HistogramError::NegativeCount)),
        }
    }
}

/// Integer counts must add up exactly; observations that were NaN are in no bucket.
fn check_integers(
    count: Option<Count>,
    zero_count: Option<Count>,
    positive: &Integers,
    negative: &Integers,
    sum: f64,
) -> Result<(), HistogramError> {
    if let Some(fault) = positive.fault.or(negative.fault) {
        return Err(fault);
    }
    let integer = |count| if let Some(Count::Integer(count)) = count { count } else { 0 };
    let in_buckets = positive.total.checked_add(negative.total);
    let in_buckets = in_buckets.and_then(|total| total.checked_add(integer(zero_count)));
    let fits = in_buckets
        .is_some_and(|total| if sum.is_nan() { total <= integer(count) } else { total == integer(count) });
    if fits { Ok(()) } else { Err(HistogramError::CountMismatch) }
}

/// The count where it is of the histogram's kind, as all implementations do.
fn as_float(count: Option<Count>, is_float: bool) -> f64 {
    match count {
        Some(Count::Float(count)) if is_float => count,
        Some(Count::Integer(count)) if !is_float => count as f64,
        _ => 0.0,
    }
}

fn take(room: &mut usize, too_many: &mut bool) -> bool {
    match room.checked_sub(1) {
        Some(left) => *room = left,
        None => *too_many = true,
    }
    !*too_many
}

fn read_span(message: &[u8]) -> Result<BucketSpan, ProtobufError> {
    let mut span = BucketSpan::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => span.offset = value.sint32(number)?,
            2 => span.length = value.uint(number)? as u32,
            _ => {}
        }
    }
    Ok(span)
}

fn reset_hint(number: u64) -> ResetHint {
    i8::try_from(number).map_or(ResetHint::Unknown, ResetHint::from_number)
}
