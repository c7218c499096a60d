//! The functions SQL can call: DataFusion's own, without those that make much from little, with `label`.
//!
//! A single call like `repeat('x', 1e9)` fills the memory before any limit of the engine sees it, so the
//! functions that stretch their arguments are bounded or missing.

mod bounded;
mod label;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;

use bounded::{Bounded, Growth};
use label::Label;

/// Functions that make an array of any length from a number. `generate_series` and `range` are there as
/// table functions, which stream.
const MISSING: [&str; 6] =
    ["generate_series", "range", "array_repeat", "list_repeat", "array_resize", "list_resize"];
/// Functions that make long strings from short ones.
const BOUNDED: [(&str, Growth); 7] = [
    ("repeat", Growth::Repeated),
    ("lpad", Growth::Padded),
    ("rpad", Growth::Padded),
    ("concat", Growth::Joined),
    ("concat_ws", Growth::Joined),
    ("replace", Growth::Replaced),
    ("regexp_replace", Growth::Replaced),
];

/// Scalar functions of a session.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions: Vec<Arc<ScalarUDF>> = SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter(|function| !MISSING.contains(&function.name()))
        .map(|function| match BOUNDED.iter().find(|(name, _)| *name == function.name()) {
            Some((_, growth)) => Arc::new(ScalarUDF::new_from_impl(Bounded::new(function, *growth))),
            None => function,
        })
        .collect();
    functions.push(Arc::new(ScalarUDF::new_from_impl(Label::new())));
    functions
}

/// Names of all functions of a session, sorted, each once.
pub(crate) fn names(state: &SessionState) -> Vec<String> {
    let names: BTreeSet<&String> = state
        .scalar_functions()
        .keys()
        .chain(state.aggregate_functions().keys())
        .chain(state.window_functions().keys())
        .chain(state.higher_order_functions().keys())
        .chain(state.table_functions().keys())
        .collect();
    names.into_iter().filter(|name| !name.starts_with("__")).cloned().collect()
}
