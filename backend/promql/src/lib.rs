//! PromQL: the language and its evaluation, as Prometheus 3.14 has them. Comes in: query text, times, and a
//! [`SeriesSource`] that gives series; goes out: values with warnings and infos. Knows nothing of storage, HTTP
//! or SQL, reads no clock, starts no tasks other than threads that end with the evaluation.
//!
//! The way of a query: tokens → [`parse`] → [`ast`] → plan (durations and times resolved, every selector listed)
//! → evaluation node by node, each over all steps of a range query at once, one pass a series → [`Value`].
//!
//! ```text
//! let engine = Engine::new(EngineOptions::default());
//! let query = engine.prepare("rate(http_requests_total[5m])", QueryTime::Instant { time_ms })?;
//! let data = fetch(query.selections()).await?;                  // or let a SeriesSource fetch on its own
//! let answer = query.evaluate(&Prefetched(data), &|| deadline_passed())?;
//! ```

pub mod ast;
#[doc(hidden)]
pub mod fuzzing;
pub mod memory;
pub mod script;

mod annotations;
mod duration;
mod engine;
mod error;
mod eval;
mod format;
mod functions;
mod grid;
mod histogram;
mod lexer;
mod parser;
mod plan;
mod series;
mod source;
mod value;

pub use annotations::{Annotations, Level};
pub use duration::{format_duration, parse_duration};
pub use engine::{Answer, Engine, EngineOptions, PreparedQuery, QueryTime};
pub use error::{Error, Interrupt, ParseError, Result, SourceError, Span};
pub use functions::{FunctionDef, Variadic, all as all_functions, lookup as lookup_function};
pub use histogram::{
    BoundedBucket, Bucket, BucketSpan, CUSTOM_BUCKETS_SCHEMA, Histogram, IncompatibleSchema, ResetHint,
};
pub use parser::{ParserOptions, parse, parse_selector, parse_with};
pub use source::{Hints, HistogramSample, Prefetched, Selection, SeriesData, SeriesSource};
pub use value::{Cell, Sample, Series, TimestampMs, Value};
