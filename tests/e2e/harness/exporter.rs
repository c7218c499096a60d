//! A real node_exporter, and a proxy before it that remembers every page it passed on, so that what was stored
//! can be held against what was sent, sample by sample.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::http;
use super::process::Process;
use super::s3::free_port;
use super::server::{Reply, Server};
use super::tools;
use super::wait::{ensure, eventually};

/// The running exporter.
#[derive(Debug)]
pub(crate) struct NodeExporter {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl NodeExporter {
    /// Starts it with these collectors only, or with its defaults.
    pub(crate) async fn start(collectors: &[&str]) -> NodeExporter {
        let folder = TempDir::with_prefix("atl-node-").expect("temporary folder");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(tools::tool("ATL_NODE_EXPORTER"));
        command.arg(format!("--web.listen-address={address}"));
        if !collectors.is_empty() {
            command.arg("--collector.disable-defaults");
            command.args(collectors.iter().map(|name| format!("--collector.{name}")));
        }
        let process = Process::spawn("node_exporter", command, &folder.path().join("node.log"));
        let url = format!("http://{address}/metrics");
        eventually("node_exporter serves", Duration::from_secs(20), || async {
            let answer = http::get(&url).await.map_err(|error| error.to_string())?;
            ensure(answer.status == 200, || answer.text())
        })
        .await;
        NodeExporter { url, _folder: folder, _process: process }
    }

    /// One page of it.
    pub(crate) async fn page(&self) -> String {
        http::get(&self.url).await.expect("node_exporter answers").text()
    }

    /// A proxy before it that remembers its pages.
    pub(crate) async fn recorded(self) -> Recorder {
        let pages = Arc::new(Mutex::new(Vec::new()));
        let (kept, url) = (Arc::clone(&pages), self.url.clone());
        let server = Server::start(move |_| {
            let (kept, url) = (Arc::clone(&kept), url.clone());
            async move {
                let page = http::get(&url).await.expect("node_exporter answers").text();
                kept.lock().expect("no test thread panicked").push(page.clone());
                Reply::text(200, page)
            }
        });
        Recorder { server: server.await, pages, _exporter: self }
    }
}

/// The proxy.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) server: Server,
    pages: Arc<Mutex<Vec<String>>>,
    _exporter: NodeExporter,
}

impl Recorder {
    /// The pages passed on, oldest first.
    pub(crate) fn pages(&self) -> Vec<String> {
        self.pages.lock().expect("no test thread panicked").clone()
    }
}

/// Name and labels of a sample, ordered, and its value.
pub(crate) type Sample = (String, BTreeMap<String, String>, f64);

/// Reads a page in the text format; a second reader, so that the product's own is not its own judge.
pub(crate) fn samples(page: &str) -> Vec<Sample> {
    page.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value after a blank");
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().expect("a number"),
    };
    let Some((name, rest)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new(), value);
    };
    (name.to_owned(), labels(rest.trim_end_matches('}')), value)
}

fn labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next().map(|(_, escaped)| escaped) {
                    Some('n') => value.push('\n'),
                    Some(other) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        text = &rest[end..];
    }
    labels
}
