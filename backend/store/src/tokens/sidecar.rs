//! The bytes of a sidecar: the token filters of one data file, bound to it by size and checksum.
//!
//! ```text
//! offset  bytes
//!  0      4       "ATBF"
//!  4      2       version of this format, 1
//!  6      2       version of the tokenizer, 1
//!  8      8       bytes of the whole sidecar
//! 16      8       bytes of the data file
//! 24      4       CRC-32C of the data file
//! 28      4       number n of row groups, at least 1
//! 32      24·(n+1) entries: of the whole file, then of each row group
//! …       4       CRC-32C of everything before
//! …               filters, in the order of the entries
//!
//! entry:  8 rows, 8 distinct tokens, 4 blocks of the filter (32 bytes each), 4 CRC-32C of the filter
//! ```
//!
//! All numbers are little-endian. An entry with 0 blocks has no filter: a row group's is then the file's, and
//! the file's is "whatever a row group may hold". The filter of the whole file comes first, so that it can be
//! read without the others.

use std::ops::Range;
use std::sync::Arc;

use super::bloom::{BLOCK_BYTES, BLOCKS_MAX, Bloom};

const MAGIC: [u8; 4] = *b"ATBF";
const VERSION: u16 = 1;
/// Changes with every change of what a token is; sidecars of other tokenizers are of no use.
const TOKENIZER: u16 = 1;
/// Bytes before the entries.
const FIXED_BYTES: usize = 32;
const ENTRY_BYTES: usize = 24;
/// Most row groups of a file.
const GROUPS_MAX: usize = 1 << 16;
/// Largest sidecar.
pub(crate) const SIDECAR_BYTES_MAX: u64 = 512 << 20;

/// The data file a sidecar is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Size in bytes.
    pub(crate) size: u64,
    /// CRC-32C of the whole file.
    pub(crate) crc32c: u32,
}

/// What the entries say, without the filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) subject: Subject,
    file: Entry,
    groups: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    rows: u64,
    tokens: u64,
    blocks: u32,
    crc32c: u32,
}

/// The filters of one data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sidecar {
    pub(crate) subject: Subject,
    /// Of the whole file; always there where there is one row group.
    pub(crate) file: Option<Arc<Bloom>>,
    /// One a row group; empty where the file's filter is the one of its only row group.
    pub(crate) groups: Arc<[Bloom]>,
    /// Rows of each row group.
    pub(crate) group_rows: Arc<[u64]>,
    /// Distinct tokens of the whole file.
    pub(crate) tokens: u64,
    /// Distinct tokens of each row group.
    pub(crate) group_tokens: Vec<u64>,
}

/// What is wrong with the bytes.
pub(crate) type Reason = &'static str;

impl Sidecar {
    /// The bytes of the sidecar object.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut filters = Vec::new();
        let mut entry = |rows: u64, tokens: u64, bloom: Option<&Bloom>| {
            let start = filters.len();
            if let Some(bloom) = bloom {
                bloom.encode(&mut filters);
            }
            let blocks = bloom.map_or(0, |bloom| u32::try_from(bloom.blocks()).unwrap_or(0));
            Entry { rows, tokens, blocks, crc32c: crc32c::crc32c(&filters[start..]) }
        };
        let mut entries = vec![entry(self.group_rows.iter().sum(), self.tokens, self.file.as_deref())];
        for (i, rows) in self.group_rows.iter().enumerate() {
            let tokens = self.group_tokens.get(i).copied().unwrap_or(0);
            entries.push(entry(*rows, tokens, self.groups.get(i)));
        }
        let length = header_bytes(self.group_rows.len()) + filters.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(TOKENIZER.to_le_bytes());
        bytes.extend((length as u64).to_le_bytes());
        bytes.extend(self.subject.size.to_le_bytes());
        bytes.extend(self.subject.crc32c.to_le_bytes());
        bytes.extend(u32::try_from(self.group_rows.len()).unwrap_or(u32::MAX).to_le_bytes());
        for entry in entries {
            bytes.extend(entry.rows.to_le_bytes());
            bytes.extend(entry.tokens.to_le_bytes());
            bytes.extend(entry.blocks.to_le_bytes());
            bytes.extend(entry.crc32c.to_le_bytes());
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.append(&mut filters);
        bytes
    }

    /// The filters in a whole sidecar. Trusts nothing: allocates no more than `bytes` holds.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Sidecar, Reason> {
        let header = Header::decode(bytes, bytes.len() as u64)?;
        let file = header.file_filter(bytes)?;
        let groups = header.group_filters(bytes)?;
        Ok(Sidecar { file, groups, ..header.without_filters() })
    }
}

impl Header {
    /// Reads the entries from the start of a sidecar of `length` bytes.
    pub(crate) fn decode(bytes: &[u8], length: u64) -> Result<Header, Reason> {
        let fixed = bytes.get(..FIXED_BYTES).ok_or("it is too short")?;
        if fixed[..4] != MAGIC {
            return Err("it does not begin like a token sidecar");
        }
        if fixed[4..6] != VERSION.to_le_bytes() || fixed[6..8] != TOKENIZER.to_le_bytes() {
            return Err("it is of another version");
        }
        if long(fixed, 8) != length || length > SIDECAR_BYTES_MAX {
            return Err("its length is not the one it was written with");
        }
        let groups = int(fixed, 28) as usize;
        if groups == 0 || groups > GROUPS_MAX {
            return Err("its number of row groups is out of bounds");
        }
        let head = bytes.get(..header_bytes(groups)).ok_or("its header is cut off")?;
        let (content, crc) = head.split_at(head.len() - 4);
        if crc32c::crc32c(content) != int(crc, 0) {
            return Err("the checksum of its header is wrong");
        }
        let (entries, _) = content[FIXED_BYTES..].as_chunks::<ENTRY_BYTES>();
        let entry = |bytes: &[u8; ENTRY_BYTES]| Entry {
            rows: long(bytes, 0),
            tokens: long(bytes, 8),
            blocks: int(bytes, 16),
            crc32c: int(bytes, 20),
        };
        let header = Header {
            subject: Subject { size: long(fixed, 16), crc32c: int(fixed, 24) },
            file: entry(&entries[0]),
            groups: entries[1..].iter().map(entry).collect(),
        };
        header.check(length)
    }

    fn check(self, length: u64) -> Result<Header, Reason> {
        let entries = || self.groups.iter().chain([&self.file]);
        if entries().any(|entry| entry.blocks as usize > BLOCKS_MAX) {
            return Err("one of its filters is too large");
        }
        let blocks: u64 = entries().map(|entry| u64::from(entry.blocks)).sum();
        if header_bytes(self.groups.len()) as u64 + blocks * BLOCK_BYTES as u64 != length {
            return Err("its filters do not fill it");
        }
        let rows = self.groups.iter().try_fold(0u64, |sum, entry| sum.checked_add(entry.rows));
        if rows != Some(self.file.rows) {
            return Err("its row counts do not add up");
        }
        let own = self.groups.iter().filter(|entry| entry.blocks > 0).count();
        let only_file = own == 0 && self.groups.len() == 1 && self.file.blocks > 0;
        if only_file || own == self.groups.len() { Ok(self) } else { Err("some of its filters are missing") }
    }

    /// Bytes from the start that hold the entries and the filter of the whole file.
    pub(crate) fn file_part_bytes(&self) -> usize {
        self.file_range().end
    }

    fn file_range(&self) -> Range<usize> {
        let start = header_bytes(self.groups.len());
        start..start + self.file.bytes()
    }

    /// The filter of the whole file, from the start of the sidecar.
    pub(crate) fn file_filter(&self, bytes: &[u8]) -> Result<Option<Arc<Bloom>>, Reason> {
        if self.file.blocks == 0 {
            return Ok(None);
        }
        self.file.filter(bytes, self.file_range()).map(|bloom| Some(Arc::new(bloom)))
    }

    /// The filters of the row groups, from a whole sidecar.
    pub(crate) fn group_filters(&self, bytes: &[u8]) -> Result<Arc<[Bloom]>, Reason> {
        let mut start = self.file_range().end;
        let mut filters = Vec::new();
        for entry in self.groups.iter().filter(|entry| entry.blocks > 0) {
            filters.push(entry.filter(bytes, start..start + entry.bytes())?);
            start += entry.bytes();
        }
        Ok(filters.into())
    }

    /// What is known without the filters.
    pub(crate) fn without_filters(&self) -> Sidecar {
        Sidecar {
            subject: self.subject,
            file: None,
            groups: Arc::new([]),
            group_rows: self.groups.iter().map(|entry| entry.rows).collect(),
            tokens: self.file.tokens,
            group_tokens: self.groups.iter().map(|entry| entry.tokens).collect(),
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        self.blocks as usize * BLOCK_BYTES
    }

    fn filter(&self, bytes: &[u8], range: Range<usize>) -> Result<Bloom, Reason> {
        let bytes = bytes.get(range).ok_or("one of its filters is cut off")?;
        if crc32c::crc32c(bytes) != self.crc32c {
            return Err("the checksum of a filter is wrong");
        }
        Bloom::decode(bytes).ok_or("one of its filters is empty")
    }
}

fn header_bytes(groups: usize) -> usize {
    FIXED_BYTES + ENTRY_BYTES * (groups + 1) + 4
}

/// The number at `at`, which must lie inside.
fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(int(bytes, at)) | u64::from(int(bytes, at + 4)) << 32
}

fn int(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Entry for fuzzing: reads `data` as a sidecar and asks every filter something, also with a length and checksums
/// that are right, since other bytes come no further than these.
#[doc(hidden)]
pub fn fuzz_sidecar(data: &[u8]) {
    ask(data);
    ask(&sealed(data));
}

fn ask(data: &[u8]) {
    if let Ok(sidecar) = Sidecar::decode(data) {
        let filters = sidecar.file.iter().map(AsRef::as_ref).chain(sidecar.groups.iter());
        let yes = filters.filter(|bloom| bloom.may_hold(u64::MAX)).count();
        assert!(yes <= sidecar.group_rows.len() + 1 && sidecar.encode() == data);
    }
}

/// The bytes with the length and the checksums that belong to them, as far as they hold the parts of a sidecar.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if bytes.len() < FIXED_BYTES {
        return bytes;
    }
    bytes[8..16].copy_from_slice(&(data.len() as u64).to_le_bytes());
    let groups = int(&bytes, 28) as usize;
    let header_end = header_bytes(groups);
    if bytes.len() < header_end {
        return bytes;
    }
    let mut start = header_end;
    for entry in 0..=groups {
        let at = FIXED_BYTES + entry * ENTRY_BYTES;
        let end = start + int(&bytes, at + 16) as usize * BLOCK_BYTES;
        let Some(filter) = bytes.get(start..end) else { break };
        let crc = crc32c::crc32c(filter);
        bytes[at + 20..at + 24].copy_from_slice(&crc.to_le_bytes());
        start = end;
    }
    let crc = crc32c::crc32c(&bytes[..header_end - 4]);
    bytes[header_end - 4..header_end].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests;
