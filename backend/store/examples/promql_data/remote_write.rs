//! To a receiver of remote write 1.0: half an hour of one host a request, in order of time, over a few connections.
//!
//! Many samples of a series in one request make the receiver look its labels up once; both the messages and the
//! snappy around them are written by hand, the latter without packing, so that this side takes next to no time.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

use crate::host::{Host, Period, Window};
use crate::model_file::Model;
use crate::{Outcome, Written};

const WINDOW_S: i64 = 1_800;
const CONNECTIONS: usize = 2;
/// Longest literal of snappy with a length of two bytes.
const LITERAL_BYTES: usize = 1 << 16;

/// Sends everything; fails with the receiver's words where it refuses.
pub(crate) fn send(model: &Model, hosts: Vec<Host>, period: &Period, url: &str) -> Outcome<Written> {
    let (address, path) = url.trim_start_matches("http://").split_once('/').ok_or("URL without a path")?;
    let mut written =
        Written { series: hosts.iter().map(|host| host.labels().len() as u64).sum(), samples: 0 };
    let share = hosts.len().div_ceil(CONNECTIONS).max(1);
    let mut senders = Vec::new();
    let mut hosts = hosts.into_iter().peekable();
    while hosts.peek().is_some() {
        senders.push(Sender::new(hosts.by_ref().take(share).collect(), address, path)?);
    }
    for slots in period.windows(WINDOW_S) {
        // All wait for each other: no series is ever much behind another.
        let samples: Outcome<Vec<u64>> = thread::scope(|scope| {
            let spawned: Vec<_> = senders
                .iter_mut()
                .map(|sender| scope.spawn(|| sender.send(model, period, slots.clone())))
                .collect();
            spawned.into_iter().map(|thread| thread.join().map_err(|_| "a sender panicked")?).collect()
        });
        written.samples += samples?.iter().sum::<u64>();
    }
    Ok(written)
}

struct Sender {
    hosts: Vec<Host>,
    /// Of each host and series: its labels as the message has them.
    labels: Vec<Vec<Vec<u8>>>,
    connection: BufReader<TcpStream>,
    head: String,
    window: Window,
    message: Vec<u8>,
}

impl Sender {
    fn new(hosts: Vec<Host>, address: &str, path: &str) -> Outcome<Sender> {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        let of_host = |host: &Host| host.labels().iter().map(encoded_labels).collect();
        Ok(Sender {
            labels: hosts.iter().map(of_host).collect(),
            hosts,
            connection: BufReader::new(connection),
            head: format!(
                "POST /{path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\n\
                 Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
            ),
            window: Window::default(),
            message: Vec::new(),
        })
    }

    fn send(&mut self, model: &Model, period: &Period, slots: std::ops::Range<usize>) -> Outcome<u64> {
        let mut samples = 0;
        for number in 0..self.hosts.len() {
            self.hosts[number].walk(model, slots.clone(), &mut self.window);
            if slots.start < period.written.start {
                continue;
            }
            samples += self.window.samples();
            self.message.clear();
            for (labels, column) in self.labels[number].iter().zip(&self.window.columns) {
                put_series(&mut self.message, labels, &self.window.times_ms, column);
            }
            self.post()?;
        }
        Ok(samples)
    }

    fn post(&mut self) -> Outcome<()> {
        let body = as_snappy(&self.message);
        let stream = self.connection.get_mut();
        stream.write_all(format!("{}Content-Length: {}\r\n\r\n", self.head, body.len()).as_bytes())?;
        stream.write_all(&body)?;
        let mut line = String::new();
        self.connection.read_line(&mut line)?;
        let is_good = line.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        let (mut header, mut length) = (String::new(), 0);
        while self.connection.read_line(&mut header)? > 2 {
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
            header.clear();
        }
        let mut answer = vec![0; length];
        self.connection.read_exact(&mut answer)?;
        if is_good { Ok(()) } else { Err(format!("{line}{}", String::from_utf8_lossy(&answer)).into()) }
    }
}

fn encoded_labels(labels: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    // In order of name, as the protocol wants them.
    for (name, value) in labels {
        let mut label = Vec::new();
        put_bytes(&mut label, 1, name.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(&mut out, 1, &label);
    }
    out
}

/// `TimeSeries`: labels are field 1, samples field 2; of a sample the value is field 1, the time field 2.
fn put_series(out: &mut Vec<u8>, labels: &[u8], times_ms: &[i64], values: &[f64]) {
    let mut series = Vec::with_capacity(labels.len() + times_ms.len() * 20);
    series.extend_from_slice(labels);
    for (&time_ms, value) in times_ms.iter().zip(values) {
        let mut sample = [0_u8; 20];
        sample[0] = (1 << 3) | 1;
        sample[1..9].copy_from_slice(&value.to_le_bytes());
        sample[9] = 2 << 3;
        let length = 10 + put_varint_at(&mut sample[10..], time_ms.unsigned_abs());
        put_bytes(&mut series, 2, &sample[..length]);
    }
    put_bytes(out, 1, &series);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    let mut length = [0; 10];
    let taken = put_varint_at(&mut length, bytes.len() as u64);
    out.push((field << 3) | 2);
    out.extend_from_slice(&length[..taken]);
    out.extend_from_slice(bytes);
}

/// Writes `number` and returns how many bytes it took.
fn put_varint_at(out: &mut [u8], mut number: u64) -> usize {
    let mut at = 0;
    while number >= 0x80 {
        out[at] = number as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    out[at] = number as u8;
    at + 1
}

/// Snappy that packs nothing: literals only.
fn as_snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 1_000 + 16);
    let mut length = [0; 10];
    let taken = put_varint_at(&mut length, bytes.len() as u64);
    out.extend_from_slice(&length[..taken]);
    for piece in bytes.chunks(LITERAL_BYTES) {
        out.push(61 << 2);
        out.extend_from_slice(&((piece.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(piece);
    }
    out
}
