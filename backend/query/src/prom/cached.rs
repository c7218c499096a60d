//! Range queries whose older steps are known already: only the others are evaluated.
//!
//! A step is *settled* once every sample in its reach is in a committed file. As long as the files that hold
//! such samples are the same, so is its value; samples that come late show as unflushed ones first and as a
//! new file then, and a compaction shows as other files. So nothing has to expire by time.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use model::Labels;
use promql::{Annotations, QueryTime, Series, Value};
use store::{Snapshot, Table};

use super::answer::{PromAnswer, PromStats};
use super::cache::{CacheKey, Extent, FileMark};
use super::engine::Run;
use super::error::PromError;
use super::reach::{Reach, reach};

/// Steps kept of a query, as a multiple of those asked for last.
const KEPT_FACTOR: i64 = 3;
/// Most values kept of a query, and most files they follow from, that are put together in well below a millisecond.
const SAMPLES_SHORT_MAX: usize = 32 << 10;
const FILES_SHORT_MAX: usize = 512;

/// A range query whose steps may be kept.
pub(super) struct CachedRange {
    key: CacheKey,
    reach: Reach,
    start_ms: i64,
    /// The last step.
    last_ms: i64,
    step_ms: i64,
}

impl CachedRange {
    /// `None` where nothing of the query can be kept.
    pub(super) fn of(run: &Run) -> Option<CachedRange> {
        let QueryTime::Range { start_ms, end_ms, step_ms } = run.time else { return None };
        let last_ms = start_ms.checked_add(end_ms.checked_sub(start_ms)? / step_ms * step_ms)?;
        if !run.engine.cache().is_enabled() || last_ms == start_ms {
            return None;
        }
        let reach = reach(&run.language, &run.query, start_ms, last_ms, step_ms)?;
        let key = CacheKey {
            query: run.query.to_string(),
            step_ms,
            phase_ms: start_ms.rem_euclid(step_ms),
            lookback_ms: run.language.options().lookback_delta.as_millis(),
        };
        Some(CachedRange { key, reach, start_ms, last_ms, step_ms })
    }

    /// Whether what was kept of the query shows that its answer is small.
    pub(super) fn is_short(&self, run: &Run) -> bool {
        let known = run.engine.cache().get(&self.key);
        known.is_some_and(|extent| {
            extent.files.len() <= FILES_SHORT_MAX
                && extent
                    .series
                    .iter()
                    .map(|series| series.floats.len() + series.histograms.len())
                    .sum::<usize>()
                    <= SAMPLES_SHORT_MAX
        })
    }

    /// Answers, from what is known as far as that goes.
    pub(super) async fn answer(self, run: &Run) -> Result<PromAnswer, PromError> {
        let settled_ms = self.settled_ms(&run.snapshot);
        let known = run.engine.cache().get(&self.key).map(|extent| Known {
            end_ms: extent.end_ms.min(self.unchanged_ms(&run.snapshot, &extent)),
            extent,
        });
        let used = known.as_ref().and_then(|known| {
            let (from, to) = (self.start_ms.max(known.extent.start_ms), settled_ms.min(known.end_ms));
            (from <= to).then_some((from, to))
        });
        let mut parts = Parts::default();
        match used {
            None => parts.add(run.evaluate(self.time(self.start_ms, self.last_ms)).await?)?,
            Some((from, to)) => {
                if from > self.start_ms {
                    let before = self.time(self.start_ms, from - self.step_ms);
                    parts.add(run.evaluate(before).await?)?;
                }
                let kept = known.iter().flat_map(|known| &known.extent.series);
                parts.add_series(kept.filter_map(|series| clipped(series, from, to)));
                parts.stats.steps_cached = usize::try_from((to - from) / self.step_ms + 1).unwrap_or(0);
                if to < self.last_ms {
                    parts.add(run.evaluate(self.time(to + self.step_ms, self.last_ms)).await?)?;
                }
            }
        }
        let answer = parts.answer();
        let all_known = used.is_some_and(|(from, to)| from == self.start_ms && to == settled_ms);
        if settled_ms >= self.start_ms && answer.annotations.is_empty() && !all_known {
            self.keep(run, &answer, known.as_ref(), settled_ms);
        }
        Ok(answer)
    }

    /// The last step that is settled; before the first where none is.
    fn settled_ms(&self, snapshot: &Snapshot) -> i64 {
        let Some(unflushed_ms) = snapshot.earliest_unflushed_ms() else { return self.last_ms };
        let last = unflushed_ms.saturating_sub(1).saturating_sub(self.reach.after_ms);
        if last >= self.last_ms {
            return self.last_ms;
        }
        self.stepped_down(last)
    }

    /// The last step of `extent` that no file reaches which came or went since.
    fn unchanged_ms(&self, snapshot: &Snapshot, extent: &Extent) -> i64 {
        let files = marks(snapshot, self.reached(extent.start_ms, extent.end_ms));
        let lacks = |files: &[FileMark], mark: &FileMark| files.binary_search(mark).is_err();
        let gone = extent.files.iter().filter(|mark| lacks(&files, mark));
        let new = files.iter().filter(|mark| lacks(&extent.files, mark));
        let Some(changed_ms) = gone.chain(new).map(|mark| mark.start_ms).min() else { return i64::MAX };
        self.stepped_down(changed_ms.saturating_sub(1).saturating_sub(self.reach.after_ms))
    }

    /// Keeps the settled steps of `answer`, and those of `known` that go before or after them.
    fn keep(&self, run: &Run, answer: &PromAnswer, known: Option<&Known>, settled_ms: i64) {
        let Value::Matrix(matrix) = &answer.value else { return };
        let (mut start_ms, mut end_ms) = (self.start_ms, settled_ms);
        let mut parts = Parts::default();
        let oldest_ms = settled_ms.saturating_sub((self.last_ms - self.start_ms).saturating_mul(KEPT_FACTOR));
        let known = known.filter(|known| known.end_ms >= self.start_ms - self.step_ms);
        if let Some(known) = known.filter(|known| known.extent.start_ms < self.start_ms) {
            start_ms = known.extent.start_ms.max(self.stepped_down(oldest_ms)).min(self.start_ms);
            let series = known.extent.series.iter();
            parts.add_series(series.filter_map(|s| clipped(s, start_ms, self.start_ms - self.step_ms)));
        }
        parts.add_series(matrix.iter().filter_map(|series| clipped(series, self.start_ms, settled_ms)));
        let after = |known: &&Known| known.extent.start_ms <= settled_ms && known.end_ms > settled_ms;
        if let Some(known) = known.filter(after) {
            // Settled when they were kept, and their files are the same.
            end_ms = known.end_ms;
            let series = known.extent.series.iter();
            parts.add_series(series.filter_map(|s| clipped(s, settled_ms + self.step_ms, end_ms)));
        }
        let files = marks(&run.snapshot, self.reached(start_ms, end_ms));
        let Value::Matrix(series) = parts.answer().value else { return };
        run.engine.cache().put(self.key.clone(), Extent { start_ms, end_ms, files, series });
    }

    /// The last step at or before `ms`, on and on before the first.
    fn stepped_down(&self, ms: i64) -> i64 {
        let steps = ms.saturating_sub(self.start_ms).div_euclid(self.step_ms);
        self.start_ms.saturating_add(steps.saturating_mul(self.step_ms))
    }

    fn time(&self, start_ms: i64, end_ms: i64) -> QueryTime {
        QueryTime::Range { start_ms, end_ms, step_ms: self.step_ms }
    }

    /// Times of the samples that steps look at.
    fn reached(&self, start_ms: i64, end_ms: i64) -> RangeInclusive<i64> {
        start_ms.saturating_sub(self.reach.before_ms)..=end_ms.saturating_add(self.reach.after_ms)
    }
}

/// Steps known from earlier answers.
struct Known {
    extent: Arc<Extent>,
    /// The last of them that still holds; before the first where none does.
    end_ms: i64,
}

/// The committed files that may hold samples of `times`, sorted.
fn marks(snapshot: &Snapshot, times: RangeInclusive<i64>) -> Vec<FileMark> {
    let (start_us, end_us) =
        (times.start().saturating_mul(1_000), times.end().saturating_mul(1_000).saturating_add(999));
    let tables = [Table::Metrics, Table::Histograms, Table::StartTimes];
    let files = tables.into_iter().flat_map(|table| snapshot.all_files(table));
    let mut marks: Vec<FileMark> = files
        .filter(|file| file.may_hold_time(Some(start_us), Some(end_us)))
        .map(|file| {
            let mut hasher = DefaultHasher::new();
            file.path.hash(&mut hasher);
            let start_us = file.stats.min_ts_us.unwrap_or(i64::MIN);
            FileMark { name: hasher.finish(), start_ms: start_us.div_euclid(1_000) }
        })
        .collect();
    marks.sort_unstable();
    marks
}

/// The samples of `series` from `start_ms` to `end_ms`; `None` where there are none.
fn clipped(series: &Series, start_ms: i64, end_ms: i64) -> Option<Series> {
    fn within<T: Clone>(samples: &[(i64, T)], start_ms: i64, end_ms: i64) -> Vec<(i64, T)> {
        let first = samples.partition_point(|(time, _)| *time < start_ms);
        let end = samples.partition_point(|(time, _)| *time <= end_ms);
        samples.get(first..end).map_or_else(Vec::new, <[_]>::to_vec)
    }
    let floats = within(&series.floats, start_ms, end_ms);
    let histograms = within(&series.histograms, start_ms, end_ms);
    let empty = floats.is_empty() && histograms.is_empty();
    (!empty).then(|| Series { labels: series.labels.clone(), floats, histograms })
}

/// An answer put together of parts, in the order of time.
#[derive(Default)]
struct Parts {
    series: BTreeMap<Labels, Series>,
    annotations: Annotations,
    stats: PromStats,
}

impl Parts {
    fn add(&mut self, answer: PromAnswer) -> Result<(), PromError> {
        let Value::Matrix(series) = answer.value else {
            return Err(PromError::Internal("a range query gave no matrix".to_owned()));
        };
        self.add_series(series.into_iter());
        self.annotations.merge(answer.annotations);
        self.stats.add(&answer.stats);
        Ok(())
    }

    fn add_series(&mut self, series: impl Iterator<Item = Series>) {
        for mut series in series {
            match self.series.get_mut(&series.labels) {
                Some(known) => {
                    known.floats.append(&mut series.floats);
                    known.histograms.append(&mut series.histograms);
                }
                None => {
                    self.series.insert(series.labels.clone(), series);
                }
            }
        }
    }

    fn answer(self) -> PromAnswer {
        let value = Value::Matrix(self.series.into_values().collect());
        PromAnswer { value, annotations: self.annotations, stats: self.stats }
    }
}

#[cfg(test)]
mod tests;
