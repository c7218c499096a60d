//! Reads back what the log holds, after a stop of any kind.
//!
//! Segments are read in order, frame by frame. Damaged bytes are skipped, counted and named; nothing that
//! is found on disk makes this panic, refuse, or use memory for more than one frame, one segment's
//! dictionary and the list of batch names.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use model::Batch;

use super::Lsn;
use super::codec::{self, Origin};
use super::definitions::Dictionary;
use super::disk::Disk;
use super::frame::{FRAME_HEADER_BYTES, Found, FrameKind, FrameReader};
use super::segment::{HEADER_BYTES, SegmentName, newer_version, read_header};
use super::wire::{Reader, WireError};
use super::writer::{OldSegment, Position};
use crate::dedup::{BatchKey, batch_key};

/// Damaged ranges listed in a report; more are only counted.
const DAMAGES_MAX: usize = 100;

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Segments read.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Records brought back to the head.
    pub batches: u64,
    /// Rows in them, before those already committed were left out.
    pub rows: u64,
    /// Records whose group had failed, left out.
    pub voided: u64,
    /// Records that repeat an earlier record's source and batch id, left out.
    pub repeated: u64,
    /// Records that are sound but do not decode, or whose label definitions are lost.
    pub undecodable: u64,
    /// Damaged ranges in the middle of segments.
    pub damaged_ranges: u64,
    /// Bytes in them.
    pub damaged_bytes: u64,
    /// Segments that end in an unfinished record, as after a crash.
    pub torn_tails: u64,
    /// Bytes in them.
    pub torn_bytes: u64,
    /// Where the first damages are.
    pub damages: Vec<Damage>,
}

/// How far a replay has come; written by the thread that reads, read by anybody.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    segments_total: AtomicU64,
    segments: AtomicU64,
    bytes_total: AtomicU64,
    bytes: AtomicU64,
}

impl ReplayProgress {
    /// Segments read so far, and segments there are; both 0 until the log has been listed.
    pub fn segments(&self) -> (u64, u64) {
        (self.segments.load(Relaxed), self.segments_total.load(Relaxed))
    }

    /// Bytes read so far, and bytes there are.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes.load(Relaxed), self.bytes_total.load(Relaxed))
    }

    fn begin(&self, disk: &dyn Disk, segments: &[SegmentName]) {
        let size = |name: &SegmentName| disk.size(&name.file_name()).unwrap_or(0);
        self.bytes_total.store(segments.iter().map(size).sum(), Relaxed);
        self.segments_total.store(segments.len() as u64, Relaxed);
    }
}

/// One skipped range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// File name of the segment.
    pub segment: String,
    /// Start of the range in the file, bytes.
    pub offset: u64,
    /// Length of the range, bytes.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
}

/// What a replay does with the records it finds.
pub(crate) trait Sink {
    /// Whether any row of the record `lsn` is still to be brought back.
    fn wants(&self, lsn: Lsn) -> bool;
    /// A named batch was seen, wanted or not.
    fn origin(&mut self, lsn: Lsn, origin: &Origin);
    /// A record's content, in order of LSN within each segment.
    fn batch(&mut self, lsn: Lsn, received_ms: i64, batch: Batch);
}

/// The first segment that a later version of this program has written, and its version. Such a log must not be
/// replayed: what is not understood would be left out, and the segment removed with the next flush.
pub(crate) fn newer_segment(disk: &dyn Disk) -> io::Result<Option<(String, u8)>> {
    let mut names = disk.list()?;
    names.sort_unstable();
    for name in names {
        let Some(SegmentName { marker, .. }) = SegmentName::parse(&name) else { continue };
        let mut header = Vec::with_capacity(HEADER_BYTES);
        // A segment that cannot be read is the replay's business, which counts it as damaged.
        let read = disk.open(&name).and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header));
        if let (Ok(_), Some(version)) = (read, newer_version(&header, marker)) {
            return Ok(Some((name, version)));
        }
    }
    Ok(None)
}

/// Replays all segments into `sink`, at a start, and tells `progress` how far it is. Fails only where the
/// directory cannot be listed.
pub(crate) fn replay(
    disk: &dyn Disk,
    sink: &mut dyn Sink,
    progress: &ReplayProgress,
) -> io::Result<(Position, ReplayReport)> {
    read_segments(disk, sink, Some(progress))
}

/// Reads the log once more while it is being written; what is not finished at its end is left out.
pub(crate) fn read_again(disk: &dyn Disk, sink: &mut dyn Sink) -> io::Result<()> {
    read_segments(disk, sink, None).map(|_| ())
}

fn read_segments(
    disk: &dyn Disk,
    sink: &mut dyn Sink,
    progress: Option<&ReplayProgress>,
) -> io::Result<(Position, ReplayReport)> {
    let mut segments: Vec<SegmentName> =
        disk.list()?.iter().filter_map(|name| SegmentName::parse(name)).collect();
    segments.sort_unstable();
    let mut replay = Replay {
        disk,
        sink,
        progress,
        report: ReplayReport::default(),
        voids: Vec::new(),
        seen: HashSet::new(),
    };
    for name in &segments {
        replay.collect_voids(*name);
    }
    let mut position = Position::default();
    let mut last_lsn = 0;
    if let Some(progress) = progress {
        progress.begin(disk, &segments);
        make_lasting(disk, &segments);
    }
    for name in &segments {
        let (first_lsn, segment_last_lsn) = replay.segment(*name, last_lsn + 1);
        last_lsn = last_lsn.max(segment_last_lsn).max(first_lsn.saturating_sub(1));
        let bytes = disk.size(&name.file_name()).unwrap_or(0);
        position.segments.push(OldSegment { name: *name, first_lsn, bytes });
        position.next_sequence = name.sequence + 1;
    }
    position.next_lsn = last_lsn + 1;
    Ok((position, replay.report))
}

/// After a kill the log may hold records that were written and not yet synced. They come back now, and their
/// senders will be told that they are stored, so they must not vanish with the next power cut.
fn make_lasting(disk: &dyn Disk, segments: &[SegmentName]) {
    let sync = |name: &SegmentName| disk.sync(&name.file_name());
    if let Err(error) = segments.iter().try_for_each(sync).and_then(|()| disk.sync_dir()) {
        tracing::error!(%error, "log segments of the last run cannot be synced");
    }
}

struct Replay<'a> {
    disk: &'a dyn Disk,
    sink: &'a mut dyn Sink,
    /// There at a start, when damage is news.
    progress: Option<&'a ReplayProgress>,
    report: ReplayReport,
    voids: Vec<(Lsn, Lsn)>,
    seen: HashSet<BatchKey>,
}

impl Replay<'_> {
    /// Void records stand at the start of the segment behind the one they speak of, so they are read first.
    fn collect_voids(&mut self, name: SegmentName) {
        let Ok(file) = self.disk.open(&name.file_name()) else { return };
        let mut frames = FrameReader::new(file, name.marker, 0);
        let mut in_header = true;
        loop {
            match frames.next_found() {
                Ok(Some(Found::Damage { .. })) if in_header => in_header = false,
                Ok(Some(Found::Frame { kind: FrameKind::Void, payload, .. })) => {
                    in_header = false;
                    let mut reader = Reader::new(payload);
                    if let (Ok(first), Ok(last)) = (reader.u64(), reader.u64()) {
                        self.voids.push((first, last));
                    }
                }
                _ => return,
            }
        }
    }

    /// Replays one segment; gives the first LSN it may hold and the last it does hold.
    fn segment(&mut self, name: SegmentName, expected_lsn: Lsn) -> (Lsn, Lsn) {
        self.report.segments += 1;
        let mut first_lsn = expected_lsn;
        let mut last_lsn = 0;
        match self.read_segment(name, &mut first_lsn, &mut last_lsn) {
            Ok(bytes) => self.report.bytes += bytes,
            Err(error) => self.damage(name, 0, 0, &format!("cannot be read: {error}")),
        }
        if let Some(progress) = self.progress {
            progress.segments.fetch_add(1, Relaxed);
        }
        (first_lsn, last_lsn)
    }

    fn read_segment(
        &mut self,
        name: SegmentName,
        first_lsn: &mut Lsn,
        last_lsn: &mut Lsn,
    ) -> io::Result<u64> {
        let mut file = self.disk.open(&name.file_name())?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut header)?;
        match read_header(&header, name.marker) {
            Some(lsn) => *first_lsn = lsn,
            None if header.len() < HEADER_BYTES => {
                self.torn_tail(name, 0, header.len() as u64);
                return Ok(header.len() as u64);
            }
            None => self.damage(name, 0, HEADER_BYTES as u64, "segment header"),
        }
        let mut frames = FrameReader::new(file, name.marker, HEADER_BYTES as u64);
        let mut dictionary = Dictionary::default();
        let mut end = HEADER_BYTES as u64;
        loop {
            match frames.next_found()? {
                None => return Ok(end),
                Some(Found::Damage { offset, bytes, tail }) => {
                    end = offset + bytes;
                    if tail {
                        self.torn_tail(name, offset, bytes)
                    } else {
                        self.damage(name, offset, bytes, "frame")
                    }
                }
                Some(Found::Frame { offset, lsn, kind, payload }) => {
                    let bytes = (FRAME_HEADER_BYTES + payload.len()) as u64;
                    if let Some(progress) = self.progress {
                        progress.bytes.fetch_add((offset + bytes).saturating_sub(end), Relaxed);
                    }
                    end = offset + bytes;
                    if kind == FrameKind::Batch && lsn < Lsn::MAX {
                        *last_lsn = lsn.max(*last_lsn);
                    }
                    if let Err(error) = self.record(lsn, kind, payload, &mut dictionary) {
                        self.report.undecodable += 1;
                        self.damage(name, offset, bytes, &format!("record does not decode: {error}"));
                    }
                }
            }
        }
    }

    fn record(
        &mut self,
        lsn: Lsn,
        kind: FrameKind,
        payload: &[u8],
        dictionary: &mut Dictionary,
    ) -> Result<(), WireError> {
        match kind {
            FrameKind::Void => Ok(()),
            FrameKind::Definitions => dictionary.learn(payload),
            // No number would be left for what is written next.
            FrameKind::Batch if lsn == Lsn::MAX => Err(WireError::Number),
            FrameKind::Batch if self.is_void(lsn) => {
                self.report.voided += 1;
                Ok(())
            }
            FrameKind::Batch => self.batch(lsn, payload, dictionary),
        }
    }

    fn batch(&mut self, lsn: Lsn, payload: &[u8], dictionary: &Dictionary) -> Result<(), WireError> {
        let origin = codec::decode_origin(payload)?;
        let key = origin.batch_id.as_deref().map(|id| batch_key(&origin.source, id));
        if let Some(key) = key
            && self.seen.contains(&key)
        {
            self.report.repeated += 1;
            return Ok(());
        }
        if self.sink.wants(lsn) {
            let (received_ms, batch) = codec::decode(payload, dictionary)?;
            self.report.batches += 1;
            self.report.rows += batch.rows() as u64;
            self.sink.batch(lsn, received_ms, batch);
        }
        if let Some(key) = key {
            self.seen.insert(key);
            self.sink.origin(lsn, &origin);
        }
        Ok(())
    }

    fn is_void(&self, lsn: Lsn) -> bool {
        self.voids.iter().any(|(first, last)| (*first..=*last).contains(&lsn))
    }

    fn torn_tail(&mut self, name: SegmentName, offset: u64, bytes: u64) {
        self.report.torn_tails += 1;
        self.report.torn_bytes += bytes;
        if self.progress.is_some() {
            tracing::warn!(
                segment = name.file_name(),
                offset,
                bytes,
                "log segment ends in an unfinished record"
            );
        }
        self.list(name, offset, bytes, "unfinished record at the end");
    }

    fn damage(&mut self, name: SegmentName, offset: u64, bytes: u64, what: &str) {
        self.report.damaged_ranges += 1;
        self.report.damaged_bytes += bytes;
        if self.progress.is_some() {
            tracing::error!(
                segment = name.file_name(),
                offset,
                bytes,
                what,
                "damaged bytes in the log skipped"
            );
        }
        self.list(name, offset, bytes, what);
    }

    fn list(&mut self, name: SegmentName, offset: u64, bytes: u64, what: &str) {
        if self.report.damages.len() < DAMAGES_MAX {
            let segment = name.file_name();
            self.report.damages.push(Damage { segment, offset, bytes, what: what.to_owned() });
        }
    }
}
