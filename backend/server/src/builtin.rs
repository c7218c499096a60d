//! The targets that need no configuration: this host, and this process. They are ordinary jobs, so that `up`,
//! relabelling and the targets page treat them like any other.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use collect::scrape::config::StaticConfig;
use collect::scrape::{Job, ScrapeConfig};

use crate::config::{Config, ConfigError};

/// Name of the exporter of this host, and of its job.
pub(crate) const HOST: &str = "host";

/// Name of the job that scrapes this process.
const OWN_METRICS: &str = "atl";

/// The configured jobs and the built-in ones. A configured job of the same name takes a built-in one's place.
pub(crate) fn jobs(
    config: &Config,
    listen: SocketAddr,
    hostname: &str,
    folder: &Path,
) -> Result<Vec<Job>, ConfigError> {
    let mut scrapes = config.scrape_configs.clone();
    let mut add = |enabled: bool, name: &str, target: String| {
        if enabled && scrapes.iter().all(|scrape| scrape.job_name != name) {
            scrapes.push(builtin(config, name, target, hostname));
        }
    };
    add(config.builtin.host, HOST, format!("builtin://{HOST}"));
    add(config.builtin.own_metrics, OWN_METRICS, reachable(listen).to_string());
    collect::scrape::jobs(&config.global, &scrapes, folder)
        .map_err(|error| ConfigError::Invalid { text: error.to_string() })
}

fn builtin(config: &Config, name: &str, target: String, hostname: &str) -> ScrapeConfig {
    let labels = BTreeMap::from([("instance".to_owned(), hostname.to_owned())]);
    ScrapeConfig {
        job_name: name.to_owned(),
        scrape_interval: Some(config.builtin.scrape_interval),
        // Not the global one: it may be longer than this interval.
        scrape_timeout: Some(config.builtin.scrape_interval),
        static_configs: vec![StaticConfig { targets: vec![target], labels }],
        ..ScrapeConfig::default()
    }
}

/// The address to reach ourselves by; "any" is nobody's address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let config = Config::parse(text, Path::new("atl.yaml")).expect("valid");
        let listen = "0.0.0.0:3000".parse().expect("an address");
        let jobs = jobs(&config, listen, "web-1", Path::new(".")).expect("valid");
        jobs.iter().map(|job| format!("{} {}", job.name, job.static_configs[0].targets[0])).collect()
    }

    #[test]
    fn both_are_there_by_default() {
        assert_eq!(names(""), ["host builtin://host", "atl 127.0.0.1:3000"]);
    }

    #[test]
    fn they_can_be_switched_off_or_replaced() {
        assert_eq!(names("builtin: {host: false}"), ["atl 127.0.0.1:3000"]);
        let own = "scrape_configs: [{job_name: atl, static_configs: [{targets: ['a:1']}]}]";
        assert_eq!(names(own), ["atl a:1", "host builtin://host"]);
    }
}
