//! Remembers which batches were stored, so that one sent twice is stored once.
//!
//! Comes in: (source, batch id) of every stored batch with its arrival time. Goes out: whether a batch was
//! stored within the last 24 hours. The log holds the names of its own batches; before a segment is removed
//! they are written to `<data_dir>/batches/<hour>-<sequence>.ids`, from where the next start reads them.
//!
//! A name is kept as its 128-bit xxh3 hash. Among n remembered batches a new one is taken for a repetition
//! by mistake with a chance of n / 2^128: with two million remembered, 6e-33 a batch.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::wal::disk::Disk;

/// Hash of a batch's source and id.
pub(crate) type BatchKey = u128;

/// How long a batch is remembered, hours, beside the hour it arrived in.
const HOURS: i64 = 24;
const HOUR_MS: i64 = 3_600_000;
/// Key (16 bytes, little-endian) and CRC32C of it.
const RECORD_BYTES: usize = 20;

/// Hash of a batch's source and id.
pub(crate) fn batch_key(source: &str, batch_id: &str) -> BatchKey {
    let mut hasher = Xxh3::new();
    hasher.update(source.as_bytes());
    // 0xff never occurs in UTF-8, so source and id cannot run together.
    hasher.update(&[0xff]);
    hasher.update(batch_id.as_bytes());
    hasher.digest128()
}

/// The batches of the last 24 hours.
#[derive(Debug)]
pub(crate) struct Dedup {
    disk: Arc<dyn Disk>,
    hours: BTreeMap<i64, HashSet<BatchKey>>,
    remembered: usize,
    remembered_max: usize,
    /// Stored, but so far named in the log only.
    unsaved: Vec<(i64, BatchKey)>,
    next_sequence: u64,
    forgotten_early: u64,
}

impl Dedup {
    /// Reads what earlier runs saved. Damaged records are left out; a file that cannot be read is skipped
    /// with a warning, since refusing to start would not bring it back.
    pub(crate) fn open(disk: Arc<dyn Disk>, remembered_max: usize, now_ms: i64) -> io::Result<Dedup> {
        let mut dedup = Dedup {
            disk,
            hours: BTreeMap::new(),
            remembered: 0,
            remembered_max,
            unsaved: Vec::new(),
            next_sequence: 0,
            forgotten_early: 0,
        };
        for name in dedup.disk.list()? {
            let Some((hour, sequence)) = parse_name(&name) else { continue };
            dedup.next_sequence = dedup.next_sequence.max(sequence + 1);
            if hour < oldest_hour(now_ms) {
                continue;
            }
            if let Err(error) = dedup.load(&name, hour) {
                tracing::warn!(file = name, %error, "list of stored batches cannot be read");
            }
        }
        Ok(dedup)
    }

    fn load(&mut self, name: &str, hour: i64) -> io::Result<()> {
        let mut reader = io::BufReader::new(self.disk.open(name)?);
        let (mut record, mut damaged) = ([0; RECORD_BYTES], 0u64);
        while reader.read_exact(&mut record).is_ok() {
            match decode_record(record) {
                Some(key) => self.remember(hour, key),
                None => damaged += 1,
            }
        }
        if damaged > 0 {
            tracing::warn!(file = name, damaged, "damaged records in the list of stored batches skipped");
        }
        Ok(())
    }

    /// Whether this batch was stored before.
    pub(crate) fn contains(&self, key: BatchKey) -> bool {
        self.hours.values().rev().any(|keys| keys.contains(&key))
    }

    /// Notes a batch that is durable in the log.
    pub(crate) fn insert(&mut self, received_ms: i64, key: BatchKey) {
        let hour = received_ms.div_euclid(HOUR_MS);
        self.remember(hour, key);
        self.unsaved.push((hour, key));
    }

    fn remember(&mut self, hour: i64, key: BatchKey) {
        self.remembered += usize::from(self.hours.entry(hour).or_default().insert(key));
        while self.remembered > self.remembered_max && self.hours.len() > 1 {
            if let Some((_, keys)) = self.hours.pop_first() {
                self.remembered -= keys.len();
                self.forgotten_early += keys.len() as u64;
            }
        }
    }

    /// Saves what only the log names, durably; to be done before a log segment is removed. After an error
    /// nothing may be removed from the log.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        let mut by_hour: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
        for (hour, key) in &self.unsaved {
            by_hour.entry(*hour).or_default().extend_from_slice(&encode_record(*key));
        }
        for (hour, records) in &by_hour {
            // Always a new file: one that an earlier attempt may have torn is not appended to.
            let name = file_name(*hour, self.next_sequence);
            self.next_sequence += 1;
            let mut file = self.disk.create(&name)?;
            file.append(records)?;
            file.sync()?;
        }
        if !by_hour.is_empty() {
            self.disk.sync_dir()?;
        }
        self.unsaved.clear();
        Ok(())
    }

    /// Forgets batches older than 24 hours, in memory and on disk.
    pub(crate) fn expire(&mut self, now_ms: i64) -> io::Result<()> {
        let oldest = oldest_hour(now_ms);
        while let Some(entry) = self.hours.first_entry().filter(|entry| *entry.key() < oldest) {
            self.remembered -= entry.remove().len();
        }
        for name in self.disk.list()? {
            if parse_name(&name).is_some_and(|(hour, _)| hour < oldest) {
                self.disk.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Batches remembered.
    pub(crate) fn len(&self) -> usize {
        self.remembered
    }

    /// Batches forgotten before their time because there were too many.
    pub(crate) fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }
}

fn oldest_hour(now_ms: i64) -> i64 {
    now_ms.div_euclid(HOUR_MS) - HOURS
}

fn file_name(hour: i64, sequence: u64) -> String {
    format!("{hour:010}-{sequence:016x}.ids")
}

fn parse_name(name: &str) -> Option<(i64, u64)> {
    let (hour, sequence) = name.strip_suffix(".ids")?.rsplit_once('-')?;
    Some((hour.parse().ok()?, u64::from_str_radix(sequence, 16).ok()?))
}

fn encode_record(key: BatchKey) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..16].copy_from_slice(&key.to_le_bytes());
    let crc = crc32c::crc32c(&record[..16]);
    record[16..].copy_from_slice(&crc.to_le_bytes());
    record
}

fn decode_record(record: [u8; RECORD_BYTES]) -> Option<BatchKey> {
    let (key, crc) = record.split_at(16);
    let sound = crc32c::crc32c(key).to_le_bytes() == crc;
    let key = key.try_into().ok()?;
    sound.then(|| BatchKey::from_le_bytes(key))
}

#[cfg(test)]
mod tests;
