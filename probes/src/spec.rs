//! What to probe and what to expect of it, as people write it and as the backend sends it to the edge.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use crate::StatusPattern;
use crate::text::clip;

/// One probe. Serialised with the same names in `atl.yaml`, on the wire and in the worker's own variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// Name, unique in its list: letters, digits, `.`, `_`, `-`; at most 64.
    pub name: String,
    /// The URL, `http` or `https`, without user and password.
    pub target: String,
    /// How to probe it.
    #[serde(default)]
    pub kind: ProbeKind,
    /// Seconds between two runs, 10 to 86,400. The edge runs at most once a minute.
    #[serde(default = "default_interval_seconds")]
    pub interval_seconds: u32,
    /// Milliseconds the whole probe may take, redirects and body included, 100 to 30,000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// HTTP method.
    #[serde(default)]
    pub method: Method,
    /// Request headers; not sent on to another origin by a redirect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Request body, at most 64 KiB; not with GET and HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What makes the probe a success.
    #[serde(default)]
    pub expect: Expectations,
}

/// How a target is probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// One HTTP request, with its redirects.
    #[default]
    Http,
}

impl ProbeKind {
    /// The name that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            ProbeKind::Http => "http",
        }
    }
}

/// HTTP method of a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names of HTTP")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        }
    }

    /// Whether a request of this method can carry a body.
    pub fn has_body(self) -> bool {
        !matches!(self, Method::Get | Method::Head)
    }
}

/// What makes a probe a success; all of it must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// The last answer's status matches one of these.
    pub status: Vec<StatusPattern>,
    /// Each of these texts is in the body.
    pub body_contains: Vec<String>,
    /// None of these texts is in the body.
    pub body_not_contains: Vec<String>,
    /// Redirects allowed, at most 20.
    pub max_redirects: u32,
    /// Whether redirects are followed; if not, the first answer is judged.
    pub follow_redirects: bool,
}

impl Default for Expectations {
    fn default() -> Expectations {
        Expectations {
            status: vec![StatusPattern::SUCCESS],
            body_contains: Vec::new(),
            body_not_contains: Vec::new(),
            max_redirects: 5,
            follow_redirects: true,
        }
    }
}

fn default_interval_seconds() -> u32 {
    60
}

fn default_timeout_ms() -> u32 {
    10_000
}

/// Why a probe cannot be run as written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// The name.
    #[error("name `{0}` must be 1 to 64 letters, digits, `.`, `_` or `-`, and begin with a letter or digit")]
    Name(String),
    /// The target is no URL.
    #[error("target `{target}` is not a URL: {reason}")]
    Target {
        /// What was written.
        target: String,
        /// What the URL parser says.
        reason: String,
    },
    /// The target's scheme.
    #[error("target `{target}` has scheme `{scheme}`; only `http` and `https` can be probed")]
    Scheme {
        /// What was written.
        target: String,
        /// Its scheme.
        scheme: String,
    },
    /// The target carries a user or password, which would be stored with every result.
    #[error("target of a probe must not contain a user or password; send an `authorization` header instead")]
    Credentials,
    /// A number outside its bounds.
    #[error("`{field}` is {value}, and must be {low} to {high}")]
    Bounds {
        /// The field.
        field: &'static str,
        /// What was written.
        value: u64,
        /// Smallest allowed.
        low: u64,
        /// Largest allowed.
        high: u64,
    },
    /// An empty list of expected status codes would accept nothing.
    #[error("`expect.status` is empty, so nothing could succeed; leave it out for `2xx`")]
    NoStatus,
    /// Redirects are followed, and only redirects would be a success.
    #[error(
        "`expect.status` accepts only redirects while they are followed; set `expect.follow_redirects: false`"
    )]
    RedirectsFollowed,
    /// A header that cannot be sent.
    #[error("header `{name}` {problem}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A body where none can be sent.
    #[error("a {method} request has no body; use another method or leave `body` out")]
    Body {
        /// The method.
        method: &'static str,
    },
    /// Body texts cannot be checked where no body comes.
    #[error("the answer to HEAD has no body; leave `expect.{field}` out or use GET")]
    BodyOfHead {
        /// The expectation.
        field: &'static str,
    },
}

const NAME_BYTES_MAX: usize = 64;
const TARGET_BYTES_MAX: usize = 2048;
const HEADERS_MAX: usize = 32;
const HEADER_VALUE_BYTES_MAX: usize = 4096;
const REQUEST_BODY_BYTES_MAX: usize = 64 * 1024;
const PATTERNS_MAX: usize = 16;
const PATTERN_BYTES_MAX: usize = 1024;

/// Headers that the HTTP stack sets itself; a probe that set them would not send what it says.
const RESERVED_HEADERS: [&str; 7] =
    ["connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"];

impl ProbeSpec {
    /// A probe of `target` with every default.
    pub fn new(name: impl Into<String>, target: impl Into<String>) -> ProbeSpec {
        ProbeSpec {
            name: name.into(),
            target: target.into(),
            kind: ProbeKind::default(),
            interval_seconds: default_interval_seconds(),
            timeout_ms: default_timeout_ms(),
            method: Method::default(),
            headers: BTreeMap::new(),
            body: None,
            expect: Expectations::default(),
        }
    }

    /// Time between two runs.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_seconds))
    }

    /// Time the whole probe may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.timeout_ms))
    }

    /// Checks everything that can be known before the probe runs; the first problem is returned.
    pub fn validate(&self) -> Result<(), SpecError> {
        check_name(&self.name)?;
        check_target(&self.target)?;
        bounds("interval_seconds", u64::from(self.interval_seconds), 10, 86_400)?;
        bounds("timeout_ms", u64::from(self.timeout_ms), 100, 30_000)?;
        check_headers(&self.headers)?;
        if let Some(body) = &self.body {
            if !self.method.has_body() {
                return Err(SpecError::Body { method: self.method.as_str() });
            }
            bounds("body bytes", body.len() as u64, 0, REQUEST_BODY_BYTES_MAX as u64)?;
        }
        self.expect.validate()?;
        if self.method == Method::Head {
            for (field, texts) in self.expect.body_fields() {
                if !texts.is_empty() {
                    return Err(SpecError::BodyOfHead { field });
                }
            }
        }
        Ok(())
    }
}

impl Expectations {
    /// Whether the body has to be read to come to a verdict.
    pub fn judges_body(&self) -> bool {
        !self.body_contains.is_empty() || !self.body_not_contains.is_empty()
    }

    /// Whether `status` is among the expected ones.
    pub fn accepts(&self, status: u16) -> bool {
        self.status.iter().any(|pattern| pattern.matches(status))
    }

    fn body_fields(&self) -> [(&'static str, &[String]); 2] {
        [("body_contains", &self.body_contains), ("body_not_contains", &self.body_not_contains)]
    }

    fn validate(&self) -> Result<(), SpecError> {
        if self.status.is_empty() {
            return Err(SpecError::NoStatus);
        }
        bounds("expect.status entries", self.status.len() as u64, 1, PATTERNS_MAX as u64)?;
        bounds("expect.max_redirects", u64::from(self.max_redirects), 0, 20)?;
        if self.follow_redirects && self.status.iter().all(|pattern| pattern.is_redirects_only()) {
            return Err(SpecError::RedirectsFollowed);
        }
        for (_, texts) in self.body_fields() {
            bounds("expect.body_… entries", texts.len() as u64, 0, PATTERNS_MAX as u64)?;
            for text in texts {
                bounds("expect.body_… bytes", text.len() as u64, 1, PATTERN_BYTES_MAX as u64)?;
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), SpecError> {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(SpecError::Name(clip(name, NAME_BYTES_MAX + 1).to_owned()))
}

fn check_target(target: &str) -> Result<(), SpecError> {
    bounds("target bytes", target.len() as u64, 1, TARGET_BYTES_MAX as u64)?;
    let shown = || clip(target, 200).to_owned();
    let url = Url::parse(target)
        .map_err(|error| SpecError::Target { target: shown(), reason: error.to_string() })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SpecError::Credentials);
    }
    match url.scheme() {
        "http" | "https" => Ok(()),
        scheme => Err(SpecError::Scheme { target: shown(), scheme: scheme.to_owned() }),
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), SpecError> {
    bounds("headers entries", headers.len() as u64, 0, HEADERS_MAX as u64)?;
    for (name, value) in headers {
        let fail = |problem| Err(SpecError::Header { name: clip(name, 64).to_owned(), problem });
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token_byte) {
            return fail("is not a header name");
        }
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return fail("is set by the HTTP client and cannot be chosen");
        }
        if value.len() > HEADER_VALUE_BYTES_MAX {
            return fail("has a value longer than 4096 bytes");
        }
        if !value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
            return fail("has a value with control or non-ASCII characters");
        }
    }
    Ok(())
}

/// RFC 9110, section 5.6.2: the characters of a token.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn bounds(field: &'static str, value: u64, low: u64, high: u64) -> Result<(), SpecError> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(SpecError::Bounds { field, value, low, high }) }
}

#[cfg(test)]
mod tests;
