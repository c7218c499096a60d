//! What a snapshot answers from the index: series by matchers, label names and values.
//!
//! Comes in: matchers and a range of time. Goes out: series of head and files, each once; names and values in
//! order. Time prunes by day: a series is in the answer if it has rows on one of the days of the range, or
//! is known to the head and there are rows on one of them that are in no file yet. So the answer may hold series without rows
//! between `start_ms` and `end_ms`, and never lacks one that has.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::ops::RangeInclusive;
use std::sync::Arc;

use model::{Labels, Matcher};
use roaring::RoaringBitmap;
use tokio::task::spawn_blocking;

use super::files::FileView;
use super::live::{LiveIndex, LiveView};
use super::segment::Segment;
use super::select::matches_all;
use crate::error::Result;
use crate::head::metrics::DAY_MS;
use crate::ids::IdHasher;
use crate::offload::offload;
use crate::paths::DAY_US;
use crate::series_files::SeriesEntry;
use crate::snapshot::Snapshot;
use crate::tables::Table;

/// Days loaded at once; a longer range is asked in pieces, so that memory stays bounded.
const DAYS_AT_ONCE: usize = 31;
/// Most series that are sorted without handing them to another thread.
const SORTED_HERE_MAX: usize = 1_024;

/// Names or values, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelTexts {
    /// The first of them, as many as were asked for.
    pub texts: Vec<String>,
    /// Whether there are more.
    pub truncated: bool,
}

impl LabelTexts {
    fn of(texts: HashSet<String>, limit: Option<usize>) -> LabelTexts {
        let mut texts: Vec<String> = texts.into_iter().collect();
        texts.sort_unstable();
        let limit = limit.unwrap_or(usize::MAX);
        let truncated = texts.len() > limit;
        texts.truncate(limit);
        LabelTexts { texts, truncated }
    }
}

/// Matcher sets of which a series must satisfy one; none at all for every series.
#[derive(Clone, Debug)]
struct AnyOf(Vec<Vec<Matcher>>);

impl AnyOf {
    fn of(sets: &[Vec<Matcher>]) -> AnyOf {
        AnyOf(sets.to_vec())
    }

    fn is_all(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(Vec::is_empty)
    }

    fn matches(&self, labels: &Labels) -> bool {
        self.is_all() || self.0.iter().any(|matchers| matches_all(matchers, labels))
    }

    /// `None` for all of `within`, or of the segment.
    fn select(&self, segment: &Segment, within: Option<&RoaringBitmap>) -> Option<RoaringBitmap> {
        if self.is_all() {
            return within.cloned();
        }
        let mut found = RoaringBitmap::new();
        self.0.iter().for_each(|matchers| found |= segment.select(matchers, within));
        Some(found)
    }
}

impl Snapshot {
    /// Series that satisfy all matchers, of head and files, merged by tsid and sorted by (metric, tsid).
    ///
    /// `start_ms`, `end_ms`: inclusive, milliseconds since the Unix epoch. `first_ts_us` and `last_ts_us` of
    /// the entries are the bounds of the days within the range on which the series has rows, not the times
    /// of samples. Fails where a file of `series` cannot be read.
    pub async fn select_series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesEntry>> {
        self.select_entries(Table::Series, matchers, start_ms, end_ms).await
    }

    /// Log streams that satisfy all matchers, as [`Snapshot::select_series`]; sorted by (service, stream_id).
    pub async fn select_streams(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesEntry>> {
        self.select_entries(Table::LogStreams, matchers, start_ms, end_ms).await
    }

    /// Label names of series that satisfy one of the matcher sets (none given: of all series), sorted; at
    /// most `limit`. The range as in [`Snapshot::select_series`].
    pub async fn label_names(
        &self,
        matchers: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<LabelTexts> {
        self.names_of(Table::Series, matchers, start_ms, end_ms, limit).await
    }

    /// Values of a label, as [`Snapshot::label_names`].
    pub async fn label_values(
        &self,
        name: &str,
        matchers: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<LabelTexts> {
        self.values_of(Table::Series, name, matchers, start_ms, end_ms, limit).await
    }

    /// Label names of log streams, as [`Snapshot::label_names`].
    pub async fn stream_label_names(
        &self,
        matchers: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<LabelTexts> {
        self.names_of(Table::LogStreams, matchers, start_ms, end_ms, limit).await
    }

    /// Values of a label of log streams, as [`Snapshot::label_names`].
    pub async fn stream_label_values(
        &self,
        name: &str,
        matchers: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<LabelTexts> {
        self.values_of(Table::LogStreams, name, matchers, start_ms, end_ms, limit).await
    }

    async fn select_entries(
        &self,
        table: Table,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesEntry>> {
        let days = days(start_ms, end_ms);
        let matchers: Arc<[Matcher]> = matchers.into();
        let mut found = Found::default();
        if let Some((live, span)) = self.live_on(table, &days) {
            let matchers = Arc::clone(&matchers);
            let is_short = live.is_quick(&matchers);
            found = offload(is_short, move || {
                found.add_live(&live.view(), &matchers, span);
                found
            })
            .await?;
        }
        for days in self.days_of_files(table, &days).chunks(DAYS_AT_ONCE) {
            let (view, matchers, days) =
                (self.file_view(table, days).await?, Arc::clone(&matchers), days.to_vec());
            let is_short = view.segments.iter().all(|segment| segment.is_quick(&matchers));
            found = offload(is_short, move || {
                found.add_files(&view, &matchers, &days);
                found
            })
            .await?;
        }
        let is_short = found.entries.len() <= SORTED_HERE_MAX;
        Ok(offload(is_short, move || found.finish(table)).await?)
    }

    async fn names_of(
        &self,
        table: Table,
        sets: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<LabelTexts> {
        let sets = AnyOf::of(sets);
        let names = self.gather(table, days(start_ms, end_ms), sets, None).await?;
        Ok(LabelTexts::of(names, limit))
    }

    async fn values_of(
        &self,
        table: Table,
        name: &str,
        sets: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<LabelTexts> {
        let sets = AnyOf::of(sets);
        let values = self.gather(table, days(start_ms, end_ms), sets, Some(name.to_owned())).await?;
        Ok(LabelTexts::of(values, limit))
    }

    /// Names of the series, or the values of one name.
    async fn gather(
        &self,
        table: Table,
        days: RangeInclusive<i32>,
        sets: AnyOf,
        name: Option<String>,
    ) -> Result<HashSet<String>> {
        let mut texts = HashSet::new();
        if let Some((live, _)) = self.live_on(table, &days) {
            let (sets, name) = (sets.clone(), name.clone());
            texts = spawn_blocking(move || {
                let view = live.view();
                gather_tail(&view, &sets, name.as_deref(), &mut texts);
                for segment in &view.segments {
                    gather_segment(segment, sets.select(segment, None).as_ref(), name.as_deref(), &mut texts);
                }
                texts
            })
            .await?;
        }
        for days in self.days_of_files(table, &days).chunks(DAYS_AT_ONCE) {
            let (view, days) = (self.file_view(table, days).await?, days.to_vec());
            let (sets, name) = (sets.clone(), name.clone());
            texts = spawn_blocking(move || {
                for (place, segment) in view.segments.iter().enumerate() {
                    let numbers = sets.select(segment, Some(&view.on_days(place, &days)));
                    gather_segment(segment, numbers.as_ref(), name.as_deref(), &mut texts);
                }
                texts
            })
            .await?;
        }
        Ok(texts)
    }

    /// Days of the range that have files of `table`.
    pub(super) fn days_of_files(&self, table: Table, days: &RangeInclusive<i32>) -> Vec<i32> {
        let with_files = self.all_file_sets().table_files(table).days().map(|(day, _)| day);
        with_files.filter(|day| days.contains(day)).collect()
    }

    /// The index of the table's files, with these days loaded.
    pub(super) async fn file_view(&self, table: Table, days: &[i32]) -> Result<Arc<FileView>> {
        let files = self.all_file_sets().table_files(table);
        let days: Vec<_> = days.iter().map(|day| (*day, files.day(*day))).collect();
        self.file_index(table).view(self.objects(), &days).await
    }

    /// The head's index and the days of the range that rows not in files yet are on, as bounds in
    /// microseconds; `None` where there are none: what is in files has its label sets there, too.
    pub(super) fn live_on(
        &self,
        table: Table,
        days: &RangeInclusive<i32>,
    ) -> Option<(Arc<LiveIndex>, (i64, i64))> {
        let mut within = self.unflushed_days(table).into_iter().filter(|day| days.contains(day));
        let first = within.next()?;
        let last = within.next_back().unwrap_or(first);
        Some((self.live(table)?, (day_start_us(first), day_start_us(last + 1) - 1)))
    }
}

/// Days of a range of milliseconds.
pub(super) fn days(start_ms: i64, end_ms: i64) -> RangeInclusive<i32> {
    let day = |ms: i64| ms.div_euclid(DAY_MS).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
    day(start_ms)..=day(end_ms)
}

fn day_start_us(day: i32) -> i64 {
    i64::from(day) * DAY_US
}

/// Series found so far.
#[derive(Debug, Default)]
struct Found {
    entries: Vec<SeriesEntry>,
    places: HashMap<i64, u32, BuildHasherDefault<IdHasher>>,
}

impl Found {
    fn add(&mut self, id: i64, (first_us, last_us): (i64, i64), labels: impl FnOnce() -> Labels) {
        use std::collections::hash_map::Entry;
        match self.places.entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(self.entries.len() as u32);
                let (first_ts_us, last_ts_us) = (first_us, last_us);
                self.entries.push(SeriesEntry { tsid: id, labels: labels(), first_ts_us, last_ts_us });
            }
            Entry::Occupied(occupied) => {
                let known = &mut self.entries[*occupied.get() as usize];
                known.first_ts_us = known.first_ts_us.min(first_us);
                known.last_ts_us = known.last_ts_us.max(last_us);
            }
        }
    }

    fn add_live(&mut self, view: &LiveView, matchers: &[Matcher], span: (i64, i64)) {
        for segment in &view.segments {
            for number in segment.select(matchers, None) {
                self.add(segment.id(number), span, || segment.labels(number));
            }
        }
        for (id, labels) in view.tail.iter().flat_map(|run| run.iter()) {
            if matches_all(matchers, labels) {
                self.add(*id, span, || Labels::clone(labels));
            }
        }
    }

    fn add_files(&mut self, view: &FileView, matchers: &[Matcher], days: &[i32]) {
        for (place, segment) in view.segments.iter().enumerate() {
            let found = segment.select(matchers, Some(&view.on_days(place, days)));
            let first = first_days(view, place, days.iter(), &found);
            let last = first_days(view, place, days.iter().rev(), &found);
            for ((number, first), last) in found.iter().zip(first).zip(last) {
                let span = (day_start_us(first), day_start_us(last + 1) - 1);
                self.add(segment.id(number), span, || segment.labels(number));
            }
        }
    }

    /// Every segment and the tail gave their series in order, so the sort finds runs to merge.
    fn finish(self, table: Table) -> Vec<SeriesEntry> {
        let key = super::key_label(table);
        let mut entries = self.entries;
        entries.sort_by(|a, b| (a.labels.get(key), a.tsid).cmp(&(b.labels.get(key), b.tsid)));
        entries
    }
}

/// The first of `days` on which each of `found` has rows.
fn first_days<'a>(
    view: &FileView,
    place: usize,
    days: impl Iterator<Item = &'a i32>,
    found: &RoaringBitmap,
) -> Vec<i32> {
    let mut left = found.clone();
    let mut by_day: BTreeMap<i32, RoaringBitmap> = BTreeMap::new();
    for day in days {
        let on_day = view.on_day(place, *day) & &left;
        if !on_day.is_empty() {
            left -= &on_day;
            by_day.insert(*day, on_day);
        }
        if left.is_empty() {
            break;
        }
    }
    if by_day.len() == 1 {
        return by_day.keys().flat_map(|day| std::iter::repeat_n(*day, found.len() as usize)).collect();
    }
    let mut days: Vec<(u32, i32)> =
        by_day.iter().flat_map(|(day, numbers)| numbers.iter().map(move |number| (number, *day))).collect();
    days.sort_unstable();
    days.into_iter().map(|(_, day)| day).collect()
}

fn gather_tail(view: &LiveView, sets: &AnyOf, name: Option<&str>, texts: &mut HashSet<String>) {
    let mut add = |text: &str| {
        if !texts.contains(text) {
            texts.insert(text.to_owned());
        }
    };
    for (_, labels) in view.tail.iter().flat_map(|run| run.iter()).filter(|(_, labels)| sets.matches(labels))
    {
        match name {
            Some(name) => labels.get(name).into_iter().for_each(&mut add),
            None => labels.iter().for_each(|(name, _)| add(name)),
        }
    }
}

/// `numbers`: series that count, `None` for all.
fn gather_segment(
    segment: &Segment,
    numbers: Option<&RoaringBitmap>,
    name: Option<&str>,
    texts: &mut HashSet<String>,
) {
    match name {
        Some(name) => segment.values_in(name, numbers, |value| {
            if !texts.contains(value) {
                texts.insert(value.to_owned());
            }
        }),
        None => segment.names_in(numbers).for_each(|name| {
            texts.insert(name.to_owned());
        }),
    }
}
