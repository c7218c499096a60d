//! All jobs: starts their pools, changes them on reload, stops them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::{Clock, Labels};
use tokio::task::JoinHandle;

use super::client::Clients;
use super::config::Job;
use super::discovery::{FileDiscovery, LOOK_INTERVAL};
use super::loop_control::{Control, LoopHandle};
use super::pool::Pool;
use super::scrape_loop::{RunningTargets, Shared};
use super::source::Exporters;
use super::target::TargetStatus;
use crate::Sink;

/// What the manager needs to know besides its jobs.
#[derive(Clone, Default)]
pub struct Options {
    /// Name of this machine: `instance` of built-in exporters, and what sets the phases of its scrapes apart
    /// from those of other servers.
    pub hostname: String,
    /// Exporters inside this program, reached as `builtin://NAME`.
    pub exporters: Exporters,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exporters: Vec<&String> = self.exporters.keys().collect();
        f.debug_struct("Options").field("hostname", &self.hostname).field("exporters", &exporters).finish()
    }
}

/// Scrapes all targets of all jobs until it is stopped. Dropping it stops the scrapes too, without waiting
/// for them.
pub struct Manager {
    shared: Arc<Shared>,
    hostname: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    pools: BTreeMap<String, Pool>,
    /// One a job with `file_sd_configs`.
    discoveries: BTreeMap<String, JoinHandle<()>>,
    /// Loops of jobs that are gone and whose series have not ended yet.
    ending: Vec<LoopHandle>,
}

impl Manager {
    /// Starts to scrape. Must be called within a tokio runtime, after a rustls crypto provider was installed.
    pub fn start(jobs: Vec<Job>, options: Options, sink: Arc<dyn Sink>, clock: Arc<dyn Clock>) -> Manager {
        let shared = Shared {
            sink,
            clock,
            seed: seed(&options.hostname),
            clients: Clients::default(),
            exporters: options.exporters,
            running: RunningTargets::default(),
        };
        let manager = Manager {
            shared: Arc::new(shared),
            hostname: options.hostname.into(),
            state: Arc::new(Mutex::new(State::default())),
        };
        manager.reload(jobs);
        manager
    }

    /// Goes on with `jobs`. Jobs that did not change are left alone; targets that are gone end with staleness
    /// markers.
    pub fn reload(&self, jobs: Vec<Job>) {
        self.shared.clients.clear();
        let mut state = self.lock();
        state.ending.retain(|handle| !handle.task.is_finished());
        let gone: Vec<String> =
            state.pools.keys().filter(|name| jobs.iter().all(|job| job.name != **name)).cloned().collect();
        for name in gone {
            if let Some(pool) = state.pools.remove(&name) {
                state.ending.extend(pool.remove());
            }
            if let Some(discovery) = state.discoveries.remove(&name) {
                discovery.abort();
            }
        }
        for job in jobs {
            self.apply(&mut state, Arc::new(job));
        }
    }

    /// State of all targets, by job and instance.
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.lock().pools.values().flat_map(Pool::statuses).collect()
    }

    /// Labels, before relabelling, of targets that rules dropped, by job.
    pub fn dropped_targets(&self) -> BTreeMap<String, Vec<Labels>> {
        self.lock().pools.iter().map(|(name, pool)| (name.clone(), pool.dropped().to_vec())).collect()
    }

    /// Stops all scrapes without staleness markers, and waits until the last batch is handed over.
    pub async fn stop(&self) {
        let handles = {
            let mut state = self.lock();
            for discovery in std::mem::take(&mut state.discoveries).into_values() {
                discovery.abort();
            }
            let mut handles = std::mem::take(&mut state.ending);
            handles.extend(std::mem::take(&mut state.pools).into_values().flat_map(Pool::stop));
            handles
        };
        for handle in handles {
            handle.tell(Control::Stop);
            // A loop that panicked has nothing left to hand over.
            let _ = handle.task.await;
        }
    }

    fn apply(&self, state: &mut State, job: Arc<Job>) {
        let name = job.name.clone();
        match state.pools.get_mut(&name) {
            Some(pool) if *pool.job() == job => return,
            Some(pool) => pool.reload(Arc::clone(&job)),
            None => {
                let pool = Pool::start(&self.shared, &self.hostname, Arc::clone(&job));
                state.pools.insert(name.clone(), pool);
            }
        }
        if let Some(discovery) = state.discoveries.remove(&name) {
            discovery.abort();
        }
        if !job.file_sd.is_empty() {
            let task = tokio::spawn(discover(Arc::downgrade(&self.state), job));
            state.discoveries.insert(name, task);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Manager")
            .field("jobs", &state.pools.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for discovery in self.discoveries.values() {
            discovery.abort();
        }
    }
}

/// FNV-1a of the host's name.
fn seed(hostname: &str) -> u64 {
    use std::hash::Hasher;

    let mut hasher = fnv::FnvHasher::default();
    hasher.write(hostname.as_bytes());
    hasher.finish()
}

/// Keeps the targets of a job's files up to date.
async fn discover(state: Weak<Mutex<State>>, job: Arc<Job>) {
    let refresh = job.file_sd.iter().map(|(_, refresh)| *refresh).min().unwrap_or(LOOK_INTERVAL);
    let patterns = job.file_sd.iter().flat_map(|(files, _)| files.clone()).collect();
    let mut discovery = FileDiscovery::new(patterns);
    let mut last_full = tokio::time::Instant::now();
    loop {
        let all = last_full.elapsed() >= refresh;
        if all {
            last_full = tokio::time::Instant::now();
        }
        let look = tokio::task::spawn_blocking(move || {
            let groups = discovery.look(all);
            (discovery, groups)
        });
        let Ok((back, groups)) = look.await else { return };
        discovery = back;
        let Some(state) = state.upgrade() else { return };
        if let Some(groups) = groups
            && let Some(pool) = state.lock().unwrap_or_else(PoisonError::into_inner).pools.get_mut(&job.name)
        {
            pool.set_file_groups(groups);
        }
        drop(state);
        tokio::time::sleep(LOOK_INTERVAL.min(refresh)).await;
    }
}
