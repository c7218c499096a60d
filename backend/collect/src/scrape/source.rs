//! Where a target's page comes from: HTTP, or an exporter inside this program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codecs::exposition::Format;

use super::client::{Clients, HttpSource, Page};
use super::config::Job;
use super::error::ScrapeError;
use super::target::{Address, Target};
use crate::exporters::Exporter;

/// Exporters inside this program by name.
pub(crate) type Exporters = BTreeMap<String, Arc<dyn Exporter>>;

/// Gives pages of one target.
pub(crate) enum Source {
    Http(Box<HttpSource>),
    Builtin(Arc<dyn Exporter>),
}

impl Source {
    pub(crate) fn of(
        target: &Target,
        job: &Arc<Job>,
        clients: &Clients,
        exporters: &Exporters,
    ) -> Result<Source, ScrapeError> {
        match &target.address {
            Address::Http(url) => {
                Ok(Source::Http(Box::new(HttpSource::new(url, job, target.timeout, clients)?)))
            }
            Address::Builtin(name) => match exporters.get(name) {
                Some(exporter) => Ok(Source::Builtin(Arc::clone(exporter))),
                None => Err(ScrapeError::NoExporter(name.clone())),
            },
        }
    }

    /// True where a new source would behave differently.
    pub(crate) fn is_outdated(&self) -> bool {
        matches!(self, Source::Http(source) if source.is_outdated())
    }

    /// The page, or why there is none within `timeout`.
    pub(crate) async fn fetch(&mut self, timeout: Duration) -> Result<Page, ScrapeError> {
        let page = async {
            match self {
                Source::Http(source) => source.fetch().await,
                Source::Builtin(exporter) => {
                    let body =
                        exporter.collect().await.map_err(|error| ScrapeError::Exporter(error.to_string()))?;
                    Ok(Page { body: body.into_bytes(), format: Format::Text })
                }
            }
        };
        tokio::time::timeout(timeout, page).await.unwrap_or(Err(ScrapeError::Timeout(timeout)))
    }
}
