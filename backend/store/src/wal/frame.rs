//! Frames: one record each, found again behind damage.
//!
//! A frame is marker u32, payload length u32, CRC32C u32, LSN u64, kind u8, payload; integers little-endian.
//! The checksum covers the marker and everything behind it but itself. [`FrameReader`] streams frames from
//! a segment with memory for one frame; where bytes are damaged it looks for the next marker that opens a
//! frame with a right checksum and reports what it skipped.

use std::io::{self, Read};

use super::Lsn;

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 21;
/// Largest payload, in bytes; a longer length is taken for damage, before anything is allocated.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 << 20;

const READ_BYTES: usize = 256 << 10;

/// What a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A batch, see [`super::codec`].
    Batch,
    /// Label sets that later batches of the segment refer to, see [`super::definitions`].
    Definitions,
    /// A range of LSNs whose group failed: first and last, not to be replayed.
    Void,
}

impl FrameKind {
    fn number(self) -> u8 {
        match self {
            FrameKind::Batch => 1,
            FrameKind::Definitions => 2,
            FrameKind::Void => 3,
        }
    }

    fn from_number(number: u8) -> Option<FrameKind> {
        match number {
            1 => Some(FrameKind::Batch),
            2 => Some(FrameKind::Definitions),
            3 => Some(FrameKind::Void),
            _ => None,
        }
    }
}

/// Appends a frame to `out`; `write` appends the payload.
pub(crate) fn put_frame(
    out: &mut Vec<u8>,
    marker: u32,
    lsn: Lsn,
    kind: FrameKind,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&marker.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&lsn.to_le_bytes());
    out.push(kind.number());
    write(out);
    let length = (out.len() - start - FRAME_HEADER_BYTES) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&out[start..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// CRC32C of a whole frame without its checksum field.
pub(crate) fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..8]), &frame[12..])
}

/// What the reader found next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A frame with a right checksum.
    Frame {
        /// Where it starts in the file.
        offset: u64,
        /// Its number.
        lsn: Lsn,
        /// What it holds.
        kind: FrameKind,
        /// The record.
        payload: &'a [u8],
    },
    /// Bytes that are no frame. `tail`: nothing sound follows them in this segment.
    Damage {
        /// Where the bytes start in the file.
        offset: u64,
        /// How many bytes were skipped.
        bytes: u64,
        /// Whether the file ends with them.
        tail: bool,
    },
}

/// Streams frames.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    source: R,
    marker: [u8; 4],
    buffer: Vec<u8>,
    /// Start of what is not consumed in `buffer`.
    start: usize,
    /// Offset in the file of `buffer[start]`.
    offset: u64,
    at_end: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads from `source`, whose first byte is at `offset` in the file.
    pub(crate) fn new(source: R, marker: u32, offset: u64) -> FrameReader<R> {
        FrameReader {
            source,
            marker: marker.to_le_bytes(),
            buffer: Vec::new(),
            start: 0,
            offset,
            at_end: false,
        }
    }

    /// The next frame or damaged range; `None` at the end of the file. An I/O error ends the segment: what
    /// cannot be read counts as damage to the caller.
    pub(crate) fn next_found(&mut self) -> io::Result<Option<Found<'_>>> {
        self.fill(1)?;
        if self.available() == 0 {
            return Ok(None);
        }
        if let Some((length, kind)) = self.sound_frame()? {
            return Ok(Some(self.take_frame(length, kind)));
        }
        let (offset, before) = (self.offset, self.offset);
        loop {
            self.skip_to_next_marker()?;
            if self.available() == 0 {
                let bytes = self.offset - before;
                return Ok(Some(Found::Damage { offset, bytes, tail: true }));
            }
            if self.sound_frame()?.is_some() {
                let bytes = self.offset - before;
                return Ok(Some(Found::Damage { offset, bytes, tail: false }));
            }
        }
    }

    fn available(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Payload length and kind of the frame at `start`, if there is a sound one.
    fn sound_frame(&mut self) -> io::Result<Option<(usize, FrameKind)>> {
        self.fill(FRAME_HEADER_BYTES)?;
        let Some(header) = self.buffer.get(self.start..self.start + FRAME_HEADER_BYTES) else {
            return Ok(None);
        };
        let length = u32_at(header, 4) as usize;
        let Some(kind) = FrameKind::from_number(header[20]) else { return Ok(None) };
        if header[..4] != self.marker || length > PAYLOAD_BYTES_MAX {
            return Ok(None);
        }
        self.fill(FRAME_HEADER_BYTES + length)?;
        let Some(frame) = self.buffer.get(self.start..self.start + FRAME_HEADER_BYTES + length) else {
            return Ok(None);
        };
        Ok((u32_at(frame, 8) == checksum(frame)).then_some((length, kind)))
    }

    fn take_frame(&mut self, length: usize, kind: FrameKind) -> Found<'_> {
        let (start, offset) = (self.start, self.offset);
        self.consume(FRAME_HEADER_BYTES + length);
        let frame = &self.buffer[start..start + FRAME_HEADER_BYTES + length];
        let mut lsn = [0; 8];
        lsn.copy_from_slice(&frame[12..20]);
        Found::Frame { offset, lsn: Lsn::from_le_bytes(lsn), kind, payload: &frame[FRAME_HEADER_BYTES..] }
    }

    /// Moves at least one byte on, to the next marker or the end of the file.
    fn skip_to_next_marker(&mut self) -> io::Result<()> {
        self.consume(1);
        loop {
            self.fill(self.marker.len())?;
            let left = &self.buffer[self.start..];
            if let Some(distance) = left.windows(self.marker.len()).position(|window| window == self.marker) {
                self.consume(distance);
                return Ok(());
            }
            let keep = if self.at_end { 0 } else { self.marker.len() - 1 };
            self.consume(left.len().saturating_sub(keep));
            if self.at_end {
                return Ok(());
            }
            self.fill(self.marker.len() + READ_BYTES)?;
        }
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads until `wanted` bytes are available or the file ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.available() >= wanted || self.at_end {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < wanted && !self.at_end {
            let goal = (wanted - self.buffer.len()).max(READ_BYTES) as u64;
            // `take` + `read_to_end` grows the buffer with what is there, never with what a length claims.
            let read = self.source.by_ref().take(goal).read_to_end(&mut self.buffer)?;
            self.at_end = (read as u64) < goal;
        }
        Ok(())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
