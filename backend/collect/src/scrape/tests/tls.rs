//! Scrapes over TLS: whom we trust, which name we ask for, and what we show of ourselves.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::scrape::{Manager, Options, TargetStatus};
use crate::testing::{MemorySink, job};

/// A certificate authority, a server at `exporter.internal` which it signed, and a client.
struct Authority {
    dir: tempfile::TempDir,
    server: Arc<ServerConfig>,
}

fn authority(client_needed: bool) -> Authority {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| std::fs::write(dir.path().join(name), pem).unwrap();

    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("ca.pem", &ca.pem());

    let client_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    write("client.pem", &params.signed_by(&client_key, &ca).unwrap().pem());
    write("client.key", &client_key.serialize_pem());

    let server_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["exporter.internal".to_owned()]).unwrap();
    let certificate = params.signed_by(&server_key, &ca).unwrap();
    let builder = if client_needed {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        ServerConfig::builder().with_client_cert_verifier(verifier)
    } else {
        ServerConfig::builder().with_no_client_auth()
    };
    let key = server_key.serialize_der().try_into().unwrap();
    let server = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    Authority { dir, server: Arc::new(server) }
}

/// Answers every connection with one page that tells the name the client asked for.
async fn serve(server: Arc<ServerConfig>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(server);
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let name = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.ok()?;
                let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
                let host =
                    head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or("none").to_owned();
                let page = format!("a{{host=\"{host}\",name=\"{name}\"}} 1\n");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}",
                    page.len()
                );
                stream.write_all(answer.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()
            });
        }
    });
    address
}

/// One scrape of `address` under `tls_config`, whose file names are those in `dir`.
async fn scrape(address: &str, dir: &Path, tls_config: Value) -> (TargetStatus, Vec<String>) {
    let mut tls_config = tls_config;
    for file in ["ca_file", "cert_file", "key_file"] {
        if let Some(name) = tls_config.get(file).and_then(Value::as_str) {
            tls_config[file] = json!(dir.join(name));
        }
    }
    let config = json!({
        "scheme": "https", "tls_config": tls_config, "static_configs": [{"targets": [address]}],
        "scrape_interval": "2s", "scrape_timeout": "2s",
    });
    let sink = Arc::new(MemorySink::default());
    let clock = Arc::new(model::SystemClock);
    let manager = Manager::start(vec![job(config)], Options::default(), Arc::clone(&sink) as _, clock);
    while sink.values("up").is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let status = manager.targets().remove(0);
    manager.stop().await;
    let points = sink.points(|name| name == "a");
    (status, points.iter().map(|point| point.split(" @").next().expect("a part").to_owned()).collect())
}

#[tokio::test]
async fn a_server_under_another_name_needs_server_name() {
    let authority = authority(false);
    let address = serve(Arc::clone(&authority.server)).await;
    let dir = authority.dir.path();

    let (status, points) =
        scrape(&address, dir, json!({"ca_file": "ca.pem", "server_name": "exporter.internal"})).await;
    assert_eq!(status.error, None);
    assert_eq!(points, [format!("a{{host=\"{address}\",name=\"exporter.internal\"}} 1")]);

    let (status, _) = scrape(&address, dir, json!({"ca_file": "ca.pem"})).await;
    let error = status.error.expect("the certificate is for another name");
    assert!(
        error.starts_with("request failed: connection failed: ") && error.contains("certificate"),
        "{error}"
    );

    let (status, _) = scrape(&address, dir, json!({"server_name": "exporter.internal"})).await;
    assert!(status.error.is_some(), "the machine does not trust this authority");

    let (status, points) = scrape(&address, dir, json!({"insecure_skip_verify": true})).await;
    assert_eq!((status.error, points.len()), (None, 1));
}

#[tokio::test]
async fn a_server_may_ask_for_our_certificate() {
    let authority = authority(true);
    let address = serve(Arc::clone(&authority.server)).await;
    let dir = authority.dir.path();
    let with = json!({"ca_file": "ca.pem", "server_name": "exporter.internal", "cert_file": "client.pem", "key_file": "client.key"});
    assert_eq!(scrape(&address, dir, with).await.0.error, None);
    let without = json!({"ca_file": "ca.pem", "server_name": "exporter.internal"});
    assert!(scrape(&address, dir, without).await.0.error.is_some());
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = authority(false);
    let dir = authority.dir.path();
    let (status, _) = scrape("127.0.0.1:1", dir, json!({"ca_file": "nope.pem"})).await;
    let error = status.error.expect("no such file");
    assert!(error.contains("nope.pem` cannot be read"), "{error}");
    std::fs::write(dir.join("bad.key"), "no pem").unwrap();
    let (status, _) =
        scrape("127.0.0.1:1", dir, json!({"cert_file": "client.pem", "key_file": "bad.key"})).await;
    let error = status.error.expect("no key");
    assert!(error.contains("does not hold usable pem"), "{error}");
}

#[tokio::test]
async fn a_certificate_file_that_changes_is_read_again() {
    let (right, wrong) = (authority(false), authority(false));
    let address = serve(Arc::clone(&right.server)).await;
    let file = wrong.dir.path().join("ca.pem");
    let config = json!({
        "scheme": "https", "static_configs": [{"targets": [address]}],
        "tls_config": {"ca_file": file, "server_name": "exporter.internal"},
        "scrape_interval": "500ms", "scrape_timeout": "500ms",
    });
    let sink = Arc::new(MemorySink::default());
    let clock = Arc::new(model::SystemClock);
    let manager = Manager::start(vec![job(config)], Options::default(), Arc::clone(&sink) as _, clock);
    let wait_for = async |up: f64| {
        while sink.values("up").last() != Some(&up) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    wait_for(0.0).await;
    std::fs::copy(right.dir.path().join("ca.pem"), &file).unwrap();
    wait_for(1.0).await;
    manager.stop().await;
}
