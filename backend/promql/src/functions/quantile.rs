//! Quantiles of plain values. Prometheus `quantile`.

use std::cmp::Ordering;

use super::window::{Window, count};
use crate::annotations::{self, Annotations};
use crate::error::Error;
use crate::value::Cell;

/// True where a quantile of `q` makes sense.
pub(crate) fn is_valid(q: f64) -> bool {
    (0.0..=1.0).contains(&q)
}

/// The `q`-quantile, interpolated between neighbours; NaN counts as the lowest value. Reorders `values`.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * count(values.len() - 1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and the length"
    )]
    let position = rank.floor() as usize;
    let weight = rank - rank.floor();
    let (_, lower, above) = values.select_nth_unstable_by(position, order);
    let lower = *lower;
    let upper = above.iter().copied().min_by(order).unwrap_or(lower);
    lower * (1.0 - weight) + upper * weight
}

/// By value, NaN first.
fn order(a: &f64, b: &f64) -> Ordering {
    b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(Ordering::Equal))
}

pub(crate) fn over_time(window: &Window<'_>, notes: &mut Annotations) -> Result<Option<Cell>, Error> {
    if window.values.is_empty() {
        return Ok(None);
    }
    let q = window.parameters[0];
    if !is_valid(q) {
        notes.add(annotations::invalid_quantile(q), window.span);
    }
    if !window.histograms.is_empty() {
        notes.add(annotations::histogram_ignored_in_range(window.metric), window.span);
    }
    Ok(Some(Cell::Float(quantile(q, &mut window.values.to_vec()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let check = |q: f64, expect: f64| assert_eq!(quantile(q, &mut [4.0, 1.0, 3.0, 2.0]), expect, "{q}");
        check(0.0, 1.0);
        check(0.5, 2.5);
        check(1.0, 4.0);
        check(-1.0, f64::NEG_INFINITY);
        check(2.0, f64::INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
    }
}
