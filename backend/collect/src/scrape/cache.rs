//! What is remembered of a target's pages from scrape to scrape.
//!
//! Comes in: the raw text of each series on a page. Goes out: the series it means, known before or not; which
//! series came twice in one scrape; which ones a scrape no longer shows. So labels are read and relabelled
//! once in the life of a series, and where a page keeps its order a series is recognised by one comparison.

use std::hash::BuildHasher;

use hashbrown::hash_map::Entry as MapEntry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use model::{Labels, MetricKind, MetricMetadata};

/// Index of a text or of a series; `NONE` is neither.
type Id = u32;
const NONE: Id = Id::MAX;
/// Texts that scrapes which failed may leave behind, above twice those of the last success.
const UNCOMMITTED_TEXTS_MAX: usize = 1000;

/// What a series text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Series(SeriesId),
    Dropped,
}

/// A series of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeriesId(Id);

/// The memory of one target.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    hasher: DefaultHashBuilder,
    texts: Slab<Text>,
    by_text: HashTable<Id>,
    series: Slab<Series>,
    by_labels: HashMap<Labels, Id>,
    families: HashMap<Box<str>, Family>,
    /// Number of the current scrape, from 1.
    scrape: u64,
    /// Scrape after which `live` series were live; 0 where none are.
    live_scrape: u64,
    live: usize,
    /// Texts seen in this scrape.
    texts_seen: usize,
    /// Texts after the last scrape that succeeded.
    texts_committed: usize,
    /// Whether there may be series without a text.
    adopted: bool,
    /// The text seen last in this scrape.
    last: Id,
    /// The first text of the last scrape.
    first: Id,
}

#[derive(Debug)]
struct Text {
    raw: Box<str>,
    /// The text that followed it last time.
    next: Id,
    /// Scrape in which it was seen last.
    seen: u64,
    meaning: Meaning,
}

#[derive(Debug)]
struct Series {
    labels: Labels,
    /// Texts that mean it.
    texts: u32,
    /// Scrape in which it was seen last.
    seen: u64,
    /// Scrape after which it was live last.
    live: u64,
}

#[derive(Debug, Default)]
struct Family {
    metadata: MetricMetadata,
    told: bool,
    seen: u64,
}

impl SeriesCache {
    /// Starts a scrape.
    pub(crate) fn begin(&mut self) {
        self.scrape += 1;
        self.texts_seen = 0;
        self.last = NONE;
    }

    /// The text that followed the one seen last, the last time; empty where that is not known.
    pub(crate) fn expected(&self) -> (&str, Option<ExpectedText>) {
        let id = if self.last == NONE {
            self.first
        } else {
            self.texts.get(self.last).map_or(NONE, |text| text.next)
        };
        match self.texts.get(id) {
            Some(text) if self.scrape > 1 => (&text.raw, Some(ExpectedText(id))),
            _ => ("", None),
        }
    }

    /// What `raw` means, where it was seen before.
    pub(crate) fn find(&mut self, raw: &str, expected: Option<ExpectedText>) -> Option<Meaning> {
        let expected = expected.filter(|id| self.texts.get(id.0).is_some_and(|text| *text.raw == *raw));
        let id = match expected {
            Some(ExpectedText(id)) => id,
            None => {
                let hash = self.hasher.hash_one(raw);
                *self.by_text.find(hash, |id| self.texts.get(*id).is_some_and(|text| *text.raw == *raw))?
            }
        };
        self.follow(id);
        let text = self.texts.get_mut(id)?;
        self.texts_seen += usize::from(std::mem::replace(&mut text.seen, self.scrape) != self.scrape);
        Some(text.meaning)
    }

    /// Remembers that `raw` is dropped.
    pub(crate) fn insert_dropped(&mut self, raw: &str) {
        self.insert_text(raw, Meaning::Dropped);
    }

    /// Remembers that `raw` means `labels`; tells whether the series is new.
    pub(crate) fn insert(&mut self, raw: &str, labels: Labels) -> (SeriesId, bool) {
        let (id, new) = self.series_of(labels);
        if let Some(series) = self.series.get_mut(id) {
            series.texts += 1;
        }
        self.insert_text(raw, Meaning::Series(SeriesId(id)));
        (SeriesId(id), new)
    }

    /// Takes over series that were live for this target before, under another configuration or another loop.
    pub(crate) fn adopt(&mut self, live: Vec<Labels>) {
        self.begin();
        let ids: Vec<SeriesId> = live.into_iter().map(|labels| SeriesId(self.series_of(labels).0)).collect();
        self.commit(&ids);
        self.adopted = true;
    }

    /// Marks a series as seen in this scrape; `false` where it was seen already.
    pub(crate) fn mark(&mut self, id: SeriesId) -> bool {
        let scrape = self.scrape;
        self.series.get_mut(id.0).is_some_and(|series| std::mem::replace(&mut series.seen, scrape) != scrape)
    }

    /// Labels of a series.
    pub(crate) fn labels(&self, id: SeriesId) -> Option<&Labels> {
        self.series.get(id.0).map(|series| &series.labels)
    }

    /// Ends a scrape that succeeded with the series `live`: returns those that were live before and are not
    /// now, and forgets what the page did not show.
    pub(crate) fn commit(&mut self, live: &[SeriesId]) -> Vec<Labels> {
        let (scrape, before) = (self.scrape, self.live_scrape);
        let (mut count, mut stayed) = (0, 0);
        for id in live {
            if let Some(series) = self.series.get_mut(id.0)
                && series.live != scrape
            {
                stayed += usize::from(before != 0 && series.live == before);
                series.live = scrape;
                count += 1;
            }
        }
        // Mostly nothing vanishes, and then nothing needs to be looked through.
        let gone = if stayed == self.live { Vec::new() } else { self.labels_live_after(before) };
        (self.live_scrape, self.live) = (scrape, count);
        self.forget_unseen();
        self.texts_committed = self.texts.len();
        gone
    }

    /// Ends a scrape that failed: returns the series that were live before; none is live after.
    pub(crate) fn fail(&mut self) -> Vec<Labels> {
        let gone = if self.live == 0 { Vec::new() } else { self.labels_live_after(self.live_scrape) };
        (self.live_scrape, self.live) = (0, 0);
        // A target whose labels vary and whose scrapes always fail must not fill the memory.
        if self.texts.len() > 2 * self.texts_committed + UNCOMMITTED_TEXTS_MAX {
            self.forget_unseen();
        }
        gone
    }

    /// The series that are live now.
    pub(crate) fn live(&self) -> Vec<Labels> {
        if self.live == 0 { Vec::new() } else { self.labels_live_after(self.live_scrape) }
    }

    /// Notes what the page says of a family.
    pub(crate) fn describe(&mut self, family: &str, fact: Fact<'_>) {
        let entry = match self.families.get_mut(family) {
            Some(entry) => entry,
            None => self.families.entry(family.into()).or_default(),
        };
        entry.seen = self.scrape;
        let metadata = &mut entry.metadata;
        let changed = match fact {
            Fact::Kind(kind) => std::mem::replace(&mut metadata.kind, kind) != kind,
            Fact::Help(help) => replace_text(&mut metadata.help, help),
            Fact::Unit(unit) => replace_text(&mut metadata.unit, unit),
        };
        // A new family is told of even where all it says is the default.
        if replace_text(&mut metadata.family, family) || changed {
            entry.told = false;
        }
    }

    /// Metadata nobody was told yet.
    pub(crate) fn new_metadata(&mut self) -> Vec<MetricMetadata> {
        let scrape = self.scrape;
        let untold = self.families.values_mut().filter(|family| !family.told && family.seen == scrape);
        untold
            .map(|family| {
                family.told = true;
                family.metadata.clone()
            })
            .collect()
    }

    fn labels_live_after(&self, scrape: u64) -> Vec<Labels> {
        self.series
            .iter()
            .filter(|(_, series)| series.live == scrape)
            .map(|(_, series)| series.labels.clone())
            .collect()
    }

    fn series_of(&mut self, labels: Labels) -> (Id, bool) {
        match self.by_labels.entry(labels) {
            MapEntry::Occupied(entry) => (*entry.get(), false),
            MapEntry::Vacant(entry) => {
                let labels = entry.key().clone();
                let id = self.series.insert(Series { labels, texts: 0, seen: 0, live: 0 });
                (*entry.insert(id), true)
            }
        }
    }

    fn insert_text(&mut self, raw: &str, meaning: Meaning) {
        let hash = self.hasher.hash_one(raw);
        self.texts_seen += 1;
        let id = self.texts.insert(Text { raw: raw.into(), next: NONE, seen: self.scrape, meaning });
        let (hasher, texts) = (&self.hasher, &self.texts);
        self.by_text
            .insert_unique(hash, id, |id| texts.get(*id).map_or(0, |text| hasher.hash_one(&*text.raw)));
        self.follow(id);
    }

    /// Remembers that `id` came after the text before it.
    fn follow(&mut self, id: Id) {
        match self.texts.get_mut(self.last) {
            Some(text) => text.next = id,
            None => self.first = id,
        }
        self.last = id;
    }

    /// Forgets texts, series and families that this scrape did not show.
    fn forget_unseen(&mut self) {
        let scrape = self.scrape;
        self.families.retain(|_, family| family.seen == scrape);
        if self.texts_seen != self.texts.len() || self.adopted {
            self.forget_texts();
            let by_labels = &mut self.by_labels;
            self.series.retain(|_, series| {
                let keep = series.texts > 0 || series.live == scrape;
                if !keep {
                    by_labels.remove(&series.labels);
                }
                keep
            });
            self.adopted = false;
        }
    }

    fn forget_texts(&mut self) {
        let SeriesCache { hasher, texts, by_text, series, scrape, .. } = self;
        texts.retain(|id, text| {
            if text.seen == *scrape {
                return true;
            }
            if let Ok(entry) = by_text.find_entry(hasher.hash_one(&*text.raw), |other| *other == id) {
                entry.remove();
            }
            if let Meaning::Series(of) = text.meaning
                && let Some(series) = series.get_mut(of.0)
            {
                series.texts -= 1;
            }
            false
        });
    }
}

/// What a page says of a family.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    Kind(MetricKind),
    Help(&'a str),
    Unit(&'a str),
}

/// Sets `text`; tells whether it changed.
fn replace_text(text: &mut String, new: &str) -> bool {
    let changed = text != new;
    if changed {
        new.clone_into(text);
    }
    changed
}

/// A place where the next text is looked for first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpectedText(Id);

/// Values with stable small indices.
#[derive(Debug)]
struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<Id>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn insert(&mut self, value: T) -> Id {
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Some(value);
            return id;
        }
        self.slots.push(Some(value));
        Id::try_from(self.slots.len() - 1).expect("a page of bounded size has fewer than 2^32 series")
    }

    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn get(&self, id: Id) -> Option<&T> {
        self.slots.get(id as usize).and_then(Option::as_ref)
    }

    fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.slots.get_mut(id as usize).and_then(Option::as_mut)
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots.iter().enumerate().filter_map(|(id, slot)| slot.as_ref().map(|value| (id, value)))
    }

    fn retain(&mut self, mut keep: impl FnMut(Id, &mut T) -> bool) {
        for (id, slot) in (0..).zip(&mut self.slots) {
            if slot.as_mut().is_some_and(|value| !keep(id, value)) {
                *slot = None;
                self.free.push(id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
