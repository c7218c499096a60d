//! The edge worker: watches services from Cloudflare's network and tells the backend what it saw.
//!
//! Comes in: a cron event every minute, HTTP requests for its status, and tail events of other workers. Goes
//! out: one signed push to the backend for each. Holds the sockets, the clock and the bindings; everything that
//! can be decided without them is in the crate `probes`. Keeps nothing that outlives the isolate it runs in.

mod clock;
mod config;
mod fetch;
mod http;
mod probe;
mod push;
mod scheduled;
mod settings;
mod state;
pub mod tail;

use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};

/// Name this worker signs its pushes with, and `script` of its own log records.
pub(crate) const WORKER: &str = "atl-edge";

#[event(start)]
fn start() {
    // Without this a panic shows only as "unreachable" in the logs.
    std::panic::set_hook(Box::new(|info| worker::console_error!("{WORKER}: {info}")));
}

#[event(fetch)]
async fn on_fetch(request: Request, _env: Env, _context: Context) -> worker::Result<Response> {
    fetch::answer(&request)
}

#[event(scheduled)]
async fn on_scheduled(event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    scheduled::run(&event, &env).await;
}
