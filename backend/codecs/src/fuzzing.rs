//! What must hold for any bytes at all: entries for the fuzz targets in `tests/fuzz`, which are also fed with the
//! targets' corpora in every test run. Each takes bytes and panics where a property does not hold.

use model::{Batch, Labels, MetricKind};

use crate::exposition::{Entry, Format, Parser};
use crate::remote_write::{Decoder, Version, encode_v1, encode_v2};
use crate::snappy::pack;
use crate::text_encode::Writer;
use crate::{edge, remote_read};

/// Bodies of remote write 1.0, packed and not.
pub fn remote_write_v1(data: &[u8]) {
    remote_write(data, Version::V1);
}

/// Bodies of remote write 2.0, packed and not.
pub fn remote_write_v2(data: &[u8]) {
    remote_write(data, Version::V2);
}

fn remote_write(data: &[u8], version: Version) {
    read_and_write_again(data, version);
    // Most bytes do not unpack; what is inside of a body is reached this way.
    if let Ok(packed) = pack(data) {
        read_and_write_again(&packed, version);
    }
}

/// What was read and is written again reads as the same.
fn read_and_write_again(body: &[u8], version: Version) {
    let Ok(mut decoded) = Decoder::default().decode(version, body) else { return };
    assert!(decoded.batch.histograms.iter().all(|point| point.histogram.check().is_ok()));
    assert!(decoded.refused.to_string().len() < 16_000, "a refusal of any request is short");
    let encoded = match version {
        Version::V1 => encode_v1(&decoded.batch),
        // In 2.0 metadata goes with a series; families without one are not told of.
        Version::V2 => {
            decoded.batch.metadata.clear();
            encode_v2(&decoded.batch)
        }
    };
    let Ok(encoded) = encoded else { return };
    let again = match Decoder::default().decode(version, &encoded) {
        Ok(again) => again,
        // Written out in full, what was within the limits can be beyond them.
        Err(error) if error.is_too_large() => return,
        Err(error) => panic!("what was written cannot be read: {error}"),
    };
    assert!(again.refused.is_empty(), "{}", again.refused);
    assert_eq!(lines(&again.batch), lines(&decoded.batch));
}

/// Everything in a batch, a line each, sorted; floats by their bits.
fn lines(batch: &Batch) -> Vec<String> {
    let mut lines = Vec::new();
    for point in &batch.points {
        lines.push(format!("{:?} {} {:x}", point.labels, point.timestamp_ms, point.value.to_bits()));
    }
    for exemplar in &batch.exemplars {
        let (labels, own, bits) = (&exemplar.labels, &exemplar.exemplar_labels, exemplar.value.to_bits());
        lines.push(format!("{labels:?} {own:?} {} {bits:x}", exemplar.timestamp_ms));
    }
    for point in &batch.histograms {
        let histogram = &point.histogram;
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
        let buckets =
            [&histogram.positive, &histogram.negative].map(|side| (&side.spans, bits(&side.counts)));
        let own = bits(&[histogram.sum, histogram.count, histogram.zero_count, histogram.zero_threshold]);
        let kind = (histogram.schema, histogram.reset_hint, bits(&histogram.custom_bounds));
        lines.push(format!(
            "{:?} {} {} {kind:?} {own:?} {buckets:?}",
            point.labels, point.timestamp_ms, point.start_ms
        ));
    }
    lines.extend(batch.metadata.iter().map(|metadata| format!("{metadata:?}")));
    lines.sort_unstable();
    lines
}

/// Bodies of remote read, packed and not.
pub fn remote_read(data: &[u8]) {
    let check = |body: &[u8]| {
        if let Ok(request) = remote_read::decode(body) {
            assert!(request.queries.len() <= 100);
        }
    };
    check(data);
    if let Ok(packed) = pack(data) {
        check(&packed);
    }
}

/// Pushes of an edge worker, packed and not.
pub fn edge_push(data: &[u8]) {
    for gzip in [false, true] {
        if let Ok(push) = edge::decode(data, gzip) {
            let _ = edge::batch(push, Some("fuzz".to_owned())).rows();
        }
    }
}

/// Pages in the text format.
pub fn exposition(data: &[u8]) {
    page(data, Format::Text);
}

/// Pages in OpenMetrics.
pub fn openmetrics(data: &[u8]) {
    page(data, Format::OpenMetrics);
}

type Sample = (Labels, u64, Option<i64>);

/// Samples that were read and are written again read as the same.
fn page(data: &[u8], format: Format) {
    let Ok(mut samples) = read(data, format) else { return };
    if format == Format::OpenMetrics {
        // Written as seconds, times beyond these years are not exact to the millisecond.
        samples.retain(|(_, _, time)| time.is_none_or(|ms| ms.unsigned_abs() < 4_000_000_000_000));
    }
    let mut writer = Writer::new(format);
    writer.family("fuzz", MetricKind::Gauge, "anything: \\ \" \n");
    for (labels, bits, timestamp_ms) in &samples {
        let others = labels.iter().filter(|(name, _)| *name != model::METRIC_NAME);
        writer.sample_at(labels.name(), others, f64::from_bits(*bits), *timestamp_ms);
    }
    let written = writer.finish();
    let again = read(written.as_bytes(), format);
    assert_eq!(again.as_deref().ok(), Some(&samples[..]), "{written}");
}

/// The samples of a page; an error where it or one of its label sets is malformed.
fn read(data: &[u8], format: Format) -> Result<Vec<Sample>, crate::exposition::ParseError> {
    let mut samples = Vec::new();
    let mut expected = String::new();
    let mut parser = Parser::new(format, data)?;
    while let Some(entry) = parser.next_expecting(&expected) {
        if let Entry::Sample(sample) = entry? {
            let mut pairs = Vec::new();
            sample.series.read_labels(&mut pairs)?;
            expected = sample.series.as_str().to_owned();
            samples.push((Labels::from_pairs(pairs), sample.value.to_bits(), sample.timestamp_ms));
        }
    }
    Ok(samples)
}
