//! What a query's conditions say about keys, ids and times, for choosing head rows. Bounds may be wider than
//! the conditions, never narrower.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};
use store::Table;

use super::Request;

/// Keys, ids and times of the rows wanted; `None` is no bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// Values of the key column (metric, service, probe).
    pub(super) keys: Option<BTreeSet<String>>,
    /// Values of the id column.
    pub(super) ids: Option<Arc<HashSet<i64>>>,
    /// Earliest time, microseconds, inclusive.
    pub(super) start_us: Option<i64>,
    /// Latest time, microseconds, inclusive.
    pub(super) end_us: Option<i64>,
}

impl Bounds {
    pub(super) fn of(
        table: Table,
        request: &Request<'_>,
        condition: Option<&Arc<dyn PhysicalExpr>>,
    ) -> Bounds {
        let mut bounds = Bounds { ids: request.ids.clone(), ..Bounds::default() };
        for guarantee in condition.map(LiteralGuarantee::analyze).unwrap_or_default() {
            bounds.narrow(table, &guarantee);
        }
        if table.time_column().is_some() {
            for filter in request.filters.iter().chain(&request.predicate) {
                bounds.narrow_time(filter);
            }
        }
        bounds
    }

    fn narrow(&mut self, table: Table, guarantee: &LiteralGuarantee) {
        if guarantee.guarantee != Guarantee::In {
            return;
        }
        let name = guarantee.column.name.as_str();
        if name == table.key_column() && self.keys.is_none() {
            let keys: Option<BTreeSet<String>> = guarantee
                .literals
                .iter()
                .map(|value| value.try_as_str().flatten().map(str::to_owned))
                .collect();
            self.keys = keys;
        } else if Some(name) == table.id_column() && self.ids.is_none() {
            let ids: Option<HashSet<i64>> = guarantee
                .literals
                .iter()
                .map(|value| if let ScalarValue::Int64(id) = value { *id } else { None })
                .collect();
            self.ids = ids.map(Arc::new);
        }
    }

    fn narrow_time(&mut self, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.narrow_time(left);
                self.narrow_time(right);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                if let (true, Some(us)) = (is_time(left), micros(right)) {
                    self.compare(*op, us);
                } else if let (Some(us), true, Some(op)) = (micros(left), is_time(right), op.swap()) {
                    self.compare(op, us);
                }
            }
            Expr::Between(between) if !between.negated && is_time(&between.expr) => {
                if let (Some(low), Some(high)) = (micros(&between.low), micros(&between.high)) {
                    self.compare(Operator::GtEq, low);
                    self.compare(Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    /// `us` is rounded by up to a microsecond, so every comparison is taken as inclusive and one wider.
    fn compare(&mut self, op: Operator, us: i64) {
        if matches!(op, Operator::Gt | Operator::GtEq | Operator::Eq) {
            let start = us.saturating_sub(1);
            self.start_us = Some(self.start_us.map_or(start, |old| old.max(start)));
        }
        if matches!(op, Operator::Lt | Operator::LtEq | Operator::Eq) {
            let end = us.saturating_add(1);
            self.end_us = Some(self.end_us.map_or(end, |old| old.min(end)));
        }
    }
}

/// The column `ts`, also inside a cast to another unit of time.
fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name == "ts",
        Expr::Cast(cast) => {
            is_time(&cast.expr)
                && cast.field.data_type().is_temporal()
                && !matches!(
                    cast.field.data_type(),
                    arrow::datatypes::DataType::Date32 | arrow::datatypes::DataType::Date64
                )
        }
        _ => false,
    }
}

/// A time literal in microseconds, rounded down.
fn micros(expr: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::TimestampSecond(time, _) => time.and_then(|s| s.checked_mul(1_000_000)),
        ScalarValue::TimestampMillisecond(time, _) => time.and_then(|ms| ms.checked_mul(1_000)),
        ScalarValue::TimestampMicrosecond(time, _) => *time,
        ScalarValue::TimestampNanosecond(time, _) => time.map(|ns| ns.div_euclid(1_000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    fn times(filter: Expr) -> (Option<i64>, Option<i64>) {
        let mut bounds = Bounds::default();
        bounds.narrow_time(&filter);
        (bounds.start_us, bounds.end_us)
    }

    #[test]
    fn times_bound_from_both_sides() {
        let at = |us: i64| lit(ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())));
        assert_eq!(times(col("ts").gt_eq(at(100)).and(col("ts").lt(at(200)))), (Some(99), Some(201)));
        assert_eq!(times(at(100).lt(col("ts"))), (Some(99), None));
        assert_eq!(times(col("ts").between(at(5), at(9))), (Some(4), Some(10)));
        let nanoseconds = lit(ScalarValue::TimestampNanosecond(Some(-1), None));
        assert_eq!(times(col("ts").eq(nanoseconds)), (Some(-2), Some(0)));
    }

    #[test]
    fn what_is_not_understood_bounds_nothing() {
        let at = lit(ScalarValue::TimestampMicrosecond(Some(1), None));
        assert_eq!(times(col("ts").gt(at.clone()).or(col("value").gt(lit(1.0)))), (None, None));
        assert_eq!(times(col("other").gt(at)), (None, None));
    }
}
