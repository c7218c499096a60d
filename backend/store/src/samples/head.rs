//! The head's samples: a part a series and generation.

use crate::error::Result;
use crate::head::metrics::Series;
use crate::snapshot::Snapshot;
use crate::tables::Table;

use super::Job;
use super::merge::Part;

/// Adds the head's samples to `parts`, which has a list for every series asked for.
pub(super) async fn read(snapshot: &Snapshot, job: &Job, parts: &mut [Vec<Part>]) -> Result<()> {
    let generations = snapshot.generations(Table::Metrics);
    if generations.iter().all(|generation| generation.metrics.rows() == 0) {
        return Ok(());
    }
    let job = job.clone();
    let found = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        for generation in generations {
            let keep = |series: &Series| {
                job.wanted.position(series.tsid).is_some() && series.overlaps(job.start_ms, job.end_ms)
            };
            for metric in job.wanted.metrics() {
                job.check()?;
                for series in generation.metrics.series_of(metric, keep) {
                    if let Some(position) = job.wanted.position(series.tsid) {
                        found.push((position, part(&series, &job)?));
                    }
                }
            }
        }
        Ok::<_, crate::Error>(found)
    });
    for (position, part) in found.await?? {
        parts[position].push(part);
    }
    Ok(())
}

fn part(series: &Series, job: &Job) -> Result<Part> {
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    for (timestamp_ms, value) in series.samples(job.start_ms, job.end_ms) {
        timestamps.push(timestamp_ms);
        values.push(value);
    }
    job.options.budget.take(timestamps.len())?;
    Ok(Part::of(timestamps, values))
}
