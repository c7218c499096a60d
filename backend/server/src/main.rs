//! `atl`: the whole system in one binary. Comes in: a command line. Goes out: an exit code, data on standard
//! output, talk on standard error. This file only chooses the command; each command is a module of its own.

mod app;
mod builtin;
mod cli;
mod config;
mod http;
mod serve;
mod sink;

use std::process::ExitCode;

use clap::Parser;

/// Rows of a few minutes come and go by the gigabyte, from many threads. glibc's allocator keeps much of that after
/// flushes and merges; this one gives it back (measured in `tests/bench/README.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Two providers may be compiled in; one has to be chosen before the first TLS connection.
    let chosen = rustls::crypto::ring::default_provider().install_default();
    debug_assert!(chosen.is_ok(), "nothing installs a TLS provider before main");
    cli::run(cli::Arguments::parse())
}
