//! Merges sorted inputs into one sorted stream of batches, and brings repeated rows together.
//!
//! Comes in: inputs in order of writing, each a stream of sorted batches. Goes out: batches in the table's
//! order; rows that compare equal stay in the order of their inputs. Memory: one batch an input, and the
//! batches the next one out is made of. Knows nothing of files.
//!
//! Inputs follow each other in long stretches (an hour of one series, then the next hour), so the merge looks
//! for the end of a stretch, by doubling steps and halving (Bentley and Yao's unbounded search), and copies
//! it whole.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};

use super::gather::{Gather, Slot, Span};
use super::rows::{Repeats, Rows, unsorted};
use crate::duplicates::wins;
use crate::error::{Error, Result};
use crate::sparse::repeats::compare;
use crate::tables::Table;

/// A stream of sorted batches with the columns of [`super::rows::merge_schema`].
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// What a merge did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MergeCounts {
    /// Rows read, by input.
    pub(super) rows_in: Vec<u64>,
    /// Rows given out.
    pub(super) rows_out: u64,
    /// Rows that went into another row.
    pub(super) repeats: u64,
}

/// A merge that ended early.
#[derive(Debug)]
pub(super) struct MergeFailure {
    /// The input that failed; `None` where it was not an input.
    pub(super) input: Option<usize>,
    pub(super) error: Error,
}

impl From<Error> for MergeFailure {
    fn from(error: Error) -> MergeFailure {
        MergeFailure { input: None, error }
    }
}

/// Merges `inputs` and gives `emit` batches of about `batch_rows` rows.
pub(super) fn merge(
    table: Table,
    inputs: Vec<Batches>,
    batch_rows: usize,
    emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<MergeCounts, MergeFailure> {
    let mut merge = Merge::new(table, inputs)?;
    while let Some(&top) = merge.heap.first() {
        let end = merge.stretch_end(top);
        merge.take(top, end)?;
        merge.advance(top, end)?;
        if merge.gather.rows() > batch_rows || merge.gather.is_heavy() {
            merge.emit(false, emit)?;
        }
    }
    merge.emit(true, emit)?;
    Ok(merge.counts)
}

/// One input, at its next row.
struct Input {
    batches: Batches,
    rows: Arc<Rows>,
    position: usize,
    /// The group `position` lies in, an index into [`Rows::groups`].
    group: usize,
    slot: Slot,
}

impl Input {
    /// Where the group of the next row ends, in this batch.
    fn group_end(&self, group: usize) -> usize {
        self.rows.groups().get(group + 1).map_or(self.rows.len(), |&row| row as usize)
    }
}

struct Merge {
    table: Table,
    repeats: Repeats,
    inputs: Vec<Option<Input>>,
    /// Indices of inputs that have rows left: a binary heap, the least next row on top.
    heap: Vec<usize>,
    gather: Gather,
    /// With [`Repeats::Distinct`], the different rows collected last that have the same sort columns.
    alike: Vec<(Arc<Rows>, usize)>,
    counts: MergeCounts,
    next_number: u64,
}

impl Merge {
    fn new(table: Table, batches: Vec<Batches>) -> Result<Merge, MergeFailure> {
        let counts = MergeCounts { rows_in: vec![0; batches.len()], ..MergeCounts::default() };
        let mut merge = Merge {
            table,
            repeats: Repeats::of(table),
            inputs: Vec::with_capacity(batches.len()),
            heap: Vec::new(),
            gather: Gather::new(table),
            alike: Vec::new(),
            counts,
            next_number: 0,
        };
        for (index, mut batches) in batches.into_iter().enumerate() {
            let first = merge.load(index, &mut batches, None)?;
            let at_start = |rows| Input { batches, rows, position: 0, group: 0, slot: Slot::default() };
            merge.inputs.push(first.map(at_start));
            if merge.inputs[index].is_some() {
                merge.heap.push(index);
            }
        }
        (0..merge.heap.len() / 2).rev().for_each(|place| merge.sift_down(place));
        Ok(merge)
    }

    /// The next batch of an input that has rows; checks that it goes on where `before` ended.
    fn load(
        &mut self,
        index: usize,
        batches: &mut Batches,
        before: Option<&Rows>,
    ) -> Result<Option<Arc<Rows>>, MergeFailure> {
        let failed = |error| MergeFailure { input: Some(index), error };
        loop {
            let Some(batch) = batches.next().transpose().map_err(failed)? else { return Ok(None) };
            if batch.num_rows() == 0 {
                continue;
            }
            self.next_number += 1;
            let rows = Rows::new(self.table, self.next_number, batch).map_err(failed)?;
            if before.is_some_and(|before| before.compare(before.len() - 1, &rows, 0).is_gt()) {
                return Err(failed(unsorted(self.table)));
            }
            self.counts.rows_in[index] += rows.len() as u64;
            return Ok(Some(Arc::new(rows)));
        }
    }

    fn input(&self, index: usize) -> &Input {
        self.inputs[index].as_ref().expect("an input in the heap has rows")
    }

    /// Whether row `row` of input `a` comes before the next row of input `b`.
    fn comes_before(&self, a: usize, row: usize, b: usize) -> bool {
        let other = self.input(b);
        match self.input(a).rows.compare(row, &other.rows, other.position) {
            Ordering::Less => true,
            Ordering::Equal => a < b,
            Ordering::Greater => false,
        }
    }

    /// Where the rows of `top` end that come before the next row of every other input, in this batch.
    fn stretch_end(&self, top: usize) -> usize {
        let input = self.input(top);
        let len = input.rows.len();
        let other = match self.heap[..] {
            [_, left, right, ..] => {
                if self.comes_before(left, self.input(left).position, right) {
                    left
                } else {
                    right
                }
            }
            [_, other] => other,
            _ => return len,
        };
        let end = input.group_end(input.group);
        if !self.comes_before(top, end - 1, other) {
            return self.search(input.position + 1, end - 1, |row| self.comes_before(top, row, other));
        }
        if end == len || !self.comes_before(top, end, other) {
            return end;
        }
        // Whole groups come before: look for the last of them, then inside the one after.
        let groups = input.rows.groups();
        let before = |group: usize| self.comes_before(top, groups[group] as usize, other);
        let group = self.search(input.group + 2, groups.len(), before) - 1;
        let (start, end) = (groups[group] as usize, input.group_end(group));
        self.search(start + 1, end, |row| self.comes_before(top, row, other))
    }

    /// The first place from `from` to `to` at which `holds` is false; it holds up to there and not after.
    fn search(&self, from: usize, to: usize, holds: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high, mut step) = (from, from, 1);
        while high < to && holds(high) {
            low = high + 1;
            high += step;
            step *= 2;
        }
        high = high.min(to);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Collects the rows of `top` up to `end`; each is held against the last one collected.
    fn take(&mut self, top: usize, end: usize) -> Result<()> {
        let Some(input) = self.inputs[top].as_mut() else { return Ok(()) };
        let mut start = input.position;
        if self.repeats == Repeats::Kept {
            self.gather.push(&input.rows, &mut input.slot, start, end);
            return Ok(());
        }
        let rows = Arc::clone(&input.rows);
        for &repeat in rows.repeats(start + 1, end) {
            self.collect(&rows, top, start, repeat as usize)?;
            start = repeat as usize;
        }
        self.collect(&rows, top, start, end)
    }

    fn collect(&mut self, rows: &Arc<Rows>, top: usize, mut start: usize, end: usize) -> Result<()> {
        let mut slot = self.inputs[top].as_ref().map(|input| input.slot).unwrap_or_default();
        let repeated = self.gather.last().filter(|(last, row)| last.same(*row, rows, start));
        // Whether the first row is one more of those in `alike`.
        let mut is_alike = false;
        if let Some((last, row)) = repeated {
            match self.repeats {
                Repeats::Kept => {}
                Repeats::OneWins => {
                    self.counts.repeats += 1;
                    let (old, new) = (value(last, row)?, value(rows, start)?);
                    if wins(old, new).to_bits() == old.to_bits() {
                        start += 1;
                    } else {
                        self.gather.pop();
                    }
                }
                Repeats::Greatest => {
                    self.counts.repeats += 1;
                    if compare(self.table, (&last.batch, row), (&rows.batch, start))?.is_ge() {
                        start += 1;
                    } else {
                        self.gather.pop();
                    }
                }
                Repeats::Distinct => {
                    let mut known = false;
                    for (other, other_row) in &self.alike {
                        known |=
                            compare(self.table, (&other.batch, *other_row), (&rows.batch, start))?.is_eq();
                    }
                    if known {
                        self.counts.repeats += 1;
                        start += 1;
                    } else {
                        self.alike.push((Arc::clone(rows), start));
                        is_alike = true;
                    }
                }
                Repeats::Spanned if same_labels(last, row, rows, start) => {
                    self.counts.repeats += 1;
                    let known = self.gather.last_span().map_or_else(|| span(self.table, last, row), Ok)?;
                    let (first, last) = span(self.table, rows, start)?;
                    self.gather.set_last_span((known.0.min(first), known.1.max(last)));
                    start += 1;
                }
                // Label sets that share an id: neither may go.
                Repeats::Spanned => {}
            }
        }
        // Rows to come may be like the last one; of the rows here none is like the one before it.
        let is_last_known = start == end || (is_alike && end - start == 1);
        if self.repeats == Repeats::Distinct && !is_last_known {
            self.alike = vec![(Arc::clone(rows), end - 1)];
        }
        self.gather.push(rows, &mut slot, start, end);
        if let Some(input) = self.inputs[top].as_mut() {
            input.slot = slot;
        }
        Ok(())
    }

    /// Moves `top` on to `end`, and to its next batch where this one is used up.
    fn advance(&mut self, top: usize, end: usize) -> Result<(), MergeFailure> {
        let Some(mut input) = self.inputs[top].take() else { return Ok(()) };
        if end < input.rows.len() {
            input.position = end;
            while input.group_end(input.group) <= end {
                input.group += 1;
            }
        } else {
            let before = Arc::clone(&input.rows);
            match self.load(top, &mut input.batches, Some(&before))? {
                Some(rows) => input = Input { rows, position: 0, group: 0, ..input },
                None => {
                    self.heap.swap_remove(0);
                    self.sift_down(0);
                    return Ok(());
                }
            }
        }
        self.inputs[top] = Some(input);
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut place: usize) {
        let comes_first = |merge: &Merge, a: usize, b: usize| {
            let (a, b) = (merge.heap[a], merge.heap[b]);
            merge.comes_before(a, merge.input(a).position, b)
        };
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            if left >= self.heap.len() {
                return;
            }
            let least = if right < self.heap.len() && comes_first(self, right, left) { right } else { left };
            if comes_first(self, place, least) {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }

    fn emit(&mut self, all: bool, emit: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        if let Some(batch) = self.gather.take(all)? {
            self.counts.rows_out += batch.num_rows() as u64;
            emit(batch)?;
        }
        Ok(())
    }
}

fn value(rows: &Rows, row: usize) -> Result<f64> {
    let column = rows.batch.column_by_name("value");
    let values = column.and_then(|column| column.as_primitive_opt::<Float64Type>());
    let reason = || "repeated rows have no `value` to choose by".to_owned();
    values
        .map(|values| values.value(row))
        .ok_or_else(|| Error::Schema { table: Table::Metrics.name(), reason: reason() })
}

fn same_labels(rows: &Rows, row: usize, others: &Rows, other_row: usize) -> bool {
    let labels = |rows: &Rows, row| rows.batch.column_by_name("labels").map(|labels| labels.slice(row, 1));
    labels(rows, row) == labels(others, other_row)
}

fn span(table: Table, rows: &Rows, row: usize) -> Result<Span> {
    let time = |name: &str| {
        let column = rows.batch.column_by_name(name);
        let times = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let reason = || format!("rows to merge have no time `{name}`");
        times
            .map(|times| times.value(row))
            .ok_or_else(|| Error::Schema { table: table.name(), reason: reason() })
    };
    let (first, last) = table.time_span_columns();
    Ok((time(first)?, time(last)?))
}

#[cfg(test)]
mod tests;
