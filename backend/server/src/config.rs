//! The configuration file: YAML, strict. Comes in: text and the environment. Goes out: a [`Config`] that was
//! checked whole, or a [`ConfigError`] with file, line, column and a suggestion.

mod days;
mod error;
pub(crate) mod redacted;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use collect::scrape::config::{ByteSize, PromDuration};
use collect::scrape::{Global, Job, ScrapeConfig};
use serde::Deserialize;

pub(crate) use collect::scrape::config::Secret;
pub(crate) use days::Days;
pub(crate) use error::ConfigError;

/// Largest configuration file read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Everything `atl.yaml` can say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Address the HTTP server listens on.
    pub(crate) listen: SocketAddr,
    /// Folder for the write-ahead log and, by default, the tables.
    pub(crate) data_dir: PathBuf,
    /// Memory for rows, caches and queries together; by default half of the machine's or the container's.
    pub(crate) memory_limit: Option<ByteSize>,
    /// Defaults for every scrape, as in Prometheus.
    pub(crate) global: Global,
    /// Prometheus scrape configurations.
    pub(crate) scrape_configs: Vec<ScrapeConfig>,
    /// What is scraped without being told: this host and this process.
    pub(crate) builtin: BuiltinConfig,
    /// Where the tables live.
    pub(crate) store: StoreConfig,
    /// Limits a source is held to.
    pub(crate) limits: process::limits::Limits,
    /// Limits of a query.
    pub(crate) query: QueryConfig,
    /// Limits of a PromQL query.
    pub(crate) promql: PromqlConfig,
    /// The edge workers that may push, and what they probe.
    pub(crate) edge: EdgeConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            data_dir: PathBuf::from("./atl-data"),
            memory_limit: None,
            global: Global::default(),
            scrape_configs: Vec::new(),
            builtin: BuiltinConfig::default(),
            store: StoreConfig::default(),
            limits: process::limits::Limits::default(),
            query: QueryConfig::default(),
            promql: PromqlConfig::default(),
            edge: EdgeConfig::default(),
        }
    }
}

/// The targets that need no configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BuiltinConfig {
    /// Scrape this host by the built-in exporter, job `host`.
    pub(crate) host: bool,
    /// Scrape this process's own metrics, job `atl`.
    pub(crate) own_metrics: bool,
    /// How often.
    pub(crate) scrape_interval: PromDuration,
    /// Where procfs is mounted; `/host/proc` in a container.
    pub(crate) procfs: PathBuf,
    /// Where sysfs is mounted.
    pub(crate) sysfs: PathBuf,
    /// Where the host's root is mounted; stripped from mount points.
    pub(crate) rootfs: PathBuf,
    /// The `instance` label of both; the host's name by default.
    pub(crate) instance: Option<String>,
}

impl Default for BuiltinConfig {
    fn default() -> BuiltinConfig {
        BuiltinConfig {
            host: true,
            own_metrics: true,
            scrape_interval: PromDuration(Duration::from_secs(5)),
            procfs: PathBuf::from("/proc"),
            sysfs: PathBuf::from("/sys"),
            rootfs: PathBuf::from("/"),
            instance: None,
        }
    }
}

/// Where the tables live and for how long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreConfig {
    /// `file:PATH` or `s3://bucket/prefix`; by default the folder `store` in `data_dir`.
    pub(crate) url: Option<String>,
    /// S3 endpoint, for anything but AWS: `http://127.0.0.1:9000`.
    pub(crate) endpoint: Option<String>,
    /// S3 region.
    pub(crate) region: Option<String>,
    /// S3 access key id; by default from the environment.
    pub(crate) access_key_id: Option<String>,
    /// File that holds the access key id.
    pub(crate) access_key_id_file: Option<PathBuf>,
    /// S3 secret key; by default from the environment.
    pub(crate) secret_access_key: Option<Secret>,
    /// File that holds the secret key.
    pub(crate) secret_access_key_file: Option<PathBuf>,
    /// Address buckets by path instead of by host name; true by default where there is an endpoint.
    pub(crate) path_style: Option<bool>,
    /// How often rows move from memory to Parquet.
    pub(crate) flush_interval: PromDuration,
    /// How long rows stay in memory after they have moved to Parquet, so that questions about them read no file.
    pub(crate) hot_window: PromDuration,
    /// How often files are looked through for some to merge.
    pub(crate) compaction_interval: PromDuration,
    /// How far behind the newest sample of its series one may be and count as out of order only.
    pub(crate) out_of_order_window: PromDuration,
    /// The write-ahead log may grow to this size before writes are refused.
    pub(crate) wal_bytes_max: ByteSize,
    /// Most the cache of a bucket's files in `data_dir` may take; by default a tenth of the free disk and at most 4 GiB.
    /// 0 turns the cache off.
    pub(crate) cache_bytes_max: Option<ByteSize>,
    /// Days each table is kept.
    pub(crate) retention: RetentionConfig,
}

impl Default for StoreConfig {
    fn default() -> StoreConfig {
        StoreConfig {
            url: None,
            endpoint: None,
            region: None,
            access_key_id: None,
            access_key_id_file: None,
            secret_access_key: None,
            secret_access_key_file: None,
            path_style: None,
            flush_interval: PromDuration(Duration::from_secs(300)),
            hot_window: PromDuration(Duration::from_secs(2 * 3600)),
            compaction_interval: PromDuration(Duration::from_secs(300)),
            out_of_order_window: PromDuration(Duration::from_secs(2 * 3600)),
            wal_bytes_max: ByteSize(4 << 30),
            cache_bytes_max: None,
            retention: RetentionConfig::default(),
        }
    }
}

/// Days each table is kept; `0d` keeps it forever.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionConfig {
    /// `metrics` and `series`.
    pub(crate) metrics: Days,
    /// `logs` and `log_streams`.
    pub(crate) logs: Days,
    /// `probes`.
    pub(crate) probes: Days,
}

impl Default for RetentionConfig {
    fn default() -> RetentionConfig {
        RetentionConfig { metrics: Days(30), logs: Days(30), probes: Days(365) }
    }
}

/// Limits of one query and of all together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QueryConfig {
    /// Longest run time.
    pub(crate) timeout: PromDuration,
    /// Memory all running queries may use.
    pub(crate) memory_limit: ByteSize,
    /// Most rows in an answer.
    pub(crate) row_limit: usize,
    /// Queries that run at once.
    pub(crate) max_concurrent: usize,
}

impl Default for QueryConfig {
    fn default() -> QueryConfig {
        QueryConfig {
            timeout: PromDuration(Duration::from_secs(30)),
            memory_limit: ByteSize(512 << 20),
            row_limit: 1_000_000,
            max_concurrent: 4,
        }
    }
}

/// Limits of one PromQL query and of all together; the defaults are Prometheus's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PromqlConfig {
    /// Longest run time, waiting included.
    pub(crate) timeout: PromDuration,
    /// A sample counts as current for this long.
    pub(crate) lookback_delta: PromDuration,
    /// Samples a query may hold at a time.
    pub(crate) max_samples: usize,
    /// Series a selector may select.
    pub(crate) max_series: usize,
    /// Queries that run at once.
    pub(crate) max_concurrent: usize,
    /// Memory for answers to range queries, of which the next ones need only the new steps; 0 keeps none.
    pub(crate) result_cache: ByteSize,
}

impl Default for PromqlConfig {
    fn default() -> PromqlConfig {
        PromqlConfig {
            timeout: PromDuration(Duration::from_secs(120)),
            lookback_delta: PromDuration(Duration::from_secs(300)),
            max_samples: 50_000_000,
            max_series: 1_000_000,
            max_concurrent: 20,
            result_cache: ByteSize(16 << 20),
        }
    }
}

/// Keys and probes of the edge workers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EdgeConfig {
    /// Keys a push may be signed with; several, so that one can be replaced without a gap.
    pub(crate) keys: Vec<EdgeKeyConfig>,
    /// What the workers probe.
    pub(crate) probes: Vec<probes::ProbeSpec>,
}

/// One signing key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeKeyConfig {
    /// Name of the key, sent with every push.
    pub(crate) id: String,
    /// The secret itself …
    #[serde(default)]
    pub(crate) secret: Option<Secret>,
    /// … or the file that holds it.
    #[serde(default)]
    pub(crate) secret_file: Option<PathBuf>,
}

impl Config {
    /// Reads and checks `path`.
    pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
        let read_error = |source| ConfigError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(read_error)?.len();
        if size > FILE_BYTES_MAX {
            return Err(ConfigError::TooLarge { path: path.to_owned(), size, limit: FILE_BYTES_MAX });
        }
        let text = std::fs::read_to_string(path).map_err(read_error)?;
        Config::parse(&text, path)
    }

    /// Parses and checks `text`; `path` only names it in errors.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        // A file of nothing but comments is a valid, empty configuration.
        let blank = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
        let config: Config = if blank {
            Config::default()
        } else {
            serde_saphyr::from_str(text).map_err(|source| ConfigError::parse(path, text, source))?
        };
        config.validate().map_err(|(place, message)| ConfigError::invalid(path, text, &place, message))?;
        Ok(config)
    }

    /// What no single value can tell: things that must agree with each other.
    fn validate(&self) -> Result<(), (Vec<String>, String)> {
        let fail = |place: &[&str], message: String| {
            Err((place.iter().map(|part| (*part).to_owned()).collect(), message))
        };
        if let Err(error) = self.jobs(Path::new("")) {
            let index = self.scrape_configs.iter().rposition(|scrape| scrape.job_name == error.job);
            let index = index.unwrap_or_default().to_string();
            return fail(&["scrape_configs", &index], error.to_string());
        }
        if let Some(url) = &self.store.url
            && !url.starts_with("s3://")
            && (url.is_empty() || url.contains("://") && !url.starts_with("file://"))
        {
            let message = format!("`{url}` is neither `s3://bucket/prefix` nor `file:PATH` nor a path");
            return fail(&["store", "url"], message);
        }
        for (name, interval) in [
            ("flush_interval", &self.store.flush_interval),
            ("compaction_interval", &self.store.compaction_interval),
        ] {
            if interval.0 < Duration::from_secs(1) {
                return fail(&["store", name], "must be at least 1s".to_owned());
            }
        }
        if self.builtin.scrape_interval.0 < Duration::from_secs(1) {
            return fail(&["builtin", "scrape_interval"], "must be at least 1s".to_owned());
        }
        for (section, name, value) in [
            ("query", "row_limit", self.query.row_limit),
            ("query", "max_concurrent", self.query.max_concurrent),
            ("promql", "max_samples", self.promql.max_samples),
            ("promql", "max_series", self.promql.max_series),
            ("promql", "max_concurrent", self.promql.max_concurrent),
        ] {
            if value == 0 {
                return fail(&[section, name], "must be at least 1".to_owned());
            }
        }
        self.validate_edge()
    }

    fn validate_edge(&self) -> Result<(), (Vec<String>, String)> {
        let place = |list: &str, index: usize, field: &str| {
            vec!["edge".to_owned(), list.to_owned(), index.to_string(), field.to_owned()]
        };
        for (index, key) in self.edge.keys.iter().enumerate() {
            if key.secret.is_some() == key.secret_file.is_some() {
                return Err((
                    place("keys", index, "id"),
                    format!("key `{}` needs exactly one of `secret` and `secret_file`", key.id),
                ));
            }
            if self.edge.keys[..index].iter().any(|other| other.id == key.id) {
                return Err((place("keys", index, "id"), format!("key id `{}` is used twice", key.id)));
            }
        }
        for (index, probe) in self.edge.probes.iter().enumerate() {
            if let Err(error) = probe.validate() {
                return Err((place("probes", index, "name"), error.to_string()));
            }
        }
        let list = probes::ProbeList::of(self.edge.probes.clone());
        list.validate().map_err(|error| (vec!["edge".to_owned(), "probes".to_owned()], error.to_string()))
    }

    /// The configured scrapes, complete. Paths in them are relative to `folder`, that of the configuration.
    pub(crate) fn jobs(&self, folder: &Path) -> Result<Vec<Job>, collect::scrape::ConfigError> {
        collect::scrape::jobs(&self.global, &self.scrape_configs, folder)
    }

    /// The store's URL, the default filled in.
    pub(crate) fn store_url(&self) -> String {
        match &self.store.url {
            Some(url) => url.clone(),
            None => format!("file:{}", self.data_dir.join("store").display()),
        }
    }
}

#[cfg(test)]
mod tests;
