//! The tail event: what other workers logged goes to the backend as log records.
//!
//! The crate `worker` has no tail event. worker-build makes every exported function a handler of its name, but
//! passes such a one the events only; the bindings come from the module `cloudflare:workers`.

use js_sys::JSON;
use probes::tail::records;
use probes::wire::{LogRecord, Push, split_logs};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

use crate::settings::Settings;
use crate::{WORKER, clock, push, state};

/// Unpacked size of one push; a fraction of what the backend takes, so that a batch stays quick to repeat.
const PUSH_BYTES: usize = 2 * 1024 * 1024;

#[wasm_bindgen(module = "cloudflare:workers")]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = env)]
    static ENV: JsValue;
}

/// Handles one delivery of trace items. Never rejects: Cloudflare would not deliver again.
#[wasm_bindgen]
pub async fn tail(events: JsValue) -> Result<(), JsValue> {
    let env: Env = ENV.with(Clone::clone).unchecked_into();
    let settings = match Settings::from_env(&env) {
        Ok(settings) => settings,
        Err(error) => {
            worker::console_error!("{WORKER}: tail events are dropped: {error}");
            return Ok(());
        }
    };
    let json: String = JSON::stringify(&events)?.into();
    let now_ms = clock::now_ms();
    match records(&json, now_ms) {
        Ok(records) => send(&settings, records, now_ms).await,
        Err(error) => worker::console_error!("{WORKER}: tail events are dropped: {error}"),
    }
    Ok(())
}

async fn send(settings: &Settings, mut records: Vec<LogRecord>, now_ms: i64) {
    push::send_waiting(settings).await;
    records.extend(state::with(state::State::take_notes));
    for logs in split_logs(records, PUSH_BYTES) {
        // Nothing in the events tells two deliveries apart for certain, so the id is a random one.
        let batch_id = settings.batch_id(&["tail", &now_ms.to_string(), &clock::nonce()]);
        let push = Push {
            worker: WORKER.to_owned(),
            location: settings.location.clone(),
            sent_at_ms: now_ms,
            results: Vec::new(),
            logs,
        };
        push::send(settings, batch_id, &push).await;
    }
}
