//! Series on a step grid: what evaluation passes from node to node. Floats are columns, one value a step from
//! the first step with a value to the last, gaps marked; histograms, which are rare, are listed by step.

use std::sync::Arc;

use model::{Labels, is_stale, stale_nan};

use crate::histogram::Histogram;
use crate::value::Cell;

/// Floats of consecutive steps. A gap holds the stale marker, which no computation yields: arithmetic only
/// makes quiet NaNs, and selectors drop stale samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    first: usize,
    values: Vec<f64>,
}

impl Column {
    /// A column with the same value at every step.
    pub(crate) fn repeated(value: f64, steps: usize) -> Column {
        Column { first: 0, values: vec![value; steps] }
    }

    /// A column from one slot a step, starting at step `first`; gaps at the ends are cut off.
    pub(crate) fn from_slots(first: usize, mut values: Vec<f64>) -> Column {
        let end = values.iter().rposition(|value| !is_stale(*value)).map_or(0, |last| last + 1);
        values.truncate(end);
        let gap = values.iter().take_while(|value| is_stale(**value)).count();
        values.drain(..gap);
        Column { first: if values.is_empty() { 0 } else { first + gap }, values }
    }

    /// The step of the first slot.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// One slot a step, gaps included.
    pub(crate) fn slots(&self) -> &[f64] {
        &self.values
    }

    /// One slot a step, to be changed in place; gaps must stay gaps.
    pub(crate) fn slots_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// The value at a step.
    pub(crate) fn get(&self, step: usize) -> Option<f64> {
        let value = *self.values.get(step.checked_sub(self.first)?)?;
        (!is_stale(value)).then_some(value)
    }

    /// Steps with values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.values
            .iter()
            .enumerate()
            .filter(|(_, value)| !is_stale(**value))
            .map(|(i, v)| (self.first + i, *v))
    }

    /// How many steps have values.
    pub(crate) fn len(&self) -> usize {
        self.values.iter().filter(|value| !is_stale(**value)).count()
    }

    /// True without values.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Appends a value at a step after all others.
    pub(crate) fn push(&mut self, step: usize, value: f64) {
        if self.values.is_empty() {
            self.first = step;
        }
        let slot = step - self.first;
        if slot > self.values.len() {
            self.values.resize(slot, stale_nan());
        }
        self.values.push(value);
    }

    /// Fills this column's gaps from `other`; false where both have a value at a step.
    pub(crate) fn fill_from(&mut self, other: &Column) -> bool {
        if other.is_empty() {
            return true;
        }
        if self.is_empty() {
            *self = other.clone();
            return true;
        }
        let first = self.first.min(other.first);
        let end = (self.first + self.values.len()).max(other.first + other.values.len());
        let mut slots = vec![stale_nan(); end - first];
        slots[self.first - first..][..self.values.len()].copy_from_slice(&self.values);
        for (step, value) in other.iter() {
            let slot = &mut slots[step - first];
            if !is_stale(*slot) {
                return false;
            }
            *slot = value;
        }
        *self = Column { first, values: slots };
        true
    }
}

/// A series on the grid. A step has a float or a histogram or neither.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepSeries {
    pub(crate) labels: Labels,
    /// The metric name (and type and unit) goes at the end of the query: it may still be needed on the way.
    pub(crate) drop_name: bool,
    pub(crate) floats: Column,
    /// By step.
    pub(crate) histograms: Vec<(usize, Arc<Histogram>)>,
}

impl StepSeries {
    /// A series without values.
    pub(crate) fn new(labels: Labels, drop_name: bool) -> StepSeries {
        StepSeries { labels, drop_name, ..StepSeries::default() }
    }

    /// Appends a value at a step after all others.
    pub(crate) fn push(&mut self, step: usize, cell: Cell) {
        match cell {
            Cell::Float(value) => self.floats.push(step, value),
            Cell::Histogram(histogram) => self.histograms.push((step, histogram)),
        }
    }

    /// True without values.
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// The histogram at a step.
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        let at = self.histograms.binary_search_by_key(&step, |(step, _)| *step).ok()?;
        Some(&self.histograms[at].1)
    }

    /// The value at a step.
    pub(crate) fn cell(&self, step: usize) -> Option<CellRef<'_>> {
        match self.floats.get(step) {
            Some(value) => Some(CellRef::Float(value)),
            None if self.histograms.is_empty() => None,
            None => self.histogram(step).map(CellRef::Histogram),
        }
    }

    /// True where the step has a value.
    pub(crate) fn has(&self, step: usize) -> bool {
        self.cell(step).is_some()
    }

    /// First and one past the last step that may have a value.
    pub(crate) fn bounds(&self) -> std::ops::Range<usize> {
        let floats = self.floats.first..self.floats.first + self.floats.values.len();
        match (self.histograms.first(), self.histograms.last()) {
            (Some((first, _)), Some((last, _))) if floats.is_empty() => *first..last + 1,
            (Some((first, _)), Some((last, _))) => floats.start.min(*first)..floats.end.max(last + 1),
            _ => floats,
        }
    }

    /// What it counts as against the sample limit.
    pub(crate) fn samples(&self) -> usize {
        self.floats.len() + self.histograms.iter().map(|(_, h)| h.size_in_samples()).sum::<usize>()
    }

    /// Takes over the values of a series with the same labels; false where both have one at a step.
    pub(crate) fn merge(&mut self, other: StepSeries) -> bool {
        let clash = other.histograms.iter().any(|(step, _)| self.has(*step))
            || self.histograms.iter().any(|(step, _)| other.floats.get(*step).is_some());
        if clash || !self.floats.fill_from(&other.floats) {
            return false;
        }
        self.histograms.extend(other.histograms);
        self.histograms.sort_by_key(|(step, _)| *step);
        true
    }
}

/// A borrowed value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CellRef<'a> {
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

impl CellRef<'_> {
    /// An owned copy.
    pub(crate) fn to_cell(self) -> Cell {
        match self {
            CellRef::Float(value) => Cell::Float(value),
            CellRef::Histogram(histogram) => Cell::Histogram(Arc::clone(histogram)),
        }
    }
}
