//! `sort` and its relatives. They matter to instant queries only: range results are ordered by labels.

use std::cmp::Ordering;

use super::{Evaluated, Evaluator};
use crate::annotations;
use crate::error::{Result, Span};
use crate::functions::SortBy;
use crate::plan::Node;
use crate::series::StepSeries;

impl Evaluator<'_> {
    pub(super) fn sort(self, by: SortBy, args: &[Node], span: Span) -> Result<Evaluated> {
        let operand = super::call::arg(args, 0)?;
        let mut series = self.vector(operand)?;
        // A subquery is a range as well. What is the same at every step is evaluated, and sorted, once.
        let is_range = self.context.range_query || self.grid.start_ms != self.grid.until_ms;
        if is_range && !operand.step_invariant {
            self.note(|notes| notes.add(annotations::sort_in_range_query(), span));
        }
        match by {
            SortBy::Value { descending } => {
                for series in &mut series {
                    series.histograms.clear();
                }
                series.retain(|series| !series.floats.is_empty());
                if self.grid.steps == 1 {
                    series.sort_by(|a, b| {
                        let [a, b] = [a, b].map(|series| series.floats.get(0).unwrap_or(f64::NAN));
                        by_value(a, b, descending)
                    });
                }
            }
            SortBy::Label { descending } => {
                let labels: Vec<&str> = args.iter().skip(1).map(Node::text).collect();
                if self.grid.steps == 1 {
                    series.sort_by(|a, b| {
                        let order = by_labels(a, b, &labels);
                        if descending { order.reverse() } else { order }
                    });
                }
            }
        }
        Ok(Evaluated::Vector(series))
    }
}

/// Order of values; NaN comes last either way.
pub(super) fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
        (a, b) => a.cmp(&b),
    }
}

/// By the values of `labels`, naturally; then by all labels.
fn by_labels(a: &StepSeries, b: &StepSeries, labels: &[&str]) -> Ordering {
    labels
        .iter()
        .map(|label| natural(a.labels.get(label).unwrap_or(""), b.labels.get(label).unwrap_or("")))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.labels.cmp(&b.labels))
}

/// Runs of digits compare as numbers: `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (run_a, rest_a) = split_run(a);
        let (run_b, rest_b) = split_run(b);
        let numbers = (run_a.parse::<u64>(), run_b.parse::<u64>());
        let order = match numbers {
            (Ok(x), Ok(y)) => x.cmp(&y),
            _ => run_a.cmp(run_b),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

/// The first run of digits or of other characters.
fn split_run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natural_order() {
        assert_eq!(natural("a2", "a10"), Ordering::Less);
        assert_eq!(natural("a10", "a10b"), Ordering::Less);
        assert_eq!(natural("b", "a10"), Ordering::Greater);
        assert_eq!(natural("01", "1"), Ordering::Equal);
    }

    #[test]
    fn nan_comes_last() {
        assert_eq!(by_value(f64::NAN, 1.0, true), Ordering::Greater);
        assert_eq!(by_value(f64::NAN, 1.0, false), Ordering::Greater);
        assert_eq!(by_value(2.0, 1.0, true), Ordering::Less);
    }
}
