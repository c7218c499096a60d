//! HTTP clients: one for all jobs with the same TLS and redirect options, so that certificate authorities are
//! held in memory once.
//!
//! `server_name` is not an option of the HTTP library: the URL gets that name as its host, and a resolver of
//! its own leads it to the target's address. Certificate files that change are seen before the next scrape,
//! by their sizes and times.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Url};

use crate::scrape::config::{HttpOptions, TlsConfig};
use crate::scrape::error::ScrapeError;

/// How long an unused connection is kept, as in Prometheus.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
const REDIRECTS_MAX: usize = 10;

/// What clients are shared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClientKey {
    tls: TlsConfig,
    follow_redirects: bool,
    http2: bool,
    stamps: Stamps,
}

/// Sizes and times of the files of a TLS configuration; a file that cannot be looked at has none.
pub(super) type Stamps = Vec<Option<(u64, Option<SystemTime>)>>;

/// The clients of all jobs.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<HashMap<ClientKey, Client>>);

/// How a target is reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) url: Url,
    pub(super) host: Option<HeaderValue>,
    pub(super) client: Client,
    pub(super) stamps: Stamps,
}

/// What the files of `tls` look like now.
pub(super) fn stamps(tls: &TlsConfig) -> Stamps {
    let files = [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten();
    let stamp =
        |file| std::fs::metadata(file).ok().map(|file: std::fs::Metadata| (file.len(), file.modified().ok()));
    files.map(stamp).collect()
}

impl Clients {
    pub(super) fn reach(&self, url: &Url, options: &HttpOptions) -> Result<Reached, ScrapeError> {
        let stamps = stamps(&options.tls);
        let server_name = options.tls.server_name.as_deref().filter(|_| url.scheme() == "https");
        match server_name {
            Some(name) => reach_under_name(url, options, name, stamps),
            None => {
                let client = self.shared(options, &stamps)?;
                Ok(Reached { url: url.clone(), host: None, client, stamps })
            }
        }
    }

    /// Forgets all clients; loops that run keep theirs.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn shared(&self, options: &HttpOptions, stamps: &Stamps) -> Result<Client, ScrapeError> {
        let key = ClientKey {
            tls: options.tls.clone(),
            follow_redirects: options.follow_redirects,
            http2: options.http2,
            stamps: stamps.clone(),
        };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(builder(options)?)?;
        // Clients made from older files are of no more use.
        clients.retain(|other, _| other.tls != key.tls || other.stamps == key.stamps);
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(builder: ClientBuilder) -> Result<Client, ScrapeError> {
    builder.build().map_err(|error| ScrapeError::Tls(causes(&error)))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

fn builder(options: &HttpOptions) -> Result<ClientBuilder, ScrapeError> {
    let redirects = if options.follow_redirects { Policy::limited(REDIRECTS_MAX) } else { Policy::none() };
    let mut builder = Client::builder()
        .redirect(redirects)
        // Bodies are unpacked by the caller, within a limit.
        .no_gzip()
        .no_proxy()
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(1)
        .referer(false);
    if !options.http2 {
        builder = builder.http1_only();
    }
    let tls = &options.tls;
    if let Some(file) = &tls.ca_file {
        let certificates = Certificate::from_pem_bundle(&read(file)?).map_err(|_| not_pem(file))?;
        builder = builder.tls_certs_only(certificates);
    }
    if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        builder = builder.identity(Identity::from_pem(&pem).map_err(|_| not_pem(certificate))?);
    }
    if tls.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

fn read(path: &Path) -> Result<Vec<u8>, ScrapeError> {
    std::fs::read(path).map_err(|source| ScrapeError::File { path: path.to_owned(), source })
}

fn not_pem(path: &Path) -> ScrapeError {
    ScrapeError::Tls(format!("file `{}` does not hold usable pem", path.display()))
}

/// A client of the target's own, for a URL whose host is `name`.
fn reach_under_name(
    url: &Url,
    options: &HttpOptions,
    name: &str,
    stamps: Stamps,
) -> Result<Reached, ScrapeError> {
    let wrong = || ScrapeError::Tls(format!("server_name `{name}` is not usable"));
    let mut named = url.clone();
    named.set_host(Some(name)).map_err(|_| wrong())?;
    let address = url.host_str().unwrap_or("").trim_matches(['[', ']']).to_owned();
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or("")),
        None => url.host_str().unwrap_or("").to_owned(),
    };
    let resolver = Alias { name: name.to_ascii_lowercase(), address };
    Ok(Reached {
        host: Some(HeaderValue::from_str(&authority).map_err(|_| wrong())?),
        client: build(builder(options)?.dns_resolver(Arc::new(resolver)))?,
        url: named,
        stamps,
    })
}

/// Resolves one name to the address of another.
struct Alias {
    name: String,
    address: String,
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alias({} -> {})", self.name, self.address)
    }
}

impl Resolve for Alias {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if name.as_str() == self.name { self.address.clone() } else { name.as_str().to_owned() };
        Box::pin(async move {
            // The port is replaced by that of the URL.
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
