//! The engine over a real store: same answers before and after a flush, plans, limits, errors, formats.

pub(crate) mod fixture;

mod catalog;
mod errors;
mod limits;
mod prom;
mod promql;
mod requests;
mod tables;
mod words;
