//! A small HTTP server inside the test, for peers that no real program plays: exporters that misbehave, an S3
//! server that breaks its word. One request a connection; the handler says how to answer, or not to.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }
}

/// How to answer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Properly.
    Full { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// These bytes, which need not be HTTP.
    Raw(Vec<u8>),
    /// A proper head, then this text again and again until `bytes` have been sent, or for ever.
    Repeat { text: &'static str, bytes: Option<u64> },
    /// A proper head, then one byte a second.
    Drip,
    /// Nothing, with the connection open.
    Silence,
}

impl Reply {
    pub(crate) fn text(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::Full { status, headers: vec![("content-type".into(), "text/plain".into())], body: body.into() }
    }
}

/// The server; it ends with this handle.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) async fn start<H, R>(handler: H) -> Server
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let handler = Arc::new(handler);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handler = Arc::clone(&handler);
                tokio::spawn(async move {
                    // A peer that hangs up early is no failure of the server.
                    let _ = answer(stream, handler.as_ref()).await;
                });
            }
        });
        Server { address, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Server {
    /// Stops listening; connections are refused from now on.
    pub(crate) fn close(&mut self) {
        self.task.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

async fn answer<H, R>(stream: TcpStream, handler: &H) -> std::io::Result<()>
where
    H: Fn(Request) -> R,
    R: Future<Output = Reply>,
{
    let mut stream = BufReader::new(stream);
    let Some(request) = read_request(&mut stream).await? else { return Ok(()) };
    let is_head = request.method == "HEAD";
    let reply = handler(request).await;
    let mut stream = stream.into_inner();
    match reply {
        Reply::Full { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} -\r\nconnection: close\r\n");
            if !headers.iter().any(|(name, _)| name == "content-length") {
                head.push_str(&format!("content-length: {}\r\n", body.len()));
            }
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n").as_bytes()).await?;
            if !is_head {
                stream.write_all(&body).await?;
            }
            stream.shutdown().await
        }
        Reply::Raw(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Repeat { text, bytes } => repeat(stream, text, bytes).await,
        Reply::Drip => drip(stream).await,
        Reply::Silence => {
            let mut rest = [0; 64];
            while stream.read(&mut rest).await? > 0 {}
            Ok(())
        }
    }
}

const OPEN_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n\r\n";

async fn repeat(mut stream: TcpStream, text: &str, bytes: Option<u64>) -> std::io::Result<()> {
    stream.write_all(OPEN_HEAD).await?;
    let block = text.repeat(64 * 1024 / text.len());
    let mut sent = 0;
    while bytes.is_none_or(|limit| sent < limit) {
        stream.write_all(block.as_bytes()).await?;
        sent += block.len() as u64;
    }
    stream.shutdown().await
}

async fn drip(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(OPEN_HEAD).await?;
    loop {
        stream.write_all(b"#").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// `None` where the peer closed without asking.
async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { method, target, body }))
}
