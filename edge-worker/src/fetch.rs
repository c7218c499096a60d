//! The worker's own two pages. They tell that it runs, not what it watches.

use serde_json::{Value, json};
use worker::{Method, Request, Response};

use crate::state::{self, TickReport};
use crate::{WORKER, clock};

/// Answers `GET /` (status as JSON) and `GET /healthz`; everything else is not found.
pub(crate) fn answer(request: &Request) -> worker::Result<Response> {
    let asked = matches!(request.method(), Method::Get | Method::Head);
    match request.path().as_str() {
        "/" if asked => Response::from_json(&status()),
        "/healthz" if asked => Response::ok("ok\n"),
        _ => Response::error("not found\n", 404),
    }
}

fn status() -> Value {
    let (last_tick, batches_waiting) = state::with(|state| (state.last_tick.clone(), state.outbox.len()));
    json!({
        "worker": WORKER,
        "version": env!("CARGO_PKG_VERSION"),
        "now_ms": clock::now_ms(),
        // Of this isolate; another one may have run it.
        "last_tick": last_tick.as_ref().map(TickReport::to_json),
        "batches_waiting": batches_waiting,
    })
}
