//! Counts the series each source has active and refuses new ones beyond a limit.
//!
//! Comes in: the points of a batch. Goes out: the points without those of series that are one too many. A
//! source keeps the series it has; others are not touched by what one does. Two generations of series are
//! remembered, of this window of time and of the one before, so a series counts until it has not been
//! written for one to two windows. Of a series 32 bits of its hash are kept: two series that share them count
//! as one, which lets in about one series in twenty thousand too many at 200,000. Knows nothing of the store: a
//! series counts from the moment it is admitted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use model::{Exemplar, HistogramPoint, Labels, Point};
use process::limits::{Reason, Rejections};

/// Length of a window of time.
const WINDOW: Duration = Duration::from_secs(3_600);
/// Sources told apart; further ones share a count.
const SOURCES_MAX: usize = 10_000;
/// What the sources beyond are called together.
const OTHERS: &str = "(others)";

/// The series of all sources.
#[derive(Debug)]
pub(crate) struct ActiveSeries {
    per_source_max: usize,
    total_max: usize,
    sources: Mutex<Sources>,
    total: AtomicUsize,
}

#[derive(Debug, Default)]
struct Sources {
    window: i64,
    by_name: HashMap<String, Arc<Mutex<Source>>>,
}

/// The series of one source.
#[derive(Debug, Default)]
struct Source {
    window: i64,
    current: Prints,
    previous: Prints,
    /// Series of `current` that are not in `previous`.
    new: usize,
    refused: u64,
    told: bool,
}

/// How many series a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSeries {
    /// The source, as in [`model::Batch::source`].
    pub source: String,
    /// Series written within the last one to two hours.
    pub active: usize,
    /// Points of new series refused since the source became active.
    pub refused_total: u64,
}

impl ActiveSeries {
    /// Limits of 0 do not limit; without both nothing is remembered.
    pub(crate) fn new(per_source_max: usize, total_max: usize) -> ActiveSeries {
        ActiveSeries { per_source_max, total_max, sources: Mutex::default(), total: AtomicUsize::new(0) }
    }

    /// Removes the points, histograms or exemplars of series that `source` may not add; notes the others.
    pub(crate) fn admit<T: OfSeries>(
        &self,
        source: &str,
        points: &mut Vec<T>,
        now_ms: i64,
        rejections: &mut Rejections,
    ) {
        if points.is_empty() || (self.per_source_max == 0 && self.total_max == 0) {
            return;
        }
        let entry = self.source(source, now_ms);
        let mut entry = lock(&entry);
        let refused = entry.refused;
        points.retain(|point| match self.verdict(&mut entry, print(point.series())) {
            Ok(()) => true,
            Err(reason) => {
                rejections.add(reason, 1);
                entry.refused += 1;
                false
            }
        });
        if entry.refused > refused && !entry.told {
            entry.told = true;
            let (active, limit) = (entry.active(), self.per_source_max);
            tracing::warn!(
                source,
                active,
                limit,
                "source has too many series, points of new ones are refused"
            );
        }
    }

    fn verdict(&self, source: &mut Source, print: u32) -> Result<(), Reason> {
        if source.current.contains(print) {
            return Ok(());
        }
        if !source.previous.contains(print) {
            if self.per_source_max > 0 && source.active() >= self.per_source_max {
                return Err(Reason::SeriesPerSource);
            }
            if self.total_max > 0 && self.total.load(Relaxed) >= self.total_max {
                return Err(Reason::SeriesTotal);
            }
            source.new += 1;
            self.total.fetch_add(1, Relaxed);
        }
        source.current.insert(print);
        Ok(())
    }

    /// Active series of every source, by name.
    pub(crate) fn sources(&self) -> Vec<SourceSeries> {
        let sources = lock(&self.sources);
        let mut all: Vec<SourceSeries> = sources
            .by_name
            .iter()
            .map(|(name, source)| {
                let source = lock(source);
                SourceSeries { source: name.clone(), active: source.active(), refused_total: source.refused }
            })
            .collect();
        all.sort_by(|a, b| a.source.cmp(&b.source));
        all
    }

    /// Bytes on the heap.
    #[cfg(test)]
    fn heap_bytes(&self) -> usize {
        let sources = lock(&self.sources);
        let of = |source: &Arc<Mutex<Source>>| {
            let source = lock(source);
            source.current.heap_bytes() + source.previous.heap_bytes() + 160
        };
        sources.by_name.iter().map(|(name, source)| name.len() + of(source)).sum()
    }

    fn source(&self, name: &str, now_ms: i64) -> Arc<Mutex<Source>> {
        let window = now_ms.div_euclid(WINDOW.as_millis() as i64);
        let mut sources = lock(&self.sources);
        if window > sources.window {
            sources.window = window;
            sources.by_name.retain(|_, source| {
                let mut source = lock(source);
                self.turn(&mut source, window);
                source.active() > 0
            });
        }
        if let Some(source) = sources.by_name.get(name) {
            return Arc::clone(source);
        }
        let name = if sources.by_name.len() < SOURCES_MAX { name } else { OTHERS };
        let window = sources.window;
        let new = || Arc::new(Mutex::new(Source { window, ..Source::default() }));
        Arc::clone(sources.by_name.entry(name.to_owned()).or_insert_with(new))
    }

    /// Brings a source into a later window.
    fn turn(&self, source: &mut Source, window: i64) {
        let before = source.active();
        let current = std::mem::take(&mut source.current);
        source.previous = if window == source.window + 1 { current } else { Prints::default() };
        source.new = 0;
        source.window = window;
        source.told = false;
        self.total.fetch_sub(before - source.active(), Relaxed);
    }
}

impl Source {
    fn active(&self) -> usize {
        self.previous.len() + self.new
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A row that belongs to a series.
pub(crate) trait OfSeries {
    /// The series' labels.
    fn series(&self) -> &Labels;
}

impl OfSeries for Point {
    fn series(&self) -> &Labels {
        &self.labels
    }
}

impl OfSeries for HistogramPoint {
    fn series(&self) -> &Labels {
        &self.labels
    }
}

impl OfSeries for Exemplar {
    fn series(&self) -> &Labels {
        &self.labels
    }
}

fn print(series: &Labels) -> u32 {
    (series.hash64() >> 32) as u32
}

/// A set of 32-bit prints, five bytes a place.
#[derive(Debug, Default)]
struct Prints(HashTable<u32>);

impl Prints {
    fn contains(&self, print: u32) -> bool {
        self.0.find(spread(print), |known| *known == print).is_some()
    }

    fn insert(&mut self, print: u32) {
        self.0.insert_unique(spread(print), print, |print| spread(*print));
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    fn heap_bytes(&self) -> usize {
        self.0.allocation_size()
    }
}

/// The table looks at the highest bits too.
fn spread(print: u32) -> u64 {
    u64::from(print).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests;
