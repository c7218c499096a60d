//! `and`, `or`, `unless`. Prometheus `VectorAnd`, `VectorOr`, `VectorUnless`.

use super::matching;
use crate::ast::BinaryOp;
use crate::error::Result;
use crate::eval::labels::merge_same_labels;
use crate::plan::BinaryNode;
use crate::series::{Column, StepSeries};

pub(super) fn combine(
    binary: &BinaryNode,
    mut lhs: Vec<StepSeries>,
    mut rhs: Vec<StepSeries>,
) -> Result<Vec<StepSeries>> {
    for group in matching::groups(&lhs, &rhs, &binary.matching) {
        // The side that decides, and the series that are cut by it.
        let (deciding, by, cut, keep_present) = match binary.op {
            BinaryOp::And => (&rhs, &group.rhs, &group.lhs, true),
            BinaryOp::Unless => (&rhs, &group.rhs, &group.lhs, false),
            _ => (&lhs, &group.lhs, &group.rhs, false),
        };
        if by.is_empty() && !keep_present {
            continue;
        }
        let present = presence(by.iter().map(|at| &deciding[*at]));
        let cut_side = if binary.op == BinaryOp::Or { &mut rhs } else { &mut lhs };
        for at in cut {
            keep_steps(&mut cut_side[*at], |step| {
                present.get(step).copied().unwrap_or(false) == keep_present
            });
        }
    }
    if binary.op == BinaryOp::Or {
        lhs.append(&mut rhs);
    }
    lhs.retain(|series| !series.is_empty());
    merge_same_labels(lhs)
}

/// At which steps any of the series has a value.
fn presence<'a>(series: impl Iterator<Item = &'a StepSeries>) -> Vec<bool> {
    let mut present = Vec::new();
    for series in series {
        let end = series.bounds().end;
        if present.len() < end {
            present.resize(end, false);
        }
        series.floats.iter().for_each(|(step, _)| present[step] = true);
        series.histograms.iter().for_each(|(step, _)| present[*step] = true);
    }
    present
}

fn keep_steps(series: &mut StepSeries, keep: impl Fn(usize) -> bool) {
    let first = series.floats.first();
    let mut slots = std::mem::take(&mut series.floats).slots().to_vec();
    for (i, slot) in slots.iter_mut().enumerate() {
        if !keep(first + i) {
            *slot = model::stale_nan();
        }
    }
    series.floats = Column::from_slots(first, slots);
    series.histograms.retain(|(step, _)| keep(*step));
}
