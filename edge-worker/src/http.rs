//! `fetch` with a time limit, and bodies with a size limit.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use thiserror::Error;
use wasm_bindgen::JsValue;
use worker::{
    AbortController, AbortSignal, CacheMode, Delay, Fetch, Headers, Method, Request, RequestInit,
    RequestRedirect, Response, ResponseBody,
};

/// A request as the worker makes it: redirects are never followed by the runtime, and nothing comes out of
/// Cloudflare's cache.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// HTTP method.
    pub(crate) method: &'a str,
    /// Where to.
    pub(crate) url: &'a str,
    /// Headers, in order.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// Body.
    pub(crate) body: Option<JsValue>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    /// Took too long.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// What `fetch` says.
    #[error("{0}")]
    Fetch(#[from] worker::Error),
    /// Larger than it may be.
    #[error("answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Sends a request. The promise of the answer is given up when `signal` is raised.
pub(crate) async fn send(outgoing: Outgoing<'_>, signal: &AbortSignal) -> worker::Result<Response> {
    let headers = Headers::new();
    for (name, value) in outgoing.headers {
        headers.append(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::from(outgoing.method.to_owned()))
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual)
        .with_cache(CacheMode::NoStore)
        .with_body(outgoing.body);
    let request = Request::new_with_init(outgoing.url, &init)?;
    Fetch::Request(request).send_with_signal(signal).await
}

/// Runs `work` for `limit` at most. When the time is up, `controller` aborts what it is at; `None` then.
pub(crate) async fn within<F: Future>(
    limit: Duration,
    controller: AbortController,
    work: F,
) -> Option<F::Output> {
    match select(pin!(work), Delay::from(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => {
            controller.abort();
            None
        }
    }
}

/// Sends a request and reads the whole answer: status, headers, body of `bytes_max` at most; all within `limit`.
pub(crate) async fn exchange(
    outgoing: Outgoing<'_>,
    limit: Duration,
    bytes_max: usize,
) -> Result<(u16, Headers, Vec<u8>), HttpError> {
    let controller = AbortController::default();
    let signal = controller.signal();
    let work = async {
        let mut response = send(outgoing, &signal).await?;
        let body = read_body(&mut response, bytes_max).await?;
        Ok((response.status_code(), response.headers().clone(), body))
    };
    within(limit, controller, work).await.unwrap_or(Err(HttpError::Timeout(limit)))
}

/// Gives up an answer's body. A body that nobody reads would keep one of the six connections a worker may have.
pub(crate) fn discard_body(response: &mut Response) {
    // Dropping the stream cancels it.
    drop(body_stream(response));
}

/// The answer's body as a stream, where it has one.
pub(crate) fn body_stream(response: &mut Response) -> Option<worker::ByteStream> {
    match response.body() {
        ResponseBody::Stream(_) => response.stream().ok(),
        ResponseBody::Empty | ResponseBody::Body(_) => None,
    }
}

async fn read_body(response: &mut Response, bytes_max: usize) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    let Some(mut stream) = body_stream(response) else {
        return Ok(body);
    };
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > bytes_max {
            return Err(HttpError::TooLarge(bytes_max));
        }
    }
    Ok(body)
}
