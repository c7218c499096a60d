//! `atl check`: says what the server would say of a configuration file.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::{fail, say};
use crate::config::Config;

/// Checks the file and prints what it amounts to.
pub(super) fn command(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(config) => {
            let groups = config.scrape_configs.iter().flat_map(|scrape| &scrape.static_configs);
            let targets: usize = groups.map(|group| group.targets.len()).sum();
            say(&format!(
                "{}: ok: {} scrape jobs with {targets} targets, {} edge probes, {} edge keys, store {}",
                path.display(),
                config.scrape_configs.len(),
                config.edge.probes.len(),
                config.edge.keys.len(),
                config.store_url(),
            ));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}
