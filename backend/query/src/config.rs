//! What a query may use up, and how one query is asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::memory::Ledger;

use crate::prom::PromConfig;

/// Limits of the engine. Every query gets the same ones.
#[derive(Clone, Debug)]
pub struct Config {
    /// Longest time from admission to the last row delivered.
    pub timeout: Duration,
    /// Memory one query may hold for sorts, joins and groups, in bytes. Rows on their way through are not
    /// counted; the engine as a whole uses up to `max_concurrent` times this.
    pub memory_limit: usize,
    /// Most rows of an answer; what comes after is cut off and the answer says so.
    pub row_limit: usize,
    /// Where sorts and groups that outgrow `memory_limit` go.
    pub spill: Spill,
    /// Queries that run at once; others wait.
    pub max_concurrent: usize,
    /// Longest time a query waits for its turn.
    pub queue_timeout: Duration,
    /// Parquet footers and page indexes kept in memory for later queries, in bytes.
    pub metadata_cache: usize,
    /// The account of the process's memory, which queries take theirs from.
    pub ledger: Option<Arc<Ledger>>,
    /// Limits of PromQL queries.
    pub prom: PromConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            timeout: Duration::from_secs(30),
            memory_limit: 512 << 20,
            row_limit: 1_000_000,
            spill: Spill::default(),
            max_concurrent: 4,
            queue_timeout: Duration::from_secs(5),
            metadata_cache: 32 << 20,
            ledger: None,
            prom: PromConfig::default(),
        }
    }
}

/// Temporary files of queries.
#[derive(Clone, Debug)]
pub struct Spill {
    /// Directory for them, made when missing; the system's own where `None`.
    pub directory: Option<PathBuf>,
    /// Most bytes on disk, over all queries. Zero forbids spilling.
    pub limit: u64,
}

impl Default for Spill {
    fn default() -> Spill {
        Spill { directory: None, limit: 1 << 30 }
    }
}

/// How one query is to be answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions {
    /// Most rows wanted; never more than [`Config::row_limit`].
    pub limit: Option<usize>,
    /// What happens when there are more rows than that.
    pub past_limit: PastLimit,
}

/// What to do with rows past the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PastLimit {
    /// Leave them out and set [`crate::AnswerStats::truncated`].
    #[default]
    Truncate,
    /// End the answer with [`crate::QueryErrorKind::RowLimit`], for callers that must not work on a part.
    Fail,
}
