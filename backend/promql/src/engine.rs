//! The way in: parse, plan, evaluate. An [`Engine`] holds settings and nothing else; a [`PreparedQuery`] knows
//! which series it needs before any are read.

use std::sync::OnceLock;
use std::time::Duration;

use crate::annotations::Annotations;
use crate::ast::{Expr, ValueType};
use crate::error::{Error, Interrupt, ParseError, Result};
use crate::eval::{Context, Settings, answer};
use crate::grid::Grid;
use crate::parser::{ParserOptions, parse_with};
use crate::plan::{Plan, PlanOptions, plan};
use crate::source::{Selection, SeriesSource};
use crate::value::Value;

/// Settings of an engine; the defaults are Prometheus's, with everything experimental on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineOptions {
    /// A sample counts as current for this long, unless the series ends before.
    pub lookback_delta: Duration,
    /// Samples a query may hold at a time.
    pub samples_max: usize,
    /// Step of subqueries that do not say one.
    pub default_subquery_step: Duration,
    /// Drop metric names at the end of a query rather than at each node.
    pub delayed_name_removal: bool,
    /// Tell counters by the label `__type__` instead of the metric's name.
    pub type_and_unit_labels: bool,
    /// Use start timestamps for counter resets.
    pub start_timestamps: bool,
    /// Threads a single query may use.
    pub threads: usize,
    /// Which parts of the language are allowed.
    pub parser: ParserOptions,
}

/// Threads the machine gives the process; finding it out reads files of the system, which is done once.
fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            lookback_delta: Duration::from_secs(300),
            samples_max: 50_000_000,
            default_subquery_step: Duration::from_secs(60),
            delayed_name_removal: true,
            type_and_unit_labels: false,
            start_timestamps: true,
            threads: threads(),
            parser: ParserOptions::default(),
        }
    }
}

/// When a query is evaluated; milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryTime {
    /// Once.
    Instant {
        /// At this time.
        time_ms: i64,
    },
    /// Step by step.
    Range {
        /// First step.
        start_ms: i64,
        /// No step is after this.
        end_ms: i64,
        /// Distance of steps; positive.
        step_ms: i64,
    },
}

/// An answer with what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Warnings and infos.
    pub annotations: Annotations,
}

/// Parses and plans queries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these settings.
    pub fn new(options: EngineOptions) -> Engine {
        Engine { options }
    }

    /// Its settings.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Parses and plans a query. Fails where the text is no query, or none for these times.
    pub fn prepare(&self, query: &str, time: QueryTime) -> Result<PreparedQuery> {
        let expr = parse_with(query, self.options.parser)?;
        self.prepare_expr(query, &expr, time)
    }

    /// Plans a query already parsed; `query` is its text, for the places of errors.
    pub fn prepare_expr(&self, query: &str, expr: &Expr, time: QueryTime) -> Result<PreparedQuery> {
        let (grid, step_ms) = match time {
            QueryTime::Instant { time_ms } => (Grid::instant(time_ms), 0),
            QueryTime::Range { start_ms, end_ms, step_ms } => {
                if step_ms <= 0 {
                    return Err(Error::evaluation(
                        "zero or negative query resolution step widths are not accepted",
                    ));
                }
                (Grid::range(start_ms, end_ms, step_ms), step_ms)
            }
        };
        if grid.steps > self.options.samples_max {
            return Err(Error::TooManySamples);
        }
        let range_query = matches!(time, QueryTime::Range { .. });
        let value_type = expr.value_type();
        if range_query && !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = format!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                value_type.documented()
            );
            return Err(ParseError::new(query, expr.span, message).into());
        }
        let options = PlanOptions {
            lookback_ms: milliseconds(self.options.lookback_delta),
            default_subquery_step_ms: milliseconds(self.options.default_subquery_step).max(1),
        };
        let plan = plan(query, expr, grid, step_ms, options)?;
        Ok(PreparedQuery { plan, range_query, options: self.options })
    }

    /// Prepares and evaluates in one go, without interruptions.
    pub fn query(&self, query: &str, time: QueryTime, source: &dyn SeriesSource) -> Result<Answer> {
        self.prepare(query, time)?.evaluate(source, &|| None)
    }
}

/// A planned query.
#[derive(Debug)]
pub struct PreparedQuery {
    plan: Plan,
    range_query: bool,
    options: EngineOptions,
}

impl PreparedQuery {
    /// The series the query will ask its source for, each at most once.
    pub fn selections(&self) -> &[Selection] {
        &self.plan.selections
    }

    /// Number of nodes of the tree; it is nested no deeper.
    pub fn nodes(&self) -> usize {
        self.plan.nodes()
    }

    /// Sum over all nodes of the steps they are evaluated at, those of subqueries included: what evaluation takes
    /// for every series.
    pub fn node_steps(&self) -> usize {
        self.plan.node_steps()
    }

    /// Evaluates over `source`. `interrupt` is asked between series, from several threads, whether to stop.
    pub fn evaluate(
        &self,
        source: &dyn SeriesSource,
        interrupt: &(dyn Fn() -> Option<Interrupt> + Sync),
    ) -> Result<Answer> {
        let settings = Settings {
            lookback_ms: milliseconds(self.options.lookback_delta),
            samples_max: self.options.samples_max,
            delayed_name_removal: self.options.delayed_name_removal,
            type_and_unit_labels: self.options.type_and_unit_labels,
            start_timestamps: self.options.start_timestamps,
            threads: self.options.threads,
        };
        let context = Context::new(&self.plan, settings, self.range_query, source, interrupt);
        let value = answer(&context)?;
        Ok(Answer { value, annotations: context.into_notes() })
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
