//! Puts the samples of series together that lie in several places. Comes in: row groups whose pages are held, and
//! strips and parts that are decoded already; goes out: for every series its samples as two columns.
//!
//! Targets are scraped all at once, so that many series have the very same times. They are told by their bytes, and
//! share one column: it is decoded, checked and held once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::series_files::SeriesEntry;

use super::columns::OpenGroup;
use super::merge::{Part, Piece};
use super::wide::WideRows;
use super::{Job, SeriesSamples};

/// Blocks of series there are for a thread.
const BLOCKS_A_THREAD: usize = 4;
/// Most samples of columns of times that are remembered.
const TIMES_KEPT_MAX: usize = 512 << 10;

/// Columns of times seen before.
#[derive(Debug, Default)]
pub(super) struct KnownTimes {
    /// By number of samples, first and last.
    columns: HashMap<(usize, i64, i64), Known>,
    /// Samples of all of them.
    samples: usize,
}

#[derive(Debug)]
struct Known {
    /// Number of samples from each place, and whether they are in row groups.
    places: Vec<(usize, bool)>,
    /// Times in row groups as they are stored there, place by place.
    stored: Vec<u8>,
    /// In milliseconds; none where they do not increase strictly.
    times: Option<Arc<Vec<i64>>>,
}

/// Where some series' samples are.
pub(super) struct Places<'a> {
    /// Row groups whose rows of these series are held, in the order of their times.
    pub(super) groups: &'a [&'a OpenGroup],
    /// By position and time.
    pub(super) pieces: &'a [Piece<'a>],
}

/// Samples of one series in one place; there is at least one.
#[derive(Clone)]
enum Place<'a> {
    Piece(Piece<'a>),
    Rows(&'a OpenGroup, Range<usize>),
}

impl Places<'_> {
    /// The series with their samples; the first of `series` is the one at position `first`.
    pub(super) fn assemble(
        &self,
        series: &[SeriesEntry],
        first: usize,
        job: &Job,
        known: &mut KnownTimes,
    ) -> Result<Vec<SeriesSamples>> {
        let mut next: Vec<usize> = self.groups.iter().map(|group| group.first_run(first)).collect();
        let mut pieces = &self.pieces[self.pieces.partition_point(|piece| piece.position < first)..];
        let mut found: Vec<(i64, Place<'_>)> = Vec::new();
        let mut assembled = Vec::with_capacity(series.len());
        for (position, entry) in (first..).zip(series) {
            found.clear();
            for (group, next) in self.groups.iter().zip(&mut next) {
                while let Some(rows) = group.run_of(position, next) {
                    let rows = group.rows_in_time(rows, job);
                    if !rows.is_empty() {
                        job.options.budget.take(rows.len())?;
                        found.push((group.time_ms(rows.start), Place::Rows(group, rows)));
                    }
                }
            }
            while let Some((piece, rest)) =
                pieces.split_first().filter(|(piece, _)| piece.position == position)
            {
                found.push((piece.timestamps[0], Place::Piece(*piece)));
                pieces = rest;
            }
            if !found.is_sorted_by_key(|(time, _)| *time) {
                found.sort_by_key(|(time, _)| *time);
            }
            let (timestamps, values) = put_together(&found, known);
            assembled.push(SeriesSamples { tsid: entry.tsid, timestamps, values });
        }
        Ok(assembled)
    }

    /// The same by as many threads as there are sets of known times.
    pub(super) fn assemble_on_threads(
        &self,
        series: &[SeriesEntry],
        first: usize,
        job: &Job,
        known: &mut [KnownTimes],
    ) -> Result<Vec<SeriesSamples>> {
        // Blocks small enough that all are done at about the same time.
        let block = series.len().div_ceil(known.len().max(1) * BLOCKS_A_THREAD).max(1);
        let line = Mutex::new((first..).step_by(block).zip(series.chunks(block)));
        let next = || line.lock().unwrap_or_else(PoisonError::into_inner).next();
        let assemble = |known: &mut KnownTimes| {
            let assembled = |(first, series)| Ok((first, self.assemble(series, first, job, known)?));
            std::iter::from_fn(next).map(assembled).collect::<Result<Vec<_>>>()
        };
        let blocks = on_threads(known.iter_mut().map(|known| move || assemble(known)))?;
        let mut blocks: Vec<_> = blocks.into_iter().flatten().collect();
        blocks.sort_unstable_by_key(|(first, _)| *first);
        Ok(blocks.into_iter().flat_map(|(_, series)| series).collect())
    }
}

/// What each piece of work gives, each done by a thread of its own, the last one here; or the first failure.
pub(super) fn on_threads<T: Send, W: FnOnce() -> Result<T> + Send>(
    work: impl Iterator<Item = W>,
) -> Result<Vec<T>> {
    let mut work: Vec<W> = work.collect();
    let Some(own) = work.pop() else { return Ok(Vec::new()) };
    std::thread::scope(|scope| {
        let others: Vec<_> = work.into_iter().map(|work| scope.spawn(work)).collect();
        let own = own();
        // A thread that panics has met a bug, which is to be seen.
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.chain(std::iter::once(own)).collect()
    })
}

/// The columns of one series, whose places are in the order of their first samples.
fn put_together(found: &[(i64, Place<'_>)], known: &mut KnownTimes) -> (Arc<Vec<i64>>, Vec<f64>) {
    let total = found.iter().map(|(_, place)| place.len()).sum();
    let mut values = Vec::with_capacity(total);
    for (_, place) in found {
        place.append_values(&mut values);
    }
    match known.of(found, total) {
        Some(timestamps) => (timestamps, values),
        None => {
            let mut timestamps = Vec::with_capacity(total);
            found.iter().for_each(|(_, place)| place.append_times(&mut timestamps));
            let Part { timestamps, values } = Part::of(timestamps, values);
            (Arc::new(timestamps), values)
        }
    }
}

impl KnownTimes {
    /// The times of `found`, `total` of them, in milliseconds; none where they do not increase strictly.
    fn of(&mut self, found: &[(i64, Place<'_>)], total: usize) -> Option<Arc<Vec<i64>>> {
        let (Some((first, _)), Some((_, last))) = (found.first(), found.last()) else {
            return Some(Arc::default());
        };
        let key = (total, *first, last.last_ms());
        if let Some(known) = self.columns.get(&key).filter(|known| known.is_that_of(found)) {
            return known.times.clone();
        }
        let mut column = Known::of(found, total);
        // The same times may have come from other places.
        if let Some(known) = self.columns.get(&key).filter(|known| known.times == column.times) {
            column.times.clone_from(&known.times);
        }
        let times = column.times.clone();
        if self.samples.saturating_add(total) > TIMES_KEPT_MAX {
            *self = KnownTimes::default();
        }
        if total <= TIMES_KEPT_MAX {
            let before = self.columns.insert(key, column);
            self.samples += total - before.map_or(0, |_| total);
        }
        times
    }
}

impl Known {
    fn of(found: &[(i64, Place<'_>)], total: usize) -> Known {
        let (mut stored, mut times) = (Vec::new(), Vec::with_capacity(total));
        for (_, place) in found {
            place.append_stored(&mut stored);
            place.append_times(&mut times);
        }
        let increasing = times.is_sorted_by(|a, b| a < b);
        let places = found.iter().map(|(_, place)| (place.len(), place.is_stored())).collect();
        Known { places, stored, times: increasing.then(|| Arc::new(times)) }
    }

    fn is_that_of(&self, found: &[(i64, Place<'_>)]) -> bool {
        let places = found.iter().map(|(_, place)| (place.len(), place.is_stored()));
        let Some(times) = self.times.as_ref().filter(|_| places.eq(self.places.iter().copied())) else {
            return false;
        };
        let (mut stored, mut times) = (self.stored.as_slice(), times.as_slice());
        found.iter().all(|(_, place)| {
            let (own, others) = times.split_at(place.len());
            times = others;
            match place {
                Place::Piece(piece) => piece.timestamps == own,
                Place::Rows(group, rows) => {
                    group.times().rows(rows.clone()).all(|rows| rows.are_next_of(&mut stored))
                }
            }
        })
    }
}

impl Place<'_> {
    fn len(&self) -> usize {
        match self {
            Place::Piece(piece) => piece.timestamps.len(),
            Place::Rows(_, rows) => rows.len(),
        }
    }

    fn is_stored(&self) -> bool {
        matches!(self, Place::Rows(..))
    }

    fn last_ms(&self) -> i64 {
        match self {
            Place::Piece(piece) => piece.timestamps.last().copied().unwrap_or_default(),
            Place::Rows(group, rows) => group.time_ms(rows.end - 1),
        }
    }

    fn append_values(&self, values: &mut Vec<f64>) {
        match self {
            Place::Piece(piece) => values.extend_from_slice(piece.values),
            Place::Rows(group, rows) => group.values().append_values(rows.clone(), values),
        }
    }

    /// Appends the times in milliseconds.
    fn append_times(&self, times: &mut Vec<i64>) {
        match self {
            Place::Piece(piece) => times.extend_from_slice(piece.timestamps),
            Place::Rows(group, rows) => {
                let micros = group.times().rows(rows.clone()).flat_map(WideRows::times);
                times.extend(micros.map(|us| us.div_euclid(1_000)));
            }
        }
    }

    /// Appends the times of a row group as they are stored.
    fn append_stored(&self, times: &mut Vec<u8>) {
        if let Place::Rows(group, rows) = self {
            group.times().rows(rows.clone()).for_each(|rows| times.extend_from_slice(rows.bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SampleOptions, Wanted};

    const LONG: &[i64] = &[10, 20, 30, 40];

    fn entry(tsid: i64) -> SeriesEntry {
        SeriesEntry { tsid, labels: model::Labels::default(), first_ts_us: 0, last_ts_us: 0 }
    }

    fn job() -> Job {
        let wanted = Arc::new(Wanted::new(&[]));
        Job { wanted, start_ms: 0, end_ms: 100, options: SampleOptions::default() }
    }

    fn piece<'a>(position: usize, timestamps: &'a [i64], values: &'a [f64]) -> Piece<'a> {
        Piece { position, timestamps, values }
    }

    #[test]
    fn series_with_the_same_times_share_them_and_others_do_not() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let pieces = [
            piece(0, LONG, &values),
            piece(1, &LONG[..2], &values[..2]),
            piece(1, &LONG[2..], &values[2..]),
            piece(2, LONG, &values),
            // As many, from the same first to the same last one.
            piece(3, &[10, 21, 30, 40], &values),
            piece(5, &LONG[..2], &values[..2]),
            piece(5, &LONG[2..], &values[2..]),
        ];
        let series: Vec<SeriesEntry> = (0..6).map(entry).collect();
        let mut known = KnownTimes::default();
        let places = Places { groups: &[], pieces: &pieces };
        let found = places.assemble(&series, 0, &job(), &mut known).unwrap();
        let times: Vec<&[i64]> = found.iter().map(|series| series.timestamps.as_slice()).collect();
        assert_eq!(times, [LONG, LONG, LONG, &[10, 21, 30, 40], &[], LONG]);
        let same = |a: usize, b: usize| Arc::ptr_eq(&found[a].timestamps, &found[b].timestamps);
        assert!(same(1, 0) && same(2, 0) && !same(3, 2));
        assert!(found.iter().all(|series| series.values.len() == series.timestamps.len()));
    }

    #[test]
    fn places_that_overlap_give_each_time_once() {
        let pieces = [piece(0, &[1, 3, 5], &[1.0, 3.0, 5.0]), piece(0, &[2, 3], &[2.0, 9.0])];
        let mut known = KnownTimes::default();
        for _ in 0..2 {
            let places = Places { groups: &[], pieces: &pieces };
            let found = places.assemble(&[entry(7)], 0, &job(), &mut known).unwrap();
            assert_eq!(*found[0].timestamps, [1, 2, 3, 5]);
            assert_eq!(found[0].values, [1.0, 2.0, 9.0, 5.0]);
        }
    }

    #[test]
    fn threads_give_what_one_gives_and_the_first_failure_ends_all() {
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let pieces: Vec<Piece<'_>> = (0..40).map(|i| piece(i, &LONG[..1], &values[i..=i])).collect();
        let series: Vec<SeriesEntry> = (0..40).map(entry).collect();
        let places = Places { groups: &[], pieces: &pieces };
        let all = places.assemble(&series, 0, &job(), &mut KnownTimes::default()).unwrap();
        for threads in [1, 3, 64] {
            let mut known: Vec<KnownTimes> = (0..threads).map(|_| KnownTimes::default()).collect();
            assert_eq!(places.assemble_on_threads(&series, 0, &job(), &mut known).unwrap(), all);
        }
        let failing = (0..4).map(|i| move || if i == 1 { Err(crate::error::Error::Stopped) } else { Ok(i) });
        assert!(matches!(on_threads(failing), Err(crate::error::Error::Stopped)));
    }
}
