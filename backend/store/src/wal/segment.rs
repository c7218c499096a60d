//! Names and headers of log segments.
//!
//! A segment is called `<sequence, 16 hex digits>-<marker, 8 hex digits>.wal` and starts with 24 bytes:
//! magic `ATLWAL\0` + version, marker, first LSN, CRC32C of the 20 bytes before. The
//! marker is drawn at random for every segment, opens every frame and takes part in its checksum, so text
//! that a client sent can never pass for a frame when a damaged segment is read. It is in the name too, so
//! a damaged header loses nothing.

/// Bytes before the first frame.
pub(crate) const HEADER_BYTES: usize = 24;

const MAGIC: [u8; 8] = *b"ATLWAL\0\x01";
/// Where the version stands in the magic.
const VERSION_AT: usize = 7;
/// The version of segments this program writes.
pub(crate) const VERSION: u8 = MAGIC[VERSION_AT];

/// What a segment's name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// Rises by one with every segment.
    pub(crate) sequence: u64,
    /// Opens every frame of the segment.
    pub(crate) marker: u32,
}

impl SegmentName {
    /// The name of the file.
    pub(crate) fn file_name(self) -> String {
        format!("{:016x}-{:08x}.wal", self.sequence, self.marker)
    }

    /// Reads a file name; `None` for files that are not segments.
    pub(crate) fn parse(name: &str) -> Option<SegmentName> {
        let (sequence, marker) = name.strip_suffix(".wal")?.split_once('-')?;
        if sequence.len() != 16 || marker.len() != 8 {
            return None;
        }
        Some(SegmentName {
            sequence: u64::from_str_radix(sequence, 16).ok()?,
            marker: u32::from_str_radix(marker, 16).ok()?,
        })
    }
}

/// The header of a segment whose first record gets `first_lsn`.
pub(crate) fn header(marker: u32, first_lsn: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&marker.to_le_bytes());
    header[12..20].copy_from_slice(&first_lsn.to_le_bytes());
    let crc = crc32c::crc32c(&header[..20]);
    header[20..24].copy_from_slice(&crc.to_le_bytes());
    header
}

/// The first LSN a header tells; `None` where it is damaged or of another version.
pub(crate) fn read_header(header: &[u8], marker: u32) -> Option<u64> {
    let header: &[u8; HEADER_BYTES] = header.try_into().ok()?;
    let lsn = header[12..20].try_into().ok()?;
    (header[..8] == MAGIC && is_sound(header, marker)).then(|| u64::from_le_bytes(lsn))
}

/// The version of a sound header that is of a later version than this program's; `None` for any other.
pub(crate) fn newer_version(header: &[u8], marker: u32) -> Option<u8> {
    let header: &[u8; HEADER_BYTES] = header.try_into().ok()?;
    let version = header[VERSION_AT];
    let newer = header[..VERSION_AT] == MAGIC[..VERSION_AT] && version > VERSION && is_sound(header, marker);
    newer.then_some(version)
}

fn is_sound(header: &[u8; HEADER_BYTES], marker: u32) -> bool {
    let crc = crc32c::crc32c(&header[..20]).to_le_bytes();
    header[8..12] == marker.to_le_bytes() && header[20..24] == crc
}
