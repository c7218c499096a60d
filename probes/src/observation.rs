//! What happened when a probe ran, before anybody judged it.

use std::time::Duration;

use crate::{BodyReport, Failure};

/// Where an observation was made, as far as it changes what an answer means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vantage {
    /// A program with its own sockets.
    #[default]
    Native,
    /// A Cloudflare Worker: the network in between answers with a status of its own (520–530) where the target
    /// could not be reached.
    CloudflareWorker,
}

/// One request of a probe that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// What was asked.
    pub url: String,
    /// What was answered.
    pub status: u16,
    /// From the request sent to the header of the answer.
    pub first_byte: Duration,
}

/// What the socket told, each `None` where the vantage point cannot see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// `1.1`, `2`, `3`.
    pub http_version: Option<String>,
    /// Address that answered.
    pub ip: Option<String>,
    /// Name resolution.
    pub resolve: Option<Duration>,
    /// TCP connect.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// TLS version.
    pub tls_version: Option<String>,
    /// TLS cipher suite.
    pub tls_cipher: Option<String>,
    /// Earliest end of validity in the certificate chain, milliseconds since the Unix epoch.
    pub cert_not_after_ms: Option<i64>,
}

/// Everything one run of a probe brought to light.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Where it ran: `FRA`, a host name.
    pub location: String,
    /// Kind of place it ran at.
    pub vantage: Vantage,
    /// 1 for the first try of a scheduled run, 2 for a repetition …
    pub attempt: u32,
    /// When it was due, milliseconds since the Unix epoch.
    pub scheduled_ms: i64,
    /// When it began, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// From its beginning to its end.
    pub duration: Duration,
    /// Answered requests, in order.
    pub hops: Vec<Hop>,
    /// Redirects that were followed, answered or not.
    pub redirects: u32,
    /// What the body of the last answer held, where it was read.
    pub body: Option<BodyReport>,
    /// From the header of the last answer to the end of its body.
    pub transfer: Option<Duration>,
    /// What kept it from coming to an end.
    pub failure: Option<Failure>,
    /// What the socket told.
    pub connection: ConnectionFacts,
}
