//! `promql('expression', start, end, step)` and `promql('expression', at)`: the answer to a PromQL query as a
//! table, to be joined with logs and probes.
//!
//! The table has the same columns whatever the expression is, so that a query can be planned before it is
//! evaluated: time, value, and the labels as a map, of which `label(labels, 'name')` gives one. Metric name,
//! `job` and `instance` stand in columns of their own too, as in `metrics`.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use promql::{QueryTime, parse_duration};
use store::Snapshot;

use super::PROMQL;
use crate::error::QueryError;
use crate::prom::{PromEngine, PromOptions};
use crate::scan::promql_exec::PromqlExec;

/// Columns of the table.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("ts", store::tables::timestamp_type(), false),
        Field::new("metric", DataType::Utf8, true),
        Field::new("labels", store::tables::map_type(), false),
        Field::new("job", DataType::Utf8, true),
        Field::new("instance", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
        Field::new("histogram", DataType::Utf8, true),
    ]))
});

/// How the function is called.
const USAGE: &str = "promql('expression'), promql('expression', at), promql('expression', start, end, step)";

/// The table function over one snapshot.
#[derive(Debug)]
pub(crate) struct Promql {
    engine: PromEngine,
    snapshot: Arc<Snapshot>,
}

impl Promql {
    pub(crate) fn new(engine: PromEngine, snapshot: Arc<Snapshot>) -> Promql {
        Promql { engine, snapshot }
    }
}

impl TableFunctionImpl for Promql {
    /// Arguments are constants by now: DataFusion has computed what could be.
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let constants = args.exprs().iter().map(constant).collect::<Result<Vec<_>, _>>()?;
        let (expression, times) = match constants.split_first() {
            Some((ScalarValue::Utf8(Some(expression)), times)) => (expression, times),
            _ => return Err(wrong_usage("the expression must be a string").into()),
        };
        let time = match times {
            [] => {
                let now = args.session().execution_props().query_execution_start_time;
                let now = now.ok_or_else(|| QueryError::internal("the query has no start time"))?;
                QueryTime::Instant { time_ms: now.timestamp_millis() }
            }
            [at] => QueryTime::Instant { time_ms: time_ms(at)? },
            [start, end, step] => {
                QueryTime::Range { start_ms: time_ms(start)?, end_ms: time_ms(end)?, step_ms: step_ms(step)? }
            }
            _ => return Err(wrong_usage("it takes 1, 2 or 4 arguments").into()),
        };
        // Tells what is wrong with the expression before anything runs.
        self.engine.check(expression, time, &PromOptions::default()).map_err(QueryError::from)?;
        let (engine, snapshot) = (self.engine.clone(), Arc::clone(&self.snapshot));
        Ok(Arc::new(PromqlTable(PromqlQuery {
            engine,
            snapshot,
            expression: expression.as_str().into(),
            time,
        })))
    }
}

/// A query to be evaluated when its table is read.
#[derive(Clone, Debug)]
pub(crate) struct PromqlQuery {
    pub(crate) engine: PromEngine,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) expression: Arc<str>,
    pub(crate) time: QueryTime,
}

/// The table.
#[derive(Debug)]
struct PromqlTable(PromqlQuery);

#[async_trait]
impl TableProvider for PromqlTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..SCHEMA.fields().len()).collect();
        let projection: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(SCHEMA.project(&projection)?);
        Ok(Arc::new(PromqlExec::new(self.0.clone(), schema)))
    }
}

fn wrong_usage(reason: &str) -> QueryError {
    QueryError::plan(format!("`{PROMQL}`: {reason}")).with_hint(USAGE)
}

fn constant(expr: &Expr) -> Result<ScalarValue, QueryError> {
    match expr {
        Expr::Literal(value, _) if value.is_null() => Err(wrong_usage("an argument is NULL")),
        Expr::Literal(value, _) => Ok(value.clone()),
        other => Err(wrong_usage(&format!("`{other}` is not a constant"))),
    }
}

/// A point in time: a timestamp, a date, a text that is one, or seconds since the Unix epoch.
fn time_ms(value: &ScalarValue) -> Result<i64, QueryError> {
    let wrong = || wrong_usage(&format!("`{value}` is not a time"));
    let seconds = match value {
        ScalarValue::Int64(Some(seconds)) => Some(*seconds as f64),
        ScalarValue::UInt64(Some(seconds)) => Some(*seconds as f64),
        ScalarValue::Float64(Some(seconds)) => Some(*seconds),
        _ => None,
    };
    if let Some(seconds) = seconds {
        return milliseconds(seconds).ok_or_else(wrong);
    }
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    match value.cast_to(&utc) {
        Ok(ScalarValue::TimestampMillisecond(Some(ms), _)) => Ok(ms),
        _ => Err(wrong()),
    }
}

/// A length of time: an interval, a text as in PromQL (`1m30s`), or seconds.
fn step_ms(value: &ScalarValue) -> Result<i64, QueryError> {
    let wrong = || wrong_usage(&format!("`{value}` is not a step, which is longer than nothing"));
    let ms = match value {
        ScalarValue::Int64(Some(seconds)) => milliseconds(*seconds as f64),
        ScalarValue::Float64(Some(seconds)) => milliseconds(*seconds),
        ScalarValue::Utf8(Some(text)) => match text.trim().parse::<f64>() {
            Ok(seconds) => milliseconds(seconds),
            Err(_) => parse_duration(text.trim()),
        },
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            Some(i64::from(interval.days) * 86_400_000 + interval.nanoseconds / 1_000_000)
        }
        _ => None,
    };
    ms.filter(|ms| *ms > 0).ok_or_else(wrong)
}

/// Nothing beyond what a date can be.
fn milliseconds(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1_000.0).round();
    (ms.abs() < 1e15).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::IntervalMonthDayNano;

    #[test]
    fn times_and_steps_are_written_in_many_ways() {
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        for time in [
            text("2026-11-22T00:00:01.5Z"),
            text("2026-11-22 00:00:01.5"),
            text("2026-11-22T01:00:01.5+01:00"),
            ScalarValue::Float64(Some(1_795_305_601.5)),
            ScalarValue::TimestampNanosecond(Some(1_795_305_601_500_000_000), Some("UTC".into())),
            ScalarValue::TimestampMicrosecond(Some(1_795_305_601_500_000), None),
        ] {
            assert_eq!(time_ms(&time).unwrap(), 1_795_305_601_500, "{time:?}");
        }
        assert_eq!(time_ms(&ScalarValue::Int64(Some(12))).unwrap(), 12_000);
        assert_eq!(time_ms(&ScalarValue::Date32(Some(1))).unwrap(), 86_400_000);
        for wrong in
            [text("yesterday"), ScalarValue::Float64(Some(f64::NAN)), ScalarValue::Boolean(Some(true))]
        {
            assert!(time_ms(&wrong).is_err(), "{wrong:?}");
        }
        let interval = |months, days, nanoseconds| {
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds }))
        };
        for step in [text("1m30s"), text("90"), ScalarValue::Int64(Some(90)), interval(0, 0, 90_000_000_000)]
        {
            assert_eq!(step_ms(&step).unwrap(), 90_000, "{step:?}");
        }
        assert_eq!(step_ms(&interval(0, 1, 0)).unwrap(), 86_400_000);
        for wrong in [text("soon"), text("0"), text("-1"), interval(1, 0, 0), ScalarValue::Int64(Some(0))] {
            assert!(step_ms(&wrong).is_err(), "{wrong:?}");
        }
    }
}
