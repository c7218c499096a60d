//! The streamed form of the answer: messages `ChunkedReadResponse`, each behind its length and checksum.
//! Source: Prometheus `storage/remote/chunked.go`.

use thiserror::Error;

use super::{Series, xor};
use crate::protobuf::write::{put_bytes, put_int, put_message, put_uint, put_varint};
use crate::remote_write::put_label;

/// Samples in a chunk, as in Prometheus.
const CHUNK_SAMPLES: usize = 120;
/// Bytes of chunks in a message, about.
const FRAME_BYTES: usize = 1 << 20;
/// Number of the encoding of float chunks.
const XOR_ENCODING: u64 = 1;

/// What the streamed form cannot carry.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// Native histograms; the other form carries them.
    #[error("native histograms cannot be streamed as chunks")]
    Histograms,
}

/// Appends the frames of one series, one or more. `query`: position of its query in the request. Series of a
/// query must come sorted by labels.
pub fn put_frames(out: &mut Vec<u8>, query: usize, series: &Series) -> Result<(), FrameError> {
    if !series.histograms.is_empty() {
        return Err(FrameError::Histograms);
    }
    let mut chunks = series.samples.chunks(CHUNK_SAMPLES).peekable();
    while chunks.peek().is_some() {
        let mut message = Vec::new();
        put_message(&mut message, 1, |message| {
            series.labels.iter().for_each(|pair| put_label(message, 1, pair));
            while message.len() < FRAME_BYTES
                && let Some(samples) = chunks.next()
            {
                put_message(message, 2, |message| put_chunk(message, samples));
            }
        });
        put_int(&mut message, 2, query as i64);
        put_varint(out, message.len() as u64);
        out.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
        out.append(&mut message);
    }
    Ok(())
}

fn put_chunk(message: &mut Vec<u8>, samples: &[(i64, f64)]) {
    put_int(message, 1, samples.first().map_or(0, |sample| sample.0));
    put_int(message, 2, samples.last().map_or(0, |sample| sample.0));
    put_uint(message, 3, XOR_ENCODING);
    put_bytes(message, 4, &xor::encode(samples));
}
