//! Remote write 2.0: message `io.prometheus.write.v2.Request`. Texts stand once, in a table of symbols.

use model::{Labels, METRIC_NAME, MetricKind, MetricMetadata};
use xxhash_rust::xxh3::xxh3_64;

use super::exemplar::{ExemplarLabels, LabelList};
use super::labels::LabelCache;
use super::refused::{ExemplarFault, Reason};
use super::series::{Collector, check_count};
use super::{Decoded, Error, Limits, family_of, in_message, kind_from_number};
use crate::protobuf::{ProtobufError, Reader, Value};

const REQUEST: &str = "Request";

/// Decodes an unpacked body.
pub(super) fn decode(body: &[u8], limits: &Limits, cache: Option<&LabelCache>) -> Result<Decoded, Error> {
    let (table, series) = read_symbols(body, limits)?;
    // Hashed once each, not once a series.
    let hashes: Vec<u64> =
        if cache.is_some() { table.iter().map(|text| xxh3_64(text)).collect() } else { Vec::new() };
    let symbols = Symbols { table: &table };
    let mut collector = Collector::new(limits, cache, series)?;
    let metric_name = table.iter().position(|symbol| *symbol == METRIC_NAME.as_bytes());
    let mut request = Request {
        symbols,
        hashes: &hashes,
        metric_name: metric_name.map_or(u64::MAX, |at| at as u64),
        families: Families { symbols, told: vec![false; table.len()] },
    };
    let mut reader = Reader::new(body);
    while let Some((number, value)) = in_message(REQUEST, reader.next())? {
        if number == 5 {
            request.read_series(in_message(REQUEST, value.bytes(number))?, &mut collector)?;
        }
    }
    Ok(collector.decoded)
}

/// The symbols, which may stand anywhere in the body, and the number of series.
fn read_symbols<'a>(body: &'a [u8], limits: &Limits) -> Result<(Vec<&'a [u8]>, usize), Error> {
    let (mut symbols, mut series): (Vec<&[u8]>, _) = (Vec::new(), 0);
    let mut reader = Reader::new(body);
    while let Some((number, value)) = in_message(REQUEST, reader.next())? {
        match number {
            // `timeseries` and `metadata` of 1.0.
            1 | 3 => return Err(Error::OtherVersion { found: "1.0", expected: "2.0" }),
            4 => {
                symbols.push(in_message(REQUEST, value.bytes(number))?);
                check_count("symbols", symbols.len(), limits.symbols_max)?;
            }
            5 => series += 1,
            _ => {}
        }
    }
    Ok((symbols, series))
}

/// The texts references refer to.
#[derive(Clone, Copy, Debug)]
struct Symbols<'a> {
    table: &'a [&'a [u8]],
}

impl<'a> Symbols<'a> {
    #[inline]
    fn get(self, reference: u64) -> Option<&'a [u8]> {
        self.table.get(usize::try_from(reference).ok()?).copied()
    }
}

/// What is known before the first series is read.
struct Request<'a> {
    symbols: Symbols<'a>,
    /// Of the symbols; empty without a cache.
    hashes: &'a [u64],
    /// Reference of `__name__`.
    metric_name: u64,
    families: Families<'a>,
}

impl<'a> Request<'a> {
    fn read_series(&mut self, message: &'a [u8], collector: &mut Collector<'a>) -> Result<(), Error> {
        let (mut references, mut metadata): (References<'_>, &[u8]) = Default::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = in_message("TimeSeries", reader.next())? {
            let bytes = || in_message("TimeSeries", value.bytes(number));
            match number {
                1 => {
                    let each = |reference| self.reference(reference, &mut references, collector);
                    in_message("TimeSeries", value.each_varint(number, each))?;
                }
                2 => collector.sample(bytes()?)?,
                3 => collector.histogram(bytes()?)?,
                4 => collector.exemplar(bytes()?)?,
                5 => metadata = bytes()?,
                // `created_timestamp` of drafts before 2.0-rc.4.
                6 => collector.parts.start_ms = in_message("TimeSeries", value.int(number))?,
                _ => {}
            }
        }
        if references.name.is_some() {
            collector.parts.labels_fault.get_or_insert(Reason::OddReferences);
        }
        let labels = collector.finish_series(&mut SymbolLabels { symbols: self.symbols })?;
        if let (Some(labels), Some(metric), false) = (labels, references.metric, metadata.is_empty()) {
            let metadata = self.families.read(metadata, &labels, metric as usize);
            collector.decoded.batch.metadata.extend(in_message("Metadata", metadata)?);
        }
        Ok(())
    }

    /// Takes one reference of a series' labels.
    #[inline]
    fn reference(&self, reference: u64, references: &mut References<'a>, collector: &mut Collector<'a>) {
        let parts = &mut collector.parts;
        let Some(symbol) = self.symbols.get(reference) else {
            let symbols = self.symbols.table.len();
            parts.labels_fault.get_or_insert(Reason::ReferenceOutOfRange { reference, symbols });
            return;
        };
        if let Some(hash) = self.hashes.get(reference as usize) {
            parts.key = (parts.key ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        match references.name.take() {
            None => references.name = Some((reference, symbol)),
            Some((name, text)) => {
                if name == self.metric_name {
                    references.metric = Some(reference);
                }
                if parts.pairs.len() <= collector.limits.labels_max {
                    parts.pairs.push((text, symbol));
                }
            }
        }
    }
}

/// The references of a series' labels read so far; they may come in pieces.
#[derive(Debug, Default)]
struct References<'a> {
    /// A name without its value yet.
    name: Option<(u64, &'a [u8])>,
    /// Reference of the metric's name.
    metric: Option<u64>,
}

/// Exemplars refer to the request's symbols.
struct SymbolLabels<'a> {
    symbols: Symbols<'a>,
}

impl<'a> ExemplarLabels<'a> for SymbolLabels<'a> {
    fn labels(&mut self, field: Value<'a>, labels: &mut LabelList<'a>) -> Result<(), ProtobufError> {
        let mut name_waiting = None;
        field.each_varint(1, |reference| match (self.symbols.get(reference), name_waiting.take()) {
            (None, _) => labels.refuse(ExemplarFault::ReferenceOutOfRange),
            (Some(name), None) => name_waiting = Some(name),
            (Some(value), Some(name)) => labels.push(name, value),
        })?;
        if name_waiting.is_some() {
            labels.refuse(ExemplarFault::OddReferences);
        }
        Ok(())
    }
}

/// Metadata comes with every series; what it says of a metric is kept once a request.
struct Families<'a> {
    symbols: Symbols<'a>,
    /// By reference of the metric's name: whether it was told of.
    told: Vec<bool>,
}

impl Families<'_> {
    /// Reads a message `Metadata` that came with a series of the metric with this reference.
    fn read(
        &mut self,
        message: &[u8],
        labels: &Labels,
        metric: usize,
    ) -> Result<Option<MetricMetadata>, ProtobufError> {
        if self.told.get(metric) != Some(&false) {
            return Ok(None);
        }
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => kind = value.uint(number)?,
                3 => help = value.uint(number)?,
                4 => unit = value.uint(number)?,
                _ => {}
            }
        }
        let text =
            |reference| String::from_utf8_lossy(self.symbols.get(reference).unwrap_or(&[])).into_owned();
        let (kind, help, unit) = (kind_from_number(kind), text(help), text(unit));
        if kind == MetricKind::Unknown && help.is_empty() && unit.is_empty() {
            return Ok(None);
        }
        self.told[metric] = true;
        Ok(Some(MetricMetadata { family: family_of(labels.name(), kind).to_owned(), kind, help, unit }))
    }
}
