//! The one thread that writes: dedup, log, fsync, head, answer.
//!
//! Batches get their log sequence numbers and reach the head in the same order, by one thread, after their
//! fsync. So a generation holds exactly the rows of a stretch of the log, and the number at which it ends
//! is the watermark its commits carry.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use model::{Batch, Clock};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::view::{self, Ended, View};
use crate::dedup::{BatchKey, Dedup};
use crate::error::{Error, Result};
use crate::head::generation::{Generation, Registries, Resolved};
use crate::head::metadata::MetadataMap;
use crate::head::registry::Registry;
use crate::stats::Counters;
use crate::tables::Table;
use crate::wal::Lsn;
use crate::wal::codec;
use crate::wal::frame::FrameKind;
use crate::wal::writer::Writer;

/// Size of a group after which it is written without waiting for more.
const GROUP_BYTES: usize = 4 << 20;
/// Most batches in a group.
const GROUP_BATCHES: usize = 4_096;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable and in the next snapshot.
    Stored {
        /// Rows it added.
        rows: usize,
    },
    /// A batch of that source and id was stored within the last 24 hours; nothing was added.
    Duplicate,
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Store a batch.
    Append(Box<Job>),
    /// End the active generation, if it has rows.
    Rotate(oneshot::Sender<()>),
    /// Everything up to this record is committed: shorten the log.
    Trim(Lsn, oneshot::Sender<Result<usize>>),
    /// End the thread.
    Stop,
}

/// A batch on its way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) key: Option<BatchKey>,
    pub(crate) reply: oneshot::Sender<Result<Appended>>,
    /// Its share of the queue's memory.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// The thread's belongings.
#[derive(Debug)]
pub(crate) struct Appender {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) writer: Writer,
    pub(crate) dedup: Dedup,
    pub(crate) registries: Registries,
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) metadata: Arc<MetadataMap>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) group_wait: Duration,
    pub(crate) retry_after: Duration,
    pub(crate) data_dir: std::path::PathBuf,
}

/// A batch in the group that is being written.
struct Written {
    lsn: Lsn,
    received_ms: i64,
    resolved: Resolved,
    batch: Batch,
    key: Option<BatchKey>,
    reply: oneshot::Sender<Result<Appended>>,
    /// Answers to the same batch sent again before this one was durable.
    repeats: Vec<oneshot::Sender<Result<Appended>>>,
}

impl Appender {
    /// Works until it is told to stop or nobody can tell it anything any more.
    pub(crate) fn run(mut self) {
        let mut next = self.commands.blocking_recv();
        while let Some(command) = next.take() {
            match command {
                Command::Append(job) => {
                    if !self.group_wait.is_zero() {
                        thread::sleep(self.group_wait);
                    }
                    next = self.group(*job);
                    self.publish();
                    if next.is_some() {
                        continue;
                    }
                }
                Command::Rotate(reply) => {
                    self.rotate();
                    // Nobody waits any more where the flush was called off.
                    let _ = reply.send(());
                }
                Command::Trim(lsn, reply) => {
                    let trimmed = self.trim(lsn);
                    self.publish();
                    let _ = reply.send(trimmed);
                }
                Command::Stop => return,
            }
            next = self.commands.blocking_recv();
        }
    }

    /// Writes `first` and what else waits, with one fsync. Gives back a command that is not an append.
    fn group(&mut self, first: Job) -> Option<Command> {
        let mut group: Vec<Written> = Vec::new();
        let mut places: HashMap<BatchKey, usize> = HashMap::new();
        let mut permits = Vec::new();
        let mut other = None;
        let mut job = Some(first);
        let begun = self.writer.begin().map_err(Arc::new);
        while let Some(Job { batch, key, reply, permit }) = job.take() {
            permits.push(permit);
            if let Some(key) = key.filter(|key| self.dedup.contains(*key)) {
                Counters::bump(&self.counters.duplicates);
                tracing::debug!(source = batch.source, key, "batch stored before");
                let _ = reply.send(Ok(Appended::Duplicate));
            } else if let Err(error) = &begun {
                self.refuse(reply, error);
            } else if let Some(place) = key.and_then(|key| places.get(&key)) {
                group[*place].repeats.push(reply);
            } else {
                if let Some(key) = key {
                    places.insert(key, group.len());
                }
                group.push(self.encode(batch, key, reply));
            }
            if permits.len() >= GROUP_BATCHES || self.writer.group_bytes() >= GROUP_BYTES {
                break;
            }
            match self.commands.try_recv() {
                Ok(Command::Append(next)) => job = Some(*next),
                Ok(command) => other = Some(command),
                Err(_) => {}
            }
        }
        if !group.is_empty() {
            self.commit(group);
        }
        other
    }

    fn encode(
        &mut self,
        mut batch: Batch,
        key: Option<BatchKey>,
        reply: oneshot::Sender<Result<Appended>>,
    ) -> Written {
        self.metadata.retain_news(&mut batch.metadata);
        let resolved = self.registries.resolve(&batch);
        let epoch = self.writer.epoch();
        let number = |labels: &model::Labels, known: &mut (u32, u32), writer: &mut Writer| {
            if known.0 != epoch {
                *known = (epoch, writer.define(labels));
            }
            known.1
        };
        let mut series = Vec::with_capacity(resolved.series.len());
        for index in &resolved.series {
            let entry = self.registries.series.entry_mut(*index);
            series.push(number(&entry.labels, &mut entry.log_number, &mut self.writer));
        }
        let mut streams = Vec::with_capacity(resolved.streams.len());
        for index in &resolved.streams {
            let entry = self.registries.streams.entry_mut(*index);
            streams.push(number(&entry.labels, &mut entry.log_number, &mut self.writer));
        }
        let received_ms = self.clock.now_ms();
        let lsn = self.writer.push(FrameKind::Batch, |out| {
            codec::encode(&batch, received_ms, &series, &streams, out);
        });
        Written { lsn, received_ms, resolved, batch, key, reply, repeats: Vec::new() }
    }

    fn commit(&mut self, group: Vec<Written>) {
        let (start, bytes) = (Instant::now(), self.writer.group_bytes() as u64);
        let committed = self.writer.commit();
        Counters::add_time(&self.counters.wal_write_us, start.elapsed());
        match committed {
            Ok(()) => {
                Counters::bump(&self.counters.wal_groups);
                Counters::add(&self.counters.wal_written_bytes, bytes);
                let active = Arc::clone(&self.view.load().active);
                for written in group {
                    self.apply(&active, written);
                }
            }
            Err(error) => {
                tracing::error!(%error, batches = group.len(), "log cannot be written; batches refused");
                let error = Arc::new(error);
                for written in group {
                    let replies = std::iter::once(written.reply).chain(written.repeats);
                    replies.for_each(|reply| self.refuse(reply, &error));
                }
            }
        }
    }

    /// Puts a durable batch into the head, then answers.
    fn apply(&mut self, active: &Generation, written: Written) {
        let Written { lsn, received_ms, resolved, mut batch, key, reply, repeats } = written;
        let rows = batch.rows();
        Counters::bump(&self.counters.batches);
        Counters::add(&self.counters.points, batch.points.len() as u64);
        Counters::add(&self.counters.histograms, batch.histograms.len() as u64);
        Counters::add(&self.counters.start_times, batch.starts.len() as u64);
        Counters::add(&self.counters.exemplars, batch.exemplars.len() as u64);
        Counters::add(&self.counters.log_lines, batch.log_entries() as u64);
        Counters::add(&self.counters.probe_results, batch.probes.len() as u64);
        self.metadata.learn(std::mem::take(&mut batch.metadata));
        let arrivals = active.append(lsn, received_ms, batch, &resolved, &mut self.registries);
        Counters::add(&self.counters.out_of_order, arrivals.out_of_order);
        Counters::add(&self.counters.too_old, arrivals.too_old);
        Counters::add(&self.counters.repeated, arrivals.repeated);
        if let Some(key) = key {
            self.dedup.insert(received_ms, key);
        }
        // A sender that went away does not need the answer.
        let _ = reply.send(Ok(Appended::Stored { rows }));
        for reply in repeats {
            Counters::bump(&self.counters.duplicates);
            let _ = reply.send(Ok(Appended::Duplicate));
        }
    }

    fn refuse(&self, reply: oneshot::Sender<Result<Appended>>, error: &Arc<std::io::Error>) {
        Counters::bump(&self.counters.unavailable);
        let source = Arc::clone(error);
        let _ = reply.send(Err(Error::Unavailable { retry_after: self.retry_after, source }));
    }

    fn rotate(&mut self) {
        let view = self.view.load_full();
        // Label sets stay for as long as rows in memory refer to them: they are shared, and counted here.
        let series = forget(&mut self.registries.series, &view, &Table::OF_SERIES);
        let streams = forget(&mut self.registries.streams, &view, &[Table::Logs]);
        let ends = view.active.rows() > 0;
        if ends || series || streams {
            let next = Arc::new(view.active.successor());
            if !ends {
                next.note_lsn(view.active.last_lsn());
            }
            // The new generation comes with the index that the sets of its rows will be in: what an index
            // forgot may come back, and then only the one after it knows.
            let live = self.registries.live();
            view::update(&self.view, |view| {
                if ends {
                    let ended = Ended { generation: Arc::clone(&view.active), done: Default::default() };
                    view.ended.push(ended);
                }
                view.active = Arc::clone(&next);
                view.live = live.clone();
            });
        }
        self.publish();
    }

    fn trim(&mut self, lsn: Lsn) -> Result<usize> {
        let now_ms = self.clock.now_ms();
        let saved = self.dedup.save().and_then(|()| self.dedup.expire(now_ms));
        saved.map_err(|error| Error::io(self.data_dir.join("batches"), error))?;
        self.writer.trim(lsn).map_err(|error| Error::io(self.data_dir.join("wal"), error))
    }

    /// Tells the counters how the log stands.
    pub(super) fn publish(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let (disk, counters) = (self.writer.disk_use(), &self.counters);
        counters.wal_segments.store(disk.segments, Relaxed);
        counters.wal_bytes.store(disk.bytes, Relaxed);
        counters.wal_last_lsn.store(self.writer.last_lsn(), Relaxed);
        counters.wal_failures.store(self.writer.failures(), Relaxed);
        let Registries { series, streams } = &self.registries;
        counters.label_sets.store((series.len() + streams.len()) as u64, Relaxed);
        counters.registry_bytes.store((series.heap_bytes() + streams.heap_bytes()) as u64, Relaxed);
        counters.id_collisions.store(series.collisions() + streams.collisions(), Relaxed);
        counters.remembered_batches.store(self.dedup.len() as u64, Relaxed);
        counters.forgotten_batches.store(self.dedup.forgotten_early(), Relaxed);
    }
}

/// Forgets label sets that no rows of `tables` in memory refer to any more, if it is time.
fn forget(registry: &mut Registry, view: &View, tables: &[Table]) -> bool {
    let sets = |generation: &Arc<Generation>| match tables {
        [Table::Logs] => generation.logs.stream_count(),
        _ => generation.series_count(),
    };
    let generations = tables.iter().flat_map(|table| view.generations(*table));
    let used = generations.map(|generation| sets(&generation)).max().unwrap_or(0);
    let first = tables.iter().map(|table| view.first_sequence(*table)).min().unwrap_or(0);
    registry.forget_if_due(first, view.active.sequence, used)
}
