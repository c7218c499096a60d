//! A server that answers as badly as a test wants.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// 200 with a text page.
    Page(String),
    /// Status line and headers, and a body.
    Raw(String, Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// A whole head, then a byte every few milliseconds, for ever.
    Drip,
    /// A body of spaces without end.
    Flood,
    /// A closed connection.
    HangUp,
}

pub(super) struct Server {
    pub(super) address: String,
    /// Requests as they came, heads only.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `reply` gets the path and the number of the request, from 0.
    pub(super) async fn start(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (reply, seen) = (Arc::new(reply), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&reply), Arc::clone(&seen)));
            }
        });
        Server { address, requests }
    }
}

async fn serve(
    mut stream: TcpStream,
    reply: Arc<impl Fn(&str, usize) -> Reply + Send + Sync>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap_or("").to_owned();
        let number = {
            let mut requests = requests.lock().unwrap();
            requests.push(head);
            requests.len() - 1
        };
        if answer(&mut stream, reply(&path, number)).await.is_none() {
            return;
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// `None` where the connection is of no more use.
async fn answer(stream: &mut TcpStream, reply: Reply) -> Option<()> {
    match reply {
        Reply::Page(page) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n",
                page.len()
            );
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(page.as_bytes()).await.ok()
        }
        Reply::Raw(head, body) => {
            let head = format!("HTTP/1.1 {head}Content-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&body).await.ok()
        }
        Reply::Hang => std::future::pending().await,
        Reply::HangUp => None,
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(b"#").await.ok()?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Reply::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(&[b' '; 1 << 16]).await.ok()?;
            }
        }
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
