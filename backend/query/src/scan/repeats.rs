//! Which files may hold a sample (or histogram, start time, exemplar) that another file, or the head, holds too. Only these are merged before
//! anything else sees their rows; as a rule there are none.

use std::sync::Arc;

use store::paths::DAY_US;
use store::{DataFile, Snapshot, Table};

/// Files of one scan, taken apart.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Their rows are nowhere else.
    pub(super) plain: Vec<Arc<DataFile>>,
    /// Their rows may be.
    pub(super) repeating: Vec<Arc<DataFile>>,
    /// Whether the head's rows may be in one of `repeating`.
    pub(super) with_head: bool,
}

/// Takes the files of a scan apart. Two files share a sample only where one of them is told to repeat others,
/// and where day, times and metrics of both overlap.
pub(super) fn split(snapshot: &Snapshot, table: Table, files: Vec<Arc<DataFile>>) -> Repeats {
    let head = match table {
        Table::Metrics => snapshot.head_span(),
        Table::Histograms | Table::StartTimes | Table::Exemplars => {
            // Of these rows nobody notes whether they repeat others.
            let anywhere = store::HeadSpan { start_us: i64::MIN, end_us: i64::MAX, may_repeat: true };
            Some(anywhere).filter(|_| snapshot.head_rows(table) > 0)
        }
        _ => return Repeats { plain: files, ..Repeats::default() },
    };
    let mut shared = vec![false; files.len()];
    let mut with_head = false;
    for (i, file) in files.iter().enumerate() {
        if head.is_some_and(|head| overlaps_head(file, head) && (head.may_repeat || file.tags.may_repeat)) {
            (shared[i], with_head) = (true, true);
        }
        // Files are sorted by day.
        let same_day = files[i + 1..].iter().take_while(|other| other.day == file.day);
        for (other, j) in same_day.zip(i + 1..) {
            if (file.tags.may_repeat || other.tags.may_repeat) && overlap(file, other) {
                (shared[i], shared[j]) = (true, true);
            }
        }
    }
    let mut repeats = Repeats { with_head, ..Repeats::default() };
    for (file, shared) in files.into_iter().zip(shared) {
        if shared { repeats.repeating.push(file) } else { repeats.plain.push(file) }
    }
    repeats
}

fn overlaps_head(file: &DataFile, head: store::HeadSpan) -> bool {
    let day_us = i64::from(file.day).saturating_mul(DAY_US);
    file.may_hold_time(Some(head.start_us), Some(head.end_us))
        && day_us <= head.end_us
        && head.start_us < day_us.saturating_add(DAY_US)
}

fn overlap(a: &DataFile, b: &DataFile) -> bool {
    let keys = |a: &DataFile, b: &DataFile| match (&a.stats.min_key, &b.stats.max_key) {
        (Some(min), Some(max)) => min <= max,
        _ => true,
    };
    a.may_hold_time(b.stats.min_ts_us, b.stats.max_ts_us) && keys(a, b) && keys(b, a)
}
