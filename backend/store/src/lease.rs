//! Who maintains the tables: a lease on the object store that one process at a time holds.
//!
//! Comes in: a process that wants to compact, to remove old days or to vacuum. Goes out: a [`Leadership`], or
//! the name of who has it. The lease is an object, `<prefix>/_lease/maintenance.json`, replaced on condition
//! that it has not changed. It spares processes from doing the same work; no row depends on it, since of two
//! commits that remove the same file one fails anyway. Every holder gets a higher epoch, which its commits
//! carry, so that those of a leader that was replaced without noticing fail once its successor has committed.
//!
//! A leader renews at a third of the lease's time and stops before the time is over. Others take over when
//! the lease has run out by their clock, or has not changed for its whole time while they looked: so neither
//! a slow nor a fast clock keeps it for ever.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Clock;
use object_store::path::Path;
use object_store::{Error as E, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::compact::Leading;
use crate::error::{Error, Result};
use crate::objects::check_length;

/// Largest lease read, in bytes.
const RECORD_BYTES_MAX: u64 = 64 << 10;
/// Attempts of a write that meets an earlier one of its own.
const ATTEMPTS: u32 = 4;

/// Times of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// How long it lasts unless it is renewed.
    pub ttl: Duration,
    /// How far clocks of two machines may be apart.
    pub clock_skew: Duration,
}

impl Default for LeaseSettings {
    fn default() -> LeaseSettings {
        LeaseSettings { ttl: Duration::from_secs(30), clock_skew: Duration::from_secs(5) }
    }
}

/// What is known of the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseStats {
    /// Who held it when it was last looked at.
    pub holder: Option<String>,
    /// The epoch of that holder; 0 where there was none.
    pub epoch: i64,
    /// Whether this process holds it now.
    pub held: bool,
    /// How often this process got it.
    pub acquired_total: u64,
    /// How often this process lost it before its work was done.
    pub lost_total: u64,
    /// Times the lease could not be read or written.
    pub failures_total: u64,
}

/// The lease object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    /// Name of the process.
    holder: String,
    /// Grows with every holder.
    epoch: i64,
    /// By the holder's clock, milliseconds since the Unix epoch; 0 where it was given back.
    expires_ms: i64,
    /// When it was written, likewise.
    written_ms: i64,
    /// Random for every write, to tell a lost reply from a lost race.
    token: String,
}

/// A lease as it stands on the store.
#[derive(Clone, Debug)]
struct Found {
    record: Record,
    version: UpdateVersion,
}

/// One process' way to the lease.
#[derive(Debug)]
pub struct Lease {
    objects: Arc<dyn ObjectStore>,
    key: Path,
    holder: String,
    clock: Arc<dyn Clock>,
    settings: LeaseSettings,
    /// Work of this process that needs the lease takes turns.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Token of the record last read, and when it was first seen.
    seen: Mutex<(String, i64)>,
    known: Mutex<Record>,
    held_until_ms: AtomicI64,
    acquired: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
}

impl Lease {
    /// The lease of the store under `prefix`. `holder` must not be another process' name.
    pub fn new(
        objects: Arc<dyn ObjectStore>,
        prefix: &Path,
        holder: String,
        clock: Arc<dyn Clock>,
        settings: LeaseSettings,
    ) -> Arc<Lease> {
        Arc::new(Lease {
            objects,
            key: prefix.clone().join("_lease").join("maintenance.json"),
            holder,
            clock,
            settings,
            turn: Arc::default(),
            seen: Mutex::default(),
            known: Mutex::default(),
            held_until_ms: AtomicI64::new(0),
            acquired: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// The lease of a catalog's store.
    pub(crate) fn of_catalog(catalog: &Catalog, holder: String, settings: LeaseSettings) -> Arc<Lease> {
        Lease::new(Arc::clone(catalog.objects()), catalog.prefix(), holder, catalog.shared_clock(), settings)
    }

    /// What is known without asking the store.
    pub fn stats(&self) -> LeaseStats {
        let known = lock(&self.known).clone();
        LeaseStats {
            holder: (!known.holder.is_empty()).then_some(known.holder),
            epoch: known.epoch,
            held: self.clock.now_ms() < self.held_until_ms.load(Relaxed),
            acquired_total: self.acquired.load(Relaxed),
            lost_total: self.lost.load(Relaxed),
            failures_total: self.failures.load(Relaxed),
        }
    }

    /// Takes the lease and keeps it until the leadership is released or dropped. Work of this process that
    /// has it is waited for.
    ///
    /// The new epoch is higher than `epoch` and than that of every earlier holder. Fails with
    /// [`Error::LeaseHeld`] where another process has the lease. A store that cannot replace objects on a
    /// condition gives a leadership without an epoch.
    pub async fn acquire(self: &Arc<Lease>, epoch: i64) -> Result<Leadership> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        match self.take(epoch).await {
            Ok((record, version)) => {
                self.acquired.fetch_add(1, Relaxed);
                debug!(epoch = record.epoch, "maintenance lease taken");
                Ok(Leadership::begin(Arc::clone(self), record, version, turn))
            }
            Err(Error::Object { source, .. }) if is_unsupported(&source) => {
                debug!("the object store cannot hold a lease; working without");
                Ok(Leadership::without_lease(turn))
            }
            Err(error @ Error::LeaseHeld { .. }) => Err(error),
            Err(error) => {
                self.failures.fetch_add(1, Relaxed);
                Err(error)
            }
        }
    }

    /// [`Lease::acquire`], again and again for as long as a holder that is gone would keep it.
    pub async fn acquire_waiting(self: &Arc<Lease>, epoch: i64) -> Result<Leadership> {
        let LeaseSettings { ttl, clock_skew } = self.settings;
        let mut left = ttl * 2 + clock_skew;
        loop {
            match self.acquire(epoch).await {
                Err(Error::LeaseHeld { .. }) if !left.is_zero() => {}
                outcome => return outcome,
            }
            let pause = (ttl / 6).min(left).max(Duration::from_millis(1));
            tokio::time::sleep(pause).await;
            left = left.saturating_sub(pause);
        }
    }

    async fn take(&self, epoch: i64) -> Result<(Record, UpdateVersion)> {
        let found = self.read().await?;
        if let Some(found) = &found {
            self.check_free(&found.record)?;
        }
        let before = found.as_ref().map_or(0, |found| found.record.epoch);
        let record = self.record(before.max(epoch) + 1);
        let version = found.map(|found| found.version);
        match self.write(&record, version).await? {
            Some(version) => Ok((record, version)),
            // Another process was faster.
            None => Err(self.held_by(self.read().await?.map(|found| found.record).unwrap_or_default())),
        }
    }

    fn held_by(&self, record: Record) -> Error {
        Error::LeaseHeld { holder: record.holder, expires_ms: record.expires_ms }
    }

    /// Fails where another process has the lease.
    fn check_free(&self, record: &Record) -> Result<()> {
        let now_ms = self.clock.now_ms();
        let since_ms = {
            let mut seen = lock(&self.seen);
            if seen.0 != record.token {
                *seen = (record.token.clone(), now_ms);
            }
            seen.1
        };
        let LeaseSettings { ttl, clock_skew } = self.settings;
        let given_back = record.expires_ms == 0;
        // A write of this process whose reply was lost; nobody here works under it.
        let own = record.holder == self.holder;
        let over = now_ms >= record.expires_ms.saturating_add(ms(clock_skew));
        let silent = now_ms.saturating_sub(since_ms) >= ms(ttl + clock_skew);
        if given_back || own || over || silent { Ok(()) } else { Err(self.held_by(record.clone())) }
    }

    fn record(&self, epoch: i64) -> Record {
        let written_ms = self.clock.now_ms();
        Record {
            holder: self.holder.clone(),
            epoch,
            expires_ms: written_ms.saturating_add(ms(self.settings.ttl)),
            written_ms,
            token: Uuid::new_v4().to_string(),
        }
    }

    async fn read(&self) -> Result<Option<Found>> {
        let failed = |source| Error::object("read", &self.key, source);
        let answer = match self.objects.get(&self.key).await {
            Ok(answer) => answer,
            Err(E::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let size = answer.meta.size;
        if size > RECORD_BYTES_MAX {
            return Err(Error::TooLarge { what: self.key.to_string(), size, limit: RECORD_BYTES_MAX });
        }
        let version =
            UpdateVersion { e_tag: answer.meta.e_tag.clone(), version: answer.meta.version.clone() };
        let bytes = answer.bytes().await.map_err(failed)?;
        check_length(&self.key, &bytes, size)?;
        let record: Record = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            warn!(key = %self.key, %error, "the lease cannot be read and is taken for given back");
            Record::default()
        });
        *lock(&self.known) = record.clone();
        Ok(Some(Found { record, version }))
    }

    /// Puts `record` where `version` is (`None`: where nothing is). Gives its version, or `None` where
    /// another process was faster.
    async fn write(&self, record: &Record, version: Option<UpdateVersion>) -> Result<Option<UpdateVersion>> {
        let bytes = serde_json::to_vec(record).map_err(|error| Error::corrupt(&self.key, error))?;
        let mut version = version;
        for _ in 0..ATTEMPTS {
            let mode = version.take().map_or(PutMode::Create, PutMode::Update);
            let replaces = matches!(mode, PutMode::Update(_));
            let options = PutOptions { mode, ..PutOptions::default() };
            let put = self.objects.put_opts(&self.key, PutPayload::from(bytes.clone()), options).await;
            let failure = match put {
                // A folder says after a creation what is there now, which may be another's already.
                Ok(put) if replaces && put.e_tag.is_some() => {
                    *lock(&self.known) = record.clone();
                    return Ok(Some(UpdateVersion { e_tag: put.e_tag, version: put.version }));
                }
                Ok(_) => None,
                Err(failure) => Some(failure),
            };
            // The reply may be lost, or the client's second attempt may have met its first.
            match (self.read().await?, failure) {
                (Some(found), _) if found.record.token == record.token => return Ok(Some(found.version)),
                // An earlier write of this leader has arrived late: go on from there.
                (Some(found), Some(_)) if self.is_earlier(&found.record, record) => {
                    version = Some(found.version);
                }
                (_, Some(E::AlreadyExists { .. } | E::Precondition { .. } | E::NotFound { .. }) | None) => {
                    return Ok(None);
                }
                (_, Some(failure)) => return Err(Error::object("write", &self.key, failure)),
            }
        }
        Ok(None)
    }

    fn is_earlier(&self, found: &Record, record: &Record) -> bool {
        found.holder == self.holder && found.epoch == record.epoch
    }

    /// A leader stops this long before its time is over, so that its last step has ended by then.
    fn margin(&self) -> Duration {
        self.settings.ttl / 6
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_unsupported(error: &E) -> bool {
    matches!(error, E::NotImplemented { .. } | E::NotSupported { .. })
}

/// The right to maintain the tables, renewed until it is released, dropped or lost.
#[derive(Debug)]
pub struct Leadership {
    epoch: Option<i64>,
    /// Cancelled when the lease is lost.
    lost: CancellationToken,
    renewal: Option<Renewal>,
    _turn: OwnedMutexGuard<()>,
}

#[derive(Debug)]
struct Renewal {
    end: DropGuard,
    task: JoinHandle<()>,
}

impl Leadership {
    fn begin(
        lease: Arc<Lease>,
        record: Record,
        version: UpdateVersion,
        turn: OwnedMutexGuard<()>,
    ) -> Leadership {
        let (lost, end) = (CancellationToken::new(), CancellationToken::new());
        let epoch = record.epoch;
        let keeper = Keeper { lease, record, version };
        keeper.note_held();
        let task = tokio::spawn(keeper.run(lost.clone(), end.clone()));
        let renewal = Some(Renewal { end: end.drop_guard(), task });
        Leadership { epoch: Some(epoch), lost, renewal, _turn: turn }
    }

    fn without_lease(turn: OwnedMutexGuard<()>) -> Leadership {
        Leadership { epoch: None, lost: CancellationToken::new(), renewal: None, _turn: turn }
    }

    /// The leader's epoch; `None` on a store that cannot hold a lease.
    pub fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    /// Cancelled once the lease is lost, before its time is over; whoever works under it must stop then.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    pub(crate) fn leading(&self) -> Leading {
        Leading { epoch: self.epoch, stop: self.lost.clone() }
    }

    /// Gives the lease back, so that another process need not wait for its end. Where that fails it runs out.
    pub async fn release(self) {
        if let Some(Renewal { end, task }) = self.renewal {
            end.disarm().cancel();
            if let Err(error) = task.await {
                warn!(%error, "the lease's renewal failed");
            }
        }
    }
}

/// Renews a lease in the background.
struct Keeper {
    lease: Arc<Lease>,
    record: Record,
    version: UpdateVersion,
}

impl Keeper {
    async fn run(mut self, lost: CancellationToken, end: CancellationToken) {
        let lease = Arc::clone(&self.lease);
        let kept = async {
            loop {
                tokio::time::sleep(lease.settings.ttl / 3).await;
                if !self.renew().await {
                    return;
                }
                self.note_held();
            }
        };
        let was_lost = end.run_until_cancelled(kept).await.is_some();
        lease.held_until_ms.store(0, Relaxed);
        if was_lost {
            lease.lost.fetch_add(1, Relaxed);
            warn!(epoch = self.record.epoch, "maintenance lease lost");
            lost.cancel();
        } else {
            self.give_back().await;
        }
    }

    fn note_held(&self) {
        self.lease.held_until_ms.store(self.stop_ms(), Relaxed);
    }

    /// When to stop at the latest.
    fn stop_ms(&self) -> i64 {
        self.record.expires_ms - ms(self.lease.margin())
    }

    fn left(&self) -> Duration {
        let left_ms = self.stop_ms().saturating_sub(self.lease.clock.now_ms());
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }

    /// False where the lease is lost.
    async fn renew(&mut self) -> bool {
        loop {
            let left = self.left();
            if left.is_zero() {
                return false;
            }
            let record = self.lease.record(self.record.epoch);
            let writing = self.lease.write(&record, Some(self.version.clone()));
            match tokio::time::timeout(left, writing).await {
                Ok(Ok(Some(version))) => {
                    (self.record, self.version) = (record, version);
                    return true;
                }
                Ok(Ok(None)) | Err(_) => return false,
                Ok(Err(error)) => {
                    self.lease.failures.fetch_add(1, Relaxed);
                    warn!(%error, "maintenance lease cannot be renewed, trying again");
                    tokio::time::sleep(self.lease.settings.ttl / 12).await;
                }
            }
        }
    }

    async fn give_back(&mut self) {
        let record = Record { expires_ms: 0, ..self.lease.record(self.record.epoch) };
        let writing = self.lease.write(&record, Some(self.version.clone()));
        match tokio::time::timeout(self.lease.margin(), writing).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!(%error, "the lease cannot be given back and runs out"),
            Err(_) => debug!("the lease cannot be given back in time and runs out"),
        }
    }
}

#[cfg(test)]
mod tests;
