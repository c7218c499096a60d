//! A set of hashes in little memory that may claim to hold what it does not: a split-block bloom filter.
//!
//! The filter is an array of blocks of eight 32-bit words. The upper half of a hash chooses the block, the
//! lower half one bit of every word. Source: the bloom filters of the Parquet format
//! (<https://parquet.apache.org/docs/file-format/bloomfilter/>), after Putze, Sanders and Singler, "Cache-,
//! Hash- and Space-Efficient Bloom Filters", 2007; other than there, the hash is xxh3-64.

/// Odd constants of the Parquet format, one a word.
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];
/// Bits for each hash. With 10.75 about 1 % of the hashes not in the set pass; tested.
const BITS_PER_HASH: f64 = 10.75;
/// Bytes of a block.
pub(super) const BLOCK_BYTES: usize = 32;
/// Most blocks a filter has: 128 MiB, a hundred million tokens.
pub(super) const BLOCKS_MAX: usize = 1 << 22;

/// A filter. Never without a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bloom {
    blocks: Box<[[u32; 8]]>,
}

impl Bloom {
    /// The filter of `hashes`, which should hold every hash once.
    pub(crate) fn of(hashes: &[u64]) -> Bloom {
        let blocks = (hashes.len() as f64 * BITS_PER_HASH / 256.0).ceil() as usize;
        let mut bloom = Bloom { blocks: vec![[0; 8]; blocks.clamp(1, BLOCKS_MAX)].into() };
        for hash in hashes {
            bloom.insert(*hash);
        }
        bloom
    }

    fn insert(&mut self, hash: u64) {
        let place = self.place(hash);
        for (word, bit) in self.blocks[place].iter_mut().zip(mask(hash)) {
            *word |= bit;
        }
    }

    /// False where `hash` is surely not in the set.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        let missing = self.blocks[self.place(hash)].iter().zip(mask(hash)).map(|(word, bit)| bit & !word);
        missing.fold(0, |all, word| all | word) == 0
    }

    fn place(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }

    /// Number of blocks, at least 1.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes on the heap, which are its bytes in a sidecar.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Appends the words of all blocks, little-endian.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()));
    }

    /// The filter of these bytes; `None` unless they are whole blocks, one at least.
    pub(super) fn decode(bytes: &[u8]) -> Option<Bloom> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        if blocks.is_empty() || !rest.is_empty() {
            return None;
        }
        let block = |bytes: &[u8; BLOCK_BYTES]| {
            let (words, _) = bytes.as_chunks::<4>();
            let mut block = [0; 8];
            block.iter_mut().zip(words).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
            block
        };
        Some(Bloom { blocks: blocks.iter().map(block).collect() })
    }
}

fn mask(hash: u64) -> [u32; 8] {
    let low = hash as u32;
    SALT.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn hashes(range: std::ops::Range<u32>) -> Vec<u64> {
        range.map(|i| xxh3_64(&i.to_le_bytes())).collect()
    }

    #[test]
    fn holds_what_went_in_and_little_else() {
        for count in [1, 100, 5_000, 200_000] {
            let held = hashes(0..count);
            let bloom = Bloom::of(&held);
            assert!(held.iter().all(|hash| bloom.may_hold(*hash)));
            let others = hashes(1_000_000..1_100_000);
            let wrong = others.iter().filter(|hash| bloom.may_hold(**hash)).count();
            assert!(wrong <= 1_000, "{wrong} of 100,000 with {count} in the set");
        }
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        let bloom = Bloom::of(&[]);
        assert_eq!(bloom.blocks(), 1);
        assert!(hashes(0..1_000).iter().all(|hash| !bloom.may_hold(*hash)));
    }

    #[test]
    fn bytes_come_back() {
        let bloom = Bloom::of(&hashes(0..1_000));
        let mut bytes = Vec::new();
        bloom.encode(&mut bytes);
        assert_eq!(bytes.len(), bloom.heap_bytes());
        assert_eq!(Bloom::decode(&bytes), Some(bloom));
        assert_eq!(Bloom::decode(&bytes[1..]), None);
        assert_eq!(Bloom::decode(&[]), None);
    }

    #[test]
    fn the_bits_are_those_of_the_format() {
        let bloom = Bloom::of(&[0x0123_4567_89ab_cdef]);
        let mut bytes = Vec::new();
        bloom.encode(&mut bytes);
        let places: Vec<u32> = bloom.blocks[0].iter().map(|word| word.trailing_zeros()).collect();
        let expect: Vec<u32> = SALT.iter().map(|salt| 0x89ab_cdefu32.wrapping_mul(*salt) >> 27).collect();
        assert_eq!(places, expect);
    }
}
