//! Scraping as Prometheus does it: the same labels, limits, report series and staleness markers.
//!
//! Comes in: `scrape_configs` and `global`. Goes out: a [`model::Batch`] a scrape into a [`crate::Sink`]. The
//! way of one target: [`config`] → [`target`] (relabelled) → `scrape_loop` (when) → `client` (bytes) →
//! `append` with `cache` (points) → sink.
//!
//! Where we differ from Prometheus: a page without a usable content type is read as text 0.0.4, as Alloy
//! does; a body is limited to 64 MiB where no limit is set; the report series of `extra_scrape_metrics` are
//! always written; targets with address `builtin://NAME` are exporters inside this program.

mod append;
mod cache;
mod client;
pub mod config;
mod discovery;
mod error;
mod loop_control;
mod manager;
mod pool;
mod report;
mod sample_labels;
mod schedule;
mod scrape_loop;
mod source;
mod target;

pub use config::{ConfigError, Global, Job, ScrapeConfig, jobs};
pub use error::ScrapeError;
pub use manager::{Manager, Options};
pub use target::{Health, TargetStatus};

#[cfg(test)]
mod tests;
