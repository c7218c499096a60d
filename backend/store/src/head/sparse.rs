//! Histograms, start times and exemplars of one generation: by series, as they came.
//!
//! Comes in: rows with their series, from one thread. Goes out: copies of the rows of some series or of all, to any
//! thread. A row is a pointer or a few words, so a copy is cheap. Knows nothing of repeated rows.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use model::Labels;

use super::metrics::{DAY_MS, map_bytes, read, write};
use super::registry::{Registry, RegistryIndex};
use crate::ids::IdHasher;
use crate::sparse::{ExemplarRow, HistogramRow, SparseRow, StartRow, keep_counting};
use crate::tables::Table;

/// The rows of the three tables.
#[derive(Debug, Default)]
pub(crate) struct SparseHead {
    pub(crate) histograms: SparseRows<HistogramRow>,
    pub(crate) starts: SparseRows<StartRow>,
    pub(crate) exemplars: SparseRows<ExemplarRow>,
}

impl SparseHead {
    /// The rows of one of the three tables.
    pub(crate) fn table(&self, table: Table) -> Option<&dyn SparseTable> {
        match table {
            Table::Histograms => Some(&self.histograms),
            Table::StartTimes => Some(&self.starts),
            Table::Exemplars => Some(&self.exemplars),
            _ => None,
        }
    }

    /// The rows of all three.
    pub(crate) fn tables(&self) -> [&dyn SparseTable; 3] {
        [&self.histograms, &self.starts, &self.exemplars]
    }
}

/// Rows of one of the tables, whichever.
pub(crate) trait SparseTable {
    /// Rows written; repeated ones count.
    fn rows(&self) -> u64;
    /// Series with rows.
    fn series_count(&self) -> u64;
    /// Bytes on the heap, without the label sets of series, which the registry counts.
    fn heap_bytes(&self) -> u64;
    /// Days that have rows, with how many.
    fn days(&self) -> BTreeMap<i32, u64>;
    /// Earliest row, milliseconds.
    fn min_ms(&self) -> Option<i64>;
    /// Latest row, milliseconds.
    fn max_ms(&self) -> Option<i64>;
    /// Calls `f` with id, labels, earliest and latest time of every series.
    fn each_series(&self, f: &mut dyn FnMut(i64, &Labels, i64, i64));
    /// Calls `f` with id, labels and time of every row.
    fn each_row(&self, f: &mut dyn FnMut(i64, &Labels, i64));
}

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct SparseRows<R> {
    series: RwLock<HashMap<i64, OneSeries<R>, BuildHasherDefault<IdHasher>>>,
    days: RwLock<BTreeMap<i32, u64>>,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// No row is earlier; lowered before the rows can be read.
    min_ms: AtomicI64,
    max_ms: AtomicI64,
}

#[derive(Clone, Debug)]
struct OneSeries<R> {
    labels: Labels,
    rows: Vec<R>,
    min_ms: i64,
    max_ms: i64,
}

/// Rows of one series as a reader gets them.
#[derive(Clone, Debug)]
pub(crate) struct SeriesRows<R> {
    pub(crate) tsid: i64,
    pub(crate) labels: Labels,
    /// In order of writing.
    pub(crate) rows: Vec<R>,
}

impl<R> Default for SparseRows<R> {
    fn default() -> SparseRows<R> {
        SparseRows {
            series: RwLock::default(),
            days: RwLock::default(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            min_ms: AtomicI64::new(i64::MAX),
            max_ms: AtomicI64::new(i64::MIN),
        }
    }
}

impl<R: SparseRow> SparseRows<R> {
    /// Adds rows; `indexes` are their series in `registry`. Called by one thread only.
    pub(crate) fn append(
        &self,
        rows: impl ExactSizeIterator<Item = R> + Clone,
        indexes: &[RegistryIndex],
        registry: &mut Registry,
        generation: u32,
    ) {
        if rows.len() == 0 {
            return;
        }
        let min_ms = rows.clone().map(|row| row.timestamp_ms()).min();
        self.min_ms.fetch_min(min_ms.unwrap_or(i64::MAX), SeqCst);
        let mut series = write(&self.series);
        for (row, index) in rows.zip(indexes) {
            let entry = registry.entry_mut(*index);
            entry.sparse_generation = generation;
            self.push(&mut series, entry.id, &entry.labels, row);
        }
    }

    /// The rows of several heads as one; of repeated ones those that count.
    pub(crate) fn merged<'a>(parts: impl Iterator<Item = &'a SparseRows<R>>) -> SparseRows<R> {
        let mut all: HashMap<i64, SeriesRows<R>> = HashMap::new();
        for part in parts {
            for mut more in part.series_rows(i64::MIN, i64::MAX, |_, _| true) {
                match all.get_mut(&more.tsid) {
                    Some(known) => known.rows.append(&mut more.rows),
                    None => {
                        all.insert(more.tsid, more);
                    }
                }
            }
        }
        let merged = SparseRows::default();
        {
            let mut series = write(&merged.series);
            for mut one in all.into_values() {
                keep_counting(&mut one.rows);
                for row in one.rows {
                    merged.min_ms.fetch_min(row.timestamp_ms(), SeqCst);
                    merged.push(&mut series, one.tsid, &one.labels, row);
                }
            }
        }
        merged
    }

    fn push(
        &self,
        series: &mut HashMap<i64, OneSeries<R>, BuildHasherDefault<IdHasher>>,
        tsid: i64,
        labels: &Labels,
        row: R,
    ) {
        let ms = row.timestamp_ms();
        let map_before = map_bytes(series.capacity(), size_of::<(i64, OneSeries<R>)>());
        let one = series.entry(tsid).or_insert_with(|| OneSeries {
            labels: Labels::clone(labels),
            rows: Vec::new(),
            min_ms: i64::MAX,
            max_ms: i64::MIN,
        });
        (one.min_ms, one.max_ms) = (one.min_ms.min(ms), one.max_ms.max(ms));
        let is_same = |last: &R| last.timestamp_ms() == ms && last.order(&row).is_eq();
        if one.rows.last().is_some_and(is_same) {
            // A page shows its exemplars in every scrape until others take their places.
            return;
        }
        let capacity_before = one.rows.capacity();
        let own = row.bytes() - size_of::<R>();
        one.rows.push(row);
        let grown = (one.rows.capacity() - capacity_before) * size_of::<R>();
        let map_grown = map_bytes(series.capacity(), size_of::<(i64, OneSeries<R>)>()) - map_before;
        self.bytes.fetch_add((own + grown + map_grown) as u64, Relaxed);
        self.rows.fetch_add(1, Relaxed);
        self.max_ms.fetch_max(ms, Relaxed);
        *write(&self.days).entry(ms.div_euclid(DAY_MS) as i32).or_default() += 1;
    }

    /// Rows between `start_ms` and `end_ms`, both inclusive, of the series for which `keep` holds, in no order of
    /// series.
    pub(crate) fn series_rows(
        &self,
        start_ms: i64,
        end_ms: i64,
        keep: impl Fn(i64, &Labels) -> bool,
    ) -> Vec<SeriesRows<R>> {
        if self.is_outside(start_ms, end_ms) {
            return Vec::new();
        }
        let series = read(&self.series);
        let wanted = series.iter().filter(|(tsid, one)| keep(**tsid, &one.labels));
        wanted.filter_map(|(tsid, one)| one.between(*tsid, start_ms, end_ms)).collect()
    }

    /// The same of the series with these ids.
    pub(crate) fn by_ids(&self, tsids: &[i64], start_ms: i64, end_ms: i64) -> Vec<SeriesRows<R>> {
        if self.is_outside(start_ms, end_ms) {
            return Vec::new();
        }
        let series = read(&self.series);
        tsids.iter().filter_map(|tsid| series.get(tsid)?.between(*tsid, start_ms, end_ms)).collect()
    }

    fn is_outside(&self, start_ms: i64, end_ms: i64) -> bool {
        self.rows.load(Relaxed) == 0
            || self.max_ms.load(Relaxed) < start_ms
            || self.min_ms.load(SeqCst) > end_ms
    }
}

impl<R: SparseRow> OneSeries<R> {
    fn between(&self, tsid: i64, start_ms: i64, end_ms: i64) -> Option<SeriesRows<R>> {
        if self.min_ms > end_ms || self.max_ms < start_ms {
            return None;
        }
        let within = |row: &&R| (start_ms..=end_ms).contains(&row.timestamp_ms());
        let rows: Vec<R> = self.rows.iter().filter(within).cloned().collect();
        (!rows.is_empty()).then(|| SeriesRows { tsid, labels: Labels::clone(&self.labels), rows })
    }
}

impl<R: SparseRow> SparseTable for SparseRows<R> {
    fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    fn series_count(&self) -> u64 {
        read(&self.series).len() as u64
    }

    fn heap_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    fn days(&self) -> BTreeMap<i32, u64> {
        if self.rows() == 0 { BTreeMap::new() } else { read(&self.days).clone() }
    }

    fn min_ms(&self) -> Option<i64> {
        Some(self.min_ms.load(SeqCst)).filter(|min_ms| *min_ms < i64::MAX)
    }

    fn max_ms(&self) -> Option<i64> {
        (self.rows() > 0).then(|| self.max_ms.load(Relaxed))
    }

    fn each_series(&self, f: &mut dyn FnMut(i64, &Labels, i64, i64)) {
        read(&self.series).iter().for_each(|(tsid, one)| f(*tsid, &one.labels, one.min_ms, one.max_ms));
    }

    fn each_row(&self, f: &mut dyn FnMut(i64, &Labels, i64)) {
        for (tsid, one) in read(&self.series).iter() {
            one.rows.iter().for_each(|row| f(*tsid, &one.labels, row.timestamp_ms()));
        }
    }
}

#[cfg(test)]
mod tests;
