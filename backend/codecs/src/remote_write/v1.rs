//! Remote write 1.0: message `prometheus.WriteRequest`.

use model::MetricMetadata;
use xxhash_rust::xxh3::xxh3_64;

use super::exemplar::{ExemplarLabels, LabelList};
use super::labels::{LabelCache, Pair};
use super::series::{Collector, check_count};
use super::{Decoded, Error, Limits, in_message, kind_from_number};
use crate::protobuf::{ProtobufError, Reader, Value};

const REQUEST: &str = "WriteRequest";

/// Decodes an unpacked body.
pub(super) fn decode(body: &[u8], limits: &Limits, cache: Option<&LabelCache>) -> Result<Decoded, Error> {
    let mut collector = Collector::new(limits, cache, count_series(body, limits)?)?;
    let mut reader = Reader::new(body);
    while let Some((number, value)) = in_message(REQUEST, reader.next())? {
        match number {
            1 => read_series(in_message(REQUEST, value.bytes(number))?, &mut collector)?,
            3 => {
                let metadata = read_metadata(in_message(REQUEST, value.bytes(number))?);
                collector.decoded.batch.metadata.push(in_message("MetricMetadata", metadata)?);
            }
            _ => {}
        }
    }
    Ok(collector.decoded)
}

/// Counts series before anything is allocated for them.
fn count_series(body: &[u8], limits: &Limits) -> Result<usize, Error> {
    let (mut series, mut families) = (0, 0);
    let mut reader = Reader::new(body);
    while let Some((number, _)) = in_message(REQUEST, reader.next())? {
        match number {
            1 => series += 1,
            3 => families += 1,
            // `symbols` and `timeseries` of 2.0.
            4 | 5 => return Err(Error::OtherVersion { found: "2.0", expected: "1.0" }),
            _ => {}
        }
    }
    check_count("metric families", families, limits.symbols_max)?;
    Ok(series)
}

fn read_series<'a>(message: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Error> {
    let mut reader = Reader::new(message);
    let mut labels_end = 0;
    while let Some((number, value)) = in_message("TimeSeries", reader.next())? {
        if !matches!(number, 1..=4) {
            continue;
        }
        let part = in_message("TimeSeries", value.bytes(number))?;
        match number {
            1 => {
                labels_end = message.len() - reader.len();
                let pair = in_message("Label", read_label(part))?;
                if collector.parts.pairs.len() <= collector.limits.labels_max {
                    collector.parts.pairs.push(pair);
                }
            }
            2 => collector.sample(part)?,
            3 => collector.exemplar(part)?,
            _ => collector.histogram(part)?,
        }
    }
    // Labels stand first in what known senders write; where they do not, the key is worth nothing.
    collector.parts.key = xxh3_64(&message[..labels_end]);
    collector.finish_series(&mut OwnLabels)?;
    Ok(())
}

#[inline]
fn read_label(message: &[u8]) -> Result<Pair<'_>, ProtobufError> {
    // As everybody writes it: the name, then the value, both shorter than 128 bytes.
    if let [0x0a, name_length @ 0..=0x7f, rest @ ..] = message
        && let Some((name, [0x12, length @ 0..=0x7f, text @ ..])) =
            rest.split_at_checked(usize::from(*name_length))
        && text.len() == usize::from(*length)
    {
        return Ok((name, text));
    }
    let (mut name, mut text): Pair<'_> = (&[], &[]);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => name = value.bytes(number)?,
            2 => text = value.bytes(number)?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// Exemplars carry their labels themselves.
struct OwnLabels;

impl<'a> ExemplarLabels<'a> for OwnLabels {
    fn labels(&mut self, field: Value<'a>, labels: &mut LabelList<'a>) -> Result<(), ProtobufError> {
        let (name, value) = read_label(field.bytes(1)?)?;
        labels.push(name, value);
        Ok(())
    }
}

fn read_metadata(message: &[u8]) -> Result<MetricMetadata, ProtobufError> {
    let mut metadata = MetricMetadata::default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => metadata.kind = kind_from_number(value.uint(number)?),
            2 => metadata.family = text(value.bytes(number)?),
            4 => metadata.help = text(value.bytes(number)?),
            5 => metadata.unit = text(value.bytes(number)?),
            _ => {}
        }
    }
    Ok(metadata)
}
