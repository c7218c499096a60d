//! Runs one HTTP probe: requests one after the other, redirects by hand, time and size limits. Decides nothing:
//! what follows an answer, and what it all means, is said by the crate `probes`.

use std::cell::RefCell;

use futures_util::StreamExt;
use probes::plan::Budget;
use probes::{
    BodyScan, Failure, Hop, NextRequest, Observation, ProbeOutcome, ProbeSpec, Progress, Reason,
    RedirectChain, Step, Vantage, evaluate,
};
use wasm_bindgen::JsValue;
use worker::{AbortController, AbortSignal, Response};

use crate::clock::{self, Stopwatch};
use crate::http::{Outgoing, body_stream, discard_body, send, within};

const USER_AGENT: &str = concat!("atl-edge/", env!("CARGO_PKG_VERSION"));

/// Why a probe came to no end of its own.
enum Interruption {
    /// It failed.
    Failed(Failure),
    /// The run's requests are used up.
    Budget,
}

/// Runs a probe that was admitted by `budget`. `None` where its redirects would have taken requests of others:
/// that is no verdict on the target.
pub(crate) async fn run(
    spec: &ProbeSpec,
    location: &str,
    scheduled_ms: i64,
    budget: &RefCell<Budget>,
) -> Option<ProbeOutcome> {
    budget.borrow_mut().start();
    let mut observation = Observation {
        location: location.to_owned(),
        vantage: Vantage::CloudflareWorker,
        attempt: 1,
        scheduled_ms,
        started_ms: clock::now_ms(),
        ..Observation::default()
    };
    let stopwatch = Stopwatch::start();
    let controller = AbortController::default();
    let signal = controller.signal();
    let walked = within(spec.timeout(), controller, walk(spec, &signal, budget, &mut observation)).await;
    observation.duration = stopwatch.elapsed();
    observation.failure = match walked {
        Some(Ok(())) => None,
        Some(Err(Interruption::Failed(failure))) => Some(failure),
        Some(Err(Interruption::Budget)) => return None,
        None => {
            let detail = format!("no result within {} ms", spec.timeout_ms);
            Some(Failure::new(Reason::Timeout, detail))
        }
    };
    Some(evaluate(spec, &observation))
}

/// From the first request to the end of the last body, writing down what happens.
async fn walk(
    spec: &ProbeSpec,
    signal: &AbortSignal,
    budget: &RefCell<Budget>,
    observation: &mut Observation,
) -> Result<(), Interruption> {
    let mut chain = RedirectChain::new(spec).map_err(Interruption::Failed)?;
    loop {
        let mut response = ask(chain.request(), signal, observation).await?;
        let location = response.headers().get("location").ok().flatten();
        match chain.answered(response.status_code(), location.as_deref()) {
            Step::Stop => return read(spec, &mut response, observation).await,
            Step::Fail(failure) => {
                discard_body(&mut response);
                return Err(Interruption::Failed(failure));
            }
            Step::Follow => {
                discard_body(&mut response);
                if !budget.borrow_mut().redirect() {
                    return Err(Interruption::Budget);
                }
                observation.redirects = chain.followed();
            }
        }
    }
}

async fn ask(
    request: &NextRequest,
    signal: &AbortSignal,
    observation: &mut Observation,
) -> Result<Response, Interruption> {
    let mut headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        headers.push(("user-agent", USER_AGENT));
    }
    let outgoing = Outgoing {
        method: request.method.as_str(),
        url: request.url.as_str(),
        headers: &headers,
        body: request.body.as_deref().map(JsValue::from_str),
    };
    let stopwatch = Stopwatch::start();
    let response = send(outgoing, signal).await.map_err(failed)?;
    observation.hops.push(Hop {
        url: request.url.to_string(),
        status: response.status_code(),
        first_byte: stopwatch.elapsed(),
    });
    Ok(response)
}

async fn read(
    spec: &ProbeSpec,
    response: &mut Response,
    observation: &mut Observation,
) -> Result<(), Interruption> {
    let stopwatch = Stopwatch::start();
    let mut scan = BodyScan::new(&spec.expect);
    if let Some(mut stream) = body_stream(response) {
        while let Some(chunk) = stream.next().await {
            if scan.push(&chunk.map_err(failed)?) == Progress::Enough {
                break;
            }
        }
    }
    observation.transfer = Some(stopwatch.elapsed());
    observation.body = Some(scan.finish());
    Ok(())
}

fn failed(error: worker::Error) -> Interruption {
    Interruption::Failed(Failure::from_message(&error.to_string()))
}
