//! Into our own tables as a running server would have them: appended by time, flushed every five minutes, merged every
//! hour as far as the policy wants, nothing that has to wait for its time hurried.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use model::{Batch, Labels, ManualClock, Point};
use store::objects::{self, ObjectsConfig};
use store::{CompactionScope, Config, ProgressFn, Store};

use crate::host::{Host, Period, Window};
use crate::model_file::Model;
use crate::{Outcome, Written};

const FLUSH_S: i64 = 300;
const FLUSHES_AN_HOUR: usize = 12;

/// Writes below `folder`: the tables to `store`, the log to `data`.
pub(crate) async fn write(
    model: &Model,
    mut hosts: Vec<Host>,
    period: &Period,
    folder: &Path,
) -> Outcome<Written> {
    let clock = Arc::new(ManualClock::at_ms(period.start_ms));
    let store = open(folder, Arc::clone(&clock)).await?;
    let mut written =
        Written { series: hosts.iter().map(|host| host.labels().len() as u64).sum(), samples: 0 };
    let labels: Vec<Vec<Labels>> =
        hosts.iter().map(|host| host.labels().iter().map(Labels::from_pairs).collect()).collect();
    let mut window = Window::default();
    for (number, slots) in period.windows(FLUSH_S).enumerate() {
        clock.advance_ms(slots.len() as i64 * period.interval_ms);
        let mut batches = Vec::new();
        for (host, labels) in hosts.iter_mut().zip(&labels) {
            host.walk(model, slots.clone(), &mut window);
            if slots.start < period.written.start {
                continue;
            }
            written.samples += window.samples();
            batches.push(Batch { points: points(labels, &window), ..Batch::new("promql_data") });
        }
        // Together, so that they share the fsync of the log.
        try_join_all(batches.into_iter().map(|batch| store.append(batch))).await?;
        store.flush().await?;
        if number % FLUSHES_AN_HOUR == FLUSHES_AN_HOUR - 1 {
            store.compact(&CompactionScope::default(), &ProgressFn::default()).await?;
        }
    }
    store.compact(&CompactionScope::default(), &ProgressFn::default()).await?;
    store.close().await?;
    Ok(written)
}

async fn open(folder: &Path, clock: Arc<ManualClock>) -> Outcome<Store> {
    let config = Config {
        data_dir: folder.join("data"),
        // Flushes and merges come when the samples' time says so, not the machine's.
        flush_interval: Duration::from_secs(1 << 20),
        compaction_interval: Duration::from_secs(1 << 20),
        flush_rows: u64::MAX,
        flush_bytes: u64::MAX,
        ..Config::default()
    };
    let url = format!("file:{}", folder.join("store").display());
    let objects = objects::open(&ObjectsConfig { url, ..ObjectsConfig::default() })?;
    Ok(Store::open(config, objects.store, objects.prefix, clock).await?)
}

fn points(labels: &[Labels], window: &Window) -> Vec<Point> {
    let of_series = |(labels, column): (&Labels, &Vec<f64>)| {
        let samples = window.times_ms.iter().zip(column);
        let points =
            samples.map(|(&timestamp_ms, &value)| Point { labels: labels.clone(), timestamp_ms, value });
        points.collect::<Vec<_>>()
    };
    labels.iter().zip(&window.columns).flat_map(of_series).collect()
}
