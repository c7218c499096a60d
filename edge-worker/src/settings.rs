//! What the worker's bindings say: secrets and variables, with their defaults.

use probes::sign::batch_id;
use thiserror::Error;
use worker::Env;

/// Requests Cloudflare allows in one run on the free plan.
const SUBREQUESTS_FREE_PLAN: u32 = 50;

/// The bindings, read once for each event.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where to push to, without a slash at the end.
    pub(crate) backend_url: String,
    /// Key that signs.
    pub(crate) secret: Vec<u8>,
    /// Name of the key.
    pub(crate) key_id: String,
    /// Where this worker says it runs.
    pub(crate) location: String,
    /// Probes to run where the backend's list was never seen, as JSON.
    pub(crate) own_probes: Option<String>,
    /// Requests one run may make.
    pub(crate) subrequests_max: u32,
}

/// Why the worker cannot work with its bindings.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// A binding that has no default.
    #[error("`{0}` is not set; set it with `wrangler secret put {0}`")]
    Missing(&'static str),
    /// Not a URL the worker can push to.
    #[error("`ATL_BACKEND_URL` is not an http or https URL without query")]
    BackendUrl,
    /// Not a number.
    #[error("`ATL_SUBREQUESTS_MAX` is not a number from 10 to 10000")]
    Subrequests,
}

impl Settings {
    /// Reads the bindings of `env`.
    pub(crate) fn from_env(env: &Env) -> Result<Settings, SettingsError> {
        let backend_url = text(env, "ATL_BACKEND_URL").ok_or(SettingsError::Missing("ATL_BACKEND_URL"))?;
        let secret = text(env, "ATL_EDGE_SECRET").ok_or(SettingsError::Missing("ATL_EDGE_SECRET"))?;
        Ok(Settings {
            backend_url: backend_base(&backend_url).ok_or(SettingsError::BackendUrl)?,
            secret: secret.into_bytes(),
            key_id: text(env, "ATL_KEY_ID").unwrap_or_else(|| "edge".to_owned()),
            location: text(env, "ATL_LOCATION").unwrap_or_else(|| "edge".to_owned()),
            own_probes: text(env, "ATL_PROBES"),
            subrequests_max: subrequests(text(env, "ATL_SUBREQUESTS_MAX"))?,
        })
    }

    /// Address of one of the backend's paths.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.backend_url)
    }

    /// A batch id that begins with this worker's name and place.
    pub(crate) fn batch_id(&self, rest: &[&str]) -> String {
        batch_id(&[&[crate::WORKER, self.location.as_str()], rest].concat())
    }
}

/// A binding that is set and not blank. Secrets and variables are read alike.
fn text(env: &Env, name: &str) -> Option<String> {
    let value = env.var(name).ok()?.to_string();
    let trimmed = value.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// The address without its trailing slash, if it is one that paths can be put behind.
fn backend_base(url: &str) -> Option<String> {
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    (is_http && !url.contains(['?', '#', ' '])).then(|| url.trim_end_matches('/').to_owned())
}

fn subrequests(text: Option<String>) -> Result<u32, SettingsError> {
    match text {
        None => Ok(SUBREQUESTS_FREE_PLAN),
        Some(text) => match text.parse() {
            Ok(number @ 10..=10_000) => Ok(number),
            _ => Err(SettingsError::Subrequests),
        },
    }
}
