//! Gathers series and makes a [`Segment`] of them.
//!
//! Comes in: label sets, or pairs of symbols known to the builder already, in any order, and segments to
//! merge. Goes out: one segment. Every text is kept once while gathering; sorting happens at the end.

use hashbrown::{HashMap, HashTable};
use model::Labels;
use xxhash_rust::xxh3::xxh3_64;

use super::postings::{Postings, of_sorted};
use super::segment::{LabelSets, Name, Segment, Texts};

/// Series on their way into a segment.
#[derive(Debug)]
pub(crate) struct Builder {
    /// The label that leads the order: the metric's name, or the service.
    key: &'static str,
    texts: Texts,
    symbols: HashTable<u32>,
    /// Pair by symbols of name and value.
    pairs: HashMap<(u32, u32), u32>,
    pair_symbols: Vec<(u32, u32)>,
    ids: Vec<i64>,
    ends: Vec<u32>,
    set_pairs: Vec<u32>,
    /// The sets themselves, where the segment is to share them.
    shared: Option<Vec<Labels>>,
}

impl Builder {
    /// Of a segment that keeps label sets as pairs.
    pub(crate) fn packed(key: &'static str) -> Builder {
        Builder {
            key,
            texts: Texts::default(),
            symbols: HashTable::new(),
            pairs: HashMap::new(),
            pair_symbols: Vec::new(),
            ids: Vec::new(),
            ends: Vec::new(),
            set_pairs: Vec::new(),
            shared: None,
        }
    }

    /// Of a segment that shares label sets with the head.
    pub(crate) fn shared(key: &'static str) -> Builder {
        Builder { shared: Some(Vec::new()), ..Builder::packed(key) }
    }

    /// The symbol of a name or value.
    pub(super) fn symbol(&mut self, text: &str) -> u32 {
        let Builder { texts, symbols, .. } = self;
        let hash = xxh3_64(text.as_bytes());
        let same = |symbol: &u32| texts.get(*symbol as usize) == text;
        if let Some(symbol) = symbols.find(hash, same) {
            return *symbol;
        }
        let symbol = texts.push(text);
        symbols.insert_unique(hash, symbol, |symbol| xxh3_64(texts.get(*symbol as usize).as_bytes()));
        symbol
    }

    /// The pair of two symbols.
    pub(super) fn pair(&mut self, name: u32, value: u32) -> u32 {
        *self.pairs.entry((name, value)).or_insert_with(|| {
            self.pair_symbols.push((name, value));
            self.pair_symbols.len() as u32 - 1
        })
    }

    /// Adds a pair to the series that the next [`Builder::finish_series`] ends.
    pub(super) fn add_pair(&mut self, pair: u32) {
        self.set_pairs.push(pair);
    }

    /// Ends a series; it has the pairs added since the last one.
    pub(super) fn finish_series(&mut self, id: i64) {
        self.ids.push(id);
        self.ends.push(self.set_pairs.len() as u32);
    }

    /// Adds a series.
    pub(crate) fn add(&mut self, id: i64, labels: &Labels) {
        for (name, value) in labels.iter() {
            let (name, value) = (self.symbol(name), self.symbol(value));
            let pair = self.pair(name, value);
            self.add_pair(pair);
        }
        self.finish_series(id);
        if let Some(sets) = &mut self.shared {
            sets.push(Labels::clone(labels));
        }
    }

    /// Adds the series of a segment for which `keep` holds.
    pub(crate) fn add_segment(&mut self, segment: &Segment, mut keep: impl FnMut(u32) -> bool) {
        if let LabelSets::Shared(sets) = &segment.sets {
            for number in (0..segment.len()).filter(|number| keep(*number)) {
                self.add(segment.id(number), &sets[number as usize]);
            }
            return;
        }
        // Pairs are looked up once, not once a series.
        let mut known = vec![u32::MAX; segment.values.len()];
        for name in &segment.names {
            let symbol = self.symbol(&name.text);
            for pair in name.pairs.clone() {
                let value = self.symbol(segment.value(pair));
                known[pair as usize] = self.pair(symbol, value);
            }
        }
        for number in (0..segment.len()).filter(|number| keep(*number)) {
            segment.pairs_of(number).for_each(|pair| self.add_pair(known[pair as usize]));
            self.finish_series(segment.id(number));
        }
    }

    /// Whether a symbol is the empty text.
    pub(super) fn is_empty_text(&self, symbol: u32) -> bool {
        self.texts.get(symbol as usize).is_empty()
    }

    /// The label that leads the order.
    pub(crate) fn key(&self) -> &'static str {
        self.key
    }

    /// Number of series added.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The segment. Pairs that no series has, left over from a merge, are dropped.
    pub(crate) fn finish(self) -> Segment {
        let mut used = vec![false; self.pair_symbols.len()];
        self.set_pairs.iter().for_each(|pair| used[*pair as usize] = true);
        let order = self.sorted_pairs(&used);
        let mut rank = vec![u32::MAX; self.pair_symbols.len()];
        order.iter().enumerate().for_each(|(place, pair)| rank[*pair as usize] = place as u32);
        let series = self.sorted_series(&rank);
        let sets = self.packed_sets(&series, &rank);
        let (starts, numbers) = inverted(&sets, order.len());
        let mut values = Texts::default();
        for pair in &order {
            values.push(self.texts.get(self.pair_symbols[*pair as usize].1 as usize));
        }
        values.shrink();
        let names = self.names(&order, &starts, &numbers);
        let ids: Box<[i64]> = series.iter().map(|place| self.ids[*place as usize]).collect();
        let mut by_id: Box<[u32]> = (0..ids.len() as u32).collect();
        by_id.sort_unstable_by_key(|number| ids[*number as usize]);
        let sets = match self.shared {
            Some(shared) => LabelSets::Shared(
                series.iter().map(|place| Labels::clone(&shared[*place as usize])).collect(),
            ),
            None => LabelSets::Packed { ends: sets.0.into(), pairs: sets.1.into() },
        };
        Segment { names, values, postings: Postings::of(&starts, &numbers), ids, by_id, sets }
    }

    /// Pairs in use, by name and value.
    fn sorted_pairs(&self, used: &[bool]) -> Vec<u32> {
        let text = |symbol: u32| self.texts.get(symbol as usize);
        let mut order: Vec<u32> = (0..used.len() as u32).filter(|pair| used[*pair as usize]).collect();
        order.sort_unstable_by(|a, b| {
            let ((a_name, a_value), (b_name, b_value)) =
                (self.pair_symbols[*a as usize], self.pair_symbols[*b as usize]);
            let names =
                if a_name == b_name { std::cmp::Ordering::Equal } else { text(a_name).cmp(text(b_name)) };
            names.then_with(|| text(a_value).cmp(text(b_value)))
        });
        order
    }

    /// Places of the series, by (key, id).
    fn sorted_series(&self, rank: &[u32]) -> Vec<u32> {
        let is_key: Vec<bool> =
            self.pair_symbols.iter().map(|(name, _)| self.texts.get(*name as usize) == self.key).collect();
        let key = |place: usize| {
            let pairs = &self.set_pairs[self.start(place)..self.ends[place] as usize];
            // Series without the key come first, as the empty text does.
            pairs.iter().find(|pair| is_key[**pair as usize]).map_or(0, |pair| rank[*pair as usize] + 1)
        };
        let mut keyed: Vec<(u32, i64, u32)> =
            (0..self.ids.len()).map(|place| (key(place), self.ids[place], place as u32)).collect();
        if !keyed.is_sorted() {
            keyed.sort_unstable();
        }
        keyed.into_iter().map(|(_, _, place)| place).collect()
    }

    fn start(&self, place: usize) -> usize {
        if place == 0 { 0 } else { self.ends[place - 1] as usize }
    }

    /// Ends and pairs of all sets, in their order, each sorted.
    fn packed_sets(&self, series: &[u32], rank: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let (mut ends, mut pairs) =
            (Vec::with_capacity(series.len()), Vec::with_capacity(self.set_pairs.len()));
        for place in series {
            let place = *place as usize;
            let start = pairs.len();
            let set = &self.set_pairs[self.start(place)..self.ends[place] as usize];
            pairs.extend(set.iter().map(|pair| rank[*pair as usize]));
            pairs[start..].sort_unstable();
            ends.push(pairs.len() as u32);
        }
        (ends, pairs)
    }

    fn names(&self, order: &[u32], starts: &[usize], numbers: &[u32]) -> Box<[Name]> {
        let mut names: Vec<Name> = Vec::new();
        let mut last = None;
        for (place, pair) in order.iter().enumerate() {
            let (symbol, _) = self.pair_symbols[*pair as usize];
            if last != Some(symbol) {
                let (text, pairs) = (self.texts.get(symbol as usize).into(), place as u32..place as u32);
                names.push(Name { text, pairs, present: Default::default() });
                last = Some(symbol);
            }
            if let Some(name) = names.last_mut() {
                name.pairs.end = place as u32 + 1;
            }
        }
        for name in &mut names {
            let of_name = starts[name.pairs.start as usize]..starts[name.pairs.end as usize];
            let mut having = numbers[of_name].to_vec();
            having.sort_unstable();
            name.present = of_sorted(&having);
            name.present.optimize();
        }
        names.into()
    }
}

/// Series of every pair, one list behind the other, and where each begins.
fn inverted((ends, pairs): &(Vec<u32>, Vec<u32>), pair_count: usize) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0usize; pair_count + 1];
    pairs.iter().for_each(|pair| starts[*pair as usize + 1] += 1);
    for place in 0..pair_count {
        starts[place + 1] += starts[place];
    }
    let mut next = starts.clone();
    let mut numbers = vec![0; pairs.len()];
    let mut start = 0;
    for (number, end) in ends.iter().enumerate() {
        for pair in &pairs[start..*end as usize] {
            numbers[next[*pair as usize]] = number as u32;
            next[*pair as usize] += 1;
        }
        start = *end as usize;
    }
    (starts, numbers)
}
