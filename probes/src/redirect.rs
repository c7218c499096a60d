//! Decides what follows an HTTP answer: stop, another request, or failure. Does no request itself.
//!
//! Methods change as browsers and the Fetch standard do it (<https://fetch.spec.whatwg.org/#http-redirect-fetch>).

use url::Url;

use crate::text::bare_url;
use crate::{Failure, Method, ProbeSpec, Reason};

/// Headers that may go to another origin. Everything else a probe sets could be a secret of its target.
const HARMLESS_HEADERS: [&str; 4] = ["accept", "accept-encoding", "accept-language", "user-agent"];

/// The way of one probe through its redirects.
#[derive(Clone, Debug)]
pub struct RedirectChain {
    request: NextRequest,
    follow: bool,
    followed: u32,
    max: u32,
}

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextRequest {
    /// Where to.
    pub url: Url,
    /// How.
    pub method: Method,
    /// Headers the specification asks for, as far as they still apply.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it is still sent.
    pub body: Option<String>,
}

/// What follows an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This answer is the last one; judge it.
    Stop,
    /// Make the request of [`RedirectChain::request`] next.
    Follow,
    /// The probe has failed.
    Fail(Failure),
}

impl RedirectChain {
    /// The chain before its first request. Fails where the target cannot be parsed, which a validated
    /// specification does not.
    pub fn new(spec: &ProbeSpec) -> Result<RedirectChain, Failure> {
        let url = Url::parse(&spec.target)
            .map_err(|error| Failure::new(Reason::InvalidUrl, format!("target is not a URL: {error}")))?;
        let headers = spec.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(RedirectChain {
            request: NextRequest { url, method: spec.method, headers, body: spec.body.clone() },
            follow: spec.expect.follow_redirects,
            followed: 0,
            max: spec.expect.max_redirects,
        })
    }

    /// The request to make now.
    pub fn request(&self) -> &NextRequest {
        &self.request
    }

    /// Redirects followed until now.
    pub fn followed(&self) -> u32 {
        self.followed
    }

    /// Decides on an answer to [`RedirectChain::request`]; `location` is its header of that name. A redirect
    /// status without that header is an answer like any other.
    pub fn answered(&mut self, status: u16, location: Option<&str>) -> Step {
        let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
        let Some(location) = location.filter(|_| is_redirect && self.follow) else {
            return Step::Stop;
        };
        if self.followed >= self.max {
            let detail = format!("more than {} redirects, the last to {}", self.max, self.shown(location));
            return Step::Fail(Failure::new(Reason::TooManyRedirects, detail));
        }
        match self.resolve(location) {
            Ok(url) => {
                self.change_method(status);
                self.drop_secrets(&url);
                self.request.url = url;
                self.followed += 1;
                Step::Follow
            }
            Err(failure) => Step::Fail(failure),
        }
    }

    fn resolve(&self, location: &str) -> Result<Url, Failure> {
        let fail = |what: String| Failure::new(Reason::InvalidUrl, what);
        let url = self
            .request
            .url
            .join(location)
            .map_err(|error| fail(format!("redirect to {}: {error}", bare_url(location))))?;
        match url.scheme() {
            "http" | "https" => Ok(url),
            scheme => Err(fail(format!("redirect to a `{scheme}` URL"))),
        }
    }

    fn change_method(&mut self, status: u16) {
        let becomes_get = match status {
            301 | 302 => self.request.method == Method::Post,
            303 => !matches!(self.request.method, Method::Get | Method::Head),
            _ => false,
        };
        if becomes_get {
            self.request.method = Method::Get;
            self.request.body = None;
            self.request.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
    }

    fn drop_secrets(&mut self, next: &Url) {
        if self.request.url.origin() != next.origin() {
            self.request
                .headers
                .retain(|(name, _)| HARMLESS_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
        }
    }

    fn shown(&self, location: &str) -> String {
        self.request.url.join(location).map_or_else(|_| bare_url(location), |url| bare_url(url.as_str()))
    }
}

#[cfg(test)]
mod tests;
