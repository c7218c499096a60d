//! Log record ⇄ [`Batch`].
//!
//! Label sets are written as numbers of the segment's dictionary ([`super::definitions`]). Points go column
//! by column: numbers as differences to the one before less one (a source that sends its series in the same
//! order every time costs one byte a point), timestamps as differences (one byte for all where they are
//! equal), values as integers where that is exact and shorter, else as their eight bytes. Every float comes
//! back bit for bit. Histograms, start times and exemplars ([`super::sparse_codec`]) stand last, and a record
//! without any ends before them, as all records of earlier versions do. When and from whom a batch came stands first, so that [`decode_origin`] need not read
//! the rest.

use model::{
    Batch, Labels, LogEntry, LogStream, MetricKind, MetricMetadata, Point, ProbePhases, ProbeResult, Severity,
};

use super::definitions::Dictionary;
use super::sparse_codec;
use super::wire::{
    Reader, WireError, put_f64, put_i64, put_opt_f64, put_opt_i64, put_opt_str, put_pairs, put_str, put_u64,
    zigzag,
};

/// Where a batch came from and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Arrival, milliseconds since the Unix epoch.
    pub(crate) received_ms: i64,
    /// [`Batch::source`].
    pub(crate) source: String,
    /// [`Batch::batch_id`].
    pub(crate) batch_id: Option<String>,
}

/// Appends the record of `batch`. `series` and `streams` hold the dictionary numbers of [`Batch::series`] and of
/// its log streams, in their order.
pub(crate) fn encode(batch: &Batch, received_ms: i64, series: &[u32], streams: &[u32], out: &mut Vec<u8>) {
    put_i64(out, received_ms);
    put_str(out, &batch.source);
    put_opt_str(out, batch.batch_id.as_deref());
    let (of_points, others) = series.split_at(batch.points.len());
    encode_points(&batch.points, of_points, out);
    put_u64(out, batch.log_streams.len() as u64);
    for (stream, number) in batch.log_streams.iter().zip(streams) {
        put_u64(out, u64::from(*number));
        encode_entries(&stream.entries, out);
    }
    put_u64(out, batch.probes.len() as u64);
    batch.probes.iter().for_each(|probe| encode_probe(probe, out));
    put_u64(out, batch.metadata.len() as u64);
    batch.metadata.iter().for_each(|metadata| encode_metadata(metadata, out));
    sparse_codec::encode(batch, others, out);
}

/// Reads only where a record came from.
pub(crate) fn decode_origin(payload: &[u8]) -> Result<Origin, WireError> {
    read_origin(&mut Reader::new(payload))
}

/// Reads a whole record.
pub(crate) fn decode(payload: &[u8], dictionary: &Dictionary) -> Result<(i64, Batch), WireError> {
    let mut reader = Reader::new(payload);
    let origin = read_origin(&mut reader)?;
    let points = decode_points(&mut reader, dictionary)?;
    let stream_count = reader.count(2)?;
    let log_streams =
        (0..stream_count).map(|_| decode_stream(&mut reader, dictionary)).collect::<Result<_, _>>()?;
    let probe_count = reader.count(16)?;
    let probes = (0..probe_count).map(|_| decode_probe(&mut reader)).collect::<Result<_, _>>()?;
    let metadata_count = reader.count(4)?;
    let metadata = (0..metadata_count).map(|_| decode_metadata(&mut reader)).collect::<Result<_, _>>()?;
    let Origin { received_ms, source, batch_id } = origin;
    let mut batch = Batch { source, batch_id, points, metadata, log_streams, probes, ..Batch::default() };
    sparse_codec::decode(&mut reader, dictionary, &mut batch)?;
    reader.finish()?;
    Ok((received_ms, batch))
}

fn read_origin(reader: &mut Reader<'_>) -> Result<Origin, WireError> {
    Ok(Origin { received_ms: reader.i64()?, source: reader.string()?, batch_id: reader.opt_string()? })
}

fn encode_points(points: &[Point], series: &[u32], out: &mut Vec<u8>) {
    put_u64(out, points.len() as u64);
    let Some(first) = points.first() else { return };
    let mut previous = -1;
    for number in series {
        let number = i64::from(*number);
        put_i64(out, number - previous - 1);
        previous = number;
    }
    let constant = points.iter().all(|point| point.timestamp_ms == first.timestamp_ms);
    out.push(u8::from(constant));
    put_i64(out, first.timestamp_ms);
    if !constant {
        let mut previous = first.timestamp_ms;
        for point in &points[1..] {
            put_i64(out, point.timestamp_ms.wrapping_sub(previous));
            previous = point.timestamp_ms;
        }
    }
    for eight in points.chunks(8) {
        let tags_at = out.len();
        out.push(0);
        for (bit, point) in eight.iter().enumerate() {
            match short_integer(point.value) {
                Some(integer) => {
                    out[tags_at] |= 1 << bit;
                    put_i64(out, integer);
                }
                None => put_f64(out, point.value),
            }
        }
    }
}

/// `value` as an integer, where that is exact to the bit (so not -0.0) and shorter than eight bytes.
fn short_integer(value: f64) -> Option<i64> {
    let integer = value as i64;
    let exact = (integer as f64).to_bits() == value.to_bits();
    (exact && zigzag(integer) < 1 << 49).then_some(integer)
}

fn decode_points(reader: &mut Reader<'_>, dictionary: &Dictionary) -> Result<Vec<Point>, WireError> {
    let count = reader.count(2)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut points = Vec::with_capacity(count);
    let mut number = -1i64;
    for _ in 0..count {
        number = number.wrapping_add(reader.i64()?).wrapping_add(1);
        let labels = Labels::clone(dictionary.get(u64::try_from(number).map_err(|_| WireError::Undefined)?)?);
        points.push(Point { labels, timestamp_ms: 0, value: 0.0 });
    }
    let constant = reader.u8()? == 1;
    let mut timestamp_ms = reader.i64()?;
    points[0].timestamp_ms = timestamp_ms;
    for point in &mut points[1..] {
        if !constant {
            timestamp_ms = timestamp_ms.wrapping_add(reader.i64()?);
        }
        point.timestamp_ms = timestamp_ms;
    }
    for eight in points.chunks_mut(8) {
        let tags = reader.u8()?;
        for (bit, point) in eight.iter_mut().enumerate() {
            let integer = tags & (1 << bit) != 0;
            point.value = if integer { reader.i64()? as f64 } else { reader.f64()? };
        }
    }
    Ok(points)
}

fn encode_entries(entries: &[LogEntry], out: &mut Vec<u8>) {
    put_u64(out, entries.len() as u64);
    let mut previous = 0;
    for entry in entries {
        put_i64(out, entry.timestamp_ns.wrapping_sub(previous));
        previous = entry.timestamp_ns;
        out.push(entry.severity.number() as u8);
        put_str(out, &entry.body);
        put_pairs(out, &entry.attributes);
        put_opt_str(out, entry.trace_id.as_deref());
        put_opt_str(out, entry.span_id.as_deref());
    }
}

fn decode_stream(reader: &mut Reader<'_>, dictionary: &Dictionary) -> Result<LogStream, WireError> {
    let labels = Labels::clone(dictionary.get(reader.u64()?)?);
    let count = reader.count(6)?;
    let mut entries = Vec::with_capacity(count);
    let mut timestamp_ns = 0i64;
    for _ in 0..count {
        timestamp_ns = timestamp_ns.wrapping_add(reader.i64()?);
        entries.push(LogEntry {
            timestamp_ns,
            severity: Severity::from_number(reader.u8()? as i8),
            body: reader.string()?,
            attributes: reader.pairs()?,
            trace_id: reader.opt_string()?,
            span_id: reader.opt_string()?,
        });
    }
    Ok(LogStream { labels, entries })
}

fn encode_probe(probe: &ProbeResult, out: &mut Vec<u8>) {
    put_i64(out, probe.timestamp_ms);
    for text in [&probe.probe, &probe.target, &probe.kind, &probe.location, &probe.result_id] {
        put_str(out, text);
    }
    out.push(u8::from(probe.success));
    put_f64(out, probe.duration_seconds);
    put_opt_i64(out, probe.status_code.map(i64::from));
    put_opt_i64(out, probe.redirects.map(i64::from));
    put_opt_i64(out, probe.body_bytes.map(u64::cast_signed));
    put_opt_i64(out, probe.cert_not_after_ms);
    let phases = &probe.phases;
    for seconds in [
        phases.resolve_seconds,
        phases.connect_seconds,
        phases.tls_seconds,
        phases.first_byte_seconds,
        phases.transfer_seconds,
    ] {
        put_opt_f64(out, seconds);
    }
    for text in [&probe.reason, &probe.http_version, &probe.ip, &probe.tls_version, &probe.tls_cipher] {
        put_opt_str(out, text.as_deref());
    }
    put_pairs(out, &probe.attributes);
}

fn decode_probe(reader: &mut Reader<'_>) -> Result<ProbeResult, WireError> {
    Ok(ProbeResult {
        timestamp_ms: reader.i64()?,
        probe: reader.string()?,
        target: reader.string()?,
        kind: reader.string()?,
        location: reader.string()?,
        result_id: reader.string()?,
        success: reader.u8()? == 1,
        duration_seconds: reader.f64()?,
        status_code: narrow(reader.opt_i64()?)?,
        redirects: narrow(reader.opt_i64()?)?,
        body_bytes: reader.opt_i64()?.map(i64::cast_unsigned),
        cert_not_after_ms: reader.opt_i64()?,
        phases: ProbePhases {
            resolve_seconds: reader.opt_f64()?,
            connect_seconds: reader.opt_f64()?,
            tls_seconds: reader.opt_f64()?,
            first_byte_seconds: reader.opt_f64()?,
            transfer_seconds: reader.opt_f64()?,
        },
        reason: reader.opt_string()?,
        http_version: reader.opt_string()?,
        ip: reader.opt_string()?,
        tls_version: reader.opt_string()?,
        tls_cipher: reader.opt_string()?,
        attributes: reader.pairs()?,
    })
}

fn narrow<T: TryFrom<i64>>(value: Option<i64>) -> Result<Option<T>, WireError> {
    value.map(|value| T::try_from(value).map_err(|_| WireError::Tag)).transpose()
}

fn encode_metadata(metadata: &MetricMetadata, out: &mut Vec<u8>) {
    out.push(kind_number(metadata.kind));
    put_str(out, &metadata.family);
    put_str(out, &metadata.help);
    put_str(out, &metadata.unit);
}

fn decode_metadata(reader: &mut Reader<'_>) -> Result<MetricMetadata, WireError> {
    Ok(MetricMetadata {
        kind: kind_from_number(reader.u8()?),
        family: reader.string()?,
        help: reader.string()?,
        unit: reader.string()?,
    })
}

fn kind_number(kind: MetricKind) -> u8 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::GaugeHistogram => 4,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}

fn kind_from_number(number: u8) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

#[cfg(test)]
pub(crate) mod tests;
