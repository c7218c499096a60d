//! Aggregations that keep some of the series as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::cmp::Ordering;

use model::{Labels, is_stale};
use xxhash_rust::xxh64::xxh64;

use super::{Evaluator, Group};
use crate::annotations;
use crate::ast::AggregateOp;
use crate::error::{Result, Span};
use crate::eval::sort::by_value;
use crate::series::{CellRef, StepSeries};

impl Evaluator<'_> {
    /// The k chosen series of each group, step by step. For an instant query they come in the order of choice.
    pub(super) fn choose_counted(
        self,
        op: AggregateOp,
        groups: &[Group<'_>],
        counts: &[f64],
        span: Span,
    ) -> Result<Vec<StepSeries>> {
        let mut out = Vec::new();
        for group in groups {
            let mut kept: Vec<StepSeries> =
                group.members.iter().map(|s| StepSeries::new(s.labels.clone(), s.drop_name)).collect();
            let mut order: Vec<usize> = Vec::new();
            let mut present: Vec<(usize, f64)> = Vec::with_capacity(group.members.len());
            for (step, k) in counts.iter().enumerate() {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
                let k = *k as usize;
                if k == 0 {
                    continue;
                }
                self.context.check_interrupt()?;
                self.candidates(op, group, step, &mut present, span);
                choose(op, k, &mut present);
                for (member, _) in &present {
                    if let Some(cell) = group.members[*member].cell(step) {
                        kept[*member].push(step, cell.to_cell());
                    }
                }
                if self.grid.steps == 1 {
                    order.extend(present.iter().map(|(member, _)| *member));
                }
            }
            if self.grid.steps == 1 {
                out.extend(order.into_iter().map(|member| std::mem::take(&mut kept[member])));
            } else {
                out.extend(kept.into_iter().filter(|series| !series.is_empty()));
            }
        }
        Ok(out)
    }

    /// Members with a value at the step that may be chosen, in order.
    fn candidates(
        self,
        op: AggregateOp,
        group: &Group<'_>,
        step: usize,
        out: &mut Vec<(usize, f64)>,
        span: Span,
    ) {
        out.clear();
        let mut ignored = false;
        for (member, series) in group.members.iter().enumerate() {
            match series.cell(step) {
                Some(CellRef::Float(value)) => out.push((member, value)),
                Some(CellRef::Histogram(_)) if op == AggregateOp::Limitk => out.push((member, 0.0)),
                Some(CellRef::Histogram(_)) => ignored = true,
                None => {}
            }
        }
        if ignored {
            self.note(|notes| notes.add(annotations::histogram_ignored_in_aggregation(op.name()), span));
        }
    }
}

/// Leaves the first `k` of the order that `op` asks for; of equals the earlier series wins.
fn choose(op: AggregateOp, k: usize, candidates: &mut Vec<(usize, f64)>) {
    let descending = match op {
        AggregateOp::Topk => true,
        AggregateOp::Bottomk => false,
        _ => {
            candidates.truncate(k);
            return;
        }
    };
    let order = |a: &(usize, f64), b: &(usize, f64)| -> Ordering {
        by_value(a.1, b.1, descending).then(a.0.cmp(&b.0))
    };
    if k < candidates.len() {
        candidates.select_nth_unstable_by(k, order);
        candidates.truncate(k);
    }
    candidates.sort_unstable_by(order);
}

/// The series whose place between 0 and 1, given by a hash of their labels, is below the ratio; of a negative
/// ratio the complement. Prometheus `HashRatioSampler`: the same series are chosen.
pub(super) fn by_ratio(series: &[StepSeries], ratios: &[f64]) -> Vec<StepSeries> {
    let mut out = Vec::new();
    for series in series {
        let place = place_of(&series.labels);
        let chosen = |step: usize| {
            let ratio = ratios.get(step).copied().unwrap_or(0.0).clamp(-1.0, 1.0);
            if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
        };
        let mut kept = StepSeries::new(series.labels.clone(), series.drop_name);
        for step in series.bounds().filter(|step| chosen(*step)) {
            if let Some(cell) = series.cell(step) {
                kept.push(step, cell.to_cell());
            }
        }
        debug_assert!(kept.floats.slots().first().is_none_or(|value| !is_stale(*value)));
        if !kept.is_empty() {
            out.push(kept);
        }
    }
    out
}

/// The hash of Prometheus's label sets over its range: xxh64 over name and value of each label, each behind its
/// length (one byte, or 255 and three bytes little-endian).
fn place_of(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(length) if length < 255 => bytes.push(length),
            _ => {
                bytes.push(255);
                bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more bits than a float has")]
    let place = xxh64(&bytes, 0) as f64 / u64::MAX as f64;
    place
}
