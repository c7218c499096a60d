//! An immutable part of an index: series under dense numbers, their labels, and postings.
//!
//! Comes in: what a [`super::build::Builder`] has gathered. Goes out: labels of a number, numbers of a label
//! pair, sorted names and values. Numbers ascend by (metric or service, id), so every bitmap lists series in
//! the order of the tables. Knows nothing of times, files and matchers.

use std::ops::Range;

use model::Labels;
use roaring::RoaringBitmap;

use super::postings::{Postings, bitmap_bytes};

/// Series and their postings.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(super) names: Box<[Name]>,
    /// Value of every pair; pairs ascend by (name, value).
    pub(super) values: Texts,
    pub(super) postings: Postings,
    pub(super) ids: Box<[i64]>,
    /// Numbers by ascending id.
    pub(super) by_id: Box<[u32]>,
    pub(super) sets: LabelSets,
}

/// A label name.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: Box<str>,
    /// Its pairs, one a value, in order of the values.
    pub(super) pairs: Range<u32>,
    /// Series that have it.
    pub(super) present: RoaringBitmap,
}

/// The label sets by number.
#[derive(Debug)]
pub(super) enum LabelSets {
    /// Shared with the head, which has them in memory anyway.
    Shared(Box<[Labels]>),
    /// Pairs of every set, sorted by name.
    Packed { ends: Box<[u32]>, pairs: Box<[u32]> },
}

impl Segment {
    /// Number of series.
    pub(crate) fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// `tsid` or `stream_id`.
    pub(crate) fn id(&self, number: u32) -> i64 {
        self.ids[number as usize]
    }

    /// The number of an id.
    pub(crate) fn number_of(&self, id: i64) -> Option<u32> {
        let place = self.by_id.binary_search_by_key(&id, |number| self.id(*number)).ok()?;
        Some(self.by_id[place])
    }

    /// Numbers of those of `ids`, which ascend, that are here; `found` gets the place in `ids` and the number.
    pub(crate) fn find_all(&self, ids: &[i64], mut found: impl FnMut(usize, u32)) {
        if ids.len() < self.ids.len() / 16 {
            ids.iter().enumerate().for_each(|(place, id)| {
                if let Some(number) = self.number_of(*id) {
                    found(place, number);
                }
            });
            return;
        }
        let mut numbers = self.by_id.iter().copied().peekable();
        for (place, id) in ids.iter().enumerate() {
            while numbers.next_if(|number| self.id(*number) < *id).is_some() {}
            if let Some(number) = numbers.peek().filter(|number| self.id(**number) == *id) {
                found(place, *number);
            }
        }
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, number: u32) -> Labels {
        match &self.sets {
            LabelSets::Shared(sets) => Labels::clone(&sets[number as usize]),
            LabelSets::Packed { .. } => {
                let pairs = self.pairs_of(number).map(|pair| (self.name_of(pair), self.value(pair)));
                Labels::from_sorted_pairs(&pairs.collect::<Vec<_>>())
            }
        }
    }

    /// The value of a label of a series; empty where it is not set.
    pub(super) fn value_of(&self, number: u32, name: &Name) -> &str {
        match &self.sets {
            LabelSets::Shared(sets) => sets[number as usize].get(&name.text).unwrap_or(""),
            LabelSets::Packed { .. } => {
                let pair = self.pairs_of(number).find(|pair| name.pairs.contains(pair));
                pair.map_or("", |pair| self.value(pair))
            }
        }
    }

    /// The pairs of a packed set.
    pub(super) fn pairs_of(&self, number: u32) -> impl Iterator<Item = u32> + '_ {
        let pairs = match &self.sets {
            LabelSets::Shared(_) => &[][..],
            LabelSets::Packed { ends, pairs } => {
                let start = if number == 0 { 0 } else { ends[number as usize - 1] };
                &pairs[start as usize..ends[number as usize] as usize]
            }
        };
        pairs.iter().copied()
    }

    pub(super) fn name(&self, text: &str) -> Option<&Name> {
        let place = self.names.binary_search_by(|name| (*name.text).cmp(text)).ok()?;
        Some(&self.names[place])
    }

    /// The value of a pair.
    pub(super) fn value(&self, pair: u32) -> &str {
        self.values.get(pair as usize)
    }

    fn name_of(&self, pair: u32) -> &str {
        let place = self.names.partition_point(|name| name.pairs.end <= pair);
        &self.names[place].text
    }

    /// The pair of a name with this value.
    pub(super) fn pair(&self, name: &Name, value: &str) -> Option<u32> {
        let pair = self.first_pair(&name.pairs, |other| other < value);
        (pair < name.pairs.end && self.value(pair) == value).then_some(pair)
    }

    /// Pairs of a name whose values begin with `prefix`.
    pub(super) fn pairs_with_prefix(&self, name: &Name, prefix: &str) -> Range<u32> {
        let start = self.first_pair(&name.pairs, |value| value < prefix);
        let end = self.first_pair(&(start..name.pairs.end), |value| value.starts_with(prefix));
        start..end
    }

    /// The first pair of the range for which `before` does not hold.
    fn first_pair(&self, range: &Range<u32>, before: impl Fn(&str) -> bool) -> u32 {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.value(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Names that one of `numbers` has, sorted; `None` for all series.
    pub(super) fn names_in<'a>(
        &'a self,
        numbers: Option<&'a RoaringBitmap>,
    ) -> impl Iterator<Item = &'a str> {
        let met = move |name: &&Name| numbers.is_none_or(|numbers| !name.present.is_disjoint(numbers));
        self.names.iter().filter(met).map(|name| &*name.text)
    }

    /// Gives `found` the values of a name that one of `numbers` has, maybe more than once; `None` for all
    /// series.
    pub(super) fn values_in<'a>(
        &'a self,
        name: &str,
        numbers: Option<&RoaringBitmap>,
        mut found: impl FnMut(&'a str),
    ) {
        let Some(name) = self.name(name) else { return };
        match numbers {
            Some(numbers) if numbers.len() < u64::from(name.pairs.end - name.pairs.start) => {
                let values = numbers.iter().map(|number| self.value_of(number, name));
                values.filter(|value| !value.is_empty()).for_each(found);
            }
            _ => {
                let met = |pair: &u32| numbers.is_none_or(|numbers| self.postings.get(*pair).meets(numbers));
                name.pairs.clone().filter(met).for_each(|pair| found(self.value(pair)));
            }
        }
    }

    /// All numbers.
    pub(crate) fn all(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.len());
        all
    }

    /// Bytes on the heap; label sets shared with the head are not counted.
    pub(crate) fn heap_bytes(&self) -> usize {
        let names: usize = self
            .names
            .iter()
            .map(|name| name.text.len() + size_of::<Name>() + bitmap_bytes(&name.present))
            .sum();
        let sets = match &self.sets {
            LabelSets::Shared(sets) => size_of_val(&**sets),
            LabelSets::Packed { ends, pairs } => (ends.len() + pairs.len()) * 4,
        };
        names + self.values.heap_bytes() + self.postings.heap_bytes() + self.ids.len() * 12 + sets
    }
}

/// Many short texts in one buffer.
#[derive(Debug, Default)]
pub(super) struct Texts {
    text: String,
    ends: Vec<usize>,
}

impl Texts {
    pub(super) fn push(&mut self, text: &str) -> u32 {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.ends.len() as u32 - 1
    }

    pub(super) fn get(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.text[start..self.ends[place]]
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}
