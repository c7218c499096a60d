//! Runs PromQL test scripts through a real store: what a script loads is appended, made durable, and read back
//! from the head, from files, or after a restart. Comes in: a directory to work in; goes out: a target for
//! [`promql::script::run_on`]. Shows that nothing between ingestion and the evaluator bends the language.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Batch, HistogramPoint, Labels, Point, StartTime, SystemClock};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use promql::script::{Report, Target, run_on};
use promql::{Answer, Cell, QueryTime, SeriesData};
use store::Store;
use store::compact::{CompactionScope, ProgressFn};

use super::config::{PromConfig, PromOptions};
use super::engine::PromEngine;
use super::error::PromError;
use super::histograms::storable;
use crate::workers::Workers;

/// Longer ago than the times of scripts, which begin in 1970.
const HOT_WINDOW: Duration = Duration::from_secs(500 * 365 * 86_400);
/// Attempts to open the folder of a store that was stopped.
const LOCK_ATTEMPTS: usize = 1_000;
/// Time between them.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Where the samples of a script lie when it asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// In the head.
    Head,
    /// In files; every `load` is flushed.
    Files,
    /// Flushed, and still in memory.
    Hot,
    /// In the log, read again by a store that was stopped in between.
    Restarted,
    /// Part in files, part in the head: of every `load` the even samples are flushed, the odd ones are not.
    Mixed,
    /// In files of two flushes that were merged into one.
    Merged,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 6] =
        [Stage::Head, Stage::Files, Stage::Hot, Stage::Restarted, Stage::Mixed, Stage::Merged];
}

/// A store that scripts work on. Not to be used on an async thread.
#[derive(Debug)]
pub struct ThroughStore {
    stage: Stage,
    directory: PathBuf,
    runtime: tokio::runtime::Runtime,
    engine: PromEngine,
    open: Option<Open>,
    /// Stores opened so far; each has a folder of its own.
    opened: usize,
}

#[derive(Debug)]
struct Open {
    store: Store,
    objects: Arc<dyn ObjectStore>,
    folder: PathBuf,
}

/// Runs `script` through stores that keep their logs below `directory`.
pub fn run(script: &str, stage: Stage, directory: PathBuf) -> Result<Report, String> {
    let mut target = ThroughStore::new(stage, directory)?;
    let report = run_on(script, &mut target);
    target.close();
    Ok(report)
}

impl ThroughStore {
    /// A target over an empty store. Fails where the directory cannot be used.
    pub fn new(stage: Stage, directory: PathBuf) -> Result<ThroughStore, String> {
        let workers = Workers::start().map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let config = PromConfig { type_and_unit_labels: true, ..PromConfig::default() };
        let mut target = ThroughStore {
            stage,
            directory,
            runtime: runtime.map_err(|error| error.to_string())?,
            engine: PromEngine::new(config, workers),
            open: None,
            opened: 0,
        };
        target.reopen()?;
        Ok(target)
    }

    /// Stops the store; what it holds stays in the directory.
    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            // Rows that no flush has written stay in the log, which is what a restart is to find.
            self.runtime.block_on(async move { drop(open.store) });
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        self.close();
        self.opened += 1;
        let folder = self.directory.join(self.opened.to_string());
        let open = self.start(folder, Arc::new(InMemory::new()))?;
        self.open = Some(open);
        Ok(())
    }

    fn start(&self, folder: PathBuf, objects: Arc<dyn ObjectStore>) -> Result<Open, String> {
        let config = store::Config {
            data_dir: folder.clone(),
            group_wait: Duration::ZERO,
            // Flushes happen when the stage says so.
            flush_interval: Duration::from_secs(1 << 30),
            hot_window: if self.stage == Stage::Hot { HOT_WINDOW } else { Duration::ZERO },
            ..store::Config::default()
        };
        let store = self.runtime.block_on(async {
            let mut attempts = 0;
            loop {
                let objects = Arc::clone(&objects);
                match Store::open(config.clone(), objects, Path::from("script"), Arc::new(SystemClock)).await
                {
                    // A store that was stopped a moment ago lets go of its folder when its threads have ended.
                    Err(store::Error::Locked { .. }) if attempts < LOCK_ATTEMPTS => attempts += 1,
                    opened => return opened.map_err(|error| error.to_string()),
                }
                tokio::time::sleep(LOCK_PAUSE).await;
            }
        })?;
        Ok(Open { store, objects, folder })
    }

    fn append(&self, samples: Vec<Loaded>) -> Result<(), String> {
        let store = self.store()?;
        let mut batch = Batch::new("script");
        samples.into_iter().for_each(|sample| sample.add_to(&mut batch));
        self.runtime.block_on(store.append(batch)).map(|_| ()).map_err(|error| error.to_string())
    }

    fn flush(&self) -> Result<(), String> {
        let store = self.store()?;
        self.runtime.block_on(store.flush()).map(|_| ()).map_err(|error| error.to_string())
    }

    fn merge(&self) -> Result<(), String> {
        let store = self.store()?;
        let scope = CompactionScope { all: true, ..CompactionScope::default() };
        let merged = self.runtime.block_on(store.compact(&scope, &ProgressFn::default()));
        let report = merged.map_err(|error| error.to_string())?;
        if report.failures > 0 { Err(format!("{} merges failed", report.failures)) } else { Ok(()) }
    }

    fn store(&self) -> Result<&Store, String> {
        self.open.as_ref().map(|open| &open.store).ok_or_else(|| "there is no store".to_owned())
    }

    fn restart(&mut self) -> Result<(), String> {
        let Some(Open { store, objects, folder }) = self.open.take() else { return Ok(()) };
        self.runtime.block_on(async move { drop(store) });
        self.open = Some(self.start(folder, objects)?);
        Ok(())
    }
}

impl Target for ThroughStore {
    fn load(&mut self, series: Vec<SeriesData>) -> Result<(), String> {
        // Of two lines of a script for one series and time the later one counts; a store knows no order.
        let mut last = HashMap::new();
        for sample in series.iter().flat_map(samples) {
            last.insert((sample.labels.clone(), sample.timestamp_ms), sample);
        }
        let mut points: Vec<Loaded> = last.into_values().collect();
        points.sort_by(|a, b| (&a.labels, a.timestamp_ms).cmp(&(&b.labels, b.timestamp_ms)));
        match self.stage {
            Stage::Head => self.append(points)?,
            Stage::Files | Stage::Hot => {
                self.append(points)?;
                self.flush()?;
            }
            Stage::Restarted => {
                self.append(points)?;
                self.restart()?;
            }
            Stage::Mixed | Stage::Merged => {
                let (even, odd): (Vec<_>, Vec<_>) =
                    points.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
                self.append(even.into_iter().map(|(_, point)| point).collect())?;
                self.flush()?;
                self.append(odd.into_iter().map(|(_, point)| point).collect())?;
                if self.stage == Stage::Merged {
                    self.flush()?;
                    self.merge()?;
                }
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        // A store that cannot be opened shows at the next command.
        let _ = self.reopen();
    }

    fn query(&self, query: &str, time: QueryTime) -> promql::Result<Answer> {
        let failed = |text: String| promql::Error::Source(text.into());
        let snapshot = self.store().map_err(failed)?.snapshot();
        let options = PromOptions::default();
        let asked = self.engine.query(snapshot, query, time, &options);
        match self.runtime.block_on(asked) {
            Ok(answer) => Ok(Answer { value: answer.value, annotations: answer.annotations }),
            Err(PromError::Parse(error)) => Err(promql::Error::Parse(error)),
            Err(PromError::Execution(text)) => Err(promql::Error::Evaluation(text)),
            Err(PromError::TooManySamples) => Err(promql::Error::TooManySamples),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

impl Drop for ThroughStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// One sample of a script, of either kind.
#[derive(Clone, Debug)]
struct Loaded {
    labels: Labels,
    timestamp_ms: i64,
    /// 0 where not known.
    start_ms: i64,
    value: Cell,
}

impl Loaded {
    fn add_to(self, batch: &mut Batch) {
        let Loaded { labels, timestamp_ms, start_ms, value } = self;
        match value {
            Cell::Float(value) => {
                if start_ms != 0 {
                    let labels = Labels::clone(&labels);
                    batch.starts.push(StartTime { labels, timestamp_ms, start_ms });
                }
                batch.points.push(Point { labels, timestamp_ms, value });
            }
            Cell::Histogram(histogram) => {
                let histogram = Arc::new(storable(&histogram));
                batch.histograms.push(HistogramPoint { labels, timestamp_ms, start_ms, histogram });
            }
        }
    }
}

fn samples(series: &SeriesData) -> impl Iterator<Item = Loaded> + '_ {
    let floats = series.timestamps.iter().zip(&series.values).enumerate().map(|(i, (time, value))| Loaded {
        labels: series.labels.clone(),
        timestamp_ms: *time,
        start_ms: series.starts.get(i).copied().unwrap_or(0),
        value: Cell::Float(*value),
    });
    floats.chain(series.histograms.iter().map(|sample| Loaded {
        labels: series.labels.clone(),
        timestamp_ms: sample.timestamp_ms,
        start_ms: sample.start_ms,
        value: Cell::Histogram(Arc::clone(&sample.histogram)),
    }))
}

#[cfg(test)]
mod tests;
