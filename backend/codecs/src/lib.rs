//! Bytes ⇄ model, one file a wire format.
//!
//! Comes in: bodies of requests and answers, bounded by the caller and decompressed where the format does not
//! say how. Goes out: entries of an exposition page, or a [`model::Batch`]. Knows nothing of sockets, files, clocks or stores,
//! and never panics on hostile bytes.

pub mod edge;
pub mod exposition;
#[doc(hidden)]
pub mod fuzzing;
mod openmetrics;
pub mod protobuf;
pub mod remote_read;
pub mod remote_write;
pub mod snappy;
mod text;
pub mod text_encode;

pub use openmetrics::kind_name;
