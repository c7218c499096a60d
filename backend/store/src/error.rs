//! What can go wrong in this crate, told apart by what the caller can do about it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The object store did not do what it was asked; trying again later may help.
    #[error("cannot {operation} object `{key}`: {source}")]
    Object {
        /// The act that failed: `read`, `write`, `list` …
        operation: &'static str,
        /// Key of the object, or the prefix listed.
        key: String,
        /// What the object store said.
        #[source]
        source: Box<object_store::Error>,
    },
    /// The object store lacks a property the tables rest on; the program must not start on it.
    #[error("object store `{store}` cannot hold the tables: {reason}")]
    Contract {
        /// The object store, as it names itself.
        store: String,
        /// What it got wrong and what to do.
        reason: String,
    },
    /// A local file or directory failed.
    #[error("cannot use `{path}`: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Parquet could not be written or read.
    #[error("parquet file `{key}`: {source}")]
    Parquet {
        /// Key of the file.
        key: String,
        /// What the Parquet library said.
        #[source]
        source: Box<parquet::errors::ParquetError>,
    },
    /// Arrow data could not be built or converted.
    #[error("arrow data: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// An object is not what its name promises.
    #[error("object `{key}` is damaged: {reason}")]
    Corrupt {
        /// Key of the object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Rows or a table on the store have other columns than this program's.
    #[error("table `{table}` does not fit: {reason}")]
    Schema {
        /// Name of the table.
        table: &'static str,
        /// The difference.
        reason: String,
    },
    /// The table asks for a newer Delta protocol than this program knows.
    #[error("table `{table}` needs delta reader {reader} and writer {writer}; this program knows 1 and 2")]
    Protocol {
        /// Name of the table.
        table: &'static str,
        /// Reader version asked for.
        reader: i32,
        /// Writer version asked for.
        writer: i32,
    },
    /// A file is of a later version of this program's own formats. It is left as it is.
    #[error(
        "`{what}` has format {found}; this program knows formats up to {known}: use a later version of it"
    )]
    Newer {
        /// The file or object.
        what: String,
        /// Its format.
        found: u32,
        /// The latest format known here.
        known: u32,
    },
    /// Another writer changed what this commit builds on; nothing was committed.
    #[error("commit to table `{table}` conflicts with another writer: {reason}")]
    Conflict {
        /// Name of the table.
        table: &'static str,
        /// The change that stands in the way.
        reason: String,
    },
    /// An earlier commit of the same application, thought lost, has arrived. Nothing was committed now;
    /// leave out the rows up to `watermark` and commit again.
    #[error("table `{table}` already holds the rows of `{app_id}` up to {watermark}")]
    WatermarkMoved {
        /// Name of the table.
        table: &'static str,
        /// Application id of the Delta `txn` action.
        app_id: String,
        /// The version now committed.
        watermark: i64,
    },
    /// The catalog was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// A setting is wrong.
    #[error("invalid store setting: {0}")]
    Setting(String),
    /// A key asked for from outside is not a key inside the store.
    #[error("`{0}` is not a key inside the store")]
    Key(String),
    /// Something is larger than this program takes in.
    #[error("`{what}` has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The write-ahead log could not make the batch durable; it is not stored. Send it again later.
    #[error("the log cannot be written: {source}")]
    Unavailable {
        /// How long to wait before sending it again.
        retry_after: Duration,
        /// What the operating system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A limit of the store is reached because the tables cannot be written as fast as batches come in.
    /// The batch is not stored. Send it again later.
    #[error("{what} holds {size} bytes, the limit is {limit}")]
    Backpressure {
        /// What is full: the log, the head, the queue.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
        /// How long to wait before sending it again.
        retry_after: Duration,
    },
    /// A batch holds something the tables cannot; sending it again will not help.
    #[error("invalid batch: {0}")]
    InvalidBatch(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Another process uses the data directory.
    #[error("`{path}` is in use by another process")]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// The last flush did not end in time; the rows are safe in the log and will be committed after the
    /// next start.
    #[error("the last flush did not end within {after:?}; {rows} rows wait in the log for the next start")]
    Unflushed {
        /// How long it was given.
        after: Duration,
        /// Rows not committed to the tables.
        rows: u64,
    },
    /// A reading selects more samples than it may; ask for fewer series or a shorter time.
    #[error("more than {limit} samples are selected")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// Whoever asked for a reading has called it off.
    #[error("the reading was called off")]
    Stopped,
    /// A later maintenance leader has committed to the table; this one leads no longer.
    #[error("maintenance leader of epoch {epoch} was replaced: epoch {leader} has committed to `{table}`")]
    Fenced {
        /// Name of the table.
        table: &'static str,
        /// This leader's epoch.
        epoch: i64,
        /// The later leader's epoch.
        leader: i64,
    },
    /// Another process is the maintenance leader.
    #[error("`{holder}` maintains the tables until {}", crate::paths::iso_ms(*expires_ms))]
    LeaseHeld {
        /// The leader, as it names itself.
        holder: String,
        /// When its lease ends unless it is renewed, milliseconds since the Unix epoch.
        expires_ms: i64,
    },
    /// Maintenance was called off: the store closes, the lease was lost or the time given was over.
    #[error("maintenance was called off")]
    Cancelled,
    /// Work was called off because it took longer than it may.
    #[error("{what} took longer than {limit:?}")]
    TookTooLong {
        /// The work.
        what: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// A thread ended without an answer.
    #[error("{what} panicked")]
    Panicked {
        /// What it was at.
        what: &'static str,
    },
    /// A background task ended before its work was done.
    #[error("background task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// Wraps a failure of a local file or directory.
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Io { path: path.into(), source }
    }

    /// Wraps an object store failure with what was attempted on which key.
    pub(crate) fn object(operation: &'static str, key: impl ToString, source: object_store::Error) -> Error {
        Error::Object { operation, key: key.to_string(), source: Box::new(source) }
    }

    /// Wraps a Parquet failure with the file's key.
    pub(crate) fn parquet(key: impl ToString, source: parquet::errors::ParquetError) -> Error {
        Error::Parquet { key: key.to_string(), source: Box::new(source) }
    }

    /// An object that is not what its name promises.
    pub(crate) fn corrupt(key: impl ToString, reason: impl ToString) -> Error {
        Error::Corrupt { key: key.to_string(), reason: reason.to_string() }
    }

    /// True where the object asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Object { source, .. } if matches!(**source, object_store::Error::NotFound { .. }))
    }
}
