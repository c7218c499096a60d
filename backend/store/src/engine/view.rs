//! What a reader sees: generations, hot blocks and committed files, replaced as one.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::hot::Hot;
use crate::catalog::FileSets;
use crate::head::generation::{Generation, TableSet};
use crate::head::series_rows::Committed;
use crate::index::live::Live;
use crate::tables::Table;

/// One consistent state. A row is in a generation whose table is not committed, in a hot block or in a file that
/// is shown; never in two of them.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Takes new rows.
    pub(crate) active: Arc<Generation>,
    /// Wait for their commits, oldest first.
    pub(crate) ended: Vec<Ended>,
    /// Committed files.
    pub(crate) files: Arc<FileSets>,
    /// Those whose rows are not in hot blocks; made by [`View::show`].
    pub(crate) shown: Arc<FileSets>,
    /// Committed rows that are still in memory.
    pub(crate) hot: Hot,
    /// Rows of `series` committed by this process.
    pub(crate) series: Arc<Committed>,
    /// Rows of `log_streams` committed by this process.
    pub(crate) streams: Arc<Committed>,
    /// Index of the label sets the head knows.
    pub(crate) live: Live,
}

/// A generation that takes no more rows.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) generation: Arc<Generation>,
    /// Tables whose rows of this generation are in `files`.
    pub(crate) done: TableSet,
}

impl View {
    /// Generations whose rows of `table` are not in [`View::shown`], oldest first.
    pub(crate) fn generations(&self, table: Table) -> Vec<Arc<Generation>> {
        let mut generations: Vec<Arc<Generation>> =
            self.hot.of(table).map(|block| Arc::clone(&block.rows)).collect();
        generations.append(&mut self.unflushed(table));
        generations
    }

    /// Generations whose rows of `table` are in no file, oldest first.
    pub(crate) fn unflushed(&self, table: Table) -> Vec<Arc<Generation>> {
        let waiting = self.ended.iter().filter(|ended| !ended.done.contains(table));
        let mut generations: Vec<Arc<Generation>> =
            waiting.map(|ended| Arc::clone(&ended.generation)).collect();
        generations.push(Arc::clone(&self.active));
        generations
    }

    /// Settles which hot blocks serve their rows; to be called after every change of blocks or files.
    pub(crate) fn show(&mut self) {
        self.shown = self.hot.settle(&self.files);
        // Where retention has taken a day, late rows of that day need their label sets again.
        for (committed, table) in [(&mut self.series, Table::Series), (&mut self.streams, Table::LogStreams)]
        {
            let gone = |day| self.files.day(table, day).is_empty();
            if committed.days().any(gone) {
                Arc::make_mut(committed).forget(gone);
            }
        }
    }

    /// The first generation that still has rows of `table` in memory.
    pub(crate) fn first_sequence(&self, table: Table) -> u32 {
        let unflushed = self.ended.first().map_or(self.active.sequence, |ended| ended.generation.sequence);
        unflushed.min(self.hot.first_sequence(table).unwrap_or(u32::MAX))
    }

    /// Label rows of `table` that this process has committed.
    pub(crate) fn committed(&self, table: Table) -> &Arc<Committed> {
        if table == Table::Series { &self.series } else { &self.streams }
    }

    /// Bytes of what is known of committed label rows.
    pub(crate) fn committed_bytes(&self) -> u64 {
        self.series.heap_bytes() + self.streams.heap_bytes()
    }

    /// Bytes of the generations that are not committed yet.
    pub(crate) fn heap_bytes(&self) -> u64 {
        let ended: u64 = self.ended.iter().map(|ended| ended.generation.heap_bytes()).sum();
        ended + self.active.heap_bytes()
    }

    /// Rows of all generations that are not committed yet.
    pub(crate) fn rows(&self) -> u64 {
        let ended: u64 = self
            .ended
            .iter()
            .map(|Ended { generation, done }| {
                let waiting = Table::WITH_ROWS.iter().filter(|table| !done.contains(**table));
                waiting.map(|table| generation.table_rows(*table)).sum::<u64>()
            })
            .sum();
        ended + self.active.rows()
    }

    /// Notes that the rows of `table` of a generation are in `files` now.
    pub(crate) fn set_done(&mut self, generation: &Arc<Generation>, table: Table) {
        for ended in &mut self.ended {
            if Arc::ptr_eq(&ended.generation, generation) {
                ended.done = ended.done.with(table);
            }
        }
    }

    /// Shows other files. Rows that they turn out to hold leave the generations; where they hold a part of
    /// a generation (a commit of an earlier run arrived late), the table's files stay as they were until
    /// the flush has taken the generation apart. `moved`: the table whose watermark the caller moved.
    pub(crate) fn adopt(&mut self, files: &Arc<FileSets>, app_id: &str, moved: Option<Table>) {
        let mut next = FileSets::clone(files);
        for table in Table::ALL {
            let watermark = files.watermark(table, app_id);
            if watermark == self.files.watermark(table, app_id) {
                continue;
            }
            let mut whole = moved == Some(table);
            for ended in &mut self.ended {
                let lsn = i64::try_from(ended.generation.last_lsn()).unwrap_or(i64::MAX);
                if watermark.is_some_and(|watermark| watermark >= lsn) {
                    ended.done = ended.done.with(table);
                    whole |= watermark == Some(lsn);
                }
            }
            if !whole {
                next = next.with_shared(table, Arc::clone(self.files.table_files(table)));
            }
        }
        self.files = Arc::new(next);
    }
}

/// Changes the current view; `change` may run more than once.
pub(crate) fn update(view: &ArcSwap<View>, change: impl Fn(&mut View)) {
    view.rcu(|current| {
        let mut next = View::clone(current);
        change(&mut next);
        next
    });
}
