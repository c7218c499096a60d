//! Collects stretches of rows from several batches and makes one batch of them.
//!
//! Knows nothing of why rows follow each other. The last row stays open: it can be taken back, and its time
//! span be widened, until the next row comes.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, RecordBatch, make_array};
use arrow::array::{MutableArrayData, PrimitiveArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::rows::{Rows, merge_schema};
use crate::error::Result;
use crate::tables::Table;

/// Rows of one source that follow each other.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    source: usize,
    start: usize,
    end: usize,
}

/// Earliest and latest time, microseconds since the Unix epoch.
pub(super) type Span = (i64, i64);

/// Stretches on their way to a batch.
#[derive(Debug)]
pub(super) struct Gather {
    table: Table,
    sources: Vec<Arc<Rows>>,
    stretches: Vec<Stretch>,
    rows: usize,
    /// Rows of `series` or `log_streams` whose span is not their own, by place in the batch to come.
    spans: Vec<(usize, Span)>,
}

impl Gather {
    pub(super) fn new(table: Table) -> Gather {
        Gather { table, sources: Vec::new(), stretches: Vec::new(), rows: 0, spans: Vec::new() }
    }

    /// Rows collected.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Batches held for the rows collected.
    pub(super) fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Adds rows `start..end` of `rows`; `slot` is where the caller keeps this batch's place in here.
    pub(super) fn push(&mut self, rows: &Arc<Rows>, slot: &mut Slot, start: usize, end: usize) {
        if start == end {
            return;
        }
        let source = self.source(rows, slot);
        self.rows += end - start;
        match self.stretches.last_mut() {
            Some(last) if last.source == source && last.end == start => last.end = end,
            _ => self.stretches.push(Stretch { source, start, end }),
        }
    }

    fn source(&mut self, rows: &Arc<Rows>, slot: &mut Slot) -> usize {
        let known = self.sources.get(slot.0).is_some_and(|known| known.number == rows.number);
        if !known {
            slot.0 = self.sources.len();
            self.sources.push(Arc::clone(rows));
        }
        slot.0
    }

    /// The last row collected.
    pub(super) fn last(&self) -> Option<(&Arc<Rows>, usize)> {
        let last = self.stretches.last()?;
        Some((&self.sources[last.source], last.end - 1))
    }

    /// Takes the last row back.
    pub(super) fn pop(&mut self) {
        let Some(last) = self.stretches.last_mut() else { return };
        last.end -= 1;
        self.rows -= 1;
        if last.start == last.end {
            self.stretches.pop();
        }
    }

    /// The span the last row was given, where it was given one.
    pub(super) fn last_span(&self) -> Option<Span> {
        self.spans.last().filter(|(row, _)| row + 1 == self.rows).map(|(_, span)| *span)
    }

    /// Gives the last row another span.
    pub(super) fn set_last_span(&mut self, span: Span) {
        if self.last_span().is_some() {
            self.spans.pop();
        }
        self.spans.push((self.rows - 1, span));
    }

    /// A batch of all rows but the last, which stays; with `all` the last one too.
    pub(super) fn take(&mut self, all: bool) -> Result<Option<RecordBatch>> {
        let kept = if all { None } else { self.hold_back() };
        let batch = if self.rows == 0 { None } else { Some(self.build()?) };
        *self = Gather::new(self.table);
        if let Some((rows, row, span)) = kept {
            self.push(&rows, &mut Slot::default(), row, row + 1);
            span.into_iter().for_each(|span| self.set_last_span(span));
        }
        Ok(batch)
    }

    fn hold_back(&mut self) -> Option<(Arc<Rows>, usize, Option<Span>)> {
        let (rows, row) = self.last()?;
        let rows = Arc::clone(rows);
        let span = self.last_span();
        if span.is_some() {
            self.spans.pop();
        }
        self.pop();
        Some((rows, row, span))
    }

    fn build(&self) -> Result<RecordBatch> {
        let schema = merge_schema(self.table);
        let columns = (0..schema.fields().len()).map(|column| self.column(column));
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        if !self.spans.is_empty() {
            let (first, last) = self.table.time_span_columns();
            for (name, of) in [(first, (|span: &Span| span.0) as fn(&Span) -> i64), (last, |span| span.1)] {
                let place = schema.index_of(name)?;
                columns[place] = self.with_spans(&columns[place], of);
            }
        }
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    fn column(&self, column: usize) -> Result<ArrayRef> {
        if let ([source], [stretch]) = (&self.sources[..], &self.stretches[..]) {
            return Ok(source.batch.column(column).slice(stretch.start, stretch.end - stretch.start));
        }
        let data: Vec<ArrayData> =
            self.sources.iter().map(|rows| rows.batch.column(column).to_data()).collect();
        let mut merged = MutableArrayData::new(data.iter().collect(), false, self.rows);
        for stretch in &self.stretches {
            merged.try_extend(stretch.source, stretch.start, stretch.end)?;
        }
        Ok(make_array(merged.freeze()))
    }

    fn with_spans(&self, column: &ArrayRef, of: fn(&Span) -> i64) -> ArrayRef {
        let times = column.as_primitive::<TimestampMicrosecondType>();
        let mut values = times.values().to_vec();
        for (row, span) in &self.spans {
            values[*row] = of(span);
        }
        let spanned = PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), times.nulls().cloned());
        Arc::new(spanned.with_data_type(times.data_type().clone()))
    }
}

/// Where a batch stands among the sources of a [`Gather`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot(usize);
