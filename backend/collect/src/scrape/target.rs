//! Targets: what discovery found, relabelled into something that can be scraped, and how it fares.
//!
//! Comes in: an address with labels, and a job. Goes out: a [`Target`], or the verdict that the rules dropped
//! it. Follows Prometheus' `PopulateLabels`; `builtin://NAME` addresses get the host's name as `instance`.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::time::Duration;

use fnv::FnvHasher;
use model::{Labels, LabelsBuilder};
use reqwest::Url;
use thiserror::Error;

use super::config::{DurationError, Job, Problem, Scheme, check_times, format_duration, parse_duration};

/// Start of addresses that name an exporter inside this program.
pub(crate) const BUILTIN_SCHEME: &str = "builtin://";
const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";

/// Something to scrape.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Labels of its series.
    pub(crate) labels: Labels,
    /// Labels before relabelling.
    pub(crate) discovered: Labels,
    pub(crate) address: Address,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// Decides its phase; the same for the same labels and URL on every start.
    pub(crate) hash: u64,
}

/// Where a target answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Http(Url),
    Builtin(String),
}

/// Why a discovered target cannot be scraped.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    #[error("no address")]
    NoAddress,
    #[error("`{0}` is not a valid url")]
    Url(String),
    #[error("scheme `{0}` is neither `http` nor `https`")]
    Scheme(String),
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error(transparent)]
    Times(#[from] Problem),
}

/// What became of a discovered target.
#[derive(Debug)]
pub(crate) enum Populated {
    Target(Box<Target>),
    Dropped(Labels),
}

/// Whether a target answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// The last scrape was a success.
    Up,
    /// The last scrape failed.
    Down,
}

impl Health {
    /// `up`, `down` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// How a target fares.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// Name of the job.
    pub job: String,
    /// Label `instance`.
    pub instance: String,
    /// What is asked, `builtin://NAME` for built-in exporters.
    pub url: String,
    /// Whether it answers.
    pub health: Health,
    /// Start of the last scrape, milliseconds since the Unix epoch.
    pub last_scrape_ms: Option<i64>,
    /// How long the last scrape took.
    pub last_duration: Option<Duration>,
    /// Samples of the last scrape after relabelling.
    pub samples: usize,
    /// Why the last scrape failed.
    pub error: Option<String>,
    /// Labels of its series.
    pub labels: Labels,
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Time between scrapes.
    pub interval: Duration,
}

impl Target {
    /// What is asked, for people.
    pub(crate) fn url(&self) -> String {
        match &self.address {
            Address::Http(url) => url.to_string(),
            Address::Builtin(name) => format!("{BUILTIN_SCHEME}{name}"),
        }
    }

    pub(crate) fn job(&self) -> &str {
        self.labels.get("job").unwrap_or("")
    }

    pub(crate) fn instance(&self) -> &str {
        self.labels.get("instance").unwrap_or("")
    }

    /// Two discovered targets with the same key are one.
    pub(crate) fn key(&self) -> TargetKey {
        (self.labels.clone(), self.url(), self.interval, self.timeout)
    }

    pub(crate) fn status(&self) -> TargetStatus {
        TargetStatus {
            job: self.job().to_owned(),
            instance: self.instance().to_owned(),
            url: self.url(),
            health: Health::Unknown,
            last_scrape_ms: None,
            last_duration: None,
            samples: 0,
            error: None,
            labels: self.labels.clone(),
            discovered_labels: self.discovered.clone(),
            interval: self.interval,
        }
    }
}

/// Identity of a target: its labels, URL, interval and timeout.
pub(crate) type TargetKey = (Labels, String, Duration, Duration);

/// Relabels one address of a target group. `hostname` becomes the `instance` of built-in exporters.
pub(crate) fn populate(
    job: &Job,
    address: &str,
    group_labels: &BTreeMap<String, String>,
    hostname: &str,
) -> Result<Populated, TargetError> {
    let mut labels = LabelsBuilder::default();
    for (name, value) in group_labels {
        labels.set(name, value);
    }
    labels.set(ADDRESS, address);
    set_defaults(job, &mut labels);
    let discovered = labels.build();
    if !process::relabel::apply(&job.relabel, &mut labels) {
        return Ok(Populated::Dropped(discovered));
    }
    let interval = parse_duration(labels.get(INTERVAL).unwrap_or(""))?;
    let timeout = parse_duration(labels.get(TIMEOUT).unwrap_or(""))?;
    check_times(interval, timeout)?;
    let address = resolve(job, &labels)?;
    if labels.get("instance").is_none() {
        let instance = match &address {
            Address::Builtin(_) => hostname.to_owned(),
            Address::Http(_) => labels.get(ADDRESS).unwrap_or("").to_owned(),
        };
        labels.set("instance", &instance);
    }
    labels.retain(|name, _| !name.starts_with("__"));
    let labels = labels.build();
    let mut target = Target { labels, discovered, address, interval, timeout, hash: 0 };
    target.hash = hash(&target);
    Ok(Populated::Target(Box::new(target)))
}

/// Sets what the job says where the group does not.
fn set_defaults(job: &Job, labels: &mut LabelsBuilder) {
    let scheme = match job.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let mut set = |name: &str, value: &str| {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    };
    set("job", &job.name);
    set(SCHEME, scheme);
    set(METRICS_PATH, &job.metrics_path);
    set(INTERVAL, &format_duration(job.interval));
    set(TIMEOUT, &format_duration(job.timeout));
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            set(&format!("{PARAM_PREFIX}{name}"), first);
        }
    }
}

fn resolve(job: &Job, labels: &LabelsBuilder) -> Result<Address, TargetError> {
    let address = labels.get(ADDRESS).ok_or(TargetError::NoAddress)?;
    if let Some(name) = address.strip_prefix(BUILTIN_SCHEME) {
        return Ok(Address::Builtin(name.to_owned()));
    }
    let scheme = labels.get(SCHEME).unwrap_or("");
    if !matches!(scheme, "http" | "https") {
        return Err(TargetError::Scheme(scheme.to_owned()));
    }
    let not_url = || TargetError::Url(address.to_owned());
    if address.contains(['/', '@', '?', '#']) {
        return Err(not_url());
    }
    let mut url = Url::parse(&format!("{scheme}://{address}")).map_err(|_| not_url())?;
    // A relabelled path may carry a query, as `/probe?target=x`.
    let (path, query) = split_path(labels.get(METRICS_PATH).unwrap_or("/"));
    url.set_path(path);
    url.set_query(query);
    append_params(job, labels, &mut url);
    Ok(Address::Http(url))
}

fn split_path(path: &str) -> (&str, Option<&str>) {
    path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)))
}

/// The job's parameters, the first value of each replaced by `__param_NAME`; then parameters only relabelling
/// names.
fn append_params(job: &Job, labels: &LabelsBuilder, url: &mut Url) {
    let relabelled = |name: &str| labels.get(&format!("{PARAM_PREFIX}{name}"));
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, values) in &job.params {
        pairs.extend(relabelled(name).map(|first| (name.as_str(), first)));
        pairs.extend(values.iter().skip(1).map(|value| (name.as_str(), value.as_str())));
    }
    for (label, value) in labels.iter() {
        if let Some(name) = label.strip_prefix(PARAM_PREFIX).filter(|name| !job.params.contains_key(*name)) {
            pairs.push((name, value));
        }
    }
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

/// FNV-1a over the labels' hash and the URL, as Prometheus does it.
fn hash(target: &Target) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{:016}", target.labels.hash64()).as_bytes());
    hasher.write(target.url().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
