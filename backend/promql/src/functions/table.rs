//! The table itself, sorted by name.

use std::f64::consts::PI;

use super::window::WindowFunction;
use super::{
    Body, Clamp, FunctionDef, QueryTimeFunction, SortBy, Variadic, changes, date, instant_rate, math,
    over_time, quantile, rate, regression,
};
use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};
use crate::histogram::Histogram;

/// All functions by name.
pub fn all() -> &'static [FunctionDef] {
    FUNCTIONS
}

/// The function of this name. `start`, `end`, `step` and `range` are keywords and go in any case of letters.
pub fn lookup(name: &str) -> Option<&'static FunctionDef> {
    let lower = name.to_ascii_lowercase();
    let keyword = ["start", "end", "step", "range"].contains(&lower.as_str());
    let name = if keyword { lower.as_str() } else { name };
    FUNCTIONS.iter().find(|function| function.name == name)
}

const fn function(
    name: &'static str,
    args: &'static [ValueType],
    returns: ValueType,
    body: Body,
) -> FunctionDef {
    FunctionDef {
        name,
        args,
        variadic: Variadic::Exact,
        returns,
        experimental: false,
        reads_evaluation_time: false,
        body,
    }
}

const fn math(name: &'static str, f: fn(f64) -> f64) -> FunctionDef {
    function(name, &[Vector], Vector, Body::Math(f))
}

const fn date(name: &'static str, f: fn(&date::Date) -> f64) -> FunctionDef {
    timed(function(name, &[Vector], Vector, Body::Date(f)).variadic(Variadic::Optional(1)))
}

const fn statistic(name: &'static str, f: fn(&Histogram) -> f64) -> FunctionDef {
    function(name, &[Vector], Vector, Body::HistogramStat(f))
}

const fn window(name: &'static str, window: WindowFunction) -> FunctionDef {
    function(name, &[Matrix], Vector, Body::Window(window))
}

const fn query_time(name: &'static str, which: QueryTimeFunction) -> FunctionDef {
    experimental(function(name, &[], Scalar, Body::QueryTime(which)))
}

const fn experimental(mut function: FunctionDef) -> FunctionDef {
    function.experimental = true;
    function
}

const fn timed(mut function: FunctionDef) -> FunctionDef {
    function.reads_evaluation_time = true;
    function
}

impl FunctionDef {
    const fn variadic(mut self, variadic: Variadic) -> FunctionDef {
        self.variadic = variadic;
        self
    }

    const fn args(mut self, args: &'static [ValueType]) -> FunctionDef {
        self.args = args;
        self
    }
}

static FUNCTIONS: &[FunctionDef] = &[
    math("abs", f64::abs),
    function("absent", &[Vector], Vector, Body::Absent),
    function("absent_over_time", &[Matrix], Vector, Body::AbsentOverTime),
    math("acos", f64::acos),
    math("acosh", math::acosh),
    math("asin", f64::asin),
    math("asinh", math::asinh),
    math("atan", f64::atan),
    math("atanh", math::atanh),
    window("avg_over_time", WindowFunction::new(over_time::avg).summing()),
    math("ceil", f64::ceil),
    window("changes", WindowFunction::new(changes::changes).anchored()),
    function("clamp", &[Vector, Scalar, Scalar], Vector, Body::Clamp(Clamp::Both)),
    function("clamp_max", &[Vector, Scalar], Vector, Body::Clamp(Clamp::Max)),
    function("clamp_min", &[Vector, Scalar], Vector, Body::Clamp(Clamp::Min)),
    math("cos", f64::cos),
    math("cosh", f64::cosh),
    window("count_over_time", WindowFunction::new(over_time::count)),
    date("day_of_month", |date| f64::from(date.day)),
    date("day_of_week", |date| f64::from(date.weekday)),
    date("day_of_year", |date| f64::from(date.day_of_year)),
    date("days_in_month", |date| f64::from(date.days_in_month)),
    math("deg", |value| value * 180.0 / PI),
    window("delta", WindowFunction::new(rate::delta).of_floats(rate::deltas).anchored().smoothed()),
    window("deriv", WindowFunction::new(regression::deriv)),
    experimental(
        window("double_exponential_smoothing", WindowFunction::new(regression::double_exponential_smoothing))
            .args(&[Matrix, Scalar, Scalar]),
    ),
    query_time("end", QueryTimeFunction::End),
    math("exp", f64::exp),
    experimental(window("first_over_time", WindowFunction::new(over_time::first).keeping_name())),
    math("floor", f64::floor),
    statistic("histogram_avg", |histogram| histogram.sum / histogram.count),
    statistic("histogram_count", |histogram| histogram.count),
    function("histogram_fraction", &[Scalar, Scalar, Vector], Vector, Body::HistogramFraction),
    function("histogram_quantile", &[Scalar, Vector], Vector, Body::HistogramQuantile),
    experimental(
        function("histogram_quantiles", &[Vector, String, Scalar, Scalar], Vector, Body::HistogramQuantiles)
            .variadic(Variadic::Optional(9)),
    ),
    statistic("histogram_stddev", |histogram| histogram.variance().sqrt()),
    statistic("histogram_stdvar", Histogram::variance),
    statistic("histogram_sum", |histogram| histogram.sum),
    date("hour", |date| f64::from(date.hour)),
    window("idelta", WindowFunction::new(instant_rate::idelta)),
    window(
        "increase",
        WindowFunction::new(rate::increase)
            .of_floats(rate::increases)
            .anchored()
            .smoothed()
            .counting_resets(),
    ),
    experimental(function("info", &[Vector, Vector], Vector, Body::Info).variadic(Variadic::Optional(1))),
    window("irate", WindowFunction::new(instant_rate::irate)),
    function("label_join", &[Vector, String, String, String], Vector, Body::LabelJoin)
        .variadic(Variadic::Any),
    function("label_replace", &[Vector, String, String, String, String], Vector, Body::LabelReplace),
    window("last_over_time", WindowFunction::new(over_time::last).keeping_name()),
    math("ln", f64::ln),
    math("log10", f64::log10),
    math("log2", f64::log2),
    experimental(window("mad_over_time", WindowFunction::new(over_time::mad))),
    experimental(function("max_of", &[Scalar, Scalar], Scalar, Body::MaxOf)),
    window("max_over_time", WindowFunction::new(over_time::max)),
    experimental(function("min_of", &[Scalar, Scalar], Scalar, Body::MinOf)),
    window("min_over_time", WindowFunction::new(over_time::min)),
    date("minute", |date| f64::from(date.minute)),
    date("month", |date| f64::from(date.month)),
    function("pi", &[], Scalar, Body::Pi),
    timed(window("predict_linear", WindowFunction::new(regression::predict_linear)).args(&[Matrix, Scalar])),
    window("present_over_time", WindowFunction::new(over_time::present)),
    window("quantile_over_time", WindowFunction::new(quantile::over_time)).args(&[Scalar, Matrix]),
    math("rad", |value| value * PI / 180.0),
    query_time("range", QueryTimeFunction::Range),
    window(
        "rate",
        WindowFunction::new(rate::rate).of_floats(rate::rates).anchored().smoothed().counting_resets(),
    ),
    window("resets", WindowFunction::new(changes::resets).anchored()),
    function("round", &[Vector, Scalar], Vector, Body::Round).variadic(Variadic::Optional(1)),
    function("scalar", &[Vector], Scalar, Body::Scalar),
    math("sgn", math::sign),
    math("sin", f64::sin),
    math("sinh", f64::sinh),
    function("sort", &[Vector], Vector, Body::Sort(SortBy::Value { descending: false })),
    experimental(
        function("sort_by_label", &[Vector, String], Vector, Body::Sort(SortBy::Label { descending: false }))
            .variadic(Variadic::Any),
    ),
    experimental(
        function(
            "sort_by_label_desc",
            &[Vector, String],
            Vector,
            Body::Sort(SortBy::Label { descending: true }),
        )
        .variadic(Variadic::Any),
    ),
    function("sort_desc", &[Vector], Vector, Body::Sort(SortBy::Value { descending: true })),
    math("sqrt", f64::sqrt),
    query_time("start", QueryTimeFunction::Start),
    experimental(timed(function("start_timestamp", &[Vector], Vector, Body::StartTimestamp))),
    window("stddev_over_time", WindowFunction::new(over_time::stddev)),
    window("stdvar_over_time", WindowFunction::new(over_time::stdvar)),
    query_time("step", QueryTimeFunction::Step),
    window("sum_over_time", WindowFunction::new(over_time::sum).summing()),
    math("tan", f64::tan),
    math("tanh", f64::tanh),
    timed(function("time", &[], Scalar, Body::Time)),
    timed(function("timestamp", &[Vector], Vector, Body::Timestamp)),
    experimental(window("ts_of_first_over_time", WindowFunction::new(over_time::time_of_first))),
    experimental(window("ts_of_last_over_time", WindowFunction::new(over_time::time_of_last))),
    experimental(window("ts_of_max_over_time", WindowFunction::new(over_time::time_of_max))),
    experimental(window("ts_of_min_over_time", WindowFunction::new(over_time::time_of_min))),
    function("vector", &[Scalar], Vector, Body::Vector),
    date("year", |date| date.year_as_float()),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn keywords_go_in_any_case() {
        assert!(lookup("STEP").is_some());
        assert!(lookup("RATE").is_none());
    }
}
