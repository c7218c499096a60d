//! A scrape configuration, checked and complete.
//!
//! Comes in: `global` and `scrape_configs` as written. Goes out: [`Job`]s with every default filled in, or
//! what is wrong with which job.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use codecs::exposition::Format;
use model::METRIC_NAME;
use process::relabel::Rule;
use thiserror::Error;

use super::{
    BasicAuthConfig, FileSdConfig, Global, LimitFields, PromDuration, Protocol, Scheme, ScrapeConfig, Secret,
    StaticConfig, TlsConfig, format_duration,
};
use crate::scrape::target::BUILTIN_SCHEME;

/// Limit of an uncompressed page where none is set.
pub const BODY_BYTES_DEFAULT: u64 = 64 << 20;
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const FILE_REFRESH_DEFAULT: Duration = Duration::from_secs(300);
const PROTOCOLS_DEFAULT: [Protocol; 4] =
    [Protocol::OpenMetrics100, Protocol::OpenMetrics001, Protocol::Text100, Protocol::Text004];

/// Everything one job needs to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Name.
    pub name: String,
    /// Default interval of its targets.
    pub interval: Duration,
    /// Default timeout of its targets.
    pub timeout: Duration,
    /// Default path of its targets.
    pub metrics_path: String,
    /// Default scheme of its targets.
    pub scheme: Scheme,
    /// Query parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the page win over those of the target.
    pub honor_labels: bool,
    /// Whether timestamps of the page are used.
    pub honor_timestamps: bool,
    /// Whether series with their own timestamps get staleness markers.
    pub track_timestamps_staleness: bool,
    /// Rules for targets.
    pub relabel: Vec<Rule>,
    /// Rules for samples.
    pub metric_relabel: Vec<Rule>,
    /// Limits.
    pub limits: Limits,
    /// How to ask.
    pub http: HttpOptions,
    /// Format of answers whose content type says none.
    pub fallback: Format,
    /// Targets written in the configuration.
    pub static_configs: Vec<StaticConfig>,
    /// Targets written in files; paths resolved, refresh interval set.
    pub file_sd: Vec<(Vec<PathBuf>, Duration)>,
}

/// Limits of a job; `None` means none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an uncompressed page; a page of this size is too large.
    pub body_bytes: u64,
    /// Samples after relabelling.
    pub samples: Option<u64>,
    /// Labels of a series, the metric name included.
    pub labels: Option<u64>,
    /// Bytes of a label name.
    pub label_name_bytes: Option<u64>,
    /// Bytes of a label value.
    pub label_value_bytes: Option<u64>,
    /// Targets.
    pub targets: Option<u64>,
    /// Dropped targets to remember.
    pub dropped_targets: Option<u64>,
}

/// How to ask a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// `Accept` header.
    pub accept: String,
    /// Whether gzip is asked for.
    pub compression: bool,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 may be used.
    pub http2: bool,
    /// TLS.
    pub tls: TlsConfig,
    /// `Authorization`, if any.
    pub auth: Option<Auth>,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
}

/// What goes into the `Authorization` header; files are read before every scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// User and password.
    Basic(BasicAuthConfig),
    /// `KIND CREDENTIALS`
    Credentials {
        /// First word.
        kind: String,
        /// The rest, or the file that holds it.
        credentials: Result<Secret, PathBuf>,
    },
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("scrape config `{job}`: {problem}")]
pub struct ConfigError {
    /// Name of the job.
    pub job: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with one job.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message of each variant is its description")]
pub enum Problem {
    #[error("`job_name` is empty")]
    NameEmpty,
    #[error("`job_name` is used twice")]
    NameTwice,
    #[error("`{0}` must be greater than 0")]
    Zero(&'static str),
    #[error("scrape timeout {timeout} is greater than the scrape interval {interval}")]
    TimeoutTooLong { timeout: String, interval: String },
    #[error("target `{0}` is not `host:port`: use `scheme` and `metrics_path` for the rest of the url")]
    TargetIsUrl(String),
    #[error("label name `{0}` is not allowed here")]
    LabelName(String),
    #[error("at most one of {0} may be set")]
    TooMany(&'static str),
    #[error("{0} must be set together")]
    Together(&'static str),
    #[error("`authorization` cannot have type `basic`; use `basic_auth`")]
    BasicAuthorization,
    #[error("header `{0}` is not valid or is set by the program itself")]
    Header(String),
    #[error("`PrometheusProto` is not supported: leave it out of `{0}`")]
    Protobuf(&'static str),
    #[error("`scrape_protocols` must not be empty and must not repeat")]
    Protocols,
    #[error(
        "`{0}` is not a path of `file_sd_configs`: it must end in `.json`, `.yml` or `.yaml`, with `*` in the file name only"
    )]
    FilePath(PathBuf),
    #[error("`metrics_path` must start with `/`")]
    Path,
}

/// Checks and completes configurations. Relative paths start at `base`, the directory of the configuration
/// file.
pub fn jobs(global: &Global, configs: &[ScrapeConfig], base: &Path) -> Result<Vec<Job>, ConfigError> {
    let mut names = BTreeSet::new();
    configs
        .iter()
        .map(|config| {
            let unique = if names.insert(&config.job_name) { Ok(()) } else { Err(Problem::NameTwice) };
            unique
                .and_then(|()| job(global, config, base))
                .map_err(|problem| ConfigError { job: config.job_name.clone(), problem })
        })
        .collect()
}

fn job(global: &Global, config: &ScrapeConfig, base: &Path) -> Result<Job, Problem> {
    if config.job_name.is_empty() {
        return Err(Problem::NameEmpty);
    }
    let (interval, timeout) = times(global, config)?;
    let metrics_path = config.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned());
    if !metrics_path.starts_with('/') {
        return Err(Problem::Path);
    }
    config.static_configs.iter().try_for_each(check_group)?;
    Ok(Job {
        name: config.job_name.clone(),
        interval,
        timeout,
        metrics_path,
        scheme: config.scheme,
        params: config.params.clone(),
        honor_labels: config.honor_labels,
        honor_timestamps: config.honor_timestamps.unwrap_or(true),
        track_timestamps_staleness: config.track_timestamps_staleness,
        relabel: config.relabel_configs.clone(),
        metric_relabel: config.metric_relabel_configs.clone(),
        limits: limits(&global.limits, config),
        http: http_options(global, config, base)?,
        fallback: fallback(config)?,
        static_configs: config.static_configs.clone(),
        file_sd: config.file_sd_configs.iter().map(|file| file_sd(file, base)).collect::<Result<_, _>>()?,
    })
}

/// The timeout follows a shorter interval where it is not set itself, as in Prometheus.
fn times(global: &Global, config: &ScrapeConfig) -> Result<(Duration, Duration), Problem> {
    let or = |own: Option<PromDuration>, global: Option<PromDuration>, default: Duration| {
        own.or(global).map_or(default, |PromDuration(duration)| duration)
    };
    let interval = or(config.scrape_interval, global.scrape_interval, INTERVAL_DEFAULT);
    let mut timeout = or(config.scrape_timeout, global.scrape_timeout, TIMEOUT_DEFAULT);
    if config.scrape_timeout.is_none() {
        timeout = timeout.min(interval);
    }
    check_times(interval, timeout)?;
    Ok((interval, timeout))
}

/// Both must be positive and the timeout at most the interval.
pub(crate) fn check_times(interval: Duration, timeout: Duration) -> Result<(), Problem> {
    if interval.is_zero() {
        return Err(Problem::Zero("scrape_interval"));
    }
    if timeout.is_zero() {
        return Err(Problem::Zero("scrape_timeout"));
    }
    if timeout > interval {
        let (timeout, interval) = (format_duration(timeout), format_duration(interval));
        return Err(Problem::TimeoutTooLong { timeout, interval });
    }
    Ok(())
}

/// Checks addresses and labels of a target group, from the configuration or from a file.
pub(crate) fn check_group(group: &StaticConfig) -> Result<(), Problem> {
    for address in &group.targets {
        if !address.starts_with(BUILTIN_SCHEME) && (address.contains('/') || address.is_empty()) {
            return Err(Problem::TargetIsUrl(address.clone()));
        }
    }
    match group.labels.keys().find(|name| name.is_empty() || *name == METRIC_NAME) {
        Some(name) => Err(Problem::LabelName(name.clone())),
        None => Ok(()),
    }
}

fn limits(global: &LimitFields, config: &ScrapeConfig) -> Limits {
    let limit = |own: Option<u64>, global: Option<u64>| own.or(global).filter(|limit| *limit > 0);
    let body = config.body_size_limit.or(global.body_size_limit).map(|size| size.0);
    Limits {
        body_bytes: body.filter(|bytes| *bytes > 0).unwrap_or(BODY_BYTES_DEFAULT),
        samples: limit(config.sample_limit, global.sample_limit),
        labels: limit(config.label_limit, global.label_limit),
        label_name_bytes: limit(config.label_name_length_limit, global.label_name_length_limit),
        label_value_bytes: limit(config.label_value_length_limit, global.label_value_length_limit),
        targets: limit(config.target_limit, global.target_limit),
        dropped_targets: limit(config.keep_dropped_targets, global.keep_dropped_targets),
    }
}

fn http_options(global: &Global, config: &ScrapeConfig, base: &Path) -> Result<HttpOptions, Problem> {
    let protocols = config.scrape_protocols.as_ref().or(global.scrape_protocols.as_ref());
    let protocols = protocols.map_or(&PROTOCOLS_DEFAULT[..], Vec::as_slice);
    let mut tls = config.tls_config.clone();
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        return Err(Problem::Together("`cert_file` and `key_file`"));
    }
    for file in [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file] {
        *file = file.take().map(|file| base.join(file));
    }
    Ok(HttpOptions {
        accept: accept(protocols)?,
        compression: config.enable_compression.unwrap_or(true),
        follow_redirects: config.follow_redirects.unwrap_or(true),
        http2: config.enable_http2.unwrap_or(true),
        tls,
        auth: auth(config, base)?,
        headers: headers(config)?,
    })
}

fn auth(config: &ScrapeConfig, base: &Path) -> Result<Option<Auth>, Problem> {
    let ways = [
        config.basic_auth.is_some(),
        config.authorization.is_some(),
        config.bearer_token.is_some(),
        config.bearer_token_file.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(Problem::TooMany("`basic_auth`, `authorization`, `bearer_token`, `bearer_token_file`"));
    }
    if let Some(basic) = &config.basic_auth {
        return basic_auth(basic, base).map(Some);
    }
    let bearer = |credentials| Some(Auth::Credentials { kind: "Bearer".to_owned(), credentials });
    let Some(authorization) = &config.authorization else {
        let file = || config.bearer_token_file.as_ref().and_then(|file| bearer(Err(base.join(file))));
        return Ok(config.bearer_token.clone().and_then(|token| bearer(Ok(token))).or_else(file));
    };
    let kind = authorization.kind.as_deref().map_or("Bearer", str::trim);
    if kind.eq_ignore_ascii_case("basic") {
        return Err(Problem::BasicAuthorization);
    }
    let credentials = match (&authorization.credentials, &authorization.credentials_file) {
        (Some(_), Some(_)) => return Err(Problem::TooMany("`credentials`, `credentials_file`")),
        (Some(credentials), None) => Ok(credentials.clone()),
        (None, Some(file)) => Err(base.join(file)),
        (None, None) => return Ok(None),
    };
    Ok(Some(Auth::Credentials { kind: kind.to_owned(), credentials }))
}

fn basic_auth(basic: &BasicAuthConfig, base: &Path) -> Result<Auth, Problem> {
    if basic.username.is_some() && basic.username_file.is_some() {
        return Err(Problem::TooMany("`username`, `username_file`"));
    }
    if basic.password.is_some() && basic.password_file.is_some() {
        return Err(Problem::TooMany("`password`, `password_file`"));
    }
    let mut basic = basic.clone();
    for file in [&mut basic.username_file, &mut basic.password_file] {
        *file = file.take().map(|file| base.join(file));
    }
    Ok(Auth::Basic(basic))
}

/// Headers that belong to the program or to other fields.
const HEADERS_OWN: [&str; 8] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "host",
    "user-agent",
    "x-prometheus-scrape-timeout-seconds",
];

fn headers(config: &ScrapeConfig) -> Result<Vec<(String, Secret)>, Problem> {
    let mut headers = Vec::new();
    for (name, values) in &config.http_headers {
        let own = HEADERS_OWN.iter().any(|own| own.eq_ignore_ascii_case(name));
        if own || reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(Problem::Header(name.clone()));
        }
        let open = values.values.iter().map(Secret::new);
        for value in open.chain(values.secrets.iter().cloned()) {
            if reqwest::header::HeaderValue::from_str(value.reveal()).is_err() {
                return Err(Problem::Header(name.clone()));
            }
            headers.push((name.clone(), value));
        }
    }
    Ok(headers)
}

/// The `Accept` header: the formats with falling preference, then anything.
fn accept(protocols: &[Protocol]) -> Result<String, Problem> {
    let mut quality = protocols.len() + 1;
    let mut parts = Vec::new();
    for (i, protocol) in protocols.iter().enumerate() {
        if protocols[..i].contains(protocol) {
            return Err(Problem::Protocols);
        }
        let kind = match protocol {
            Protocol::OpenMetrics100 => "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            Protocol::OpenMetrics001 => "application/openmetrics-text;version=0.0.1",
            Protocol::Text100 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            Protocol::Text004 => "text/plain;version=0.0.4",
            Protocol::PrometheusProto => return Err(Problem::Protobuf("scrape_protocols")),
        };
        parts.push(format!("{kind};q=0.{quality}"));
        quality -= 1;
    }
    if parts.is_empty() {
        return Err(Problem::Protocols);
    }
    parts.push(format!("*/*;q=0.{quality}"));
    Ok(parts.join(","))
}

fn fallback(config: &ScrapeConfig) -> Result<Format, Problem> {
    match config.fallback_scrape_protocol {
        None | Some(Protocol::Text004 | Protocol::Text100) => Ok(Format::Text),
        Some(Protocol::OpenMetrics001 | Protocol::OpenMetrics100) => Ok(Format::OpenMetrics),
        Some(Protocol::PrometheusProto) => Err(Problem::Protobuf("fallback_scrape_protocol")),
    }
}

fn file_sd(config: &FileSdConfig, base: &Path) -> Result<(Vec<PathBuf>, Duration), Problem> {
    for file in &config.files {
        let known =
            file.extension().is_some_and(|ext| ["json", "yml", "yaml"].iter().any(|known| ext == *known));
        let parent_is_plain = file.parent().is_none_or(|parent| !parent.to_string_lossy().contains('*'));
        if !known || !parent_is_plain || file.to_string_lossy().matches('*').count() > 1 {
            return Err(Problem::FilePath(file.clone()));
        }
    }
    let refresh = config.refresh_interval.map_or(FILE_REFRESH_DEFAULT, |PromDuration(duration)| duration);
    if refresh.is_zero() {
        return Err(Problem::Zero("refresh_interval"));
    }
    Ok((config.files.iter().map(|file| base.join(file)).collect(), refresh))
}
