//! A block as a file: a header that says what it is a part of, then the bytes; CRC-32C over all of it.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | `ATLB` |
//! | 4 | 4 | CRC-32C of everything after |
//! | 8 | 2, 2 | version of the format, 1; length n of the path |
//! | 12 | 4, 4 | number of the block; length of its bytes |
//! | 20 | 8, 8 | size of the whole file; when it was written, milliseconds since the Unix epoch |
//! | 36 | n | the file's key on the object store |
//! | 36+n | … | the bytes |
//!
//! Numbers are little-endian. The name of the file is the block's key, `<32 hex digits>-<number>.block`.

use bytes::Bytes;
use object_store::path::Path;

use crate::range_cache::block::{BLOCK_BYTES, Block, BlockKey};

const MAGIC: &[u8; 4] = b"ATLB";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 36;
const EXTENSION: &str = ".block";
/// Longest key of a file; S3 allows 1,024 bytes.
const PATH_BYTES_MAX: usize = 4 << 10;
/// Largest file, in bytes.
pub(in crate::range_cache) const FILE_BYTES_MAX: usize = HEADER_BYTES + PATH_BYTES_MAX + BLOCK_BYTES;

/// Name of the file of a block.
pub(super) fn file_name(key: &BlockKey) -> String {
    format!("{:032x}-{}{EXTENSION}", key.file, key.number)
}

/// The block a file is of, by its name; `None` for every other name.
pub(super) fn parse_name(name: &str) -> Option<BlockKey> {
    let (file, number) = name.strip_suffix(EXTENSION)?.split_once('-')?;
    let key = BlockKey { file: u128::from_str_radix(file, 16).ok()?, number: number.parse().ok()? };
    // Other spellings of the numbers would be other files.
    (file_name(&key) == name).then_some(key)
}

/// What stands before the bytes; `None` where the path is too long.
pub(super) fn header(path: &Path, number: u32, block: &Block) -> Option<Vec<u8>> {
    let path = path.as_ref().as_bytes();
    let path_len = u16::try_from(path.len()).ok().filter(|_| path.len() <= PATH_BYTES_MAX)?;
    let len = u32::try_from(block.bytes.len()).ok()?;
    let mut header = Vec::with_capacity(HEADER_BYTES + path.len());
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&path_len.to_le_bytes());
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(&len.to_le_bytes());
    header.extend_from_slice(&block.file_size.to_le_bytes());
    header.extend_from_slice(&block.modified_ms.to_le_bytes());
    header.extend_from_slice(path);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[8..]), &block.bytes);
    header[4..8].copy_from_slice(&checksum.to_le_bytes());
    Some(header)
}

/// The block in a file's bytes; `None` where they are not whole, sound and of that block.
pub(super) fn decode(file: Vec<u8>, path: &Path, number: u32) -> Option<Block> {
    let start = HEADER_BYTES + path.as_ref().len();
    let header = file.get(..start)?;
    let checksum = u32::from_le_bytes(header[4..8].try_into().ok()?);
    if &header[..4] != MAGIC || checksum != crc32c::crc32c(&file[8..]) {
        return None;
    }
    let version = u16::from_le_bytes(header[8..10].try_into().ok()?);
    let path_len = u16::from_le_bytes(header[10..12].try_into().ok()?);
    let own_number = u32::from_le_bytes(header[12..16].try_into().ok()?);
    let len = u32::from_le_bytes(header[16..20].try_into().ok()?);
    let file_size = u64::from_le_bytes(header[20..28].try_into().ok()?);
    let modified_ms = i64::from_le_bytes(header[28..36].try_into().ok()?);
    let same = version == VERSION
        && usize::from(path_len) == path.as_ref().len()
        && &header[HEADER_BYTES..] == path.as_ref().as_bytes()
        && own_number == number
        && usize::try_from(len).is_ok_and(|len| len == file.len() - start);
    let block = Block { bytes: Bytes::from(file).slice(start..), file_size, modified_ms };
    (same && block.is_whole(number)).then_some(block)
}
