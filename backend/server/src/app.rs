//! Everything a request handler can reach: the running stages, and what was configured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use collect::scrape::Manager;
use ingest::Ingest;
use model::Clock;
use query::Engine;
use query::prom::PromEngine;
use store::Store;
use store::objects::Objects;

use crate::builtin;
use crate::config::{Config, ConfigError};
use crate::http::{Decoders, EdgeKeys};
use crate::serve;

/// The running program.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) facts: Facts,
    pub(crate) started_ms: i64,
    stages: Stages,
    edge: RwLock<Arc<Edge>>,
    decoders: Decoders,
    stopping: AtomicBool,
}

/// The stages, in the order data flows.
#[derive(Debug)]
pub(crate) struct Stages {
    pub(crate) objects: Objects,
    pub(crate) store: Arc<Store>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) query: Engine,
    pub(crate) scrapes: Manager,
}

/// What the edge workers are told and checked by; replaced whole on reload.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) keys: EdgeKeys,
    pub(crate) probes: probes::ProbeList,
}

/// Facts that do not change while the program runs.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hostname: String,
    pub(crate) listen: SocketAddr,
    pub(crate) store_url: String,
    pub(crate) config_path: Option<PathBuf>,
}

impl Facts {
    /// The folder relative paths in the configuration start at.
    pub(crate) fn config_folder(&self) -> &Path {
        self.config_path.as_deref().and_then(Path::parent).unwrap_or(Path::new("."))
    }
}

impl App {
    pub(crate) fn new(facts: Facts, stages: Stages, edge: Edge) -> App {
        App {
            started_ms: facts.clock.now_ms(),
            facts,
            stages,
            edge: RwLock::new(Arc::new(edge)),
            decoders: Decoders::default(),
            stopping: AtomicBool::new(false),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.stages.store
    }

    pub(crate) fn ingest(&self) -> &Ingest {
        &self.stages.ingest
    }

    pub(crate) fn query(&self) -> &Engine {
        &self.stages.query
    }

    pub(crate) fn prom(&self) -> &PromEngine {
        self.stages.query.prom()
    }

    pub(crate) fn decoders(&self) -> &Decoders {
        &self.decoders
    }

    pub(crate) fn scrapes(&self) -> &Manager {
        &self.stages.scrapes
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.stages.objects
    }

    pub(crate) fn edge(&self) -> Arc<Edge> {
        let edge = self.edge.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&edge)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.facts.clock.now_ms()
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Reads the configuration again and applies what can change while running: scrapes and the edge. On an
    /// error nothing changes.
    pub(crate) fn reload(&self) -> Result<String, ConfigError> {
        let Some(path) = &self.facts.config_path else {
            return Ok("no configuration file, nothing to reload".to_owned());
        };
        let config = Config::load(path)?;
        let edge = serve::edge_of(&config)?;
        let jobs =
            builtin::jobs(&config, self.facts.listen, &self.facts.hostname, self.facts.config_folder())?;
        let summary = format!("reloaded `{}`: {} scrape jobs", path.display(), jobs.len());
        self.stages.scrapes.reload(jobs);
        *self.edge.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(edge);
        tracing::info!(path = %path.display(), "configuration reloaded");
        Ok(summary)
    }
}
