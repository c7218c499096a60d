//! Why a scrape failed, in words for the targets page. No variant holds a URL, a header or a file's content,
//! so that no secret is shown.

use std::path::PathBuf;
use std::time::Duration;

use codecs::exposition::ParseError;
use thiserror::Error;

use super::config::format_duration;

/// Why a scrape failed.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the message of each variant is its description")]
pub enum ScrapeError {
    #[error("no complete answer within the scrape timeout of {}", format_duration(*.0))]
    Timeout(Duration),
    #[error("request failed: {}", chain(.0))]
    Request(#[source] reqwest::Error),
    #[error("server returned http status {0}, only 200 is a success")]
    Status(u16),
    #[error("body is larger than the limit of {0} bytes")]
    BodyTooLarge(u64),
    #[error("body is not valid gzip")]
    Gzip(#[source] std::io::Error),
    #[error("content encoding `{0}` was not asked for")]
    Encoding(String),
    #[error("content type `{0}` is not supported")]
    ContentType(String),
    #[error("{0}")]
    Parse(#[from] ParseError),
    #[error("a series has no metric name after relabelling")]
    NameMissing,
    #[error("sample_limit of {0} exceeded")]
    SampleLimit(u64),
    #[error("label_limit of {limit} exceeded by metric `{metric}` with {count} labels")]
    LabelLimit { metric: String, count: usize, limit: u64 },
    #[error("{what} of {limit} exceeded by label `{label}` of metric `{metric}` with {bytes} bytes")]
    LabelLength { what: &'static str, metric: String, label: String, bytes: usize, limit: u64 },
    #[error("target_limit of {limit} exceeded: the job has {targets} targets")]
    TargetLimit { targets: usize, limit: u64 },
    #[error("file `{path}` cannot be read: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("`{0}` holds characters that are not allowed in a header")]
    Header(&'static str),
    #[error("tls configuration is not usable: {0}")]
    Tls(String),
    #[error("there is no built-in exporter `{0}`")]
    NoExporter(String),
    #[error("built-in exporter failed: {0}")]
    Exporter(String),
}

/// An error and its causes in one line, without the URL.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_connect() {
        "connection failed".to_owned()
    } else if error.is_redirect() {
        "too many redirects or a redirect that cannot be followed".to_owned()
    } else if error.is_body() || error.is_decode() {
        "reading the body failed".to_owned()
    } else {
        "no valid answer".to_owned()
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text += ": ";
            text += &words;
        }
        source = cause.source();
    }
    text
}

impl From<reqwest::Error> for ScrapeError {
    fn from(error: reqwest::Error) -> ScrapeError {
        // The query of a URL may hold tokens.
        ScrapeError::Request(error.without_url())
    }
}
