//! The loops of one job: starts, replaces and ends them as its targets change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::Labels;
use tokio::sync::watch;
use tracing::warn;

use super::config::{Job, StaticConfig, check_group};
use super::loop_control::{Control, LoopHandle};
use super::scrape_loop::{Shared, SharedStatus, spawn};
use super::target::{Populated, Target, TargetKey, TargetStatus, populate};

/// The loops of one job.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    hostname: Arc<str>,
    job: Arc<Job>,
    /// Target groups by where they come from: the configuration, or a file.
    groups: HashMap<String, Vec<StaticConfig>>,
    running: HashMap<TargetKey, Running>,
    /// Loops of targets that are gone and whose series have not ended yet.
    ending: Vec<(TargetKey, LoopHandle)>,
    /// Targets the rules dropped, as many as are remembered.
    dropped: Vec<Labels>,
    targets_in_excess: watch::Sender<Option<usize>>,
}

struct Running {
    handle: LoopHandle,
    status: SharedStatus,
}

/// Source of the groups written in the configuration.
const STATIC_SOURCE: &str = "";

impl Pool {
    pub(crate) fn start(shared: &Arc<Shared>, hostname: &Arc<str>, job: Arc<Job>) -> Pool {
        let mut pool = Pool {
            shared: Arc::clone(shared),
            hostname: Arc::clone(hostname),
            groups: HashMap::from([(STATIC_SOURCE.to_owned(), job.static_configs.clone())]),
            job,
            running: HashMap::new(),
            ending: Vec::new(),
            dropped: Vec::new(),
            targets_in_excess: watch::channel(None).0,
        };
        pool.sync(false);
        pool
    }

    pub(crate) fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Goes on under a changed configuration: every loop is replaced and hands over its live series.
    pub(crate) fn reload(&mut self, job: Arc<Job>) {
        self.groups.insert(STATIC_SOURCE.to_owned(), job.static_configs.clone());
        if job.file_sd != self.job.file_sd {
            self.groups.retain(|source, _| source == STATIC_SOURCE);
        }
        self.job = job;
        self.sync(true);
    }

    /// Replaces the groups that come from files.
    pub(crate) fn set_file_groups(&mut self, groups: HashMap<String, Vec<StaticConfig>>) {
        self.groups.retain(|source, _| source == STATIC_SOURCE);
        self.groups.extend(groups);
        self.sync(false);
    }

    /// State of the targets, ordered by instance.
    pub(crate) fn statuses(&self) -> Vec<TargetStatus> {
        let lock = |running: &Running| running.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut statuses: Vec<TargetStatus> = self.running.values().map(lock).collect();
        statuses.sort_by(|a, b| (&a.instance, &a.url).cmp(&(&b.instance, &b.url)));
        statuses
    }

    /// Labels of targets the rules dropped, before relabelling.
    pub(crate) fn dropped(&self) -> &[Labels] {
        &self.dropped
    }

    /// Ends all loops with staleness markers; they go on in the background until then.
    pub(crate) fn remove(mut self) -> Vec<LoopHandle> {
        self.groups.clear();
        self.sync(false);
        self.ending.into_iter().map(|(_, handle)| handle).collect()
    }

    /// Tells all loops to end at once, and gives them to the caller to wait for.
    pub(crate) fn stop(self) -> Vec<LoopHandle> {
        let running = self.running.into_values().map(|running| running.handle);
        let handles: Vec<LoopHandle> =
            running.chain(self.ending.into_iter().map(|(_, handle)| handle)).collect();
        for handle in &handles {
            handle.tell(Control::Stop);
        }
        handles
    }

    /// Makes the loops those of the groups. `replace`: also where the target stays, because its job changed.
    fn sync(&mut self, replace: bool) {
        self.ending.retain(|(_, handle)| !handle.task.is_finished());
        let targets = self.targets();
        let excess = self.job.limits.targets.filter(|limit| targets.len() as u64 > *limit);
        self.targets_in_excess.send_replace(excess.map(|_| targets.len()));

        let gone: Vec<TargetKey> =
            self.running.keys().filter(|key| !targets.contains_key(*key)).cloned().collect();
        for key in gone {
            if let Some(running) = self.running.remove(&key) {
                running.handle.tell(Control::Remove);
                self.ending.push((key, running.handle));
            }
        }
        for (key, target) in targets {
            match self.running.remove(&key) {
                Some(running) if !replace => {
                    self.running.insert(key, running);
                }
                Some(running) => self.spawn(key, target, Some(running.status), Some(running.handle)),
                None => {
                    let back = self.ending.iter().position(|(ending, _)| *ending == key);
                    let predecessor = back.map(|at| self.ending.swap_remove(at).1);
                    self.spawn(key, target, None, predecessor);
                }
            }
        }
    }

    fn spawn(
        &mut self,
        key: TargetKey,
        target: Target,
        status: Option<SharedStatus>,
        predecessor: Option<LoopHandle>,
    ) {
        let status = status.unwrap_or_else(|| Arc::new(Mutex::new(target.status())));
        if let Some(predecessor) = &predecessor {
            predecessor.tell(Control::Replace);
        }
        let excess = self.targets_in_excess.subscribe();
        let handle = spawn(&self.shared, &self.job, target, Arc::clone(&status), predecessor, excess);
        self.running.insert(key, Running { handle, status });
    }

    /// The targets of all groups after relabelling; what is wrong with a group or a target is logged.
    fn targets(&mut self) -> HashMap<TargetKey, Target> {
        let job = Arc::clone(&self.job);
        let mut targets = HashMap::new();
        self.dropped.clear();
        let dropped_max = job.limits.dropped_targets.map_or(DROPPED_TARGETS_MAX, |max| {
            usize::try_from(max).unwrap_or(usize::MAX).min(DROPPED_TARGETS_MAX)
        });
        for group in self.groups.values().flatten() {
            if let Err(problem) = check_group(group) {
                warn!(job = job.name, %problem, "target group is not valid, ignored");
                continue;
            }
            for address in &group.targets {
                match populate(&job, address, &group.labels, &self.hostname) {
                    Ok(Populated::Target(target)) => {
                        targets.insert(target.key(), *target);
                    }
                    Ok(Populated::Dropped(labels)) if self.dropped.len() < dropped_max => {
                        self.dropped.push(labels)
                    }
                    Ok(Populated::Dropped(_)) => {}
                    Err(error) => warn!(job = job.name, address, %error, "target is not valid, ignored"),
                }
            }
        }
        targets
    }
}

/// Dropped targets remembered where no limit is set.
const DROPPED_TARGETS_MAX: usize = 1000;
