//! Which series have a label: ascending series numbers for every pair of name and value, as a plain run
//! where there are few and as a roaring bitmap where that is smaller.

use std::ops::Range;

use roaring::RoaringBitmap;

/// Bytes a container of a bitmap takes beside its numbers, allocation included, about.
const CONTAINER_BYTES: usize = 56;

/// Lists of numbers by pair.
#[derive(Debug, Default)]
pub(super) struct Postings {
    /// End of every pair's run in `runs`; empty for pairs with a bitmap.
    ends: Box<[u32]>,
    runs: Box<[u32]>,
    /// Pairs with a bitmap, ascending.
    large: Box<[(u32, RoaringBitmap)]>,
}

/// The numbers of one pair.
#[derive(Clone, Copy, Debug)]
pub(super) enum Posting<'a> {
    Run(&'a [u32]),
    Bitmap(&'a RoaringBitmap),
}

impl Postings {
    /// Of lists that stand in `numbers` one behind the other; `starts` has one entry more than there are
    /// lists.
    pub(super) fn of(starts: &[usize], numbers: &[u32]) -> Postings {
        let (mut ends, mut runs, mut large) = (Vec::with_capacity(starts.len()), Vec::new(), Vec::new());
        for (pair, bounds) in starts.windows(2).enumerate() {
            let list = &numbers[bounds[0]..bounds[1]];
            match smaller_bitmap(list) {
                Some(bitmap) => large.push((pair as u32, bitmap)),
                None => runs.extend_from_slice(list),
            }
            ends.push(runs.len() as u32);
        }
        Postings { ends: ends.into(), runs: runs.into(), large: large.into() }
    }

    /// The numbers of a pair.
    pub(super) fn get(&self, pair: u32) -> Posting<'_> {
        let start = if pair == 0 { 0 } else { self.ends[pair as usize - 1] };
        let run = &self.runs[start as usize..self.ends[pair as usize] as usize];
        if !run.is_empty() {
            return Posting::Run(run);
        }
        match self.large.binary_search_by_key(&pair, |(pair, _)| *pair) {
            Ok(place) => Posting::Bitmap(&self.large[place].1),
            Err(_) => Posting::Run(&[]),
        }
    }

    /// The numbers of any of the pairs in `ranges`.
    pub(super) fn union(&self, ranges: &[Range<u32>]) -> RoaringBitmap {
        let (mut small, mut union) = (Vec::new(), RoaringBitmap::new());
        for pair in ranges.iter().cloned().flatten() {
            match self.get(pair) {
                Posting::Run(run) => small.extend_from_slice(run),
                Posting::Bitmap(bitmap) => union |= bitmap,
            }
        }
        small.sort_unstable();
        small.dedup();
        union |= of_sorted(&small);
        union
    }

    /// Numbers over all pairs in `ranges`, a series counted once a pair.
    pub(super) fn count(&self, ranges: &[Range<u32>]) -> u64 {
        ranges.iter().cloned().flatten().map(|pair| self.get(pair).len()).sum()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let large: usize = self.large.iter().map(|(_, bitmap)| bitmap_bytes(bitmap) + 32).sum();
        (self.ends.len() + self.runs.len()) * 4 + large
    }
}

impl Posting<'_> {
    pub(super) fn len(self) -> u64 {
        match self {
            Posting::Run(run) => run.len() as u64,
            Posting::Bitmap(bitmap) => bitmap.len(),
        }
    }

    /// How many of the numbers are in `mask`.
    pub(super) fn count_in(self, mask: &RoaringBitmap) -> u64 {
        match self {
            Posting::Run(run) => run.iter().filter(|number| mask.contains(**number)).count() as u64,
            Posting::Bitmap(bitmap) => bitmap.intersection_len(mask),
        }
    }

    /// Whether any of the numbers is in `mask`.
    pub(super) fn meets(self, mask: &RoaringBitmap) -> bool {
        match self {
            Posting::Run(run) => run.iter().any(|number| mask.contains(*number)),
            Posting::Bitmap(bitmap) => !bitmap.is_disjoint(mask),
        }
    }
}

/// A bitmap of ascending numbers without repetitions.
pub(super) fn of_sorted(numbers: &[u32]) -> RoaringBitmap {
    // Fails for numbers out of order only; those before are taken.
    RoaringBitmap::from_sorted_iter(numbers.iter().copied())
        .unwrap_or_else(|_| numbers.iter().copied().collect())
}

/// Bytes a bitmap takes on the heap, about.
pub(super) fn bitmap_bytes(bitmap: &RoaringBitmap) -> usize {
    let statistics = bitmap.statistics();
    statistics.n_bytes_array_containers as usize
        + statistics.n_bytes_run_containers as usize
        + statistics.n_bytes_bitset_containers as usize
        + statistics.n_containers as usize * CONTAINER_BYTES
}

/// The list as a bitmap, where that takes less memory than the list.
fn smaller_bitmap(list: &[u32]) -> Option<RoaringBitmap> {
    if list.len() * 4 <= CONTAINER_BYTES {
        return None;
    }
    let mut bitmap = of_sorted(list);
    bitmap.optimize();
    (bitmap_bytes(&bitmap) + 32 < list.len() * 4).then_some(bitmap)
}
