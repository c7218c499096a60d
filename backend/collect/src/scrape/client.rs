//! Asks a target for its page over HTTP.
//!
//! Comes in: a target and its job's options. Goes out: the uncompressed page within its limit, and the format
//! its content type tells. The caller bounds the time. Secret files are read for every request, so that a
//! rotated secret needs no reload.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use codecs::exposition::Format;
use flate2::write::MultiGzDecoder;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT,
};
use reqwest::{Response, StatusCode, Url};

use super::config::{Auth, HttpOptions, Job};
use super::error::ScrapeError;

mod tls;

pub(crate) use tls::Clients;

const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";
const PROGRAM: &str = concat!("atl/", env!("CARGO_PKG_VERSION"));
/// Largest secret file, in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Largest first allocation for a body whose size is only guessed, in bytes.
const BODY_GUESS_MAX: usize = 4 << 20;

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) body: Vec<u8>,
    pub(crate) format: Format,
}

/// Asks one target.
#[derive(Debug)]
pub(crate) struct HttpSource {
    url: Url,
    /// `Host` header, where the name in the URL stands in for another one.
    host: Option<HeaderValue>,
    job: Arc<Job>,
    client: reqwest::Client,
    /// Certificate files as they were when the client was made.
    stamps: tls::Stamps,
    timeout: Duration,
    /// Size of the last page, to allocate the next one at once.
    last_bytes: usize,
}

impl HttpSource {
    pub(crate) fn new(
        url: &Url,
        job: &Arc<Job>,
        timeout: Duration,
        clients: &Clients,
    ) -> Result<HttpSource, ScrapeError> {
        let tls::Reached { url, host, client, stamps } = clients.reach(url, &job.http)?;
        Ok(HttpSource { url, host, job: Arc::clone(job), client, stamps, timeout, last_bytes: 0 })
    }

    /// True where certificate files changed since this source was made.
    pub(crate) fn is_outdated(&self) -> bool {
        !self.stamps.is_empty() && tls::stamps(&self.job.http.tls) != self.stamps
    }

    /// Fetches the page.
    pub(crate) async fn fetch(&mut self) -> Result<Page, ScrapeError> {
        let mut response = self.request().await?.send().await?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status(response.status().as_u16()));
        }
        let format = format_of(header(&response, CONTENT_TYPE), self.job.fallback)?;
        let guess = self.last_bytes.saturating_add(self.last_bytes / 8).min(BODY_GUESS_MAX);
        let limit = self.job.limits.body_bytes;
        let body = BoundedBody { bytes: Vec::with_capacity(guess), limit, exceeded: false };
        let body = match header(&response, CONTENT_ENCODING).to_ascii_lowercase().as_str() {
            "" | "identity" => read_plain(&mut response, body).await?,
            "gzip" if self.job.http.compression => read_gzip(&mut response, body).await?,
            other => return Err(ScrapeError::Encoding(shorten(other))),
        };
        self.last_bytes = body.len();
        Ok(Page { body, format })
    }

    async fn request(&self) -> Result<reqwest::RequestBuilder, ScrapeError> {
        let options = &self.job.http;
        let mut request = self
            .client
            .get(self.url.clone())
            .header(ACCEPT, &options.accept)
            .header(ACCEPT_ENCODING, if options.compression { "gzip" } else { "identity" })
            .header(USER_AGENT, PROGRAM)
            .header(TIMEOUT_HEADER, self.timeout.as_secs_f64().to_string());
        if let Some(host) = &self.host {
            request = request.header(HOST, host);
        }
        for (name, value) in &options.headers {
            request = request.header(name, value.reveal());
        }
        if let Some(authorization) = authorization(options).await? {
            request = request.header(AUTHORIZATION, authorization);
        }
        Ok(request)
    }
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> &str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// What the content type says; blank and unknown types mean `fallback`, but protobuf is no text.
fn format_of(content_type: &str, fallback: Format) -> Result<Format, ScrapeError> {
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/openmetrics-text" => Ok(Format::OpenMetrics),
        "text/plain" => Ok(Format::Text),
        "application/vnd.google.protobuf" => Err(ScrapeError::ContentType(shorten(content_type))),
        _ => Ok(fallback),
    }
}

/// What a target says of itself may be long; messages are not.
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

async fn read_plain(response: &mut Response, mut body: BoundedBody) -> Result<Vec<u8>, ScrapeError> {
    while let Some(chunk) = response.chunk().await? {
        if body.write_all(&chunk).is_err() {
            return Err(ScrapeError::BodyTooLarge(body.limit));
        }
    }
    Ok(body.bytes)
}

/// Unpacks as the bytes come, so that a bomb stops at the limit.
async fn read_gzip(response: &mut Response, body: BoundedBody) -> Result<Vec<u8>, ScrapeError> {
    let mut decoder = MultiGzDecoder::new(body);
    let failed = |decoder: &MultiGzDecoder<BoundedBody>, error| match decoder.get_ref() {
        body if body.exceeded => ScrapeError::BodyTooLarge(body.limit),
        _ => ScrapeError::Gzip(error),
    };
    while let Some(chunk) = response.chunk().await? {
        decoder.write_all(&chunk).map_err(|error| failed(&decoder, error))?;
    }
    decoder.try_finish().map_err(|error| failed(&decoder, error))?;
    let body = decoder.finish().map_err(ScrapeError::Gzip)?;
    Ok(body.bytes)
}

/// Takes bytes until there are as many as the limit.
#[derive(Debug)]
struct BoundedBody {
    bytes: Vec<u8>,
    limit: u64,
    exceeded: bool,
}

impl Write for BoundedBody {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<usize> {
        if (self.bytes.len() + chunk.len()) as u64 >= self.limit {
            self.exceeded = true;
            return Err(std::io::Error::other("limit reached"));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn authorization(options: &HttpOptions) -> Result<Option<HeaderValue>, ScrapeError> {
    let text = match &options.auth {
        None => return Ok(None),
        Some(Auth::Credentials { kind, credentials }) => {
            let credentials = match credentials {
                Ok(secret) => secret.reveal().to_owned(),
                Err(file) => read_secret(file).await?,
            };
            format!("{kind} {credentials}")
        }
        Some(Auth::Basic(basic)) => {
            let user = match &basic.username_file {
                Some(file) => read_secret(file).await?,
                None => basic.username.clone().unwrap_or_default(),
            };
            let password = match &basic.password_file {
                Some(file) => read_secret(file).await?,
                None => basic.password.as_ref().map_or("", |secret| secret.reveal()).to_owned(),
            };
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            format!("Basic {pair}")
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| ScrapeError::Header("authorization"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

async fn read_secret(path: &Path) -> Result<String, ScrapeError> {
    use tokio::io::AsyncReadExt;

    let failed = |source| ScrapeError::File { path: path.to_owned(), source };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).await.map_err(failed)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
