use proptest::prelude::*;

use super::*;
use crate::protobuf::unzigzag;
use crate::snappy::pack;

/// Made by another protobuf implementation from the published schema.
const READ_REQUEST: &str = "\
    0a6908fbffffffffffffffff011080d095ffbc311a0e12085f5f6e616d655f5f1a0275701a0a080112036a6f621a01781a11\
    08021208696e7374616e63651a03612e2a1a0708031203656e76221d089875120472617465180120022a036a6f622a03656e\
    76300138e0a7120a02100712020100";

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn a_request_of_another_implementation_is_read() {
    let request = decode(&pack(&hex(READ_REQUEST)).unwrap()).unwrap();
    let matcher = |name, op, value| Matcher::new(name, op, value).unwrap();
    let query = Query {
        start_ms: -5,
        end_ms: 1_700_000_000_000,
        matchers: vec![
            matcher("__name__", MatchOp::Equal, "up"),
            matcher("job", MatchOp::NotEqual, "x"),
            matcher("instance", MatchOp::Regex, "a.*"),
            matcher("env", MatchOp::NotRegex, ""),
        ],
        hints: Some(Hints {
            step_ms: 15_000,
            function: "rate".into(),
            start_ms: 1,
            end_ms: 2,
            grouping: vec!["job".into(), "env".into()],
            by: true,
            range_ms: 300_000,
        }),
    };
    let queries = vec![query, Query { end_ms: 7, ..Query::default() }];
    let response_type = ResponseType::StreamedXorChunks;
    assert_eq!(request, ReadRequest { queries, response_type, samples_accepted: true });
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let decoded = |body: &[u8]| decode(&pack(body).unwrap());
    assert_eq!(decoded(b"").unwrap().response_type, ResponseType::Samples);
    // A response type of the future, alone and before a known one.
    assert!(matches!(decoded(b"\x10\x09").unwrap_err(), Error::ResponseType));
    assert_eq!(decoded(b"\x12\x02\x09\x00").unwrap().response_type, ResponseType::Samples);
    assert!(matches!(decoded(b"\x0a\x04\x1a\x02\x08\x07").unwrap_err(), Error::MatcherKind(7)));
    assert!(matches!(decoded(b"\x0a\x07\x1a\x05\x08\x02\x1a\x01(").unwrap_err(), Error::Matcher(_)));
    assert!(matches!(decoded(b"\x0a\x05\x1a\x03\x12\x01\xff").unwrap_err(), Error::NotUtf8));
    assert!(matches!(decoded(&b"\x0a\x00".repeat(101)).unwrap_err(), Error::TooMany { what: "queries", .. }));
    let matchers = [&b"\x0a\xd2\x0f"[..], &b"\x1a\x00".repeat(1_001)].concat();
    assert!(matches!(decoded(&matchers).unwrap_err(), Error::TooMany { what: "matchers", .. }));
    assert!(matches!(decode(b"\x80\x84\xaf\xd0\x09").unwrap_err(), Error::Snappy(_)));
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> u64 {
        (0..count).fold(0, |value, _| {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            value << 1 | u64::from(bit)
        })
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(8);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// Ones before a zero, `most` at most.
    fn ones(&mut self, most: u32) -> u32 {
        (0..most).take_while(|_| self.take(1) == 1).count() as u32
    }
}

/// Reads a chunk the way Prometheus' iterator does.
fn read_chunk(chunk: &[u8]) -> Vec<(i64, f64)> {
    let count = u16::from_be_bytes([chunk[0], chunk[1]]);
    let mut bits = Bits { bytes: &chunk[2..], at: 0 };
    let (mut samples, mut time, mut delta, mut value) = (Vec::new(), 0i64, 0i64, 0u64);
    let (mut leading, mut trailing) = (0, 0);
    for number in 0..count {
        match number {
            0 => time = unzigzag(bits.varint()),
            1 => delta = bits.varint() as i64,
            _ => {
                let difference = match bits.ones(4) {
                    0 => 0,
                    4 => bits.take(64) as i64,
                    ones => {
                        let width = [14, 17, 20][ones as usize - 1];
                        let raw = bits.take(width) as i64;
                        if raw > 1 << (width - 1) { raw - (1 << width) } else { raw }
                    }
                };
                delta = delta.wrapping_add(difference);
            }
        }
        if number == 0 {
            value = bits.take(64);
        } else {
            time = time.wrapping_add(delta);
            match bits.ones(2) {
                0 => {}
                ones => {
                    if ones == 2 {
                        leading = bits.take(5) as u32;
                        let significant = bits.take(6) as u32;
                        trailing = 64 - leading - if significant == 0 { 64 } else { significant };
                    }
                    value ^= bits.take(64 - leading - trailing) << trailing;
                }
            }
        }
        samples.push((time, f64::from_bits(value)));
    }
    samples
}

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|(time, value)| (*time, value.to_bits())).collect()
}

#[test]
fn a_chunk_has_the_bytes_prometheus_writes() {
    // From the encoding's description: count 2; zigzag varint 1000; the bits of 1.0; varint 15; no change.
    let expected = [&[0, 2][..], &[0xd0, 0x0f], &1f64.to_be_bytes(), &[0x0f], &[0x00]].concat();
    assert_eq!(xor::encode(&[(1_000, 1.0), (1_015, 1.0)]), expected);
    // Then 17 ms: difference 2 behind `10` in 14 bits; 1.0 to 2.0 flips 11 bits behind one zero, 52 trail.
    let third = [1_000, 1_015, 1_032].into_iter().zip([1.0, 1.0, 2.0]).collect::<Vec<_>>();
    let encoded = xor::encode(&third);
    assert_eq!(encoded[..13], [&[0, 3], &expected[2..13]].concat()[..]);
    let mut tail = Bits { bytes: &encoded[13..], at: 0 };
    assert_eq!((tail.take(1), tail.take(2), tail.take(14)), (0, 0b10, 2));
    assert_eq!((tail.take(2), tail.take(5), tail.take(6), tail.take(11)), (0b11, 1, 11, 0x7ff));
    assert_eq!(bits(&read_chunk(&encoded)), bits(&third));
}

proptest! {
    #[test]
    fn chunks_hold_their_samples(samples in prop::collection::vec((any::<i64>(), any::<u64>()), 0..150)) {
        let samples: Vec<(i64, f64)> =
            samples.into_iter().map(|(time, value)| (time, f64::from_bits(value))).collect();
        prop_assert_eq!(bits(&read_chunk(&xor::encode(&samples))), bits(&samples));
    }

    #[test]
    fn steady_chunks_hold_their_samples(steps in prop::collection::vec((14_000i64..800_000, -9i8..9), 0..150)) {
        let mut time = 1_700_000_000_000;
        let mut samples = Vec::new();
        for (step, value) in steps {
            time += step;
            samples.push((time, f64::from(value)));
        }
        prop_assert_eq!(bits(&read_chunk(&xor::encode(&samples))), bits(&samples));
    }

    #[test]
    fn no_request_makes_it_panic(body: Vec<u8>) {
        let _ = decode(&body);
        let _ = decode(&pack(&body).unwrap());
    }
}

/// Messages of a stream, checked against their checksums.
fn frames(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let mut reader = Reader::new(stream);
        let length = reader.varint().unwrap() as usize;
        stream = &stream[stream.len() - reader.len()..];
        let (checksum, rest) = stream.split_at(4);
        let (message, rest) = rest.split_at(length);
        assert_eq!(checksum, crc32c::crc32c(message).to_be_bytes());
        frames.push(message.to_vec());
        stream = rest;
    }
    frames
}

#[test]
fn a_stream_is_frames_of_chunks() {
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "x")]);
    let samples: Vec<(i64, f64)> = (0..250).map(|i| (i * 15_000, i as f64 / 3.0)).collect();
    let series = Series { labels, samples: samples.clone(), histograms: Vec::new() };
    let mut stream = Vec::new();
    put_frames(&mut stream, 3, &series).unwrap();
    let frames = frames(&stream);
    assert_eq!(frames.len(), 1);
    let (mut read, mut spans, mut query, mut names) = (Vec::new(), Vec::new(), 0, 0);
    let mut reader = Reader::new(&frames[0]);
    while let Some((number, value)) = reader.next().unwrap() {
        if number == 2 {
            query = value.int(2).unwrap();
            continue;
        }
        let mut series = Reader::new(value.bytes(1).unwrap());
        while let Some((number, value)) = series.next().unwrap() {
            if number == 1 {
                names += 1;
                continue;
            }
            let (mut span, mut chunk) = ([0, 0, 0], &[][..]);
            let mut fields = Reader::new(value.bytes(2).unwrap());
            while let Some((number, value)) = fields.next().unwrap() {
                match number {
                    4 => chunk = value.bytes(4).unwrap(),
                    number => span[number as usize - 1] = value.int(number).unwrap(),
                }
            }
            spans.push(span);
            read.extend(read_chunk(chunk));
        }
    }
    assert_eq!((query, names), (3, 2));
    assert_eq!(
        spans,
        [[0, 119 * 15_000, 1], [120 * 15_000, 239 * 15_000, 1], [240 * 15_000, 249 * 15_000, 1]]
    );
    assert_eq!(bits(&read), bits(&samples));
}

#[test]
fn long_series_take_several_frames() {
    let samples: Vec<(i64, f64)> = (0..300_000)
        .map(|i: i64| (i * i, f64::from_bits((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))))
        .collect();
    let mut stream = Vec::new();
    put_frames(&mut stream, 0, &Series { samples, ..Series::default() }).unwrap();
    let frames = frames(&stream);
    assert!(frames.len() > 2 && frames.iter().all(|frame| frame.len() < (1 << 20) + 4_096));
}

#[test]
fn the_other_form_carries_samples_and_histograms() {
    let histogram = NativeHistogram { count: 2.0, sum: 3.5, zero_count: 2.0, ..NativeHistogram::default() };
    let labels = Labels::from_pairs([("__name__", "up")]);
    let histograms = vec![(7, Arc::new(histogram.clone()))];
    let series =
        Series { labels: labels.clone(), samples: vec![(5, 1.0), (6, model::stale_nan())], histograms };
    assert_eq!(put_frames(&mut Vec::new(), 0, &series), Err(FrameError::Histograms));
    let body = encode_samples(&[Vec::new(), vec![series]]).unwrap();
    let unpacked = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let mut results = Vec::new();
    let mut reader = Reader::new(&unpacked);
    while let Some((number, value)) = reader.next().unwrap() {
        results.push(value.bytes(number).unwrap());
    }
    assert_eq!((results.len(), results[0]), (2, &[][..]));
    // A result is made of the series a write request of 1.0 is made of.
    let decoded = crate::remote_write::decode_v1(&pack(results[1]).unwrap()).unwrap().batch;
    assert_eq!((&decoded.points[0].labels, decoded.points[0].timestamp_ms), (&labels, 5));
    assert!(model::is_stale(decoded.points[1].value));
    assert!(decoded.histograms[0].histogram.same_bits(&histogram));
}
