//! Carries merges out: reads the inputs, writes what they come to, commits, and deals with what goes wrong.
//!
//! A merge runs on a thread of its own. Its inputs are checked against their checksums; a damaged one is left
//! out from then on, named in the log and counted, and the rest of its day is planned anew. Until the commit
//! nothing has changed for anybody; a merge that fails leaves files nobody names, which vacuum takes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::merge::MergeFailure;
use super::plan::{self, Day, Job};
use super::rows::merge_schema;
use super::stats::{CompactionStats, Counters};
use super::work::{Merged, Work, input_batches};
use super::{CompactionPolicy, CompactionProgress, CompactionReport, CompactionScope, ProgressFn};
use crate::catalog::{Catalog, DataFile, FileSets};
use crate::error::{Error, Result};
use crate::lease::{Lease, LeaseSettings};
use crate::parquet_file::{FrontToBack, WrittenFile};
use crate::tables::Table;

/// Files opened at once.
const OPENS_AT_ONCE: usize = 8;
/// Merges of one table thrown away in a row before another day is tried.
const CONFLICTS_MAX: u32 = 5;

/// Where compaction commits: a catalog alone, or a store that shows the new files in its snapshots too.
#[async_trait]
pub(crate) trait Commits: Send + Sync {
    fn catalog(&self) -> &Catalog;

    /// Takes in the commits of others.
    async fn refresh(&self) -> Result<()>;

    /// Puts `adds` in the place of `removes`. `epoch`: of the maintenance leader.
    async fn replace(
        &self,
        table: Table,
        adds: Vec<WrittenFile>,
        removes: Vec<Arc<DataFile>>,
        epoch: Option<i64>,
    ) -> Result<()>;
}

#[async_trait]
impl Commits for Catalog {
    fn catalog(&self) -> &Catalog {
        self
    }

    async fn refresh(&self) -> Result<()> {
        Catalog::refresh(self).await.map(|_| ())
    }

    async fn replace(
        &self,
        table: Table,
        adds: Vec<WrittenFile>,
        removes: Vec<Arc<DataFile>>,
        epoch: Option<i64>,
    ) -> Result<()> {
        self.commit_fenced(table, adds, removes, None, epoch).await.map(|_| ())
    }
}

/// Who works, and until when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leading {
    /// Epoch of the maintenance leader; `None` where there is no lease.
    pub(crate) epoch: Option<i64>,
    /// Cancelled when the lease is lost or the program ends.
    pub(crate) stop: CancellationToken,
}

/// Compacts the tables of one store; remembers damaged files and counts what it does.
#[derive(Debug)]
pub struct Compactor {
    policy: CompactionPolicy,
    counters: Counters,
    /// Keys of damaged files.
    quarantine: Mutex<BTreeSet<String>>,
    /// Keys of other writers' and later versions' files that cannot be merged.
    unfit: Mutex<BTreeSet<String>>,
}

/// Why a merge was not committed.
enum Failure {
    /// Another writer has changed the files.
    Conflict(String),
    /// An input is damaged.
    Damaged(Arc<DataFile>, Error),
    /// An input cannot be merged, and nothing is wrong with it.
    Unfit(Arc<DataFile>, Error),
    /// Whoever works is to stop.
    Stopped(Error),
    /// It may work another time.
    Failed(Error),
}

impl Failure {
    fn of(error: Error) -> Failure {
        match error {
            Error::Conflict { reason, .. } => Failure::Conflict(reason),
            Error::Cancelled | Error::Fenced { .. } | Error::ReadOnly | Error::Closed => {
                Failure::Stopped(error)
            }
            error => Failure::Failed(error),
        }
    }
}

impl Compactor {
    /// A compactor that has not seen anything yet.
    pub fn new(policy: CompactionPolicy) -> Compactor {
        let (quarantine, unfit) = (Mutex::default(), Mutex::default());
        Compactor { policy, counters: Counters::default(), quarantine, unfit }
    }

    /// What it has done so far.
    pub fn stats(&self) -> CompactionStats {
        self.counters.stats(self.quarantined().len() as u64)
    }

    /// Keys of the damaged files that are left out.
    pub fn quarantined(&self) -> Vec<String> {
        lock(&self.quarantine).iter().cloned().collect()
    }

    /// Whether there is anything to do, as far as `files` tell.
    pub(crate) fn has_work(&self, files: &FileSets, scope: &CompactionScope, now_ms: i64) -> bool {
        let done = BTreeSet::new();
        Table::ALL.into_iter().any(|table| self.next_job(table, files, scope, now_ms, &done).is_some())
    }

    /// Merges until there is nothing left to merge in `scope`.
    pub(crate) async fn run(
        &self,
        commits: &dyn Commits,
        scope: &CompactionScope,
        leading: &Leading,
        progress: &ProgressFn,
    ) -> Result<CompactionReport> {
        let mut report = CompactionReport::default();
        commits.refresh().await?;
        self.forget_removed(&commits.catalog().files());
        for table in Table::ALL {
            self.run_table(commits, table, scope, leading, progress, &mut report).await?;
        }
        report.skipped = self.count_left_alone(&commits.catalog().files(), scope);
        self.counters.set_skipped(report.skipped);
        Ok(report)
    }

    async fn run_table(
        &self,
        commits: &dyn Commits,
        table: Table,
        scope: &CompactionScope,
        leading: &Leading,
        progress: &ProgressFn,
        report: &mut CompactionReport,
    ) -> Result<()> {
        let (mut conflicts, mut given_up) = (0, BTreeSet::new());
        loop {
            if leading.stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let (files, now_ms) = (commits.catalog().files(), commits.catalog().clock().now_ms());
            let Some(job) = self.next_job(table, &files, scope, now_ms, &given_up) else { return Ok(()) };
            let (begun, day) = (Instant::now(), job.day);
            let mut done = CompactionReport::default();
            match self.run_job(commits, job, leading, progress).await {
                Ok(finished) => {
                    conflicts = 0;
                    done = finished;
                }
                Err(Failure::Conflict(reason)) => {
                    debug!(%table, day, reason, "a merge met another writer's");
                    conflicts += 1;
                    done.conflicts = 1;
                    commits.refresh().await?;
                }
                Err(Failure::Damaged(file, error)) => {
                    error!(file = %file.key, %error, "file is damaged; it is left out of compaction");
                    lock(&self.quarantine).insert(file.key.to_string());
                    done.quarantined = 1;
                }
                Err(Failure::Unfit(file, reason)) => {
                    info!(file = %file.key, %reason, "a file of another writer or version cannot be merged");
                    lock(&self.unfit).insert(file.key.to_string());
                }
                Err(Failure::Stopped(error)) => return Err(error),
                Err(Failure::Failed(error)) => {
                    warn!(%table, day, %error, "merge failed, the next run tries again");
                    done.failures = 1;
                    given_up.insert(day);
                    commits.refresh().await?;
                }
            }
            if conflicts >= CONFLICTS_MAX {
                conflicts = 0;
                given_up.insert(day);
            }
            let time = if done.jobs > 0 { begun.elapsed() } else { Duration::ZERO };
            self.counters.add(&done, time);
            report.add(&done);
        }
    }

    fn next_job(
        &self,
        table: Table,
        files: &FileSets,
        scope: &CompactionScope,
        now_ms: i64,
        given_up: &BTreeSet<i32>,
    ) -> Option<Job> {
        if !scope.has_table(table) {
            return None;
        }
        let (quarantine, unfit) = (lock(&self.quarantine), lock(&self.unfit));
        let left_out = |file: &DataFile| {
            let key: &str = file.key.as_ref();
            quarantine.contains(key) || unfit.contains(key) || self.is_too_large(file)
        };
        let mut days = files.table_files(table).days();
        days.find_map(|(day, files)| {
            let wanted = scope.has_day(day) && !given_up.contains(&day);
            let day = Day { table, day, files, now_ms, policy: &self.policy, all: scope.all };
            if wanted { plan::next_job(day, left_out) } else { None }
        })
    }

    /// Files of other writers are sorted in memory.
    fn is_too_large(&self, file: &DataFile) -> bool {
        !file.is_sorted() && file.size > self.policy.unsorted_bytes_max
    }

    fn count_left_alone(&self, files: &FileSets, scope: &CompactionScope) -> u64 {
        let tables = Table::ALL.into_iter().filter(|table| scope.has_table(*table));
        let too_large = tables
            .flat_map(|table| files.table(table))
            .filter(|file| scope.has_day(file.day) && self.is_too_large(file))
            .count();
        (too_large + lock(&self.unfit).len()) as u64
    }

    /// Files that have left the tables need not be remembered.
    fn forget_removed(&self, files: &FileSets) {
        let live: BTreeSet<&str> = Table::ALL
            .into_iter()
            .flat_map(|table| files.table(table))
            .map(|file| file.key.as_ref())
            .collect();
        for keys in [&self.quarantine, &self.unfit] {
            lock(keys).retain(|key| live.contains(key.as_str()));
        }
    }

    async fn run_job(
        &self,
        commits: &dyn Commits,
        job: Job,
        leading: &Leading,
        progress: &ProgressFn,
    ) -> Result<CompactionReport, Failure> {
        let catalog = commits.catalog();
        debug!(table = %job.table, day = job.day, files = job.inputs.len(), level = job.level, "merging");
        let Merged { mut files, counts } = self.merge(catalog, &job, leading, progress).await?;
        let day = catalog.files();
        let may_repeat = plan::may_repeat(&job.inputs, day.day(job.table, job.day));
        files.iter_mut().for_each(|file| file.tags.may_repeat = may_repeat);
        let report = CompactionReport {
            jobs: 1,
            files_in: job.inputs.len() as u64,
            files_out: files.len() as u64,
            rows_in: counts.rows_in.iter().sum(),
            rows_out: counts.rows_out,
            duplicates: counts.repeats,
            bytes_in: job.inputs.iter().map(|file| file.size).sum(),
            bytes_out: files.iter().map(|file| file.size).sum(),
            ..CompactionReport::default()
        };
        if leading.stop.is_cancelled() {
            return Err(Failure::Stopped(Error::Cancelled));
        }
        let told = progress_of(&job, report.rows_out, report.bytes_out);
        commits.replace(job.table, files, job.inputs, leading.epoch).await.map_err(Failure::of)?;
        progress.tell(CompactionProgress { done: true, ..told });
        Ok(report)
    }

    async fn merge(
        &self,
        catalog: &Catalog,
        job: &Job,
        leading: &Leading,
        progress: &ProgressFn,
    ) -> Result<Merged, Failure> {
        let schema = merge_schema(job.table);
        let opens = job.inputs.iter().enumerate().map(|(index, file)| {
            let opening = FrontToBack::open(catalog.objects(), file, &schema);
            async move { opening.await.map_err(|error| MergeFailure { input: Some(index), error }) }
        });
        let opened: Result<Vec<FrontToBack>, MergeFailure> =
            futures::stream::iter(opens.collect::<Vec<_>>()).buffered(OPENS_AT_ONCE).try_collect().await;
        let opened = match opened {
            Ok(opened) => opened,
            Err(failure) => return Err(self.explain(catalog, job, failure).await),
        };
        let stop = leading.stop.child_token();
        // Also where this future is dropped, the thread is to end.
        let _guard = stop.clone().drop_guard();
        let newest = job.inputs.last().map_or("", |file| &file.path);
        let work = Work {
            table: job.table,
            level: job.level,
            expected: job.inputs.iter().zip(&opened).map(|(file, open)| (file.rows, open.rows())).collect(),
            inputs: input_batches(job.table, &job.inputs, opened),
            new_files: catalog.new_files(job.table, job.day, newest).map_err(Failure::of)?,
            policy: self.policy.clone(),
            clock: catalog.shared_clock(),
            stop,
            runtime: tokio::runtime::Handle::current(),
            progress: (progress.clone(), progress_of(job, 0, 0)),
        };
        match on_a_thread(work).await {
            Ok(merged) => Ok(merged),
            Err(failure) => Err(self.explain(catalog, job, failure).await),
        }
    }

    /// A merge without its commit, as a crash leaves it.
    #[cfg(test)]
    pub(super) async fn merge_only(&self, catalog: &Catalog, job: &Job) {
        let merged = self.merge(catalog, job, &Leading::default(), &ProgressFn::default()).await;
        assert!(merged.is_ok_and(|merged| !merged.files.is_empty()));
    }

    /// Tells damage from absence and from what is only passing.
    async fn explain(&self, catalog: &Catalog, job: &Job, failure: MergeFailure) -> Failure {
        let MergeFailure { input, error } = failure;
        let Some(file) = input.and_then(|input| job.inputs.get(input)).map(Arc::clone) else {
            return Failure::of(error);
        };
        match error {
            Error::Cancelled => Failure::Stopped(error),
            Error::Object { .. } => self.explain_absence(catalog, job, file, error).await,
            Error::TooLarge { .. } | Error::Newer { .. } => Failure::Unfit(file, error),
            Error::Schema { .. } | Error::Arrow(_) if !file.is_sorted() => Failure::Unfit(file, error),
            error => Failure::Damaged(file, error),
        }
    }

    async fn explain_absence(
        &self,
        catalog: &Catalog,
        job: &Job,
        file: Arc<DataFile>,
        error: Error,
    ) -> Failure {
        let size = match catalog.objects().head(&file.key).await {
            Ok(meta) => Some(meta.size),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(_) => return Failure::Failed(error),
        };
        if size == Some(file.size) {
            return Failure::Failed(error);
        }
        // Vacuum takes files that have left the table; that is no damage.
        if let Err(error) = catalog.refresh_table(job.table).await {
            return Failure::Failed(error);
        }
        let files = catalog.files();
        if files.day(job.table, job.day).iter().any(|live| live.path == file.path) {
            return Failure::Damaged(file, error);
        }
        Failure::Conflict(format!("file `{}` is no longer in the table", file.path))
    }
}

async fn on_a_thread(work: Work) -> Result<Merged, MergeFailure> {
    let (send, merged) = oneshot::channel();
    let thread = std::thread::Builder::new().name("atl-compact".to_owned()).spawn(move || {
        // Nobody waits any more where the merge was called off.
        let _ = send.send(work.run());
    });
    thread.map_err(|error| Error::io("thread", error))?;
    merged.await.unwrap_or(Err(MergeFailure::from(Error::Panicked { what: "the merging thread" })))
}

fn progress_of(job: &Job, rows_done: u64, bytes_done: u64) -> CompactionProgress {
    CompactionProgress {
        table: job.table,
        day: job.day,
        files: job.inputs.len() as u64,
        bytes: job.inputs.iter().map(|file| file.size).sum(),
        rows: job.inputs.iter().map(|file| file.rows).sum(),
        rows_done,
        bytes_done,
        done: false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compacts the tables of a catalog without a store, as the maintenance leader: waits for the lease for as
/// long as it runs, and fails with [`Error::LeaseHeld`] where its holder renews it.
///
/// Dropping the future calls the compaction off.
pub async fn compact_catalog(
    catalog: &Catalog,
    policy: CompactionPolicy,
    scope: &CompactionScope,
    progress: &ProgressFn,
) -> Result<CompactionReport> {
    policy.validate()?;
    let holder = format!("compact-{}", uuid::Uuid::new_v4().simple());
    let lease = Lease::of_catalog(catalog, holder, LeaseSettings::default());
    let leadership = lease.acquire_waiting(catalog.maintenance_epoch()).await?;
    let compactor = Compactor::new(policy);
    let outcome = compactor.run(catalog, scope, &leadership.leading(), progress).await;
    leadership.release().await;
    outcome
}
