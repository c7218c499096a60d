//! Delivers batches to the backend: packed, signed, one request each. What is not taken waits in memory.

use std::time::Duration;

use js_sys::Uint8Array;
use probes::Parcel;
use probes::sign::{
    BATCH_ID_HEADER, KEY_ID_HEADER, SIGNATURE_HEADER, SignedRequest, TIMESTAMP_HEADER, sign_request,
};
use probes::wire::{Level, LogRecord, PUSH_PATH, Push};
use thiserror::Error;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableWritablePair, Response};

use crate::http::{Outgoing, exchange};
use crate::settings::Settings;
use crate::{WORKER, clock, state};

const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Batches of earlier runs that one run tries again at most.
pub(crate) const RETRIES_MAX: u32 = 3;

#[wasm_bindgen]
extern "C" {
    /// The runtime's own compressor: gzip without spending the worker's CPU time on it in wasm.
    type CompressionStream;

    #[wasm_bindgen(catch, constructor)]
    fn new(format: &str) -> Result<CompressionStream, JsValue>;
}

/// Why a batch could not be packed.
#[derive(Debug, Error)]
enum PackError {
    #[error("batch is not packed: {0}")]
    Json(#[from] serde_json::Error),
    #[error("batch is not packed: {0:?}")]
    Gzip(JsValue),
}

/// What became of one parcel.
enum Delivery {
    /// The backend has it.
    Taken,
    /// Not now: worth another try.
    Later(String),
    /// Never: the backend refuses this batch.
    Refused(String),
}

/// Sends a batch; if the backend does not take it, it goes to the outbox. True where it was taken.
pub(crate) async fn send(settings: &Settings, batch_id: String, push: &Push) -> bool {
    match pack(push).await {
        Ok(body) => attempt(settings, Parcel { batch_id, body }, false).await,
        Err(error) => {
            note(Level::Error, &error.to_string(), &batch_id);
            false
        }
    }
}

/// Tries what waits in the outbox, oldest first, [`RETRIES_MAX`] at most and only until one fails. Returns how
/// many were taken.
pub(crate) async fn send_waiting(settings: &Settings) -> usize {
    let mut taken = 0;
    for _ in 0..RETRIES_MAX {
        let Some(parcel) = state::with(|state| state.outbox.take()) else {
            break;
        };
        if !attempt(settings, parcel, true).await {
            break;
        }
        taken += 1;
    }
    taken
}

/// The headers that sign a request.
pub(crate) fn signed_headers(
    settings: &Settings,
    request: &SignedRequest<'_>,
) -> [(&'static str, String); 4] {
    [
        (KEY_ID_HEADER, request.key_id.to_owned()),
        (TIMESTAMP_HEADER, request.timestamp_seconds.to_string()),
        (BATCH_ID_HEADER, request.batch_id.to_owned()),
        (SIGNATURE_HEADER, sign_request(&settings.secret, request)),
    ]
}

/// One try. What is worth another one goes (back) to the outbox, and what went wrong is noted for the next batch.
async fn attempt(settings: &Settings, parcel: Parcel, again: bool) -> bool {
    match deliver(settings, &parcel).await {
        Delivery::Taken => return true,
        Delivery::Refused(why) => {
            note(Level::Error, &format!("batch refused and dropped: {why}"), &parcel.batch_id)
        }
        Delivery::Later(why) => {
            note(Level::Warn, &format!("batch not delivered: {why}"), &parcel.batch_id);
            keep(parcel, again);
        }
    }
    false
}

fn keep(parcel: Parcel, again: bool) {
    let batch_id = parcel.batch_id.clone();
    let dropped = state::with(|state| match again {
        false => state.outbox.push(parcel).into_iter().map(|parcel| parcel.batch_id).collect(),
        true if state.outbox.put_back(parcel) => Vec::new(),
        true => vec![batch_id],
    });
    for batch_id in dropped {
        note(Level::Error, "batch dropped: the outbox is full", &batch_id);
    }
}

async fn deliver(settings: &Settings, parcel: &Parcel) -> Delivery {
    let signed = signed_headers(
        settings,
        &SignedRequest {
            method: "POST",
            path: PUSH_PATH,
            key_id: &settings.key_id,
            timestamp_seconds: clock::now_ms() / 1000,
            batch_id: &parcel.batch_id,
            body: &parcel.body,
        },
    );
    let mut headers = vec![("content-type", "application/json"), ("content-encoding", "gzip")];
    headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
    let body = Some(Uint8Array::from(parcel.body.as_slice()).into());
    let outgoing = Outgoing { method: "POST", url: &settings.address(PUSH_PATH), headers: &headers, body };
    match exchange(outgoing, TIMEOUT, ANSWER_BYTES_MAX).await {
        Ok((200..=299, _, _)) => Delivery::Taken,
        Ok((status, _, answer)) => judge_refusal(status, &answer),
        Err(error) => Delivery::Later(error.to_string()),
    }
}

/// A batch that is malformed or too large will not get better. Everything else may: a wrong key is put right, a
/// clock is set, a proxy comes back.
fn judge_refusal(status: u16, answer: &[u8]) -> Delivery {
    let answer = String::from_utf8_lossy(answer);
    let why = format!("status {status}: {}", answer.chars().take(200).collect::<String>());
    match status {
        400 | 413 | 415 | 422 => Delivery::Refused(why),
        _ => Delivery::Later(why),
    }
}

async fn pack(push: &Push) -> Result<Vec<u8>, PackError> {
    let json = serde_json::to_vec(push)?;
    gzip(&json).await.map_err(PackError::Gzip)
}

async fn gzip(bytes: &[u8]) -> Result<Vec<u8>, JsValue> {
    let source = Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(bytes)))?;
    let stream = source.body().ok_or_else(|| JsValue::from_str("no stream of the body"))?;
    // A compressor is a pair of streams already; the cast only tells web-sys so.
    let pair: ReadableWritablePair = CompressionStream::new("gzip")?.unchecked_into();
    let packed = Response::new_with_opt_readable_stream(Some(&stream.pipe_through(&pair)))?;
    let buffer = JsFuture::from(packed.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

fn note(level: Level, message: &str, batch_id: &str) {
    let record = LogRecord::new(clock::now_ms(), level, WORKER, message).with("batch_id", batch_id);
    state::with(|state| state.note(record));
}
