//! The functions of the language: names, types, and how each computes. A table; the evaluator asks it what to do.
//! Names and types: Prometheus 3.14 `promql/parser/functions.go`.

use crate::ast::ValueType;
use crate::histogram::Histogram;

pub(crate) mod changes;
pub(crate) mod classic;
pub(crate) mod date;
pub(crate) mod extended;
pub(crate) mod instant_rate;
pub(crate) mod math;
pub(crate) mod over_time;
pub(crate) mod quantile;
pub(crate) mod rate;
pub(crate) mod regression;
mod table;
pub(crate) mod window;

use date::Date;
use window::WindowFunction;

pub use table::{all, lookup};

/// How many arguments a function takes beyond the declared ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly the declared ones.
    Exact,
    /// The last declared one may be missing, or come up to this many times.
    Optional(usize),
    /// The last declared one may come any number of times, or not at all.
    Any,
}

/// A function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionDef {
    /// Its name.
    pub name: &'static str,
    /// Types of the arguments.
    pub args: &'static [ValueType],
    /// How often the last one may come.
    pub variadic: Variadic,
    /// What it returns.
    pub returns: ValueType,
    /// True if Prometheus hides it behind a feature flag.
    pub experimental: bool,
    /// True where the result depends on the evaluation time even if the arguments do not.
    pub(crate) reads_evaluation_time: bool,
    pub(crate) body: Body,
}

/// How a function computes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// Float by float; histograms are left out.
    Math(fn(f64) -> f64),
    /// From the calendar date of each float, or of the evaluation time.
    Date(fn(&Date) -> f64),
    /// A float from each histogram; floats are left out.
    HistogramStat(fn(&Histogram) -> f64),
    /// From the samples of a window.
    Window(WindowFunction),
    /// Known when the query is planned.
    QueryTime(QueryTimeFunction),
    Absent,
    AbsentOverTime,
    Clamp(Clamp),
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    Info,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
    Pi,
    Round,
    Scalar,
    Sort(SortBy),
    StartTimestamp,
    Time,
    Timestamp,
    Vector,
}

/// Numbers a query has from its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryTimeFunction {
    Start,
    End,
    Step,
    Range,
}

/// Which bounds a clamp has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clamp {
    Both,
    Min,
    Max,
}

/// What and how to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortBy {
    Value { descending: bool },
    Label { descending: bool },
}
