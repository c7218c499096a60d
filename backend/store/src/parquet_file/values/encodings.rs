//! Numbers to the bytes of a page body, before compression (Parquet's `Encodings.md`).

/// Groups of eight in one bit-packed run. More would need a header of two bytes, which shifts nothing but
/// is what few writers do.
const GROUPS_A_RUN: usize = 63;

/// PLAIN: little-endian, one after the other.
pub(super) fn plain(values: &[f64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(values));
    for value in values {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// BYTE_STREAM_SPLIT: the first bytes of all numbers, then the second ones, and so on.
pub(super) fn split(values: &[f64]) -> Vec<u8> {
    let count = values.len();
    let mut bytes = vec![0; size_of_val(values)];
    for (i, value) in values.iter().enumerate() {
        for (k, byte) in value.to_le_bytes().into_iter().enumerate() {
            bytes[k * count + i] = byte;
        }
    }
    bytes
}

/// The distinct numbers of a chunk's dictionary pages, by bits, in ascending order: neighbours in number are
/// neighbours in place, so the high bytes of the places of one series hardly change.
#[derive(Debug)]
pub(super) struct Dictionary {
    /// Bits mapped so that their order as numbers is that of IEEE 754's totalOrder.
    keys: Vec<u64>,
}

impl Dictionary {
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a f64>) -> Dictionary {
        let mut keys: Vec<u64> = values.map(|value| ordered(*value)).collect();
        keys.sort_unstable();
        keys.dedup();
        Dictionary { keys }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The numbers in order, PLAIN.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.keys.iter().flat_map(|key| unordered(*key).to_le_bytes()).collect()
    }

    /// RLE_DICTIONARY: places of `values`, each in whole bytes (a bit width of 8, 16, 24 or 32, wider than
    /// need be), because zstd sees bytes and not bits. `None` if a number is not in the dictionary.
    pub(super) fn indices(&self, values: &[f64]) -> Option<Vec<u8>> {
        let places: Option<Vec<usize>> =
            values.iter().map(|value| self.keys.binary_search(&ordered(*value)).ok()).collect();
        let places = places?;
        let width = bytes_of(places.iter().copied().max().unwrap_or(0));
        let mut bytes = Vec::with_capacity(1 + places.len() * width + places.len() / GROUPS_A_RUN + 8);
        bytes.push((width * 8) as u8);
        for run in places.chunks(GROUPS_A_RUN * 8) {
            let groups = run.len().div_ceil(8);
            bytes.push((groups << 1 | 1) as u8);
            for place in run {
                bytes.extend_from_slice(&place.to_le_bytes()[..width]);
            }
            // The last group is always whole; readers know the number of values.
            bytes.resize(bytes.len() + (groups * 8 - run.len()) * width, 0);
        }
        Some(bytes)
    }
}

/// Whole bytes that hold `number`.
fn bytes_of(number: usize) -> usize {
    match number {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    }
}

const SIGN: u64 = 1 << 63;

fn ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn unordered(key: u64) -> u64 {
    if key & SIGN == 0 { !key } else { key & !SIGN }
}
