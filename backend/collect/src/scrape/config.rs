//! `scrape_configs` and `global` in the shape of Prometheus' configuration.
//!
//! Comes in: anything serde can read. Goes out: [`Job`]s, validated. A field of Prometheus that is not
//! supported is refused by name with what to do instead; a field nobody knows is refused too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use process::relabel::Rule;
use serde::Deserialize;

mod byte_size;
mod duration;
mod job;
mod refused;
mod secret;

pub use byte_size::ByteSize;
pub use duration::{DurationError, PromDuration, format_duration, parse_duration};
pub use job::{Auth, BODY_BYTES_DEFAULT, ConfigError, HttpOptions, Job, Limits, Problem, jobs};
pub(crate) use job::{check_group, check_times};
pub use secret::Secret;

/// The `global` block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// Default interval of scrapes; 1m.
    pub scrape_interval: Option<PromDuration>,
    /// Default timeout of scrapes; 10s.
    pub scrape_timeout: Option<PromDuration>,
    /// Interval of rule groups; read by `alert`.
    pub evaluation_interval: Option<PromDuration>,
    /// Labels for the outside world; read by `alert`. As in Prometheus they are not stored.
    pub external_labels: BTreeMap<String, String>,
    /// Defaults of the limits of the same names.
    pub limits: LimitFields,
    /// Default of the formats asked for.
    pub scrape_protocols: Option<Vec<Protocol>>,
}

/// Limits of a scrape; 0 or unset means none, except for `body_size_limit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitFields {
    /// Bytes of an uncompressed page; 64 MiB where unset or 0.
    pub body_size_limit: Option<ByteSize>,
    /// Samples after relabelling.
    pub sample_limit: Option<u64>,
    /// Labels of a series.
    pub label_limit: Option<u64>,
    /// Bytes of a label name.
    pub label_name_length_limit: Option<u64>,
    /// Bytes of a label value.
    pub label_value_length_limit: Option<u64>,
    /// Targets of a job.
    pub target_limit: Option<u64>,
    /// Dropped targets to remember.
    pub keep_dropped_targets: Option<u64>,
}

/// One entry of `scrape_configs`. Units: durations as in Prometheus (`1m30s`), sizes as `10MB` (powers of
/// 1024).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ScrapeConfig {
    /// Name of the job; unique.
    pub job_name: String,
    /// Time between scrapes.
    pub scrape_interval: Option<PromDuration>,
    /// Longest time a scrape may take, body included.
    pub scrape_timeout: Option<PromDuration>,
    /// Formats to ask for, best first.
    pub scrape_protocols: Option<Vec<Protocol>>,
    /// Format of answers whose content type says none.
    pub fallback_scrape_protocol: Option<Protocol>,
    /// Path; `/metrics`.
    pub metrics_path: Option<String>,
    /// `http` or `https`.
    #[serde(default)]
    pub scheme: Scheme,
    /// Query parameters.
    #[serde(default)]
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the page win over those of the target.
    #[serde(default)]
    pub honor_labels: bool,
    /// Whether timestamps of the page are used; true.
    pub honor_timestamps: Option<bool>,
    /// Whether series with their own timestamps get staleness markers.
    #[serde(default)]
    pub track_timestamps_staleness: bool,
    /// Targets written here.
    #[serde(default)]
    pub static_configs: Vec<StaticConfig>,
    /// Targets written in files.
    #[serde(default)]
    pub file_sd_configs: Vec<FileSdConfig>,
    /// Rules for targets.
    #[serde(default)]
    pub relabel_configs: Vec<Rule>,
    /// Rules for samples.
    #[serde(default)]
    pub metric_relabel_configs: Vec<Rule>,
    /// User and password.
    pub basic_auth: Option<BasicAuthConfig>,
    /// `Authorization` header.
    pub authorization: Option<AuthorizationConfig>,
    /// Old spelling of `authorization` with a bearer token.
    pub bearer_token: Option<Secret>,
    /// Old spelling of `authorization` with a bearer token in a file.
    pub bearer_token_file: Option<PathBuf>,
    /// TLS.
    #[serde(default)]
    pub tls_config: TlsConfig,
    /// Further request headers.
    #[serde(default)]
    pub http_headers: BTreeMap<String, HeaderConfig>,
    /// Whether redirects are followed; true.
    pub follow_redirects: Option<bool>,
    /// Whether HTTP/2 may be used; true.
    pub enable_http2: Option<bool>,
    /// Whether gzip is asked for; true.
    pub enable_compression: Option<bool>,
    /// See [`LimitFields::body_size_limit`].
    pub body_size_limit: Option<ByteSize>,
    /// See [`LimitFields::sample_limit`].
    pub sample_limit: Option<u64>,
    /// See [`LimitFields::label_limit`].
    pub label_limit: Option<u64>,
    /// See [`LimitFields::label_name_length_limit`].
    pub label_name_length_limit: Option<u64>,
    /// See [`LimitFields::label_value_length_limit`].
    pub label_value_length_limit: Option<u64>,
    /// See [`LimitFields::target_limit`].
    pub target_limit: Option<u64>,
    /// See [`LimitFields::keep_dropped_targets`].
    pub keep_dropped_targets: Option<u64>,
    /// Only `utf8` is supported.
    pub metric_name_validation_scheme: Option<NameValidation>,
    /// Only `allow-utf-8` is supported.
    pub metric_name_escaping_scheme: Option<NameEscaping>,
    /// Accepted for Prometheus' sake; we always write these series.
    pub extra_scrape_metrics: Option<bool>,
}

/// Targets that share labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig {
    /// `host:port`, or `builtin://NAME`.
    pub targets: Vec<String>,
    /// Labels of all of them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Files with lists of [`StaticConfig`] in YAML or JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSdConfig {
    /// Paths; the last component may hold one `*`.
    pub files: Vec<PathBuf>,
    /// Longest time until a change is seen that the file's size and time do not show; 5m.
    pub refresh_interval: Option<PromDuration>,
}

/// `basic_auth`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// User.
    pub username: Option<String>,
    /// File with the user.
    pub username_file: Option<PathBuf>,
    /// Password.
    pub password: Option<Secret>,
    /// File with the password; read before every scrape.
    pub password_file: Option<PathBuf>,
}

/// `authorization`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorizationConfig {
    /// First word of the header; `Bearer`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Rest of the header.
    pub credentials: Option<Secret>,
    /// File with the rest of the header; read before every scrape.
    pub credentials_file: Option<PathBuf>,
}

/// `tls_config`
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// File with the only certificate authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// File with our certificate, PEM.
    pub cert_file: Option<PathBuf>,
    /// File with our key, PEM.
    pub key_file: Option<PathBuf>,
    /// Name to ask for and to expect in the certificate, instead of the target's host.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
}

/// Values of one header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderConfig {
    /// Values anyone may see.
    pub values: Vec<String>,
    /// Values to keep secret.
    pub secrets: Vec<Secret>,
}

/// How a target is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain.
    #[default]
    Http,
    /// TLS.
    Https,
}

/// An exposition format by Prometheus' name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Protocol {
    /// Prometheus text 0.0.4.
    #[serde(rename = "PrometheusText0.0.4")]
    Text004,
    /// Prometheus text 1.0.0: the same with quoted names.
    #[serde(rename = "PrometheusText1.0.0")]
    Text100,
    /// OpenMetrics 0.0.1.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics100,
    /// Protobuf; known so that it can be refused with reason.
    PrometheusProto,
}

/// `metric_name_validation_scheme`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "one variant, named by the field")]
pub enum NameValidation {
    Utf8,
}

/// `metric_name_escaping_scheme`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "one variant, named by the field")]
pub enum NameEscaping {
    #[serde(rename = "allow-utf-8")]
    AllowUtf8,
}

impl<'de> Deserialize<'de> for ScrapeConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ScrapeConfig, D::Error> {
        refused::deserialize(deserializer)
    }
}

impl<'de> refused::Guarded<'de> for ScrapeConfig {
    fn refusal(field: &str) -> Option<&'static str> {
        refused::in_scrape_config(field)
    }

    fn read<D: serde::Deserializer<'de>>(map: D) -> Result<ScrapeConfig, D::Error> {
        // The function that serde derives under `remote = "Self"`, not the one above.
        ScrapeConfig::deserialize(map)
    }
}

impl<'de> Deserialize<'de> for Global {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Global, D::Error> {
        refused::deserialize(deserializer)
    }
}

impl<'de> refused::Guarded<'de> for Global {
    fn refusal(field: &str) -> Option<&'static str> {
        refused::in_global(field)
    }

    fn read<D: serde::Deserializer<'de>>(map: D) -> Result<Global, D::Error> {
        GlobalFields::deserialize(map).map(Global::from)
    }
}

/// `global` as written; serde cannot flatten and deny unknown fields at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GlobalFields {
    scrape_interval: Option<PromDuration>,
    scrape_timeout: Option<PromDuration>,
    evaluation_interval: Option<PromDuration>,
    #[serde(default)]
    external_labels: BTreeMap<String, String>,
    scrape_protocols: Option<Vec<Protocol>>,
    body_size_limit: Option<ByteSize>,
    sample_limit: Option<u64>,
    label_limit: Option<u64>,
    label_name_length_limit: Option<u64>,
    label_value_length_limit: Option<u64>,
    target_limit: Option<u64>,
    keep_dropped_targets: Option<u64>,
    #[serde(rename = "metric_name_validation_scheme")]
    _metric_name_validation_scheme: Option<NameValidation>,
    #[serde(rename = "metric_name_escaping_scheme")]
    _metric_name_escaping_scheme: Option<NameEscaping>,
    #[serde(rename = "extra_scrape_metrics")]
    _extra_scrape_metrics: Option<bool>,
}

impl From<GlobalFields> for Global {
    fn from(fields: GlobalFields) -> Global {
        Global {
            scrape_interval: fields.scrape_interval,
            scrape_timeout: fields.scrape_timeout,
            evaluation_interval: fields.evaluation_interval,
            external_labels: fields.external_labels,
            limits: LimitFields {
                body_size_limit: fields.body_size_limit,
                sample_limit: fields.sample_limit,
                label_limit: fields.label_limit,
                label_name_length_limit: fields.label_name_length_limit,
                label_value_length_limit: fields.label_value_length_limit,
                target_limit: fields.target_limit,
                keep_dropped_targets: fields.keep_dropped_targets,
            },
            scrape_protocols: fields.scrape_protocols,
        }
    }
}

#[cfg(test)]
mod tests;
