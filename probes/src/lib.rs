//! Synthetic checks without any I/O: what to probe, when it is due, what an observation means, and what the
//! edge worker and the backend say to each other.
//!
//! Comes in: probe specifications, and observations made by somebody else (the edge worker with `fetch`, the
//! backend with its own sockets). Goes out: decisions for the next step of a probe ([`RedirectChain`],
//! [`BodyScan`]), verdicts ([`ProbeOutcome`]), and the messages of the edge protocol ([`wire`], [`sign`]).
//! Knows no clock, no sockets and no threads, so that both sides reach the same verdict, natively and in wasm.

mod body;
mod evaluate;
mod list;
mod observation;
mod outbox;
mod outcome;
pub mod plan;
mod reason;
mod redirect;
pub mod sign;
mod spec;
mod status;
pub mod tail;
mod text;
pub mod wire;

pub use body::{BODY_BYTES_MAX, BodyReport, BodyScan, Progress};
pub use evaluate::{evaluate, result_id};
pub use list::{ListError, PROBES_MAX, ProbeList, RejectedProbe};
pub use observation::{ConnectionFacts, Hop, Observation, Vantage};
pub use outbox::{Outbox, Parcel};
pub use outcome::{Phases, ProbeOutcome};
pub use reason::{Failure, Reason};
pub use redirect::{NextRequest, RedirectChain, Step};
pub use spec::{Expectations, Method, ProbeKind, ProbeSpec, SpecError};
pub use status::{StatusPattern, StatusPatternError};
