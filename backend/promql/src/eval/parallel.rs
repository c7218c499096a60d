//! Maps series to series on several threads where there is enough to do. Order is kept, so that results do not
//! depend on how the work was shared out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Evaluator;
use crate::annotations::Annotations;
use crate::error::{Error, Result};
use crate::series::StepSeries;

/// Most series a thread takes at a time.
const BLOCK_MAX: usize = 16;

/// Times a thread takes series, at least, so that all are done at about the same time.
const BLOCKS_A_THREAD: usize = 4;

/// Below this many steps of work a single thread is faster.
const WORK_MIN: usize = 100_000;

/// Likewise while more series are being read, which keeps the other threads busy.
const WORK_MIN_READING: usize = 1 << 20;

impl Evaluator<'_> {
    /// `f` of every item, without the empty ones. `work`: roughly how many samples an item stands for.
    pub(super) fn map_series<T: Sync>(
        self,
        items: &[T],
        work: usize,
        f: impl Fn(&T, &mut Annotations) -> Result<Option<StepSeries>> + Sync,
    ) -> Result<Vec<StepSeries>> {
        let interrupt = self.context.interrupt;
        let limit = self.context.settings.samples_max;
        let held = AtomicUsize::new(self.context.held());
        let run = |item: &T, notes: &mut Annotations| -> Result<Option<StepSeries>> {
            if let Some(interrupt) = interrupt() {
                return Err(interrupt.into());
            }
            let series = f(item, notes)?.filter(|series| !series.is_empty());
            let samples = series.as_ref().map_or(0, StepSeries::samples);
            if held.fetch_add(samples, Ordering::Relaxed).saturating_add(samples) > limit {
                return Err(Error::TooManySamples);
            }
            Ok(series)
        };
        let threads = self.context.settings.threads.min(items.len());
        let mut notes = Annotations::default();
        let work_min = if self.context.reading.get() { WORK_MIN_READING } else { WORK_MIN };
        let mapped = if threads < 2 || items.len().saturating_mul(work) < work_min {
            let results = items.iter().filter_map(|item| run(item, &mut notes).transpose());
            results.collect::<Result<Vec<_>>>()
        } else {
            on_threads(items, threads, &run, &mut notes)
        };
        self.note(|all| all.merge(notes));
        mapped
    }
}

/// Results of one block: its number and its series.
type Block = (usize, Vec<StepSeries>);

fn on_threads<T: Sync>(
    items: &[T],
    threads: usize,
    run: &(impl Fn(&T, &mut Annotations) -> Result<Option<StepSeries>> + Sync),
    notes: &mut Annotations,
) -> Result<Vec<StepSeries>> {
    let block_len = (items.len() / (threads * BLOCKS_A_THREAD)).clamp(1, BLOCK_MAX);
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let work = || -> (Vec<Block>, Annotations) {
        let (mut blocks, mut notes) = (Vec::new(), Annotations::default());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let start = number.saturating_mul(block_len);
            if start >= items.len() {
                return (blocks, notes);
            }
            let block = &items[start..(start + block_len).min(items.len())];
            let results = block.iter().filter_map(|item| run(item, &mut notes).transpose());
            match results.collect::<Result<Vec<_>>>() {
                Ok(series) => blocks.push((number, series)),
                Err(error) => {
                    // The others stop at their next block.
                    next.store(usize::MAX / BLOCK_MAX, Ordering::Relaxed);
                    *failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                    return (blocks, notes);
                }
            }
        }
    };
    let mut blocks: Vec<Block> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut blocks = Vec::new();
        for handle in handles {
            // A worker only panics where a kernel does, which is a bug to be seen, not hidden.
            let (own, own_notes) = handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            blocks.extend(own);
            notes.merge(own_notes);
        }
        blocks
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    blocks.sort_unstable_by_key(|(number, _)| *number);
    Ok(blocks.into_iter().flat_map(|(_, series)| series).collect())
}
