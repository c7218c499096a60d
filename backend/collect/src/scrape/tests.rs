//! Whole scrapes: against a server that misbehaves, and against the clock.

mod http;
mod rhythm;
mod server;
mod tls;
