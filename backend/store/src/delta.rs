//! The Delta Lake log of one table, at reader version 1 and writer version 2 of the protocol
//! (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md>). Comes in: files to add and to remove. Goes
//! out: the set of live files and the watermarks of applications. A commit costs one conditional put, however
//! many files the table has. Knows nothing of what stands in the files.

pub(crate) mod actions;
pub(crate) mod checkpoint;
pub(crate) mod commit;
pub(crate) mod log;
pub(crate) mod state;
pub(crate) mod stats;

pub(crate) use commit::Change;
pub(crate) use log::TableLog;
pub(crate) use state::TableState;

/// Reader version of the Delta protocol the tables need.
pub(crate) const READER_VERSION: i32 = 1;
/// Writer version of the Delta protocol the tables need.
pub(crate) const WRITER_VERSION: i32 = 2;
/// Commits between two checkpoints.
pub(crate) const CHECKPOINT_INTERVAL: i64 = 100;
/// How long commits older than the newest checkpoint stay, in milliseconds: a day.
pub(crate) const LOG_RETENTION_MS: i64 = 86_400_000;
/// How long the log remembers removed files, in milliseconds: a week.
pub(crate) const TOMBSTONE_RETENTION_MS: i64 = 7 * 86_400_000;
/// Application id under which the maintenance leader's epoch stands in the log.
pub(crate) const FENCE_APP_ID: &str = "atl-maintenance";
/// Tag of an `add` action: CRC-32C of the whole file as eight hex digits. Only this program sets it.
pub(crate) const CRC32C_TAG: &str = "atl.crc32c";
/// Tag of an `add` action: level of the file; absent for 0.
pub(crate) const LEVEL_TAG: &str = "atl.level";
/// Tag of an `add` action: `false` where no row stands in another file of the day too; absent for `true`.
pub(crate) const MAY_REPEAT_TAG: &str = "atl.may-repeat";
