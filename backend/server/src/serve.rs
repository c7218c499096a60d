//! `atl serve`: starts the stages in the order data flows, waits for a signal, stops them in reverse.
//! Every stage is a few lines here; what it does is its own crate's business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use collect::exporters::{Exporter, host};
use collect::scrape::Manager;
use ingest::Ingest;
use model::{Clock, SystemClock};
use query::Engine;
use query::prom::PromConfig;
use store::objects::{Objects, ObjectsConfig, StoreKind};
use store::{Snapshot, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::{App, Edge, Facts, Stages};
use crate::builtin;
use crate::cli::{LogFormat, ServeArguments, fail, tell};
use crate::config::{Config, ConfigError, Secret};
use crate::http::{self, EdgeKeys, Gate};
use crate::sink::IngestSink;

/// Read when no `--config` is given, if it is there.
pub(crate) const DEFAULT_CONFIG: &str = "atl.yaml";

/// Stack of a thread in bytes: queries are parsed and planned where they are asked, and their trees may be deep. Only
/// the pages in use cost memory.
const STACK: usize = 16 << 20;

/// Requests in flight at shutdown get this long to finish.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What is asked first is mostly about this long before now.
const WARM_SPAN: Duration = Duration::from_secs(86_400);

type ServeError = Box<dyn std::error::Error + Send + Sync>;

/// Runs the server until it is told to stop.
pub(crate) fn command(arguments: ServeArguments) -> ExitCode {
    start_log(arguments.log_format);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error),
        };
    match runtime.block_on(serve(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

async fn serve(arguments: ServeArguments) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (config, config_path) = load_config(&arguments)?;
    let edge = edge_of(&config)?;
    let hostname = host_name(&config);

    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}; choose another with --listen", config.listen)
    })?;
    let address = listener.local_addr()?;
    let gate = Arc::new(Gate::default());
    let (stopping, stop_seen) = watch::channel(false);
    let server = start_server(listener, Arc::clone(&gate), stop_seen);

    let objects = open_objects(&config, Missing::Create)?;
    let (object_store, root) = (Arc::clone(&objects.store), objects.prefix.clone());
    let cache = cache_config(&config, objects.kind);
    let settings = store::Config { cache, folder: objects.folder.clone(), ..store_config(&config) };
    let store = Store::open_watched(settings, object_store, root, Arc::clone(&clock), gate.progress());
    let store = Arc::new(store.await?);
    let limits = config.limits.clone();
    let ingest = Arc::new(Ingest::new(Arc::clone(&store), limits, Arc::clone(&clock)));
    let snapshots = Arc::clone(&store);
    let query = Engine::new(server_query_config(&config, &store), Arc::new(move || snapshots.snapshot()))?;
    let sink = Arc::new(IngestSink(Arc::clone(&ingest)));
    let facts = Facts { clock, hostname, listen: address, store_url: config.store_url(), config_path };
    let jobs = builtin::jobs(&config, address, &facts.hostname, facts.config_folder())?;
    let options = scrape_options(&config, &facts.hostname, Arc::clone(&facts.clock));
    let scrapes = Manager::start(jobs, options, sink, Arc::clone(&facts.clock));

    let stages = Stages { objects, store, ingest, query, scrapes };
    let app = Arc::new(App::new(facts, stages, edge));
    gate.open(http::router(Arc::clone(&app)));
    let warming = tokio::spawn(warm_up(app.store().snapshot(), app.now_ms()));
    tell(&format!("atl {} is up: http://{address}/", env!("CARGO_PKG_VERSION")));
    run_until_signal(server, &stopping, Arc::clone(&app)).await?;
    warming.abort();
    stop(&app).await
}

/// Loads what the first questions will be about, so that they need not wait for it.
async fn warm_up(snapshot: Arc<Snapshot>, now_ms: i64) {
    let start_ms = now_ms.saturating_sub(i64::try_from(WARM_SPAN.as_millis()).unwrap_or(i64::MAX));
    if let Err(error) = snapshot.warm_up(start_ms, now_ms).await {
        tracing::warn!(%error, "recent files cannot be read ahead of the first question");
    }
}

/// Serves HTTP from here on; until the gate is opened, every answer says what the start is waiting for.
fn start_server(
    listener: TcpListener,
    gate: Arc<Gate>,
    mut stop_seen: watch::Receiver<bool>,
) -> JoinHandle<std::io::Result<()>> {
    let server = axum::serve(listener, gate.service()).with_graceful_shutdown(async move {
        let _ = stop_seen.wait_for(|stop| *stop).await;
    });
    tokio::spawn(server.into_future())
}

/// Waits for the signal, and after it a while for requests in flight.
async fn run_until_signal(
    mut server: JoinHandle<std::io::Result<()>>,
    stopping: &watch::Sender<bool>,
    app: Arc<App>,
) -> Result<(), ServeError> {
    let hangup = tokio::spawn(reload_on_hangup(Arc::clone(&app)));
    tokio::select! {
        signal = stop_signal() => tracing::info!(signal = signal?, "stopping"),
        ended = &mut server => return Err(format!("the HTTP server ended by itself: {ended:?}").into()),
    }
    hangup.abort();
    app.stop();
    // Scrapes first: what they still bring must pass the open door.
    app.scrapes().stop().await;
    stopping.send_replace(true);
    if tokio::time::timeout(DRAIN_TIMEOUT, &mut server).await.is_err() {
        tracing::warn!("requests were still running, they are cut off");
        server.abort();
    }
    Ok(())
}

async fn stop(app: &App) -> Result<(), ServeError> {
    app.store().close().await?;
    tell("stopped, everything is stored");
    Ok(())
}

/// Waits for SIGINT or SIGTERM.
async fn stop_signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

async fn reload_on_hangup(app: Arc<App>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        if let Err(error) = app.reload() {
            tracing::error!(%error, "configuration not reloaded, the one before goes on running");
        }
    }
}

fn start_log(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}

fn load_config(arguments: &ServeArguments) -> Result<(Config, Option<PathBuf>), ConfigError> {
    let path = match &arguments.config {
        Some(path) => Some(path.clone()),
        None => Some(PathBuf::from(DEFAULT_CONFIG)).filter(|path| path.exists()),
    };
    let mut config = match &path {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    if let Some(data_dir) = &arguments.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    Ok((config, path))
}

/// The exporters inside this program, and the name they report.
fn scrape_options(config: &Config, hostname: &str, clock: Arc<dyn Clock>) -> collect::scrape::Options {
    let paths = host::Config {
        procfs: config.builtin.procfs.clone(),
        sysfs: config.builtin.sysfs.clone(),
        rootfs: config.builtin.rootfs.clone(),
        ..host::Config::default()
    };
    let exporter: Arc<dyn Exporter> = Arc::new(host::HostExporter::new(paths, clock));
    collect::scrape::Options {
        hostname: hostname.to_owned(),
        exporters: BTreeMap::from([(builtin::HOST.to_owned(), exporter)]),
    }
}

fn host_name(config: &Config) -> String {
    let configured = config.builtin.instance.clone();
    let kernel = || std::fs::read_to_string(config.builtin.procfs.join("sys/kernel/hostname")).ok();
    let name = configured.or_else(kernel).unwrap_or_default().trim().to_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// What to do where a local folder is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Make it; the server does.
    Create,
    /// Say so; a reader does.
    Refuse,
}

/// Opens the store's objects as configured.
pub(crate) fn open_objects(config: &Config, missing: Missing) -> Result<Objects, ServeError> {
    let url = config.store_url();
    let folder = url.strip_prefix("file:").map(|path| path.trim_start_matches("//"));
    if let (Some(path), Missing::Refuse) = (folder, missing)
        && !Path::new(path).is_dir()
    {
        return Err(format!("there is no folder `{path}`").into());
    }
    let settings = &config.store;
    let secret = settings.secret_access_key.as_ref().map(|secret| secret.reveal().to_owned());
    let objects = ObjectsConfig {
        url,
        endpoint: settings.endpoint.clone(),
        region: settings.region.clone(),
        access_key_id: text_or_file(settings.access_key_id.clone(), settings.access_key_id_file.as_deref())?
            .or_else(|| environment(&["ATL_STORE_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"])),
        secret_access_key: text_or_file(secret, settings.secret_access_key_file.as_deref())?
            .or_else(|| environment(&["ATL_STORE_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"])),
        path_style: settings.path_style,
    };
    Ok(store::objects::open(&objects)?)
}

fn text_or_file(text: Option<String>, file: Option<&Path>) -> Result<Option<String>, ConfigError> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text)),
        (None, Some(path)) => read_secret(path).map(Some),
        (None, None) => Ok(None),
    }
}

/// The content of a secret's file, without the final newline.
fn read_secret(path: &Path) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

fn environment(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

fn store_config(config: &Config) -> store::Config {
    let retention = &config.store.retention;
    store::Config {
        data_dir: config.data_dir.clone(),
        flush_interval: config.store.flush_interval.0,
        wal_bytes_max: config.store.wal_bytes_max.0,
        memory_limit: config.memory_limit.map_or_else(store::memory::Ledger::default_limit, |limit| limit.0),
        hot_window: config.store.hot_window.0,
        compaction_interval: config.store.compaction_interval.0,
        out_of_order_window: config.store.out_of_order_window.0,
        retention: store::Retention {
            metrics_days: retention.metrics.limit(),
            logs_days: retention.logs.limit(),
            probes_days: retention.probes.limit(),
        },
        ..store::Config::default()
    }
}

/// The cache of the bucket's files as configured. A local folder has none: its files are as near as the cache's.
fn cache_config(config: &Config, kind: StoreKind) -> Option<store::CacheConfig> {
    let disk_bytes_max = config.store.cache_bytes_max.map(|size| size.0);
    let wanted = kind == StoreKind::S3 && disk_bytes_max != Some(0);
    wanted.then(|| store::CacheConfig { disk_bytes_max, ..store::CacheConfig::default() })
}

/// The limits of a query as configured.
pub(crate) fn query_config(config: &Config) -> query::Config {
    query::Config {
        timeout: config.query.timeout.0,
        memory_limit: usize::try_from(config.query.memory_limit.0).unwrap_or(usize::MAX),
        row_limit: config.query.row_limit,
        max_concurrent: config.query.max_concurrent,
        prom: prom_config(config),
        ..query::Config::default()
    }
}

/// The same for a server: queries share its memory, and spill into its folder.
fn server_query_config(config: &Config, store: &Store) -> query::Config {
    let directory = config.data_dir.join("spill");
    // What a killed process left behind; the store holds the folder's lock, so that it is nobody else's.
    if let Err(error) = std::fs::remove_dir_all(&directory)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %directory.display(), "old temporary files cannot be removed");
    }
    query::Config {
        ledger: Some(Arc::clone(store.ledger())),
        spill: query::Spill { directory: Some(directory), ..query::Spill::default() },
        ..query_config(config)
    }
}

/// The limits of a PromQL query as configured.
fn prom_config(config: &Config) -> PromConfig {
    let settings = &config.promql;
    PromConfig {
        timeout: settings.timeout.0,
        lookback_delta: settings.lookback_delta.0,
        samples_max: settings.max_samples,
        series_max: settings.max_series,
        concurrent_max: settings.max_concurrent,
        memory_limit: usize::try_from(config.query.memory_limit.0).unwrap_or(usize::MAX),
        result_cache: usize::try_from(config.promql.result_cache.0).unwrap_or(usize::MAX),
        ..PromConfig::default()
    }
}

/// Keys and probe list of the edge workers; secrets are read from their files here.
pub(crate) fn edge_of(config: &Config) -> Result<Edge, ConfigError> {
    let mut keys = EdgeKeys::default();
    for key in &config.edge.keys {
        let secret = match (&key.secret, &key.secret_file) {
            (Some(secret), _) => secret.clone(),
            (None, Some(path)) => Secret::new(read_secret(path)?),
            (None, None) => continue,
        };
        keys.add(&key.id, secret);
    }
    if let Some(secret) = environment(&["ATL_EDGE_SECRET"])
        && !keys.contains("edge")
    {
        keys.add("edge", Secret::new(secret));
    }
    Ok(Edge { keys, probes: probes::ProbeList::of(config.edge.probes.clone()) })
}
