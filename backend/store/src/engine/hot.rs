//! Rows that are committed and stay in memory for a while, so that queries for the last hours read no files.
//!
//! Comes in: generations whose rows of a table this process has just committed, with the files they went to.
//! Goes out: which blocks serve their rows and which files are therefore not to be read. A block serves its
//! rows as long as every one of its files is committed; once a compaction, retention or another process has
//! removed one, the block is given up and what is left of its files is read. So a row shows once whatever
//! happens to the files. Which it is changes with the view, never within one. Knows nothing of how rows are
//! packed.
//!
//! Blocks are merged as their number grows, to save what every block costs a series: neighbours of about
//! the same size, and all of a half hour once it is over.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::catalog::{FileSets, TableFiles};
use crate::config::Config;
use crate::head::generation::Generation;
use crate::parquet_file::WrittenFile;
use crate::stats::HotStats;
use crate::tables::Table;

/// Tables whose rows are kept. Label sets are always read from files.
pub(crate) const TABLES: [Table; 6] = Table::WITH_ROWS;
/// Blocks are merged within stretches of this length.
const STRETCH_MS: i64 = 1_800_000;

/// Committed rows of one table.
#[derive(Debug)]
pub(crate) struct HotBlock {
    pub(crate) table: Table,
    /// Holds them; rows of other tables in there do not count.
    pub(crate) rows: Arc<Generation>,
    /// Day and path of every file they went to.
    files: Vec<(i32, Arc<str>)>,
    /// Sequence of the first generation whose rows these are.
    first_sequence: u32,
    /// Time of the newest row, at most the clock's when it was committed; milliseconds.
    newest_ms: i64,
    /// Whether the rows are packed.
    packed: bool,
}

/// The blocks of all tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hot {
    /// In order of writing.
    blocks: Vec<Arc<HotBlock>>,
    hidden: u64,
    dropped_by_time: u64,
    dropped_by_memory: u64,
}

impl HotBlock {
    /// A generation's rows of `table`, which were committed as `files` just now.
    pub(crate) fn new(
        table: Table,
        rows: &Arc<Generation>,
        files: &[WrittenFile],
        now_ms: i64,
    ) -> Option<HotBlock> {
        let newest_ms = rows.newest_ms(table)?.min(now_ms);
        Some(HotBlock {
            table,
            rows: Arc::clone(rows),
            files: files.iter().map(|file| (file.day, Arc::from(file.path.as_str()))).collect(),
            first_sequence: rows.sequence,
            newest_ms,
            packed: false,
        })
    }

    /// `blocks` as one, with their rows packed; `None` where they do not fit into one. Not for an async thread.
    pub(crate) fn packed(blocks: &[Arc<HotBlock>]) -> Option<HotBlock> {
        let first = blocks.first()?;
        let rows: Vec<Arc<Generation>> = blocks.iter().map(|block| Arc::clone(&block.rows)).collect();
        let rows = Generation::packed(first.table, &rows)?;
        Some(HotBlock {
            table: first.table,
            rows: Arc::new(rows),
            files: blocks.iter().flat_map(|block| block.files.iter().cloned()).collect(),
            first_sequence: first.first_sequence,
            newest_ms: blocks.iter().map(|block| block.newest_ms).max()?,
            packed: true,
        })
    }

    fn bytes(&self) -> u64 {
        self.rows.table_bytes(self.table)
    }

    fn row_count(&self) -> u64 {
        self.rows.table_rows(self.table)
    }

    fn stretch(&self) -> i64 {
        self.newest_ms.div_euclid(STRETCH_MS)
    }
}

impl Hot {
    /// Adds the newest block.
    pub(crate) fn push(&mut self, block: Arc<HotBlock>) {
        self.blocks.push(block);
    }

    /// The blocks of a table, in order of writing.
    pub(crate) fn of(&self, table: Table) -> impl Iterator<Item = &Arc<HotBlock>> {
        self.blocks.iter().filter(move |block| block.table == table)
    }

    /// The first generation that has rows of `table` in a block.
    pub(crate) fn first_sequence(&self, table: Table) -> Option<u32> {
        self.of(table).map(|block| block.first_sequence).min()
    }

    /// Gives up blocks that miss a file and returns the files to read beside those that are left.
    pub(crate) fn settle(&mut self, files: &Arc<FileSets>) -> Arc<FileSets> {
        let mut shown = Arc::clone(files);
        for table in TABLES {
            if self.of(table).next().is_some() {
                let beside = self.settle_table(files.table_files(table), table);
                shown = Arc::new(shown.with(table, beside));
            }
        }
        shown
    }

    fn settle_table(&mut self, files: &TableFiles, table: Table) -> TableFiles {
        let mut paths: HashMap<&str, usize> = HashMap::new();
        let mut days = BTreeSet::new();
        let mut missing = vec![0; self.blocks.len()];
        for (place, block) in self.blocks.iter().enumerate().filter(|(_, block)| block.table == table) {
            paths.extend(block.files.iter().map(|(_, path)| (&**path, place)));
            days.extend(block.files.iter().map(|(day, _)| *day));
            missing[place] = block.files.len();
        }
        for file in days.iter().flat_map(|day| files.day(*day)) {
            if let Some(place) = paths.get(file.path.as_str()) {
                missing[*place] -= 1;
            }
        }
        let beside = files.without(|path| paths.get(path).is_some_and(|place| missing[*place] == 0));
        let mut missing = missing.into_iter();
        let before = self.blocks.len();
        self.blocks.retain(|_| missing.next() == Some(0));
        self.hidden += (before - self.blocks.len()) as u64;
        beside
    }

    /// Drops blocks whose time is over, then the oldest where memory is short.
    pub(crate) fn expire(&mut self, now_ms: i64, config: &Config) {
        let window_ms = i64::try_from(config.hot_window.as_millis()).unwrap_or(i64::MAX);
        let (before, oldest_ms) = (self.blocks.len(), now_ms.saturating_sub(window_ms));
        self.blocks.retain(|block| block.newest_ms > oldest_ms);
        self.dropped_by_time += (before - self.blocks.len()) as u64;
        let logs = |block: &HotBlock| block.table == Table::Logs;
        self.shrink(config.hot_logs_bytes_max, logs);
        self.shrink(config.hot_bytes_max, |_| true);
    }

    /// Drops the oldest blocks until `bytes` have become free, or none is left.
    pub(crate) fn give_up(&mut self, bytes: u64) {
        self.shrink(self.bytes().saturating_sub(bytes), |_| true);
    }

    /// Drops the oldest of the blocks for which `of` holds until those have at most `bytes_max` bytes.
    fn shrink(&mut self, bytes_max: u64, of: impl Fn(&HotBlock) -> bool) {
        let mut bytes: u64 = self.blocks.iter().filter(|block| of(block)).map(|block| block.bytes()).sum();
        while bytes > bytes_max {
            let places = (0..self.blocks.len()).filter(|place| of(&self.blocks[*place]));
            let Some(oldest) = places.min_by_key(|place| self.blocks[*place].newest_ms) else { return };
            bytes -= self.blocks.remove(oldest).bytes();
            self.dropped_by_memory += 1;
        }
    }

    /// Neighbouring blocks of one table that are to become one, or a single one to be packed.
    pub(crate) fn to_merge(&self, config: &Config) -> Option<Vec<Arc<HotBlock>>> {
        TABLES.into_iter().find_map(|table| {
            let blocks: Vec<&Arc<HotBlock>> = self.of(table).collect();
            let range = merge_range(&blocks, config.hot_bytes_max / 4)?;
            Some(blocks[range].iter().map(|block| Arc::clone(block)).collect())
        })
    }

    /// Puts `merged` in the place of `blocks`, or nothing; leaves all as it is where one of them is gone.
    pub(crate) fn replace(&mut self, blocks: &[Arc<HotBlock>], merged: Option<&Arc<HotBlock>>) {
        let there = |block: &Arc<HotBlock>| self.blocks.iter().position(|other| Arc::ptr_eq(other, block));
        let Some(places) = blocks.iter().map(there).collect::<Option<Vec<usize>>>() else { return };
        let Some(first) = places.first().copied() else { return };
        let mut place = 0;
        self.blocks.retain(|_| {
            place += 1;
            !places.contains(&(place - 1))
        });
        match merged {
            Some(merged) => self.blocks.insert(first, Arc::clone(merged)),
            None => self.dropped_by_memory += blocks.len() as u64,
        }
    }

    /// Bytes of all blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.bytes()).sum()
    }

    /// Counts and sizes, but for those of merging.
    pub(crate) fn stats(&self) -> HotStats {
        HotStats {
            blocks: self.blocks.len() as u64,
            rows: self.blocks.iter().map(|block| block.row_count()).sum(),
            bytes: self.bytes(),
            hidden_total: self.hidden,
            dropped_by_time_total: self.dropped_by_time,
            dropped_by_memory_total: self.dropped_by_memory,
            ..HotStats::default()
        }
    }
}

/// Which of a table's blocks are merged next; a single one is packed.
fn merge_range(blocks: &[&Arc<HotBlock>], bytes_max: u64) -> Option<Range<usize>> {
    let mut start = 0;
    for stretch in blocks.chunk_by(|a, b| a.stretch() == b.stretch()) {
        let over = start + stretch.len() < blocks.len();
        let range = if over { merge_old(stretch, bytes_max) } else { merge_newest(stretch, bytes_max) };
        if let Some(range) = range {
            return Some(start + range.start..start + range.end);
        }
        start += stretch.len();
    }
    None
}

/// In a stretch that is over, everything as far as the size allows.
fn merge_old(blocks: &[&Arc<HotBlock>], bytes_max: u64) -> Option<Range<usize>> {
    let mut start = 0;
    while start < blocks.len() {
        let (mut end, mut bytes) = (start + 1, blocks[start].bytes());
        while end < blocks.len() && bytes + blocks[end].bytes() <= bytes_max {
            bytes += blocks[end].bytes();
            end += 1;
        }
        if end - start > 1 || !blocks[start].packed {
            return Some(start..end);
        }
        start = end;
    }
    None
}

/// In the newest stretch the last ones, as long as the one before is not much larger: so a row is merged a few
/// times only, and there are few blocks.
fn merge_newest(blocks: &[&Arc<HotBlock>], bytes_max: u64) -> Option<Range<usize>> {
    let (mut start, mut rows, mut bytes) = (blocks.len(), 0, 0);
    while let Some(block) = start.checked_sub(1).map(|before| blocks[before]) {
        let first = start == blocks.len();
        if !first && (block.row_count() > rows + rows / 2 || bytes + block.bytes() > bytes_max) {
            break;
        }
        (start, rows, bytes) = (start - 1, rows + block.row_count(), bytes + block.bytes());
    }
    if blocks.len() - start > 1 {
        return Some(start..blocks.len());
    }
    let unpacked = blocks.iter().position(|block| !block.packed)?;
    Some(unpacked..unpacked + 1)
}

#[cfg(test)]
mod tests;
