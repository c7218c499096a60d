//! Reads a table's log: `_last_checkpoint`, the newest complete checkpoint, then the commits after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use model::Clock;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;
use tracing::warn;

use super::actions::{Line, decode};
use super::{TableState, checkpoint};
use crate::error::{Error, Result};
use crate::objects::check_length;
use crate::paths::table_root;
use crate::tables::Table;

/// Largest commit or checkpoint read, in bytes.
const LOG_OBJECT_BYTES_MAX: u64 = 1 << 30;
/// Commits fetched at once.
const FETCHES_AT_ONCE: usize = 16;
/// Attempts to load a log that is being cleaned up at the same time.
const LOAD_ATTEMPTS: usize = 4;

/// The log of one table on an object store.
#[derive(Clone, Debug)]
pub(crate) struct TableLog {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) table: Table,
    /// Key of the table's folder.
    pub(crate) root: Path,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What lies in a `_delta_log` folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) commits: BTreeMap<i64, ObjectMeta>,
    /// Parts of every complete checkpoint, in order.
    pub(crate) checkpoints: BTreeMap<i64, Vec<ObjectMeta>>,
}

impl TableLog {
    /// The log of `table` under the store's `prefix`.
    pub(crate) fn new(
        objects: Arc<dyn ObjectStore>,
        prefix: &Path,
        table: Table,
        clock: Arc<dyn Clock>,
    ) -> TableLog {
        TableLog { objects, table, root: table_root(prefix, table), clock }
    }

    fn folder(&self) -> Path {
        self.root.clone().join("_delta_log")
    }

    pub(crate) fn commit_key(&self, version: i64) -> Path {
        self.folder().join(format!("{version:020}.json"))
    }

    pub(crate) fn checkpoint_key(&self, version: i64) -> Path {
        self.folder().join(format!("{version:020}.checkpoint.parquet"))
    }

    pub(crate) fn last_checkpoint_key(&self) -> Path {
        self.folder().join("_last_checkpoint")
    }

    /// The table at its newest version; `None` where there is no table.
    pub(crate) async fn load(&self) -> Result<Option<TableState>> {
        let mut attempt = 1;
        loop {
            match self.load_once().await {
                // Between listing and reading, a clean-up took commits a newer checkpoint covers.
                Err(error) if error.is_not_found() && attempt < LOAD_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn load_once(&self) -> Result<Option<TableState>> {
        if let Some(version) = self.last_checkpoint().await? {
            let listing = self.list(Some(version)).await?;
            match self.replay_newest(&listing).await {
                Ok(Some(state)) if state.checkpoint_version >= version => return Ok(Some(state)),
                Ok(_) => {}
                Err(error @ Error::Corrupt { .. }) => {
                    warn!(table = %self.table, %error, "checkpoint unusable, reading the whole log");
                }
                Err(error) => return Err(error),
            }
        }
        self.replay_newest(&self.list(None).await?).await
    }

    /// The version `_last_checkpoint` names; a hint only, so that a damaged one counts as none.
    pub(crate) async fn last_checkpoint(&self) -> Result<Option<i64>> {
        let Some(bytes) = self.get(&self.last_checkpoint_key()).await? else { return Ok(None) };
        let hint: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(hint["version"].as_i64().filter(|version| *version >= 0))
    }

    /// Lists the log from checkpoint `from` on, or all of it.
    pub(crate) async fn list(&self, from: Option<i64>) -> Result<Listing> {
        let folder = self.folder();
        let stream = match from {
            // Sorts before `<version>.checkpoint.parquet` and `<version>.json`.
            Some(version) => {
                let offset = folder.clone().join(format!("{version:020}"));
                self.objects.list_with_offset(Some(&folder), &offset)
            }
            None => self.objects.list(Some(&folder)),
        };
        let mut metas: Vec<ObjectMeta> =
            stream.try_collect().await.map_err(|source| Error::object("list", &folder, source))?;
        metas.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(Listing::from_sorted(metas))
    }

    /// Replays from the newest checkpoint that can be read.
    async fn replay_newest(&self, listing: &Listing) -> Result<Option<TableState>> {
        let mut damage = None;
        for (&version, parts) in listing.checkpoints.iter().rev() {
            match self.read_checkpoint(version, parts).await {
                Ok(state) => return self.replay(state, listing).await.map(Some),
                Err(error @ Error::Corrupt { .. }) => {
                    warn!(table = %self.table, version, %error, "checkpoint is damaged");
                    damage = damage.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        if listing.commits.is_empty() {
            return damage.map_or(Ok(None), Err);
        }
        let empty = TableState::empty(self.table, self.root.clone());
        self.replay(empty, listing).await.map(Some)
    }

    async fn read_checkpoint(&self, version: i64, parts: &[ObjectMeta]) -> Result<TableState> {
        let mut lines = Vec::new();
        for part in parts {
            let key = part.location.clone();
            let bytes = self.must_get(&key).await?;
            let part_lines = tokio::task::spawn_blocking(move || checkpoint::read(bytes)).await?;
            lines.extend(part_lines.map_err(|error| Error::corrupt(&key, error))?);
        }
        let mut state = TableState::empty(self.table, self.root.clone());
        state.apply(version, lines)?;
        state.checkpoint_version = version;
        Ok(state)
    }

    async fn replay(&self, mut state: TableState, listing: &Listing) -> Result<TableState> {
        let first = state.version + 1;
        let mut fetches = Vec::new();
        for ((&version, meta), expected) in listing.commits.range(first..).zip(first..) {
            if version != expected {
                let missing = self.commit_key(expected);
                return Err(Error::corrupt(missing, "a later commit exists and this one does not"));
            }
            fetches.push(self.fetch_commit(version, meta.location.clone()));
        }
        let mut commits = futures::stream::iter(fetches).buffered(FETCHES_AT_ONCE);
        while let Some((version, lines)) = commits.try_next().await? {
            state.apply(version, lines)?;
        }
        Ok(state)
    }

    async fn fetch_commit(&self, version: i64, key: Path) -> Result<(i64, Vec<Line>)> {
        let bytes = self.must_get(&key).await?;
        Ok((version, decode(&bytes).map_err(|error| Error::corrupt(&key, error))?))
    }

    /// Takes in the commits after `state.version`. True where there were any.
    pub(crate) async fn catch_up(&self, state: &mut TableState) -> Result<bool> {
        let before = state.version;
        while let Some(lines) = self.read_commit(state.version + 1).await? {
            state.apply(state.version + 1, lines)?;
        }
        // The next commit may also be missing because it is old enough to have been cleaned up.
        if self.last_checkpoint().await?.is_some_and(|version| version > state.version) {
            *state = self.load().await?.ok_or_else(|| Error::corrupt(self.folder(), "the log is gone"))?;
        }
        Ok(state.version != before)
    }

    /// The actions of one commit; `None` where there is no such commit.
    pub(crate) async fn read_commit(&self, version: i64) -> Result<Option<Vec<Line>>> {
        let key = self.commit_key(version);
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        decode(&bytes).map(Some).map_err(|error| Error::corrupt(&key, error))
    }

    async fn must_get(&self, key: &Path) -> Result<Bytes> {
        self.get(key).await?.ok_or_else(|| {
            let source = "listed, and not there when read".into();
            Error::object("read", key, object_store::Error::NotFound { path: key.to_string(), source })
        })
    }

    async fn get(&self, key: &Path) -> Result<Option<Bytes>> {
        let failed = |source| Error::object("read", key, source);
        let answer = match self.objects.get(key).await {
            Ok(answer) => answer,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let size = answer.meta.size;
        if size > LOG_OBJECT_BYTES_MAX {
            return Err(Error::TooLarge { what: key.to_string(), size, limit: LOG_OBJECT_BYTES_MAX });
        }
        let bytes = answer.bytes().await.map_err(failed)?;
        check_length(key, &bytes, size)?;
        Ok(Some(bytes))
    }
}

impl Listing {
    fn from_sorted(metas: Vec<ObjectMeta>) -> Listing {
        let mut listing = Listing::default();
        let mut checkpoints: BTreeMap<(i64, usize), Vec<ObjectMeta>> = BTreeMap::new();
        for meta in metas {
            match LogObject::of(meta.location.filename().unwrap_or_default()) {
                Some(LogObject::Commit(version)) => {
                    listing.commits.insert(version, meta);
                }
                Some(LogObject::CheckpointPart { version, parts }) => {
                    checkpoints.entry((version, parts)).or_default().push(meta);
                }
                None => {}
            }
        }
        for ((version, parts), metas) in checkpoints {
            if metas.len() == parts {
                listing.checkpoints.insert(version, metas);
            }
        }
        listing
    }
}

/// An object of a log, told by its name.
#[derive(Debug, PartialEq, Eq)]
enum LogObject {
    Commit(i64),
    CheckpointPart { version: i64, parts: usize },
}

impl LogObject {
    fn of(name: &str) -> Option<LogObject> {
        let (digits, rest) = name.split_at_checked(20)?;
        let version = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        match rest {
            ".json" => Some(LogObject::Commit(version)),
            ".checkpoint.parquet" => Some(LogObject::CheckpointPart { version, parts: 1 }),
            _ => {
                let numbers = rest.strip_prefix(".checkpoint.")?.strip_suffix(".parquet")?;
                let (part, parts) = numbers.split_once('.')?;
                let (_, parts) = (part.parse::<usize>().ok()?, parts.parse().ok()?);
                Some(LogObject::CheckpointPart { version, parts })
            }
        }
    }
}

#[cfg(test)]
mod tests;
