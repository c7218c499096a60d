//! Keeps samples, log entries and probe results durable and findable, in open Delta tables of Parquet files.
//!
//! Comes in: [`model::Batch`]es. Goes out: an answer once a batch is on disk, and [`Snapshot`]s that hold
//! every row exactly once: the rows of the head and the committed files. Knows object storage, Arrow,
//! Parquet and the local disk; knows nothing of HTTP, SQL, PromQL or LogQL.

pub mod catalog;
pub mod compact;
pub mod config;
pub mod contract;
mod dedup;
mod delta;
pub mod duplicates;
mod engine;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod ids;
mod index;
pub mod inspect;
pub mod lease;
pub mod memory;
pub mod objects;
mod offload;
pub mod parquet_file;
pub mod paths;
mod range_cache;
mod retention;
mod s3fifo;
pub mod samples;
pub mod series_files;
mod snapshot;
pub mod sparse;
mod stats;
pub mod tables;
#[cfg(test)]
mod testing;
pub mod tokens;
mod wal;

pub use catalog::{Catalog, DataFile, FileSets, TableFiles};
pub use compact::{
    CompactionPolicy, CompactionProgress, CompactionReport, CompactionScope, CompactionStats, Compactor,
    ProgressFn, compact_catalog,
};
pub use config::{Config, Retention};
pub use engine::Store;
pub use engine::append::Appended;
pub use engine::flush::FlushReport;
pub use error::{Error, Result};
pub use head::metadata::MetadataByFamily;
pub use index::cardinality::{Cardinality, Count};
pub use index::query::LabelTexts;
pub use lease::{Leadership, Lease, LeaseSettings, LeaseStats};
pub use parquet_file::{FileStats, FileTags, WriteProfile, WrittenFile};
pub use range_cache::{CacheConfig, CacheStats, CacheTierStats};
pub use retention::{VACUUM_GRACE_MIN, VacuumReport};
pub use series_files::{SeriesEntry, SeriesFiles, read_series};
pub use snapshot::{HeadFilter, HeadSpan, Snapshot};
pub use stats::{AppendStats, FlushStats, HeadStats, HotStats, IndexStats, StoreStats, WalStats};
pub use tables::Table;
pub use tokens::{Needle, RowGroupSelection, TokenIndex, TokenStats};
pub use wal::replay::{Damage, ReplayProgress, ReplayReport};
