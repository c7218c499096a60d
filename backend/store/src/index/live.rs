//! The index of the label sets the head knows, kept up to date while batches come in.
//!
//! Comes in: label sets from the writing thread, one push each, before their rows can be seen. Goes out:
//! a [`LiveView`] for one query. The writing thread only appends to a short tail; building and merging
//! segments is the work of a background task, and of a query that finds the tail long. A set that is
//! forgotten leaves with the next build, in a new [`LiveIndex`]: older snapshots keep the one they have.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Labels, Matcher};
use tokio::sync::Notify;

use super::build::Builder;
use super::segment::Segment;
use crate::ids::IdHasher;

/// Label sets in a run of the tail; full runs are shared with readers, not copied.
const RUN: usize = 256;
/// Length of the tail at which it is made into a segment.
const FREEZE_AT: usize = 2_048;
/// Length of the tail at which a query does that itself.
const FREEZE_NOW_AT: usize = 8 * FREEZE_AT;

/// Ids of label sets.
pub(crate) type IdSet = HashSet<i64, BuildHasherDefault<IdHasher>>;

type Member = (i64, Labels);

/// An index that grows.
#[derive(Debug)]
pub(crate) struct LiveIndex {
    key: &'static str,
    state: Mutex<State>,
    /// Held while segments are built; never while anything is appended.
    building: Mutex<()>,
    /// Told when the tail is long.
    wanted: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    segments: Vec<Arc<Segment>>,
    sealed: Vec<Arc<Vec<Member>>>,
    open: Vec<Member>,
    /// Ids of the segments' series that are not forgotten, where some are.
    kept: Option<Arc<IdSet>>,
    asked: bool,
}

impl State {
    fn tail_len(&self) -> usize {
        self.sealed.iter().map(|run| run.len()).sum::<usize>() + self.open.len()
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            self.sealed.push(Arc::new(std::mem::take(&mut self.open)));
        }
    }
}

/// The index at one moment.
#[derive(Clone, Debug)]
pub(crate) struct LiveView {
    /// Indexed series.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Series to be looked at one by one.
    pub(crate) tail: Vec<Arc<Vec<Member>>>,
}

/// The two indexes of a store's head.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// Of series.
    pub(crate) series: Arc<LiveIndex>,
    /// Of log streams.
    pub(crate) streams: Arc<LiveIndex>,
}

impl Live {
    /// Builds what has come in since the last time.
    pub(crate) fn build(&self) {
        self.series.build();
        self.streams.build();
    }
}

impl LiveIndex {
    /// An empty index; `key` leads the order of its series.
    pub(crate) fn new(key: &'static str, wanted: &Arc<Notify>) -> LiveIndex {
        LiveIndex { key, state: Mutex::default(), building: Mutex::default(), wanted: Arc::clone(wanted) }
    }

    /// Adds a label set. It is in every view made from now on.
    pub(crate) fn push(&self, id: i64, labels: &Labels) {
        let mut state = self.lock();
        state.open.push((id, Labels::clone(labels)));
        if state.open.len() >= RUN {
            state.seal();
            self.ask(&mut state);
        }
    }

    fn ask(&self, state: &mut State) {
        if !state.asked && (state.kept.is_some() || state.tail_len() >= FREEZE_AT) {
            state.asked = true;
            self.wanted.notify_one();
        }
    }

    /// The index as it is now. May take the time to build segments, so not to be called on an async thread.
    pub(crate) fn view(&self) -> LiveView {
        if self.lock().tail_len() >= FREEZE_NOW_AT {
            self.build();
        }
        let state = self.lock();
        let mut tail = state.sealed.clone();
        if !state.open.is_empty() {
            tail.push(Arc::new(state.open.clone()));
        }
        LiveView { segments: state.segments.clone(), tail }
    }

    /// Whether finding series in a view of now takes well below a millisecond.
    pub(crate) fn is_quick(&self, matchers: &[Matcher]) -> bool {
        let (tail_len, segments) = {
            let state = self.lock();
            (state.tail_len(), state.segments.clone())
        };
        tail_len < FREEZE_AT && segments.iter().all(|segment| segment.is_quick(matchers))
    }

    /// An index of those label sets only that are in `kept`. Until it is built it may show others too.
    pub(crate) fn shrunk(&self, kept: IdSet) -> LiveIndex {
        let state = self.lock();
        let tail = state.sealed.iter().flat_map(|run| run.iter()).chain(&state.open);
        let open = tail.filter(|(id, _)| kept.contains(id)).cloned().collect();
        let mut next = State {
            segments: state.segments.clone(),
            sealed: Vec::new(),
            open,
            kept: Some(Arc::new(kept)),
            asked: false,
        };
        let shrunk = LiveIndex::new(self.key, &self.wanted);
        shrunk.ask(&mut next);
        *shrunk.lock() = next;
        shrunk
    }

    /// Makes segments of what is in the tail, and drops what was forgotten.
    pub(crate) fn build(&self) {
        let _one = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let (segments, runs, kept) = {
            let mut state = self.lock();
            state.asked = false;
            if state.tail_len() < FREEZE_AT && state.kept.is_none() {
                return;
            }
            state.seal();
            (state.segments.clone(), state.sealed.clone(), state.kept.clone())
        };
        let mut builder = Builder::shared(self.key);
        runs.iter().flat_map(|run| run.iter()).for_each(|(id, labels)| builder.add(*id, labels));
        let segments = match &kept {
            None => merged(self.key, segments, builder),
            Some(kept) => {
                for segment in &segments {
                    builder.add_segment(segment, |number| kept.contains(&segment.id(number)));
                }
                of_builder(builder)
            }
        };
        let mut state = self.lock();
        state.segments = segments;
        state.sealed.drain(..runs.len());
        state.kept = None;
        self.ask(&mut state);
    }

    /// Number of series, forgotten ones that are still in segments included.
    pub(crate) fn len(&self) -> usize {
        let state = self.lock();
        state.tail_len() + state.segments.iter().map(|segment| segment.len() as usize).sum::<usize>()
    }

    /// Bytes on the heap; the label sets, which the head counts, are not among them.
    pub(crate) fn heap_bytes(&self) -> usize {
        let state = self.lock();
        let segments: usize = state.segments.iter().map(|segment| segment.heap_bytes()).sum();
        let kept = state.kept.as_ref().map_or(0, |kept| kept.capacity() * 9);
        segments + kept + (state.tail_len() + state.open.capacity() - state.open.len()) * size_of::<Member>()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_builder(builder: Builder) -> Vec<Arc<Segment>> {
    if builder.len() == 0 { Vec::new() } else { vec![Arc::new(builder.finish())] }
}

/// `segments`, which shrink from first to last, and the builder's series. Segments no larger than twice what
/// comes behind them are taken in, so that each series is built anew a logarithmic number of times.
fn merged(key: &'static str, mut segments: Vec<Arc<Segment>>, mut builder: Builder) -> Vec<Arc<Segment>> {
    debug_assert_eq!(builder.key(), key);
    while let Some(last) = segments.pop_if(|last| last.len() as usize <= 2 * builder.len()) {
        builder.add_segment(&last, |_| true);
    }
    segments.extend(of_builder(builder));
    segments
}
