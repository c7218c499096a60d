//! The files and row groups that can hold what a query needs to find.

use std::sync::Arc;

use super::index::{FileTokens, TokenIndex};
use super::needle::Needle;
use crate::catalog::DataFile;
use crate::snapshot::Snapshot;
use crate::stats::Counters;

/// Row groups of one file to read; never all, never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowGroupSelection {
    kept: Vec<bool>,
    group_rows: Arc<[u64]>,
}

impl RowGroupSelection {
    /// One entry a row group of the file, in order: whether to read it.
    pub fn kept(&self) -> &[bool] {
        &self.kept
    }

    /// Rows of the row groups to read.
    pub fn rows(&self) -> u64 {
        self.group_rows.iter().zip(&self.kept).filter(|(_, kept)| **kept).map(|(rows, _)| rows).sum()
    }
}

impl Snapshot {
    /// Those of `files` (of the table `logs`) that can hold rows for which all of `needles` hold, in order,
    /// with the row groups to read; `None` for all of them.
    ///
    /// Looks into memory only. A file whose filters are not there is kept, and its filters are asked for, so
    /// that a later query may find them.
    pub fn prune_logs(
        &self,
        files: &[Arc<DataFile>],
        needles: &[Needle],
    ) -> Vec<(Arc<DataFile>, Option<RowGroupSelection>)> {
        self.tokens().prune(files, needles)
    }
}

/// What the filters say of one file.
enum Verdict {
    Nowhere,
    Anywhere,
    Somewhere(RowGroupSelection),
    /// In the file perhaps; the filters of its row groups are not in memory.
    Unknown,
}

impl TokenIndex {
    pub(super) fn prune(
        &self,
        files: &[Arc<DataFile>],
        needles: &[Needle],
    ) -> Vec<(Arc<DataFile>, Option<RowGroupSelection>)> {
        if needles.is_empty() {
            return files.iter().map(|file| (Arc::clone(file), None)).collect();
        }
        let counters = &self.counters;
        Counters::add(&counters.asked_files, files.len() as u64);
        let mut kept = Vec::new();
        for (file, tokens) in files.iter().zip(self.look_up(files)) {
            let Some(tokens) = tokens else {
                Counters::bump(&counters.unknown_files);
                kept.push((Arc::clone(file), None));
                continue;
            };
            match tokens.verdict(needles) {
                Verdict::Nowhere => Counters::bump(&counters.pruned_files),
                Verdict::Anywhere => kept.push((Arc::clone(file), None)),
                Verdict::Somewhere(selection) => {
                    let pruned = selection.kept.iter().filter(|kept| !**kept).count();
                    Counters::add(&counters.pruned_row_groups, pruned as u64);
                    kept.push((Arc::clone(file), Some(selection)));
                }
                Verdict::Unknown => {
                    self.want(file);
                    kept.push((Arc::clone(file), None));
                }
            }
        }
        kept
    }
}

impl FileTokens {
    fn verdict(&self, needles: &[Needle]) -> Verdict {
        let all_in = |may_hold: &dyn Fn(u64) -> bool| needles.iter().all(|needle| needle.may_be_in(may_hold));
        if let Some(file) = &self.file
            && !all_in(&|token| file.may_hold(token))
        {
            return Verdict::Nowhere;
        }
        let Some(groups) = &self.groups else { return Verdict::Unknown };
        if groups.is_empty() {
            return Verdict::Anywhere;
        }
        let kept: Vec<bool> = groups.iter().map(|group| all_in(&|token| group.may_hold(token))).collect();
        if kept.iter().all(|kept| !kept) {
            Verdict::Nowhere
        } else if kept.iter().all(|kept| *kept) {
            Verdict::Anywhere
        } else {
            Verdict::Somewhere(RowGroupSelection { kept, group_rows: Arc::clone(&self.group_rows) })
        }
    }
}
