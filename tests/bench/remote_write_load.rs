//! Makes bodies of remote write 1.0 as a fleet of hosts sends them, and sends them as fast as a server takes them.
//!
//! `cargo run --release -p tests --example remote_write_load -- make FILE SERIES ROUNDS INTERVAL_MS LAST_MS`
//! writes ROUNDS scrapes of SERIES series, the last one at LAST_MS, to FILE and prints as JSON how many bodies,
//! samples and bytes they are, and the whole history of some series, to be held against what a server answers.
//! `… send FILE URL CONNECTIONS [INTERVAL_MS]` posts the bodies and prints how long that took; with INTERVAL_MS it
//! begins a round only so often. A series always goes over the same connection, so that its samples arrive in order.
//! Everything is encoded before: sending costs little beside the server that receives.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use codecs::remote_write::encode_v1;
use model::{Batch, Point};
use serde_json::{Value, json};

#[path = "../../backend/store/examples/fleet/mod.rs"]
mod fleet;

use fleet::Series;

/// Series in one body; Prometheus sends up to 2,000 samples.
const SERIES_A_BODY: usize = 2_000;
/// Series whose samples are told, to be read back.
const CHECKED: usize = 40;
/// How often a body is sent again that the server could not take.
const ATTEMPTS: usize = 100;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["make", file, series, rounds, interval_ms, last_ms] => {
            make(file, series.parse()?, rounds.parse()?, interval_ms.parse()?, last_ms.parse()?)
        }
        ["send", file, url, connections] => send(file, url, connections.parse()?, 0),
        ["send", file, url, connections, interval_ms] => {
            send(file, url, connections.parse()?, interval_ms.parse()?)
        }
        _ => Err("usage: remote_write_load make FILE SERIES ROUNDS INTERVAL_MS LAST_MS | \
                  send FILE URL CONNECTIONS [INTERVAL_MS]"
            .into()),
    }
}

/// FILE: bodies a round (u32, little-endian), then each body's length (u32) and bytes.
fn make(file: &str, series: usize, rounds: usize, interval_ms: i64, last_ms: i64) -> Outcome<()> {
    let mut all = fleet::series(series);
    let chosen: Vec<usize> = (0..CHECKED.min(series)).map(|i| i * series / CHECKED.min(series)).collect();
    let mut checks: Vec<Vec<(i64, f64)>> = vec![Vec::new(); chosen.len()];
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    out.write_all(&u32::try_from(series.div_ceil(SERIES_A_BODY))?.to_le_bytes())?;
    let (mut count, mut bytes) = (0, 0);
    for round in 0..rounds {
        let timestamp_ms = last_ms - (rounds - 1 - round) as i64 * interval_ms;
        for (check, at) in checks.iter_mut().zip(&chosen) {
            check.push((timestamp_ms, all[*at].value()));
        }
        for body in encode(&mut all, timestamp_ms)? {
            out.write_all(&u32::try_from(body.len())?.to_le_bytes())?;
            out.write_all(&body)?;
            (count, bytes) = (count + 1, bytes + body.len());
        }
    }
    out.flush()?;
    let told: Vec<Value> = chosen.iter().zip(&checks).map(|(at, samples)| told(&all[*at], samples)).collect();
    println!("{}", json!({ "bodies": count, "samples": series * rounds, "bytes": bytes, "checks": told }));
    Ok(())
}

fn told(series: &Series, samples: &[(i64, f64)]) -> Value {
    let labels: serde_json::Map<String, Value> =
        series.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({ "labels": labels, "samples": samples })
}

/// The bodies of one round, in order; leaves every series one step further.
fn encode(all: &mut [Series], timestamp_ms: i64) -> Outcome<Vec<Vec<u8>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(threads).next_multiple_of(SERIES_A_BODY);
    std::thread::scope(|scope| {
        let workers: Vec<_> = all
            .chunks_mut(share)
            .map(|part| {
                scope.spawn(move || {
                    part.chunks_mut(SERIES_A_BODY).map(|part| body(part, timestamp_ms)).collect()
                })
            })
            .collect();
        let mut bodies = Vec::new();
        for worker in workers {
            let part: Outcome<Vec<Vec<u8>>> = worker.join().map_err(|_| "a thread that encodes panicked")?;
            bodies.append(&mut part?);
        }
        Ok(bodies)
    })
}

fn body(part: &mut [Series], timestamp_ms: i64) -> Outcome<Vec<u8>> {
    let mut batch = Batch::new("load");
    for series in part {
        batch.points.push(Point { labels: series.labels.clone(), timestamp_ms, value: series.value() });
        series.step();
    }
    Ok(encode_v1(&batch)?)
}

fn send(file: &str, url: &str, connections: usize, interval_ms: u64) -> Outcome<()> {
    let bytes = std::fs::read(file)?;
    let (round, bodies) = split(&bytes)?;
    let connections = connections.clamp(1, round);
    let (address, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.find('/').map(|at| rest.split_at(at)))
        .ok_or("URL: http://HOST:PORT/PATH")?;
    let refused = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|connection| {
                let (bodies, refused) = (&bodies, &refused);
                let mine = move |i: &usize| i % round % connections == connection;
                let due = move |i: usize| begun + Duration::from_millis((i / round) as u64 * interval_ms);
                let mine = (0..bodies.len()).filter(mine).map(move |i| (due(i), bodies[i]));
                scope.spawn(move || post(mine, address, path, refused))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread that sends panicked")?)
    })?;
    println!(
        "{}",
        json!({ "seconds": begun.elapsed().as_secs_f64(), "bodies": bodies.len(), "sent_again": refused.into_inner() })
    );
    Ok(())
}

fn split(mut bytes: &[u8]) -> Outcome<(usize, Vec<&[u8]>)> {
    let number = |bytes: &mut &[u8]| -> Outcome<usize> {
        let four = bytes.split_off(..4).ok_or("the file ends early")?;
        Ok(u32::from_le_bytes(four.try_into()?) as usize)
    };
    let round = number(&mut bytes)?;
    let mut bodies = Vec::new();
    while !bytes.is_empty() {
        let length = number(&mut bytes)?;
        bodies.push(bytes.split_off(..length).ok_or("the file ends early")?);
    }
    Ok((round, bodies))
}

/// Posts bodies over one connection, none before it is due; each must be acknowledged before the next one goes.
fn post<'a>(
    bodies: impl Iterator<Item = (Instant, &'a [u8])>,
    address: &str,
    path: &str,
    refused: &AtomicU64,
) -> Outcome<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut request = Vec::new();
    for (due, body) in bodies {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        request.clear();
        write!(
            request,
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
             X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        request.extend_from_slice(body);
        let mut attempts = 0;
        loop {
            stream.write_all(&request)?;
            match answer(&mut answers)? {
                (200..=299, _) => break,
                (429 | 500..=599, _) if attempts < ATTEMPTS => {
                    attempts += 1;
                    refused.fetch_add(1, Relaxed);
                    std::thread::sleep(Duration::from_millis(200));
                }
                (status, text) => return Err(format!("status {status}: {text}").into()),
            }
        }
    }
    Ok(())
}

/// Status and body of an answer.
fn answer(stream: &mut BufReader<TcpStream>) -> Outcome<(u16, String)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).ok_or("no answer")?.parse()?;
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if header.starts_with("transfer-encoding:") {
            return Err("the answer comes in chunks, which this program does not read".into());
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
