//! Bytes ⇄ model, one file a wire format.
//!
//! Comes in: bodies of requests and answers, already decompressed and bounded by the caller. Goes out:
//! entries of an exposition page, or a [`model::Batch`]. Knows nothing of sockets, files, clocks or stores,
//! and never panics on hostile bytes.

pub mod edge;
pub mod exposition;
mod openmetrics;
mod text;
pub mod text_encode;

pub use openmetrics::kind_name;
