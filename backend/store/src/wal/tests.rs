use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Batch, Labels, Point};

use super::Lsn;
use super::codec::{self, Origin};
use super::disk::{Disk, RealDisk};
use super::frame::{FRAME_HEADER_BYTES, FrameKind, checksum};
use super::replay::{ReplayProgress, ReplayReport, Sink, replay};
use super::segment::{HEADER_BYTES, SegmentName, header, read_header};
use super::sim::{Rng, SimDisk, seeds};
use super::writer::{Position, Writer};

/// Batches by the number in their source, and how often each came.
#[derive(Debug, Default)]
struct Found {
    above: Lsn,
    batches: BTreeMap<u64, Vec<String>>,
    lsns: BTreeMap<u64, Lsn>,
    origins: BTreeSet<String>,
    last_lsn: Lsn,
    /// Whether LSNs rose throughout.
    in_order: bool,
}

impl Sink for Found {
    fn wants(&self, lsn: Lsn) -> bool {
        lsn > self.above
    }

    fn origin(&mut self, _lsn: Lsn, origin: &Origin) {
        self.origins.extend(origin.batch_id.clone());
    }

    fn batch(&mut self, lsn: Lsn, _received_ms: i64, batch: Batch) {
        self.in_order &= lsn > self.last_lsn;
        self.last_lsn = lsn;
        let number = batch.source.parse().unwrap();
        self.lsns.insert(number, lsn);
        self.batches.entry(number).or_default().push(codec::tests::text(&batch));
    }
}

fn read(disk: &SimDisk, above: Lsn) -> (Found, Position, ReplayReport) {
    let mut found = Found { above, in_order: true, ..Found::default() };
    let (position, report) = replay(disk, &mut found, &ReplayProgress::default()).unwrap();
    assert!(found.in_order);
    (found, position, report)
}

/// Writes batches as the engine does, with a dictionary of its own.
struct Log {
    writer: Writer,
    numbers: BTreeMap<Labels, (u32, u32)>,
}

impl Log {
    fn open(disk: &SimDisk, segment_bytes: u64, position: Position) -> Log {
        let writer = Writer::new(Arc::new(disk.clone()), segment_bytes, position);
        Log { writer, numbers: BTreeMap::new() }
    }

    fn push(&mut self, batch: &Batch) -> Lsn {
        let mut series = Vec::new();
        for point in &batch.points {
            let known = self.numbers.entry(point.labels.clone()).or_default();
            if known.0 != self.writer.epoch() {
                *known = (self.writer.epoch(), self.writer.define(&point.labels));
            }
            series.push(known.1);
        }
        self.writer.push(FrameKind::Batch, |out| codec::encode(batch, 0, &series, &[], out))
    }

    fn store(&mut self, batches: &[Batch]) -> std::io::Result<Vec<Lsn>> {
        self.writer.begin()?;
        let lsns = batches.iter().map(|batch| self.push(batch)).collect();
        self.writer.commit().map(|()| lsns)
    }
}

/// The batch with this number: always the same.
fn batch(number: u64) -> Batch {
    let mut rng = Rng(number);
    let points = (0..rng.below(12)).map(|_| Point {
        labels: Labels::from_pairs([("__name__", "m"), ("i", &rng.below(40).to_string())]),
        timestamp_ms: rng.next().cast_signed(),
        value: f64::from_bits(rng.next()),
    });
    Batch { points: points.collect(), ..Batch::new(number.to_string()) }
}

fn numbers(found: &Found) -> Vec<u64> {
    found.batches.keys().copied().collect()
}

#[test]
fn what_is_stored_comes_back_over_segments() {
    let disk = SimDisk::default();
    let mut log = Log::open(&disk, 4_096, Position::default());
    for number in 0..200 {
        log.store(&[batch(number)]).unwrap();
    }
    let segments = disk.list().unwrap().len();
    assert!(segments > 4, "{segments} segments");
    assert_eq!(log.writer.disk_use().segments, segments as u64);
    let (found, position, report) = read(&disk, 0);
    for (number, texts) in &found.batches {
        assert_eq!(*texts, [codec::tests::text(&batch(*number))]);
    }
    assert_eq!((found.batches.len(), position.next_lsn), (200, 201));
    let expect = ReplayReport { segments: segments as u64, batches: 200, ..ReplayReport::default() };
    assert_eq!(ReplayReport { bytes: 0, rows: 0, ..report }, expect);
    let (found, ..) = read(&disk, 150);
    assert_eq!(numbers(&found), (150..200).collect::<Vec<_>>());
}

#[test]
fn the_real_disk_gives_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(&dir.path().join("a/wal")).unwrap());
    let mut writer = Writer::new(Arc::clone(&disk) as Arc<dyn Disk>, 4_096, Position::default());
    for number in 0..50 {
        writer.begin().unwrap();
        let mut of = Vec::new();
        let batch = batch(number);
        batch.points.iter().for_each(|point| of.push(writer.define(&point.labels)));
        writer.push(FrameKind::Batch, |out| codec::encode(&batch, 0, &of, &[], out));
        writer.commit().unwrap();
    }
    let mut found = Found { in_order: true, ..Found::default() };
    let (position, report) = replay(disk.as_ref(), &mut found, &ReplayProgress::default()).unwrap();
    assert_eq!((position.next_lsn, report.batches, found.batches.len()), (51, 50, 50));
    assert_eq!(position.segments.iter().map(|s| s.bytes).sum::<u64>(), report.bytes);
    let mut writer = Writer::new(Arc::clone(&disk) as Arc<dyn Disk>, 4_096, position);
    writer.begin().unwrap();
    assert!(writer.trim(50).unwrap() > 1);
    assert_eq!(disk.list().unwrap().len(), 1);
}

/// One segment with 20 batches; offset and end of every frame of kind batch.
fn one_segment() -> (SimDisk, String, Vec<(usize, usize)>) {
    let disk = SimDisk::default();
    let mut log = Log::open(&disk, 1 << 20, Position::default());
    let mut spans = Vec::new();
    for number in 0..20 {
        log.store(&[batch(number)]).unwrap();
        let name = disk.list().unwrap().remove(0);
        let bytes = disk.bytes(&name);
        let mut payload = Vec::new();
        let of: Vec<u32> = batch(number).points.iter().map(|p| log.numbers[&p.labels].1).collect();
        codec::encode(&batch(number), 0, &of, &[], &mut payload);
        assert!(bytes.ends_with(&payload));
        spans.push((bytes.len() - payload.len() - FRAME_HEADER_BYTES, bytes.len()));
    }
    let name = disk.list().unwrap().remove(0);
    (disk, name, spans)
}

#[test]
fn a_tail_torn_at_any_byte_loses_only_the_last_record() {
    let (disk, name, spans) = one_segment();
    let whole = disk.bytes(&name);
    let (start, end) = spans[19];
    for cut in spans[18].1..end {
        let torn = disk.copy();
        torn.put(&name, whole[..cut].to_vec());
        let (found, position, report) = read(&torn, 0);
        assert_eq!(numbers(&found), (0..19).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(position.next_lsn, 20);
        // Definitions of the last batch may be whole before it.
        let clean = cut == spans[18].1 || report.torn_tails == 0;
        assert!(clean || report.torn_bytes as usize + spans[18].1 <= end, "cut at {cut}");
        assert_eq!(report.torn_tails, u64::from(report.torn_bytes > 0));
        assert!(cut <= start || report.torn_bytes as usize == cut - start, "cut at {cut}");
        assert_eq!(report.damaged_ranges, 0);
    }
}

#[test]
fn a_flipped_bit_loses_at_most_the_record_it_is_in() {
    let (disk, name, spans) = one_segment();
    let whole = disk.bytes(&name);
    let mut rng = Rng(7);
    for round in 0..seeds(1_000).end {
        // Every byte once, as far as the rounds go, then any.
        let at = if (round as usize) < whole.len() {
            round as usize
        } else {
            rng.below(whole.len() as u64) as usize
        };
        let flipped = disk.copy();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << rng.below(8);
        flipped.put(&name, bytes);
        let (found, _, report) = read(&flipped, 0);
        let hit = spans.iter().position(|(start, end)| (*start..*end).contains(&at));
        let expect: Vec<u64> = (0..20).filter(|number| Some(*number as usize) != hit).collect();
        assert_eq!(numbers(&found), expect, "flip at {at}");
        assert_eq!(report.damaged_ranges + report.torn_tails, 1, "flip at {at}: {report:?}");
        assert_eq!(report.damages[0].segment, name);
        assert!(report.damages[0].offset as usize <= at);
        for (number, texts) in &found.batches {
            assert_eq!(*texts, [codec::tests::text(&batch(*number))], "flip at {at}");
        }
    }
}

#[test]
fn random_damage_never_panics_and_never_invents() {
    let (disk, name, _) = one_segment();
    let whole = disk.bytes(&name);
    for seed in seeds(500) {
        let mut rng = Rng(seed);
        let mut bytes = whole.clone();
        for _ in 0..=rng.below(4) {
            let from = rng.below(bytes.len() as u64) as usize;
            let to = (from + rng.below(600) as usize).min(bytes.len());
            match rng.below(4) {
                0 => bytes[from..to].fill(0),
                1 => bytes[from..to].iter_mut().for_each(|byte| *byte = rng.next() as u8),
                2 => drop(bytes.drain(from..to)),
                _ => {
                    let copy = bytes[from..to].to_vec();
                    bytes.splice(from..from, copy);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let damaged = disk.copy();
        damaged.put(&name, bytes);
        let mut found = Found::default();
        replay(&damaged, &mut found, &ReplayProgress::default()).unwrap();
        for (number, texts) in &found.batches {
            let text = codec::tests::text(&batch(*number));
            assert!(texts.iter().all(|found| *found == text), "seed {seed}");
        }
    }
}

#[test]
fn a_frame_in_a_clients_text_is_not_taken_for_one() {
    let disk = SimDisk::default();
    let mut log = Log::open(&disk, 1 << 20, Position::default());
    log.store(&[batch(1)]).unwrap();
    let name = disk.list().unwrap().remove(0);
    // The best a client can do is to send a whole segment of another store as the source of a batch.
    let foreign = disk.bytes(&name);
    let other = SimDisk::default();
    let mut log = Log::open(&other, 1 << 20, Position::default());
    log.writer.begin().unwrap();
    log.writer.push(FrameKind::Batch, |out| out.extend_from_slice(&foreign));
    log.writer.commit().unwrap();
    let name = other.list().unwrap().remove(0);
    let mut bytes = other.bytes(&name);
    bytes[HEADER_BYTES + 9] ^= 1;
    other.put(&name, bytes);
    let (found, _, report) = read(&other, 0);
    assert_eq!((found.batches.len(), report.torn_tails), (0, 1));
}

#[test]
fn a_damaged_header_loses_nothing() {
    let (disk, name, _) = one_segment();
    let mut bytes = disk.bytes(&name);
    bytes[..HEADER_BYTES].fill(0xaa);
    disk.put(&name, bytes);
    let (found, position, report) = read(&disk, 0);
    assert_eq!((found.batches.len(), position.next_lsn, report.damaged_ranges), (20, 21, 1));
}

#[test]
fn a_record_with_the_last_number_leaves_one_for_the_next() {
    let (disk, name, spans) = one_segment();
    let mut bytes = disk.bytes(&name);
    let frame = &mut bytes[spans[10].0..spans[10].1];
    frame[12..20].copy_from_slice(&Lsn::MAX.to_le_bytes());
    let crc = checksum(frame);
    frame[8..12].copy_from_slice(&crc.to_le_bytes());
    disk.put(&name, bytes);
    let (found, position, report) = read(&disk, 0);
    assert_eq!((found.batches.len(), position.next_lsn, report.undecodable), (19, 21, 1));
}

#[test]
fn headers_and_names() {
    let name = SegmentName { sequence: 17, marker: 0xdead_beef };
    assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
    assert_eq!(SegmentName::parse("17-deadbeef.wal"), None);
    assert_eq!(SegmentName::parse("x"), None);
    assert_eq!(read_header(&header(5, 99), 5), Some(99));
    assert_eq!(read_header(&header(5, 99), 6), None);
    assert_eq!(read_header(&header(5, 99)[1..], 5), None);
}

#[test]
fn a_failed_sync_refuses_the_group_for_good() {
    let disk = SimDisk::default();
    let mut log = Log::open(&disk, 1 << 20, Position::default());
    log.store(&[batch(1)]).unwrap();
    disk.fail_syncs(1);
    log.store(&[batch(2), batch(3)]).unwrap_err();
    log.store(&[batch(4)]).unwrap();
    assert_eq!(disk.list().unwrap().len(), 2, "the bad segment is not written to again");
    let (found, position, report) = read(&disk, 0);
    assert_eq!(numbers(&found), [1, 4]);
    assert_eq!((report.voided, position.next_lsn), (2, 5));
}

#[test]
fn a_full_disk_refuses_and_heals_when_there_is_room() {
    let disk = SimDisk::default();
    let mut log = Log::open(&disk, 1 << 20, Position::default());
    log.store(&[batch(1)]).unwrap();
    disk.set_capacity(Some(disk.bytes(&disk.list().unwrap()[0]).len() + 60));
    for number in 2..20 {
        log.store(&[batch(number)]).unwrap_err();
    }
    assert!(disk.list().unwrap().len() <= 2, "attempts leave no files behind");
    disk.set_capacity(None);
    log.store(&[batch(20)]).unwrap();
    let (found, ..) = read(&disk, 0);
    assert_eq!(numbers(&found), [1, 20]);
}

#[test]
fn trim_keeps_what_is_not_committed() {
    let disk = SimDisk::default();
    let mut log = Log::open(&disk, 4_096, Position::default());
    for number in 0..100 {
        log.store(&[batch(number)]).unwrap();
    }
    for upto in [0, 1, 30, 60, 99] {
        log.writer.trim(upto).unwrap();
        let (found, ..) = read(&disk, upto);
        assert_eq!(numbers(&found), (upto..100).collect::<Vec<_>>());
    }
    log.writer.trim(100).unwrap();
    assert_eq!(disk.list().unwrap().len(), 1, "the current segment stays");
}

/// What the model knows of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Stored(Lsn),
    /// Its group failed and a later one was stored: it must stay away.
    Refused,
    /// The power went while it was being written.
    Unknown,
}

#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let (mut stored, mut cuts) = (0, 0);
    for seed in seeds(10_000) {
        let mut rng = Rng(seed);
        let disk = SimDisk::default();
        let mut fates: BTreeMap<u64, Fate> = BTreeMap::new();
        let (mut next, mut committed) = (0, 0);
        for _life in 0..=rng.below(4) {
            let (found, mut position, _) = read(&disk, committed);
            check_power_cut(seed, &found, &mut fates, committed);
            position.next_lsn = position.next_lsn.max(committed + 1);
            let mut log = Log::open(&disk, 1_024, position);
            let mut syncs_failed = false;
            if !rng.one_in(4) {
                disk.cut_power_after(rng.below(60));
            }
            for _ in 0..rng.below(25) {
                match rng.below(12) {
                    0 => {
                        disk.fail_syncs(1);
                        syncs_failed = true;
                    }
                    1 => {
                        // A commit to the tables, then the trim that may follow it.
                        committed = committed.max(log.writer.last_lsn());
                        let _ = log.writer.trim(committed);
                    }
                    _ => {}
                }
                let group: Vec<u64> = (0..=rng.below(3)).map(|i| next + i).collect();
                next += group.len() as u64;
                let batches: Vec<Batch> = group.iter().map(|number| batch(*number)).collect();
                match log.store(&batches) {
                    Ok(lsns) => {
                        fates
                            .values_mut()
                            .filter(|fate| **fate == Fate::Unknown)
                            .for_each(|f| *f = Fate::Refused);
                        fates.extend(group.into_iter().zip(lsns.into_iter().map(Fate::Stored)));
                    }
                    Err(_) => fates.extend(group.into_iter().map(|number| (number, Fate::Unknown))),
                }
            }
            drop(log);
            // A kill leaves the files as they are, a power cut does not. After a failed sync only the latter:
            // a file system that loses pages, a kill before the next group and a power cut on top are more
            // than a log on one disk can bear.
            if !syncs_failed && rng.one_in(3) {
                disk.cut_power_after(u64::MAX);
            } else {
                cuts += 1;
                disk.reboot(&mut rng);
            }
        }
        let (found, ..) = read(&disk, committed);
        check_power_cut(seed, &found, &mut fates, committed);
        stored += fates.values().filter(|fate| matches!(fate, Fate::Stored(_))).count();
    }
    assert!(stored > 20 && cuts > 0, "{stored} stored, {cuts} cuts");
}

fn check_power_cut(seed: u64, found: &Found, fates: &mut BTreeMap<u64, Fate>, committed: Lsn) {
    for (number, texts) in &found.batches {
        assert_eq!(*texts, [codec::tests::text(&batch(*number))], "seed {seed}: batch {number} once, whole");
        assert_ne!(fates.get(number), Some(&Fate::Refused), "seed {seed}: batch {number} was refused");
    }
    for (number, fate) in fates.iter_mut() {
        let present = found.batches.contains_key(number);
        match fate {
            Fate::Stored(lsn) if *lsn > committed => assert!(present, "seed {seed}: batch {number} lost"),
            Fate::Stored(_) => assert!(!present, "seed {seed}: batch {number} came back after its commit"),
            // Whether it made it is known from now on.
            Fate::Unknown if present => *fate = Fate::Stored(found.lsns[number]),
            Fate::Unknown => *fate = Fate::Refused,
            Fate::Refused => {}
        }
    }
}
