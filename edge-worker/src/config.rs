//! Which probes to run: the backend's list, signed; else what was cached of it; else the worker's own variable.

use std::time::Duration;

use probes::RejectedProbe;
use probes::sign::{SIGNATURE_HEADER, SignedRequest, verify_config};
use probes::wire::{CONFIG_PATH, Level, LogRecord, ProbeList};
use thiserror::Error;
use worker::{Cache, Headers, Response};

use crate::http::{HttpError, Outgoing, exchange};
use crate::push::signed_headers;
use crate::settings::Settings;
use crate::{WORKER, clock, state};

const TIMEOUT: Duration = Duration::from_secs(5);
const LIST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Key in the Cache API; never asked of the network.
const CACHE_KEY: &str = "https://atl-edge.invalid/probe-list";
const NONCE_HEADER: &str = "x-atl-nonce";

/// Requests [`load`] makes at most: one to the backend, one read and one write of the cache.
pub(crate) const SUBREQUESTS: u32 = 3;

/// Probes, and where they are from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The probes.
    pub(crate) list: ProbeList,
    /// `backend`, `unchanged`, `memory`, `cache`, `variable` or `none`.
    pub(crate) source: &'static str,
}

/// Why the backend's list cannot be used.
#[derive(Debug, Error)]
enum ConfigError {
    #[error("probe list of the backend: {0}")]
    Http(#[from] HttpError),
    #[error("probe list of the backend: status {0}")]
    Status(u16),
    #[error("probe list of the backend is not accepted: {0}")]
    Signature(#[from] probes::sign::SignatureError),
    #[error("probe list of the backend is not accepted: {0}")]
    List(#[from] probes::ListError),
}

/// The probes to run now. What goes wrong on the way is noted and never keeps known probes from running.
pub(crate) async fn load(settings: &Settings) -> Loaded {
    let mut known_from = "memory";
    let mut known = state::with(|state| state.probe_list.clone());
    if known.is_none() {
        known = from_cache(settings).await;
        known_from = "cache";
        state::with(|state| state.probe_list.clone_from(&known));
    }
    match from_backend(settings, known.as_ref().map(|(etag, _)| etag.as_str())).await {
        Ok(Some(list)) => return Loaded { list, source: "backend" },
        // 304 is only an answer where a tag was sent, so something is known.
        Ok(None) => known_from = "unchanged",
        Err(error) => note(Level::Error, &error.to_string()),
    }
    match known {
        Some((_, list)) => Loaded { list, source: known_from },
        None => from_variable(settings),
    }
}

/// Asks the backend. `None` where the list is still the one tagged `etag`.
async fn from_backend(settings: &Settings, etag: Option<&str>) -> Result<Option<ProbeList>, ConfigError> {
    let nonce = settings.batch_id(&["config", &clock::nonce()]);
    let signed = signed_headers(
        settings,
        &SignedRequest {
            method: "GET",
            path: CONFIG_PATH,
            key_id: &settings.key_id,
            timestamp_seconds: clock::now_ms() / 1000,
            batch_id: &nonce,
            body: b"",
        },
    );
    let mut headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.extend(etag.map(|etag| ("if-none-match", etag)));
    let outgoing =
        Outgoing { method: "GET", url: &settings.address(CONFIG_PATH), headers: &headers, body: None };
    let (status, headers, body) = exchange(outgoing, TIMEOUT, LIST_BYTES_MAX).await?;
    match status {
        // Not signed: all it can say is to go on with what was verified before.
        304 if etag.is_some() => return Ok(None),
        200 => {}
        other => return Err(ConfigError::Status(other)),
    }
    let signature = header(&headers, SIGNATURE_HEADER);
    verify_config(&settings.secret, &nonce, &body, &signature)?;
    let (list, rejected) = ProbeList::parse_lenient(&body)?;
    note_rejected(&rejected);
    let etag = header(&headers, "etag");
    into_cache(&etag, &nonce, &signature, body).await;
    state::with(|state| state.probe_list = Some((etag, list.clone())));
    Ok(Some(list))
}

/// The list another isolate left in this data centre's cache, if its signature holds. The cache exists only for
/// workers with a domain of their own; elsewhere this finds nothing.
async fn from_cache(settings: &Settings) -> Option<(String, ProbeList)> {
    let mut response = Cache::default().get(CACHE_KEY, false).await.ok()??;
    let body = response.bytes().await.ok()?;
    let headers = response.headers();
    let (nonce, signature) = (header(headers, NONCE_HEADER), header(headers, SIGNATURE_HEADER));
    verify_config(&settings.secret, &nonce, &body, &signature).ok()?;
    let (list, _) = ProbeList::parse_lenient(&body).ok()?;
    Some((header(headers, "x-atl-etag"), list))
}

async fn into_cache(etag: &str, nonce: &str, signature: &str, body: Vec<u8>) {
    let fields = [
        ("cache-control", "max-age=86400"),
        ("x-atl-etag", etag),
        (NONCE_HEADER, nonce),
        (SIGNATURE_HEADER, signature),
    ];
    let headers = Headers::new();
    if fields.iter().any(|(name, value)| headers.set(name, value).is_err()) {
        return;
    }
    if let Ok(response) = Response::from_bytes(body) {
        // A cache that does not keep it costs one more request later, nothing else.
        let _ = Cache::default().put(CACHE_KEY, response.with_headers(headers)).await;
    }
}

fn from_variable(settings: &Settings) -> Loaded {
    let nothing = Loaded { list: ProbeList::default(), source: "none" };
    let Some(json) = &settings.own_probes else {
        return nothing;
    };
    match ProbeList::parse_lenient(json.as_bytes()) {
        Ok((list, rejected)) => {
            note_rejected(&rejected);
            Loaded { list, source: "variable" }
        }
        Err(error) => {
            note(Level::Error, &format!("`ATL_PROBES`: {error}"));
            nothing
        }
    }
}

fn note_rejected(rejected: &[RejectedProbe]) {
    for probe in rejected {
        note(Level::Error, &format!("probe `{}` is not run: {}", probe.name, probe.error));
    }
}

fn note(level: Level, message: &str) {
    let record = LogRecord::new(clock::now_ms(), level, WORKER, message);
    state::with(|state| state.note(record));
}

fn header(headers: &Headers, name: &str) -> String {
    headers.get(name).ok().flatten().unwrap_or_default()
}
