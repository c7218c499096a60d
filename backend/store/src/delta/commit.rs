//! Writes to a table's log: commits, checkpoints, clean-up.
//!
//! A commit is one put-if-absent of the next version. A reply may be lost, so every commit carries a random
//! id: whenever a put does not plainly succeed, the version is read back, and only where another writer holds
//! it does the commit move on to the next. A put whose fate stays unknown can later succeed only at the very
//! version the next commit tries first, where it is found.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde_json::json;
use tracing::{debug, warn};
use uuid::Uuid;

use super::actions::{Add, CommitInfo, Format, Line, Metadata, Protocol, Remove, Txn, encode};
use super::{
    CHECKPOINT_INTERVAL, FENCE_APP_ID, LOG_RETENTION_MS, READER_VERSION, TableLog, TableState,
    WRITER_VERSION, checkpoint,
};
use crate::error::{Error, Result};
use crate::ids::{self, Ids};
use crate::tables::{DAY_COLUMN, delta_schema};

/// Races lost to other writers before a commit gives up.
const RACES_MAX: u32 = 200;
/// Failures of the object store in a row before a commit gives up.
const FAILURES_MAX: u32 = 6;
/// Pause after the first failure; it doubles with every further one.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What one commit does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) adds: Vec<Add>,
    pub(crate) removes: Vec<Remove>,
    pub(crate) txn: Option<Txn>,
    /// Epoch of the maintenance leader that makes the commit: it fails once a later one has committed.
    pub(crate) fence: Option<i64>,
}

impl Change {
    fn operation(&self) -> (&'static str, serde_json::Value) {
        match (self.adds.is_empty(), self.removes.is_empty()) {
            (_, true) => ("WRITE", json!({"mode": "Append", "partitionBy": json!([DAY_COLUMN]).to_string()})),
            (true, false) => ("DELETE", json!({"predicate": "[]"})),
            (false, false) => ("OPTIMIZE", json!({"predicate": "[]"})),
        }
    }

    fn into_lines(self, now_ms: i64, id: &str) -> Vec<Line> {
        let (operation, operation_parameters) = self.operation();
        let info = CommitInfo {
            timestamp: now_ms,
            operation: operation.to_owned(),
            operation_parameters,
            engine_info: Some(engine_info()),
            is_blind_append: Some(self.removes.is_empty()),
            txn_id: Some(id.to_owned()),
        };
        let mut lines = vec![Line { commit_info: Some(info), ..Line::default() }];
        lines.extend(self.txn.map(Line::from));
        let fence =
            |epoch| Txn { app_id: FENCE_APP_ID.to_owned(), version: epoch, last_updated: Some(now_ms) };
        lines.extend(self.fence.map(fence).map(Line::from));
        lines.extend(self.removes.into_iter().map(Line::from));
        lines.extend(self.adds.into_iter().map(Line::from));
        lines
    }
}

fn engine_info() -> String {
    concat!("atl/", env!("CARGO_PKG_VERSION")).to_owned()
}

/// How one attempt to take a version ended.
enum Outcome {
    /// The version holds our actions.
    Ours,
    /// The version holds another writer's actions.
    Theirs(Vec<Line>),
    /// Not known, or not done; the same version may be tried again.
    Failed(object_store::Error),
}

impl TableLog {
    /// Makes the table (version 0), unless another writer is faster.
    pub(crate) async fn create(&self) -> Result<TableState> {
        let now_ms = self.clock.now_ms();
        let id = Uuid::new_v4().to_string();
        let info = CommitInfo {
            timestamp: now_ms,
            operation: "CREATE TABLE".to_owned(),
            operation_parameters: json!({"partitionBy": json!([DAY_COLUMN]).to_string()}),
            engine_info: Some(engine_info()),
            is_blind_append: Some(true),
            txn_id: Some(id.clone()),
        };
        let lines = vec![
            Line { commit_info: Some(info), ..Line::default() },
            Line::from(Protocol { min_reader_version: READER_VERSION, min_writer_version: WRITER_VERSION }),
            Line::from(self.metadata(now_ms)?),
        ];
        let mut state = TableState::empty(self.table, self.root.clone());
        match self.take_version(0, lines, &id).await? {
            None => {}
            Some(theirs) => state.apply(0, theirs)?,
        }
        self.catch_up(&mut state).await?;
        Ok(state)
    }

    fn metadata(&self, now_ms: i64) -> Result<Metadata> {
        let settings = [
            ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_string()),
            ("delta.dataSkippingStatsColumns", self.table.stats_columns().join(",")),
            ("delta.deletedFileRetentionDuration", "interval 7 days".to_owned()),
            ("delta.enableExpiredLogCleanup", "true".to_owned()),
            ("delta.logRetentionDuration", "interval 1 days".to_owned()),
        ];
        let ids = Ids::of_new(self.table).setting().map(|value| (ids::SETTING, value.to_owned()));
        Ok(Metadata {
            id: Uuid::new_v4().to_string(),
            name: Some(self.table.name().to_owned()),
            description: None,
            format: Format { provider: "parquet".to_owned(), options: Default::default() },
            schema_string: delta_schema(self.table)?,
            partition_columns: vec![DAY_COLUMN.to_owned()],
            configuration: settings
                .into_iter()
                .chain(ids)
                .map(|(name, value)| (name.to_owned(), Some(value)))
                .collect(),
            created_time: Some(now_ms),
        })
    }

    /// Commits `change` after everything other writers committed. `state` takes in theirs, also where this
    /// fails, and ours where it succeeds.
    ///
    /// Fails with [`Error::Conflict`] where a file to remove is gone or a file to add is there already, with
    /// [`Error::WatermarkMoved`] where another commit carries the same application id, and with
    /// [`Error::Object`] where the object store fails for too long: then the commit may still appear.
    pub(crate) async fn commit(&self, state: &mut TableState, change: Change) -> Result<()> {
        let id = Uuid::new_v4().to_string();
        let lines = change.clone().into_lines(self.clock.now_ms(), &id);
        for _ in 0..RACES_MAX {
            self.check(state, &change)?;
            let watermark = change.txn.as_ref().and_then(|txn| state.watermark(&txn.app_id));
            let version = state.version + 1;
            let Some(theirs) = self.take_version(version, lines.clone(), &id).await? else {
                return state.apply(version, lines);
            };
            debug!(table = %self.table, version, "another writer was faster");
            state.apply(version, theirs)?;
            self.check_watermark(state, &change, watermark)?;
        }
        let reason = format!("{RACES_MAX} races lost in a row");
        Err(Error::Conflict { table: self.table.name(), reason })
    }

    fn check(&self, state: &TableState, change: &Change) -> Result<()> {
        let conflict = |path: &str, what: &str| {
            Err(Error::Conflict { table: self.table.name(), reason: format!("file `{path}` {what}") })
        };
        if let Some(gone) = change.removes.iter().find(|remove| !state.holds(&remove.path)) {
            return conflict(&gone.path, "is no longer in the table");
        }
        let leader = state.watermark(FENCE_APP_ID);
        if let Some((epoch, leader)) = change.fence.zip(leader).filter(|(epoch, leader)| leader > epoch) {
            return Err(Error::Fenced { table: self.table.name(), epoch, leader });
        }
        if let Some(twice) = change.adds.iter().find(|add| state.holds(&add.path)) {
            return conflict(&twice.path, "is already in the table");
        }
        Ok(())
    }

    fn check_watermark(&self, state: &TableState, change: &Change, before: Option<i64>) -> Result<()> {
        let Some(txn) = &change.txn else { return Ok(()) };
        match state.watermark(&txn.app_id) {
            Some(watermark) if Some(watermark) != before => {
                Err(Error::WatermarkMoved { table: self.table.name(), app_id: txn.app_id.clone(), watermark })
            }
            _ => Ok(()),
        }
    }

    /// Puts `lines` as `version`. `None` where they now stand there, the actions of the other writer where its
    /// commit does.
    async fn take_version(&self, version: i64, lines: Vec<Line>, id: &str) -> Result<Option<Vec<Line>>> {
        let key = self.commit_key(version);
        let bytes = encode(&lines).map_err(|error| Error::corrupt(&key, error))?;
        let payload = PutPayload::from(bytes);
        let mut failures = 0;
        loop {
            match self.attempt(version, &key, payload.clone(), id).await {
                Outcome::Ours => return Ok(None),
                Outcome::Theirs(lines) => return Ok(Some(lines)),
                Outcome::Failed(source) => {
                    failures += 1;
                    if failures >= FAILURES_MAX || is_final(&source) {
                        return Err(Error::object("write", &key, source));
                    }
                    warn!(table = %self.table, version, failures, error = %source, "commit failed, trying again");
                    tokio::time::sleep(pause(failures)).await;
                }
            }
        }
    }

    async fn attempt(&self, version: i64, key: &Path, payload: PutPayload, id: &str) -> Outcome {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let failure = match self.objects.put_opts(key, payload, options).await {
            Ok(_) => return Outcome::Ours,
            Err(failure) => failure,
        };
        // A read that fails says nothing new; what the put said is what counts.
        match self.read_commit(version).await {
            Ok(Some(lines)) if is_commit(&lines, id) => Outcome::Ours,
            Ok(Some(lines)) => Outcome::Theirs(lines),
            Ok(None) | Err(_) => Outcome::Failed(failure),
        }
    }

    /// Writes a checkpoint of `state` if the last one is old enough, then cleans up the log. True where it
    /// wrote one.
    pub(crate) async fn checkpoint_if_due(&self, state: &mut TableState) -> Result<bool> {
        if state.version - state.checkpoint_version.max(0) < CHECKPOINT_INTERVAL {
            return Ok(false);
        }
        self.checkpoint(state).await?;
        self.clean_up(state.checkpoint_version).await?;
        Ok(true)
    }

    /// Writes a checkpoint of `state`.
    pub(crate) async fn checkpoint(&self, state: &mut TableState) -> Result<()> {
        state.expire_tombstones(self.clock.now_ms());
        let lines = state.checkpoint_lines();
        let key = self.checkpoint_key(state.version);
        let actions = lines.len();
        let adds = state.files().count();
        let bytes = tokio::task::spawn_blocking(move || checkpoint::encode(&lines)).await?;
        let bytes = bytes.map_err(|error| Error::parquet(&key, error))?;
        let hint = json!({
            "version": state.version, "size": actions, "sizeInBytes": bytes.len(), "numOfAddFiles": adds,
        });
        self.put(&key, bytes).await?;
        self.put(&self.last_checkpoint_key(), hint.to_string().into_bytes()).await?;
        state.checkpoint_version = state.version;
        Ok(())
    }

    async fn put(&self, key: &Path, bytes: Vec<u8>) -> Result<()> {
        let put = self.objects.put(key, PutPayload::from(bytes)).await;
        put.map(|_| ()).map_err(|source| Error::object("write", key, source))
    }

    /// Deletes commits and checkpoints older than checkpoint `newest`, once they have lain for a day. Returns
    /// how many.
    pub(crate) async fn clean_up(&self, newest: i64) -> Result<usize> {
        let listing = self.list(None).await?;
        let cutoff_ms = self.clock.now_ms() - LOG_RETENTION_MS;
        let commits = listing.commits.range(..newest).map(|(_, meta)| meta);
        let checkpoints = listing.checkpoints.range(..newest).flat_map(|(_, parts)| parts);
        let old: Vec<Path> = commits
            .chain(checkpoints)
            .filter(|meta| meta.last_modified.timestamp_millis() < cutoff_ms)
            .map(|meta| meta.location.clone())
            .collect();
        let count = old.len();
        let old = futures::stream::iter(old).map(Ok).boxed();
        let deleted = self.objects.delete_stream(old).try_for_each(|_| async { Ok(()) }).await;
        deleted.map_err(|source| Error::object("delete", &self.root, source))?;
        Ok(count)
    }
}

fn is_commit(lines: &[Line], id: &str) -> bool {
    lines.iter().any(|line| line.commit_info.as_ref().is_some_and(|info| info.txn_id.as_deref() == Some(id)))
}

/// Failures another attempt cannot mend.
fn is_final(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    matches!(
        error,
        E::InvalidPath { .. }
            | E::NotSupported { .. }
            | E::NotImplemented { .. }
            | E::PermissionDenied { .. }
            | E::Unauthenticated { .. }
            | E::UnknownConfigurationKey { .. }
    )
}

/// Doubles with every failure; the random quarter keeps two writers from meeting again and again.
fn pause(failures: u32) -> Duration {
    let whole = PAUSE_FIRST.saturating_mul(1 << failures.min(16)).min(PAUSE_MAX);
    let dice = u32::from(Uuid::new_v4().as_bytes()[0]);
    whole - whole / 4 * dice / 255
}

#[cfg(test)]
mod tests;
