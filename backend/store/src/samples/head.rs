//! The samples in memory: a part a series and generation or hot block.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use crate::error::Result;
use crate::head::generation::Generation;
use crate::head::metrics::Series;
use crate::snapshot::Snapshot;
use crate::tables::Table;

use super::Job;
use super::merge::Part;

/// Fewest series a thread is given, so that starting it is worth the while.
const SERIES_PER_TASK: usize = 128;
/// Series looked up between two looks at whether to stop.
const SERIES_PER_CHECK: usize = 32;

/// Adds the samples in memory to `parts`, which has a list for every series asked for.
pub(super) async fn read(snapshot: &Snapshot, job: &Job, parts: &mut [Vec<Part>]) -> Result<()> {
    let generations: Arc<[Arc<Generation>]> = snapshot
        .generations(Table::Metrics)
        .into_iter()
        .filter(|generation| generation.metrics.max_ms().is_some_and(|max_ms| max_ms >= job.start_ms))
        .collect();
    if generations.is_empty() {
        return Ok(());
    }
    let parallel = job.options.parallel.max(1);
    let tsids = job.wanted.tsids();
    let share = tsids.len().div_ceil(parallel).max(SERIES_PER_TASK);
    let tasks: Vec<_> = tsids
        .chunks(share)
        .map(|share| {
            let (job, generations, share) = (job.clone(), Arc::clone(&generations), share.to_vec());
            async move { tokio::task::spawn_blocking(move || read_share(&job, &generations, &share)).await? }
        })
        .collect();
    let mut tasks = futures::stream::iter(tasks).buffer_unordered(parallel);
    while let Some(found) = tasks.try_next().await? {
        for (position, part) in found {
            parts[position].push(part);
        }
    }
    Ok(())
}

fn read_share(job: &Job, generations: &[Arc<Generation>], tsids: &[i64]) -> Result<Vec<(usize, Part)>> {
    let mut found = Vec::new();
    for tsids in tsids.chunks(SERIES_PER_CHECK) {
        job.check()?;
        for generation in generations {
            for series in generation.metrics.series_by_ids(tsids) {
                let position = job.wanted.position(series.tsid);
                if let Some(position) = position.filter(|_| series.overlaps(job.start_ms, job.end_ms)) {
                    found.push((position, part(&series, job)?));
                }
            }
        }
    }
    Ok(found)
}

fn part(series: &Series, job: &Job) -> Result<Part> {
    let whole = job.start_ms <= series.min_ms && series.max_ms <= job.end_ms;
    let room = if whole { series.chunk.len() } else { 0 };
    let (mut timestamps, mut values) = (Vec::with_capacity(room), Vec::with_capacity(room));
    for (timestamp_ms, value) in series.samples(job.start_ms, job.end_ms) {
        timestamps.push(timestamp_ms);
        values.push(value);
    }
    job.options.budget.take(timestamps.len())?;
    Ok(Part::of(timestamps, values))
}
