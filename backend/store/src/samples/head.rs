//! The samples in memory: a strip a share of the series.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::error::Result;
use crate::head::generation::Generation;
use crate::head::metrics::Series;
use crate::snapshot::Snapshot;
use crate::tables::Table;

use super::Job;
use super::merge::Strip;

/// Fewest series a thread is given, so that starting it is worth the while.
const SERIES_PER_TASK: usize = 128;
/// Series looked up between two looks at whether to stop.
const SERIES_PER_CHECK: usize = 32;
/// Most samples that are read without handing them to another thread.
const READ_HERE_MAX: f64 = 16_384.0;

/// Series looked at to estimate how many samples there are.
const SERIES_IN_ESTIMATE: usize = 32;

/// The generations that may have samples in the job's time.
pub(super) fn generations(snapshot: &Snapshot, job: &Job) -> Arc<[Arc<Generation>]> {
    let all = snapshot.generations(Table::Metrics).into_iter();
    all.filter(|generation| generation.metrics.max_ms().is_some_and(|max_ms| max_ms >= job.start_ms))
        .collect()
}

/// About how many samples in memory a series has in the job's time, by a few of them.
pub(super) fn samples_a_series(generations: &[Arc<Generation>], job: &Job) -> f64 {
    let all = job.wanted.tsids();
    if generations.is_empty() || all.is_empty() {
        return 0.0;
    }
    let step = all.len().div_ceil(SERIES_IN_ESTIMATE);
    let some: Vec<i64> = all.iter().step_by(step).copied().collect();
    let samples = |series: &Series| {
        let own = (series.max_ms - series.min_ms + 1) as f64;
        let (first, last) = (series.min_ms.max(job.start_ms), series.max_ms.min(job.end_ms));
        series.chunk.len() as f64 * ((last - first + 1) as f64 / own).clamp(0.0, 1.0)
    };
    let found = generations.iter().flat_map(|generation| generation.metrics.series_by_ids(&some));
    found.map(|series| samples(&series)).sum::<f64>() / some.len() as f64
}

/// Samples of the series `tsids` in memory. `expected`: how many, about.
pub(super) async fn read(
    generations: &Arc<[Arc<Generation>]>,
    job: &Job,
    tsids: &[i64],
    expected: f64,
) -> Result<Vec<Strip>> {
    if generations.is_empty() {
        return Ok(Vec::new());
    }
    let parallel = job.options.parallel.max(1);
    if expected <= READ_HERE_MAX {
        return Ok(vec![read_share(job, generations, tsids)?]);
    }
    let share = tsids.len().div_ceil(parallel).max(SERIES_PER_TASK);
    let tasks: Vec<_> = tsids
        .chunks(share)
        .map(|share| {
            let (job, generations, share) = (job.clone(), Arc::clone(generations), share.to_vec());
            async move { tokio::task::spawn_blocking(move || read_share(&job, &generations, &share)).await? }
        })
        .collect();
    futures::stream::iter(tasks).buffer_unordered(parallel).try_collect().await
}

fn read_share(job: &Job, generations: &[Arc<Generation>], tsids: &[i64]) -> Result<Strip> {
    let mut strip = Strip::default();
    for tsids in tsids.chunks(SERIES_PER_CHECK) {
        job.check()?;
        for generation in generations {
            for series in generation.metrics.series_by_ids(tsids) {
                let position = job.wanted.position(series.tsid);
                if let Some(position) = position.filter(|_| series.overlaps(job.start_ms, job.end_ms)) {
                    strip.add(position, |timestamps, values| {
                        let before = timestamps.len();
                        for (timestamp_ms, value) in series.samples(job.start_ms, job.end_ms) {
                            timestamps.push(timestamp_ms);
                            values.push(value);
                        }
                        job.options.budget.take(timestamps.len() - before)
                    })?;
                }
            }
        }
    }
    Ok(strip)
}
