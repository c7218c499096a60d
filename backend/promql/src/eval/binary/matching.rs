//! Which series of two vectors match: those with the same values of the matching labels.

use std::collections::HashMap;

use model::Labels;

use crate::ast::{Cardinality, Matching};
use crate::eval::labels::{Key, METADATA_LABELS, key_of, key_without};
use crate::series::StepSeries;

/// Series with the same matching labels, by position.
#[derive(Debug, Default)]
pub(super) struct MatchGroup {
    pub(super) lhs: Vec<usize>,
    pub(super) rhs: Vec<usize>,
}

fn key<'a>(labels: &'a Labels, matching: &Matching) -> Key<'a> {
    if matching.on { key_of(labels, &matching.labels) } else { key_without(labels, &matching.labels) }
}

/// All groups, in order of appearance: left series first.
pub(super) fn groups(lhs: &[StepSeries], rhs: &[StepSeries], matching: &Matching) -> Vec<MatchGroup> {
    let mut positions: HashMap<Key<'_>, usize> = HashMap::with_capacity(lhs.len());
    let mut groups: Vec<MatchGroup> = Vec::new();
    let left = lhs.iter().enumerate().map(|(at, series)| (true, at, series));
    let right = rhs.iter().enumerate().map(|(at, series)| (false, at, series));
    for (is_left, at, series) in left.chain(right) {
        let next = groups.len();
        let group = *positions.entry(key(&series.labels, matching)).or_insert(next);
        if group == next {
            groups.push(MatchGroup::default());
        }
        if is_left { groups[group].lhs.push(at) } else { groups[group].rhs.push(at) }
    }
    groups
}

/// The matching labels of a series as a label set: what a missing partner would be called.
pub(super) fn match_labels(labels: &Labels, matching: &Matching) -> Labels {
    Labels::from_pairs(key(labels, matching))
}

/// Labels of a result of a series of the many side and one of the one side. Prometheus `resultMetric`.
pub(super) fn result_labels(
    many: &Labels,
    one: &Labels,
    changes_metric: bool,
    matching: &Matching,
) -> Labels {
    let mut builder = many.to_builder();
    if changes_metric {
        builder.retain(|name, _| !METADATA_LABELS.contains(&name));
    }
    if matching.cardinality == Cardinality::OneToOne {
        let listed = |name: &str| matching.labels.iter().any(|label| label == name);
        builder.retain(|name, _| listed(name) == matching.on);
    }
    for name in &matching.include {
        builder.set(name, one.get(name).unwrap_or(""));
    }
    builder.build()
}
