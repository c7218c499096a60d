//! Arithmetic and comparisons between vectors. Pairs of float series, the usual case, are computed column by
//! column; everything else step by step. Prometheus `VectorBinop`.

use std::collections::{HashMap, HashSet};

use model::{Labels, is_stale};

use super::cells;
use super::matching::{self, MatchGroup, match_labels, result_labels};
use crate::ast::{BinaryOp, Cardinality, Matching};
use crate::error::{Error, Result, Span};
use crate::eval::Evaluator;
use crate::eval::labels::{merge_same_labels, printed};
use crate::plan::BinaryNode;
use crate::series::{CellRef, Column, StepSeries};
use crate::value::Cell;

/// An operation with its sides sorted out: each series of `many` matches at most one of `one`.
struct Sides<'a> {
    op: BinaryOp,
    matching: &'a Matching,
    return_bool: bool,
    span: Span,
    many: &'a [StepSeries],
    one: &'a [StepSeries],
    /// True where the many side stands on the right.
    swapped: bool,
    fill_many: Option<f64>,
    fill_one: Option<f64>,
}

impl Evaluator<'_> {
    pub(super) fn vectors(
        self,
        binary: &BinaryNode,
        span: Span,
        lhs: &[StepSeries],
        rhs: &[StepSeries],
    ) -> Result<Vec<StepSeries>> {
        let matching = &binary.matching;
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        // With group_right the values stay where they are while the sides swap: so does Prometheus.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let (op, return_bool) = (binary.op, binary.return_bool);
        let sides = Sides { op, matching, return_bool, span, many, one, swapped, fill_many, fill_one };
        let both_present = sides.steps_with_both(self.grid.steps);
        let mut out = Vec::new();
        for group in matching::groups(lhs, rhs, matching) {
            self.context.check_interrupt()?;
            let MatchGroup { lhs, rhs } = group;
            let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
            if !self.by_columns(&sides, &many, &one, &mut out) {
                self.by_steps(&sides, &many, &one, &both_present, &mut out)?;
            }
        }
        out.retain(|series| !series.is_empty());
        merge_same_labels(out)
    }

    /// Computes a group column by column, if that is all there is to it.
    fn by_columns(self, sides: &Sides<'_>, many: &[usize], one: &[usize], out: &mut Vec<StepSeries>) -> bool {
        if one.is_empty() && sides.fill_one.is_none() {
            return true;
        }
        let [one] = *one else { return false };
        if many.is_empty() {
            return sides.fill_many.is_none();
        }
        let one = &sides.one[one];
        let plain = |series: &StepSeries| series.histograms.is_empty();
        let trims = matches!(sides.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        let fills = sides.fill_one.is_some() || sides.fill_many.is_some();
        let one_to_one = sides.matching.cardinality == Cardinality::OneToOne;
        let simple = !trims
            && !fills
            && plain(one)
            && many.iter().all(|at| plain(&sides.many[*at]))
            && (many.len() == 1 || !one_to_one);
        if !simple {
            return false;
        }
        let labels: Vec<Labels> =
            many.iter().map(|at| sides.labels(&sides.many[*at].labels, &one.labels)).collect();
        if labels.len() > 1 && labels.iter().collect::<HashSet<_>>().len() < labels.len() {
            // Which of them clash depends on the step.
            return false;
        }
        for (at, labels) in many.iter().zip(labels) {
            let many = &sides.many[*at];
            let mut series = StepSeries::new(labels, sides.drops_name(many));
            series.floats = sides.columns(&many.floats, &one.floats);
            out.push(series);
        }
        true
    }

    fn by_steps(
        self,
        sides: &Sides<'_>,
        many: &[usize],
        one: &[usize],
        both_present: &[bool],
        out: &mut Vec<StepSeries>,
    ) -> Result<()> {
        let mut results = Results::default();
        let any_fill = sides.fill_one.is_some() || sides.fill_many.is_some();
        for (step, both) in both_present.iter().enumerate() {
            if !both && !any_fill {
                continue;
            }
            let single = sides.single(one, step)?;
            let mut matched: HashSet<Labels> = HashSet::new();
            let mut any_matched = false;
            for at in many {
                let series = &sides.many[*at];
                let Some(cell) = series.cell(step) else { continue };
                let (labels, partner) = match (single, sides.fill_one) {
                    (Some(one), _) => match sides.one[one].cell(step) {
                        Some(partner) => (results.labels(sides, *at, Some(one)), partner),
                        None => continue,
                    },
                    (None, Some(fill)) => (results.labels(sides, *at, None), CellRef::Float(fill)),
                    (None, None) => continue,
                };
                let Some((value, keep)) = self.apply(sides, cell, partner) else { continue };
                if any_matched && sides.matching.cardinality == Cardinality::OneToOne {
                    let message = "multiple matches for labels: many-to-one matching must be explicit \
                                   (group_left/group_right)";
                    return Err(Error::evaluation(message));
                }
                any_matched = true;
                if !matched.insert(labels.clone()) {
                    let message = "multiple matches for labels: grouping labels must ensure unique matches";
                    return Err(Error::evaluation(message));
                }
                if keep {
                    results.push(labels, sides.drops_name(series), step, value);
                }
            }
            if let (false, Some(one), Some(fill)) = (any_matched, single, sides.fill_many) {
                let series = &sides.one[one];
                let Some(cell) = series.cell(step) else { continue };
                let missing = match_labels(&series.labels, sides.matching);
                let labels = sides.labels(&missing, &series.labels);
                if let Some((value, true)) = self.apply(sides, CellRef::Float(fill), cell) {
                    results.push(labels, sides.return_bool, step, value);
                }
            }
        }
        out.extend(results.series);
        Ok(())
    }

    /// The result of two values and whether it is kept.
    fn apply(self, sides: &Sides<'_>, many: CellRef<'_>, one: CellRef<'_>) -> Option<(Cell, bool)> {
        let (lhs, rhs) = if sides.swapped { (one, many) } else { (many, one) };
        let mut notes = self.context.notes.borrow_mut();
        let applied = cells::apply(sides.op, lhs, rhs, sides.span, &mut notes)?;
        if sides.return_bool {
            return Some((Cell::Float(f64::from(u8::from(applied.keep))), true));
        }
        Some((applied.cell, applied.keep))
    }
}

impl Sides<'_> {
    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        result_labels(many, one, self.op.changes_metric(), self.matching)
    }

    fn drops_name(&self, many: &StepSeries) -> bool {
        self.return_bool || (many.drop_name && !self.op.changes_metric())
    }

    /// Steps at which both vectors have any value: at others nothing matches, and nothing can clash.
    fn steps_with_both(&self, steps: usize) -> Vec<bool> {
        let [many, one] = [self.many, self.one].map(|side| {
            let mut present = vec![false; steps];
            for series in side {
                series.floats.iter().for_each(|(step, _)| present[step] = true);
                series.histograms.iter().for_each(|(step, _)| present[*step] = true);
            }
            present
        });
        many.into_iter().zip(one).map(|(many, one)| many && one).collect()
    }

    /// The series of the one side with a value at the step; two are an error.
    fn single(&self, one: &[usize], step: usize) -> Result<Option<usize>> {
        let mut present = one.iter().copied().filter(|at| self.one[*at].has(step));
        let (first, second) = (present.next(), present.next());
        let (Some(first), Some(second)) = (first, second) else { return Ok(first) };
        let side = if self.swapped { "left" } else { "right" };
        let mut pair = [first, second].map(|at| &self.one[at].labels);
        pair.sort();
        let [first, second] = pair;
        let group = match_labels(first, self.matching);
        Err(Error::evaluation(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            printed(&group),
            printed(first),
            printed(second),
        )))
    }

    /// Two float columns; a step has a result where both have a value.
    fn columns(&self, many: &Column, one: &Column) -> Column {
        let first = many.first().max(one.first());
        let end = (many.first() + many.slots().len()).min(one.first() + one.slots().len());
        if first >= end {
            return Column::default();
        }
        let many = &many.slots()[first - many.first()..end - many.first()];
        let one = &one.slots()[first - one.first()..end - one.first()];
        let (lhs, rhs) = if self.swapped { (one, many) } else { (many, one) };
        let op = self.op;
        let pairs = lhs.iter().zip(rhs);
        let gap = model::stale_nan();
        let present = |(a, b): (&f64, &f64)| !is_stale(*a) && !is_stale(*b);
        let slots: Vec<f64> = if !op.is_comparison() {
            pairs.map(|(a, b)| if present((a, b)) { cells::compute(op, *a, *b) } else { gap }).collect()
        } else {
            pairs
                .map(|(a, b)| match (present((a, b)), self.return_bool) {
                    (false, _) => gap,
                    (true, true) => f64::from(u8::from(cells::holds(op, *a, *b))),
                    (true, false) => {
                        if cells::holds(op, *a, *b) {
                            *a
                        } else {
                            gap
                        }
                    }
                })
                .collect()
        };
        Column::from_slots(first, slots)
    }
}

/// Series being built up step by step.
#[derive(Default)]
struct Results {
    series: Vec<StepSeries>,
    positions: HashMap<Labels, usize>,
    /// Result labels by position of the many and the one series.
    labels: HashMap<(usize, Option<usize>), Labels>,
}

impl Results {
    fn labels(&mut self, sides: &Sides<'_>, many: usize, one: Option<usize>) -> Labels {
        let labels = self.labels.entry((many, one)).or_insert_with(|| {
            let of_many = &sides.many[many].labels;
            match one {
                Some(one) => sides.labels(of_many, &sides.one[one].labels),
                None => sides.labels(of_many, &match_labels(of_many, sides.matching)),
            }
        });
        labels.clone()
    }

    fn push(&mut self, labels: Labels, drop_name: bool, step: usize, value: Cell) {
        let next = self.series.len();
        let at = *self.positions.entry(labels.clone()).or_insert(next);
        if at == next {
            self.series.push(StepSeries::new(labels, drop_name));
        }
        self.series[at].push(step, value);
    }
}
