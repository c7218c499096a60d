//! Settings of the store.

use std::path::PathBuf;
use std::time::Duration;

use crate::compact::CompactionPolicy;
use crate::error::{Error, Result};
use crate::lease::LeaseSettings;
use crate::objects::DurableFolder;
use crate::range_cache::CacheConfig;
use crate::tables::Table;

/// Settings of one store. Sizes are bytes unless the name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Local directory for the log; one process at a time may use it.
    pub data_dir: PathBuf,
    /// Longest time rows wait in the head before they are committed to the tables.
    pub flush_interval: Duration,
    /// Rows in the head that start a flush early.
    pub flush_rows: u64,
    /// Size of the head that starts a flush early.
    pub flush_bytes: u64,
    /// Most rows in one file a flush writes; bounds the memory of a flush.
    pub flush_file_rows: u64,
    /// Size after which the log goes on in a new segment.
    pub wal_segment_bytes: u64,
    /// Size of the log beyond which batches are refused, for when the object store stays away.
    pub wal_bytes_max: u64,
    /// How long the first batch of a group waits for others to share its fsync; at most 20 ms.
    pub group_wait: Duration,
    /// Size of the head beyond which batches are refused.
    pub head_bytes_max: u64,
    /// How long rows stay in memory after they were committed, by their time and by the clock, so that
    /// queries for them need no file; zero for not at all.
    pub hot_window: Duration,
    /// Size of all rows kept so; beyond it the oldest go early.
    pub hot_bytes_max: u64,
    /// Size of the log entries among them, which take far more memory than samples.
    pub hot_logs_bytes_max: u64,
    /// Memory the process may account for: rows, label sets, indexes and caches of the store, and what queries
    /// reserve. The store gives up hot rows and caches before it refuses batches.
    pub memory_limit: u64,
    /// How far behind the newest sample of its series one may be and count as out of order; further behind
    /// it counts as too old. Both are stored.
    pub out_of_order_window: Duration,
    /// Samples older than this are dropped and counted; `None` stores samples of any age.
    pub reject_older_than: Option<Duration>,
    /// Samples further ahead of the clock than this are dropped and counted: retention would keep the files
    /// of their days for as long. `None` stores them.
    pub reject_future: Option<Duration>,
    /// Size of batches that may wait to be written; further ones wait outside.
    pub queue_bytes_max: u64,
    /// Largest batch.
    pub batch_bytes_max: u64,
    /// Most batches remembered to find repetitions, 16 bytes and a little each.
    pub dedup_batches_max: usize,
    /// Bytes of the index of files kept for series; for log streams a quarter of it. Days a query needs are
    /// kept as long as it runs, so a query over more series takes more.
    pub index_bytes_max: u64,
    /// How long rows are kept.
    pub retention: Retention,
    /// How often rows past their time are removed.
    pub retention_interval: Duration,
    /// How often files that no table names any more are deleted.
    pub vacuum_interval: Duration,
    /// How long such files are kept for queries that still read them.
    pub vacuum_grace: Duration,
    /// Memory for token filters of log files.
    pub token_bytes_max: u64,
    /// The cache of ranges of data files, in the folder `cache` of `data_dir` and in memory. `None` reads every range
    /// from the object store, as is best where that is a local folder.
    pub cache: Option<CacheConfig>,
    /// The folder the tables lie in, where they are not in a bucket: samples are read from there in few steps rather
    /// than through the object store given, which must be the same folder. `None` reads all through the object store.
    pub folder: Option<DurableFolder>,
    /// Most the samples decoded from files may take in memory, in bytes; a 32nd of `memory_limit` where that is less.
    /// 0 keeps none.
    pub part_cache_bytes_max: u64,
    /// How often files are looked through for some to merge.
    pub compaction_interval: Duration,
    /// When files are merged, and how far.
    pub compaction: CompactionPolicy,
    /// The lease under which one process maintains the tables.
    pub lease: LeaseSettings,
    /// How long [`crate::Store::close`] tries to commit what is in the head.
    pub close_timeout: Duration,
    /// What a refused sender is told to wait.
    pub retry_after: Duration,
}

/// Days rows are kept, the day they happened on included; `None` keeps them for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Of `metrics`, `series`, `histograms`, `start_times` and `exemplars`.
    pub metrics_days: Option<u32>,
    /// Of `logs` and `log_streams`.
    pub logs_days: Option<u32>,
    /// Of `probes`.
    pub probes_days: Option<u32>,
}

impl Retention {
    /// Days rows of `table` are kept.
    pub fn days(&self, table: Table) -> Option<u32> {
        match table {
            Table::Logs | Table::LogStreams => self.logs_days,
            Table::Probes => self.probes_days,
            _ => self.metrics_days,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data_dir: PathBuf::from("atl-data"),
            flush_interval: Duration::from_secs(300),
            flush_rows: 4_000_000,
            flush_bytes: 256 << 20,
            flush_file_rows: 1_000_000,
            wal_segment_bytes: 64 << 20,
            wal_bytes_max: 4 << 30,
            group_wait: Duration::from_millis(1),
            head_bytes_max: 2 << 30,
            hot_window: Duration::from_secs(2 * 3600),
            hot_bytes_max: 512 << 20,
            memory_limit: crate::memory::Ledger::default_limit(),
            hot_logs_bytes_max: 64 << 20,
            out_of_order_window: Duration::from_secs(2 * 3600),
            reject_older_than: None,
            reject_future: Some(Duration::from_secs(24 * 3600)),
            queue_bytes_max: 64 << 20,
            batch_bytes_max: 48 << 20,
            dedup_batches_max: 2_000_000,
            index_bytes_max: 96 << 20,
            retention: Retention::default(),
            retention_interval: Duration::from_secs(24 * 3600),
            vacuum_interval: Duration::from_secs(3600),
            vacuum_grace: Duration::from_secs(24 * 3600),
            token_bytes_max: 64 << 20,
            cache: None,
            folder: None,
            part_cache_bytes_max: 32 << 20,
            compaction_interval: Duration::from_secs(300),
            compaction: CompactionPolicy::default(),
            lease: LeaseSettings::default(),
            close_timeout: Duration::from_secs(8),
            retry_after: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Fails where a setting makes no sense.
    pub fn validate(&self) -> Result<()> {
        let refuse = |text: &str| Err(Error::Setting(text.to_owned()));
        if self.group_wait > Duration::from_millis(20) {
            return refuse("`group_wait` is more than 20 ms");
        }
        if self.flush_interval < Duration::from_secs(1) {
            return refuse("`flush_interval` is less than a second");
        }
        if self.wal_segment_bytes < 4096 || self.wal_bytes_max < self.wal_segment_bytes {
            return refuse("`wal_segment_bytes` is less than 4096 or more than `wal_bytes_max`");
        }
        if self.batch_bytes_max > crate::wal::frame::PAYLOAD_BYTES_MAX as u64 * 3 / 4 {
            return refuse("`batch_bytes_max` is more than 48 MiB");
        }
        if self.flush_file_rows == 0 || self.flush_rows == 0 {
            return refuse("`flush_file_rows` and `flush_rows` must be at least 1");
        }
        if self.compaction_interval < Duration::from_secs(1) || self.lease.ttl < Duration::from_secs(3) {
            return refuse(
                "`compaction_interval` is less than a second or the lease's `ttl` less than three",
            );
        }
        self.compaction.validate()?;
        if self.vacuum_grace < Duration::from_secs(3600) {
            return refuse("`vacuum_grace` is less than an hour, which running queries need");
        }
        Ok(())
    }
}
