//! `atl store`: looks after the tables in a bucket or folder, with or without a running server. Data on standard
//! output, progress on standard error.

mod compact;
mod look;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use collect::scrape::config::parse_duration;
use indicatif::{ProgressBar, ProgressStyle};
use model::SystemClock;
use store::{Catalog, Table};

use super::query::{CliError, run_async};
use super::{say, tell};
use crate::config::Config;
use crate::serve;

/// What can be done to a store.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Tables, days and levels: files, rows, bytes
    Stat {
        #[command(flatten)]
        place: Place,
        /// One JSON object instead of columns
        #[arg(long)]
        json: bool,
    },
    /// Files of the tables, as their log has them
    Ls {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        which: Which,
    },
    /// Read every file and compare it with its checksum; exits 1 and names what is damaged
    Verify {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        which: Which,
        /// Decode every row and check the order too
        #[arg(long)]
        deep: bool,
    },
    /// Merge small files into larger ones now
    Compact {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        which: Which,
        /// Take every file, also those that are still young
        #[arg(long)]
        all: bool,
    },
    /// Delete files that no table names any more
    Vacuum {
        #[command(flatten)]
        place: Place,
        /// Only files that have been unnamed for longer; at least 1h, which running queries need
        #[arg(long, value_name = "DURATION", default_value = "1d")]
        grace: String,
    },
}

/// Where the store is.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// s3://bucket/prefix or file:PATH; by default that of the configuration
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Configuration file with the store's address and keys; ./atl.yaml is read if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Which files.
#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// Only this table
    #[arg(long, value_name = "TABLE", value_parser = table_name)]
    table: Option<Table>,
    /// Only this day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day_number)]
    day: Option<i32>,
}

impl Which {
    fn holds(&self, table: Table, day: i32) -> bool {
        self.table.is_none_or(|wanted| wanted == table) && self.day.is_none_or(|wanted| wanted == day)
    }
}

fn table_name(text: &str) -> Result<Table, String> {
    let known = || Table::ALL.map(Table::name).join(", ");
    Table::from_name(text).ok_or_else(|| format!("there are these tables: {}", known()))
}

fn day_number(text: &str) -> Result<i32, String> {
    store::paths::parse_day(text).ok_or_else(|| "write a day as 2026-01-31".to_owned())
}

/// Runs the command.
pub(super) fn command(command: StoreCommand) -> ExitCode {
    run_async(async {
        match command {
            StoreCommand::Stat { place, json } => look::stat(&place.open(Access::Read).await?, json),
            StoreCommand::Ls { place, which } => look::list(&place.open(Access::Read).await?, &which),
            StoreCommand::Verify { place, which, deep } => {
                verify::verify(&place.open(Access::Read).await?, &which, deep).await
            }
            StoreCommand::Compact { place, which, all } => {
                compact::compact(&place.open(Access::Write).await?, &which, all).await
            }
            StoreCommand::Vacuum { place, grace } => {
                let grace = parse_duration(&grace).map_err(|error| format!("--grace: {error}"))?;
                vacuum(&place.open(Access::Write).await?, grace).await
            }
        }
    })
}

/// Whether a command changes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl Place {
    async fn open(&self, access: Access) -> Result<Catalog, CliError> {
        let default = Path::new(serve::DEFAULT_CONFIG);
        let mut config = match self.config.as_deref().or(default.exists().then_some(default)) {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        if let Some(url) = &self.store {
            config.store.url = Some(url.clone());
        }
        let objects = serve::open_objects(&config, serve::Missing::Refuse)?;
        let (store, prefix, clock) = (objects.store, objects.prefix, Arc::new(SystemClock));
        let catalog = match access {
            Access::Read => Catalog::open_read_only(store, prefix, clock).await?,
            Access::Write => Catalog::open(store, prefix, clock).await?,
        };
        Ok(catalog)
    }
}

async fn vacuum(catalog: &Catalog, grace: Duration) -> Result<(), CliError> {
    if grace < store::VACUUM_GRACE_MIN {
        return Err(
            "--grace must be at least 1h: queries that run now read files removed a moment ago".into()
        );
    }
    let report = catalog.vacuum(grace).await?;
    say(&format!("{} files deleted, {}", report.files, size(report.bytes)));
    if report.kept > 0 {
        tell(&format!("{} unnamed files are kept until their grace is over", report.kept));
    }
    Ok(())
}

/// A bar on standard error, if that is a terminal.
fn progress(total: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!((size(0), size(1023)), ("0 B".to_owned(), "1023 B".to_owned()));
        assert_eq!((size(1536), size(5 << 30)), ("1.5 KiB".to_owned(), "5.0 GiB".to_owned()));
    }

    #[test]
    fn filters_say_what_they_take() {
        assert!(table_name("metric").is_err_and(|error| error.contains("log_streams")));
        assert!(day_number("yesterday").is_err());
        let which = Which { table: Some(Table::Logs), day: None };
        assert!(which.holds(Table::Logs, 1) && !which.holds(Table::Metrics, 1));
    }
}
