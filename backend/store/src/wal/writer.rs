//! Appends groups of records to the current segment, one fsync a group.
//!
//! A group is built in memory ([`Writer::define`], [`Writer::push`]) and then committed in one write. Where
//! the write or the fsync fails, none of the group counts as stored, the segment is given up, and its LSNs
//! are declared void at the start of the next segment that can be made.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::Arc;

use model::Labels;

use super::Lsn;
use super::definitions;
use super::disk::{Append, Disk};
use super::frame::{FrameKind, put_frame};
use super::segment::{SegmentName, header};
use super::wire::put_u64;

/// Most label sets in one definitions record.
const DEFINITIONS_MAX: usize = 4096;

/// Where the next process starts: what a replay found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    /// The next record's number.
    pub(crate) next_lsn: Lsn,
    /// The next segment's number.
    pub(crate) next_sequence: u64,
    /// Segments that exist, with their size and the first LSN of each; the order is that of the sequence.
    pub(crate) segments: Vec<OldSegment>,
}

/// A segment that is not written to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OldSegment {
    pub(crate) name: SegmentName,
    /// First LSN it may hold.
    pub(crate) first_lsn: Lsn,
    pub(crate) bytes: u64,
}

/// Segments and bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskUse {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
}

/// The log's writing side; owned by one thread.
#[derive(Debug)]
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    old: BTreeMap<u64, OldSegment>,
    current: Option<Current>,
    /// Rises with every segment, so that dictionary numbers of earlier segments are not taken for this one's.
    epoch: u32,
    next_lsn: Lsn,
    next_sequence: u64,
    next_number: u32,
    voids: Vec<(Lsn, Lsn)>,
    group: Vec<u8>,
    group_first_lsn: Lsn,
    undefined: Vec<Labels>,
    failures: u64,
}

#[derive(Debug)]
struct Current {
    name: SegmentName,
    file: Box<dyn Append>,
    first_lsn: Lsn,
    bytes: u64,
    /// Whether the directory entry survives a power cut.
    entry_synced: bool,
    /// How many of the pending voids this segment's first group carries.
    voids_written: usize,
}

impl Writer {
    /// Continues behind `position`, always in a new segment.
    pub(crate) fn new(disk: Arc<dyn Disk>, segment_bytes: u64, position: Position) -> Writer {
        let old = position.segments.into_iter().map(|segment| (segment.name.sequence, segment)).collect();
        Writer {
            disk,
            segment_bytes,
            old,
            current: None,
            epoch: 0,
            next_lsn: position.next_lsn.max(1),
            next_sequence: position.next_sequence,
            next_number: 0,
            voids: Vec::new(),
            group: Vec::new(),
            group_first_lsn: position.next_lsn.max(1),
            undefined: Vec::new(),
            failures: 0,
        }
    }

    /// Starts a group: makes sure there is a segment with room. Fails where none can be made; then nothing
    /// was written and no LSN was used.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        self.group.clear();
        self.undefined.clear();
        self.group_first_lsn = self.next_lsn;
        if self.current.as_ref().is_some_and(|current| current.bytes >= self.segment_bytes) {
            self.retire();
        }
        if self.current.is_none() {
            self.start_segment().inspect_err(|_| self.failures += 1)?;
        }
        Ok(())
    }

    /// Names the dictionary that [`Writer::define`] numbers belong to.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Gives a label set its number in the current segment; it is written before the next record.
    pub(crate) fn define(&mut self, labels: &Labels) -> u32 {
        self.undefined.push(Labels::clone(labels));
        self.next_number += 1;
        self.next_number - 1
    }

    /// Adds a record to the group; `write` appends its payload.
    pub(crate) fn push(&mut self, kind: FrameKind, write: impl FnOnce(&mut Vec<u8>)) -> Lsn {
        self.put_definitions();
        let lsn = self.next_lsn;
        self.next_lsn += 1;
        let marker = self.marker();
        put_frame(&mut self.group, marker, lsn, kind, write);
        lsn
    }

    /// Bytes of the group so far.
    pub(crate) fn group_bytes(&self) -> usize {
        self.group.len()
    }

    /// Writes and fsyncs the group. After an error the group counts as not stored, for good.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        let group = mem::take(&mut self.group);
        let result = self.write_group(&group);
        self.group = group;
        if result.is_err() {
            self.failures += 1;
            self.void_group();
            self.give_up_segment();
        }
        result
    }

    /// Removes segments that hold nothing beyond `lsn`; never the current one.
    pub(crate) fn trim(&mut self, lsn: Lsn) -> io::Result<usize> {
        let mut ends: Vec<(u64, Lsn)> = Vec::new();
        let firsts: Vec<Lsn> = self.old.values().map(|segment| segment.first_lsn).skip(1).collect();
        let last_end = self.current.as_ref().map_or(self.next_lsn, |current| current.first_lsn);
        for (sequence, end) in self.old.keys().zip(firsts.into_iter().chain([last_end])) {
            ends.push((*sequence, end));
        }
        let mut removed = 0;
        for (sequence, _) in ends.into_iter().take_while(|(_, end)| *end <= lsn + 1) {
            self.disk.remove(&self.old[&sequence].name.file_name())?;
            self.old.remove(&sequence);
            removed += 1;
        }
        if removed > 0 {
            self.disk.sync_dir()?;
        }
        Ok(removed)
    }

    /// Segments and bytes on disk.
    pub(crate) fn disk_use(&self) -> DiskUse {
        let old: u64 = self.old.values().map(|segment| segment.bytes).sum();
        let current = self.current.as_ref();
        DiskUse {
            segments: self.old.len() as u64 + u64::from(current.is_some()),
            bytes: old + current.map_or(0, |current| current.bytes),
        }
    }

    /// Number of the last record handed out.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.next_lsn - 1
    }

    /// Groups that failed and segments that could not be made.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    fn marker(&self) -> u32 {
        self.current.as_ref().map_or(0, |current| current.name.marker)
    }

    fn put_definitions(&mut self) {
        let undefined = mem::take(&mut self.undefined);
        let mut first = self.next_number - undefined.len() as u32;
        let marker = self.marker();
        for sets in undefined.chunks(DEFINITIONS_MAX) {
            for _copy in 0..2 {
                put_frame(&mut self.group, marker, self.next_lsn, FrameKind::Definitions, |out| {
                    definitions::encode(first, sets, out);
                });
            }
            first += sets.len() as u32;
        }
    }

    fn write_group(&mut self, group: &[u8]) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Err(io::Error::other("no open segment")) };
        // Counted before the write: whatever part of it lands takes room on the disk.
        current.bytes += group.len() as u64;
        current.file.append(group)?;
        current.file.sync()?;
        if !current.entry_synced {
            self.disk.sync_dir()?;
            current.entry_synced = true;
        }
        self.voids.drain(..mem::take(&mut current.voids_written));
        Ok(())
    }

    fn start_segment(&mut self) -> io::Result<()> {
        let name = SegmentName { sequence: self.next_sequence, marker: random_marker() };
        self.next_sequence += 1;
        let mut start = header(name.marker, self.next_lsn).to_vec();
        for (first, last) in &self.voids {
            put_frame(&mut start, name.marker, *last, FrameKind::Void, |out| {
                put_u64(out, *first);
                put_u64(out, *last);
            });
        }
        let mut file = self.disk.create(&name.file_name())?;
        if let Err(error) = file.append(&start) {
            // A segment without header is harmless, but on a full disk every byte counts.
            let _ = self.disk.remove(&name.file_name());
            return Err(error);
        }
        self.epoch += 1;
        self.next_number = 0;
        self.current = Some(Current {
            name,
            file,
            first_lsn: self.next_lsn,
            bytes: start.len() as u64,
            entry_synced: false,
            voids_written: self.voids.len(),
        });
        Ok(())
    }

    /// Remembers that the group's LSNs must not be replayed.
    fn void_group(&mut self) {
        if self.next_lsn == self.group_first_lsn {
            return;
        }
        let last = self.next_lsn - 1;
        match self.voids.last_mut() {
            Some(before) if before.1 + 1 == self.group_first_lsn => before.1 = last,
            _ => self.voids.push((self.group_first_lsn, last)),
        }
    }

    /// Leaves the current segment after a failure; one that never held a stored group is removed, so that a
    /// full disk does not fill up with attempts.
    fn give_up_segment(&mut self) {
        let Some(current) = self.current.take() else { return };
        if current.entry_synced || self.disk.remove(&current.name.file_name()).is_err() {
            self.current = Some(current);
            self.retire();
        }
    }

    /// Stops writing to the current segment.
    fn retire(&mut self) {
        if let Some(current) = self.current.take() {
            let Current { name, first_lsn, bytes, .. } = current;
            self.old.insert(name.sequence, OldSegment { name, first_lsn, bytes });
        }
    }
}

/// Four bytes a client cannot guess; never zero, so that holes a crash left do not look like markers.
fn random_marker() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    loop {
        let marker = RandomState::new().hash_one(0u8) as u32;
        if marker != 0 {
            return marker;
        }
    }
}
