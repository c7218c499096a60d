//! The rows of one stretch of the log.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use model::{Batch, ProbeResult};
use tokio::sync::Notify;

use super::logs::LogsHead;
use super::metrics::{DAY_MS, MetricsHead, read, write};
use super::registry::{Arrivals, Registry, RegistryIndex};
use super::sealed;
use super::sparse::{SparseHead, SparseRows, SparseTable};
use crate::ids::Ids;
use crate::index::live::Live;
use crate::sparse::{ExemplarRow, HistogramRow, StartRow};
use crate::tables::Table;
use crate::wal::Lsn;

/// A set of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSet(u8);

impl TableSet {
    /// Whether `table` is in the set.
    pub(crate) fn contains(self, table: Table) -> bool {
        self.0 & (1 << table as u8) != 0
    }

    /// All tables but `table`.
    pub(crate) fn all_but(table: Table) -> TableSet {
        let others = Table::ALL.into_iter().filter(|other| *other != table);
        others.fold(TableSet::default(), TableSet::with)
    }

    /// The set with `table`.
    pub(crate) fn with(self, table: Table) -> TableSet {
        TableSet(self.0 | 1 << table as u8)
    }
}

/// The label sets of both kinds in use.
#[derive(Debug)]
pub(crate) struct Registries {
    /// Series; ids are tsids.
    pub(crate) series: Registry,
    /// Log streams.
    pub(crate) streams: Registry,
}

/// A batch's label sets, found in the registries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    /// A position for every one of [`Batch::series`].
    pub(crate) series: Vec<RegistryIndex>,
    /// A position for every log stream.
    pub(crate) streams: Vec<RegistryIndex>,
}

impl Default for Registries {
    fn default() -> Registries {
        Registries::new(Ids::default(), &Arc::default())
    }
}

impl Registries {
    /// Registries without label sets. `series`: how ids of series are made; `index_wanted` is told when their
    /// indexes have something to build.
    pub(crate) fn new(series: Ids, index_wanted: &Arc<Notify>) -> Registries {
        Registries {
            series: Registry::new(Table::Series, series, index_wanted),
            streams: Registry::new(Table::LogStreams, Ids::Hashes, index_wanted),
        }
    }

    /// The indexes of the label sets.
    pub(crate) fn live(&self) -> Live {
        Live { series: Arc::clone(self.series.index()), streams: Arc::clone(self.streams.index()) }
    }

    /// Finds or adds the label sets of a batch.
    pub(crate) fn resolve(&mut self, batch: &Batch) -> Resolved {
        Resolved {
            series: batch.series().map(|labels| self.series.resolve(labels)).collect(),
            streams: batch.log_streams.iter().map(|stream| self.streams.resolve(&stream.labels)).collect(),
        }
    }
}

/// Rows between two points of the log; grows while it is the newest.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Rises by one with every generation; from 1.
    pub(crate) sequence: u32,
    /// Samples.
    pub(crate) metrics: MetricsHead,
    /// Log entries.
    pub(crate) logs: LogsHead,
    /// Histograms, start times and exemplars.
    pub(crate) sparse: SparseHead,
    probes: RwLock<Vec<Arc<ProbeResult>>>,
    probe_bytes: AtomicU64,
    last_lsn: AtomicU64,
    may_repeat: AtomicBool,
}

impl Generation {
    /// An empty generation.
    pub(crate) fn new(sequence: u32) -> Generation {
        Generation {
            sequence,
            metrics: MetricsHead::default(),
            logs: LogsHead::default(),
            sparse: SparseHead::default(),
            probes: RwLock::default(),
            probe_bytes: AtomicU64::new(0),
            last_lsn: AtomicU64::new(0),
            may_repeat: AtomicBool::new(false),
        }
    }

    /// An empty generation that follows on this one and makes room for as many series.
    pub(crate) fn successor(&self) -> Generation {
        let metrics = MetricsHead::with_room_for(self.metrics.series_count());
        Generation { metrics, ..Generation::new(self.sequence + 1) }
    }

    /// The rows of one table (one of [`Table::WITH_ROWS`]) of several generations, oldest first, packed.
    /// `None` where they do not fit into one. Reads them all: not for an async thread.
    pub(crate) fn packed(table: Table, parts: &[Arc<Generation>]) -> Option<Generation> {
        let sequence = parts.last().map_or(0, |part| part.sequence);
        let mut packed = Generation::new(sequence);
        if parts.iter().any(|part| part.may_repeat(table)) {
            packed.note_repeats();
        }
        match table {
            Table::Metrics | Table::Series => {
                let heads: Vec<&MetricsHead> = parts.iter().map(|part| &part.metrics).collect();
                packed.metrics = MetricsHead::of_sealed(sealed::merge(&heads)?);
            }
            Table::Logs | Table::LogStreams => {
                packed.logs = LogsHead::merged(parts.iter().map(|part| &part.logs));
            }
            Table::Probes => {
                let results: Vec<Arc<ProbeResult>> = parts.iter().flat_map(|part| part.probes()).collect();
                let bytes = parts.iter().map(|part| part.probe_bytes.load(Relaxed)).sum();
                (packed.probes, packed.probe_bytes) = (RwLock::new(results), AtomicU64::new(bytes));
            }
            Table::Histograms => {
                let parts = parts.iter().map(|part| &part.sparse.histograms);
                packed.sparse.histograms = SparseRows::merged(parts);
            }
            Table::StartTimes => {
                packed.sparse.starts = SparseRows::merged(parts.iter().map(|part| &part.sparse.starts));
            }
            Table::Exemplars => {
                let parts = parts.iter().map(|part| &part.sparse.exemplars);
                packed.sparse.exemplars = SparseRows::merged(parts);
            }
        }
        Some(packed)
    }

    /// Adds a batch's rows. Called by one thread only, with rising `lsn`.
    pub(crate) fn append(
        &self,
        lsn: Lsn,
        received_ms: i64,
        batch: Batch,
        resolved: &Resolved,
        registries: &mut Registries,
    ) -> Arrivals {
        let (series, sequence) = (&mut registries.series, self.sequence);
        let (points, others) = resolved.series.split_at(batch.points.len());
        let arrivals = self.metrics.append(&batch.points, points, series, sequence, received_ms);
        let (histograms, others) = others.split_at(batch.histograms.len());
        let (starts, exemplars) = others.split_at(batch.starts.len());
        let SparseHead { histograms: histogram_rows, starts: start_rows, exemplars: exemplar_rows } =
            &self.sparse;
        histogram_rows.append(batch.histograms.iter().map(HistogramRow::from), histograms, series, sequence);
        start_rows.append(batch.starts.iter().map(StartRow::from), starts, series, sequence);
        exemplar_rows.append(batch.exemplars.iter().map(ExemplarRow::from), exemplars, series, sequence);
        if arrivals.may_repeat {
            self.note_repeats();
        }
        for (stream, index) in batch.log_streams.into_iter().zip(&resolved.streams) {
            self.logs.append(stream.entries, *index, &mut registries.streams, self.sequence);
        }
        if !batch.probes.is_empty() {
            let bytes: usize = batch.probes.iter().map(probe_bytes).sum();
            self.probe_bytes.fetch_add(bytes as u64, Relaxed);
            write(&self.probes).extend(batch.probes.into_iter().map(Arc::new));
        }
        self.note_lsn(lsn);
        arrivals
    }

    /// Notes that rows may repeat what was written before.
    pub(crate) fn note_repeats(&self) {
        self.may_repeat.store(true, Relaxed);
    }

    /// False where no row of `table` in here has the key and time of a row this node wrote before or found
    /// in the tables when it started. Only ever false for `metrics`.
    pub(crate) fn may_repeat(&self, table: Table) -> bool {
        table != Table::Metrics || self.may_repeat.load(Relaxed)
    }

    /// Notes that the records up to `lsn` have nothing more for this generation.
    pub(crate) fn note_lsn(&self, lsn: Lsn) {
        self.last_lsn.fetch_max(lsn, Relaxed);
    }

    /// The last record whose rows are in here; 0 for none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.last_lsn.load(Relaxed)
    }

    /// Probe results, in order of writing.
    pub(crate) fn probes(&self) -> Vec<Arc<ProbeResult>> {
        read(&self.probes).clone()
    }

    /// Rows of all tables rows come in for.
    pub(crate) fn rows(&self) -> u64 {
        Table::WITH_ROWS.iter().map(|table| self.table_rows(*table)).sum()
    }

    /// Rows of `probes`.
    pub(crate) fn probe_rows(&self) -> u64 {
        read(&self.probes).len() as u64
    }

    /// Bytes on the heap, without the label sets, which the registries count.
    pub(crate) fn heap_bytes(&self) -> u64 {
        Table::WITH_ROWS.iter().map(|table| self.table_bytes(*table)).sum()
    }

    /// Bytes of the rows that make up `table`.
    pub(crate) fn table_bytes(&self, table: Table) -> u64 {
        match table {
            Table::Metrics | Table::Series => self.metrics.heap_bytes(),
            Table::Logs | Table::LogStreams => self.logs.heap_bytes(),
            Table::Probes => self.probe_bytes.load(Relaxed),
            _ => self.sparse.table(table).map_or(0, SparseTable::heap_bytes),
        }
    }

    /// Rows of the table `table` is made of; of `series` those of `metrics`.
    pub(crate) fn table_rows(&self, table: Table) -> u64 {
        match table {
            Table::Metrics | Table::Series => self.metrics.rows(),
            Table::Logs | Table::LogStreams => self.logs.rows(),
            Table::Probes => self.probe_rows(),
            _ => self.sparse.table(table).map_or(0, SparseTable::rows),
        }
    }

    /// Time of the latest row that makes up `table`, milliseconds.
    pub(crate) fn newest_ms(&self, table: Table) -> Option<i64> {
        match table {
            Table::Metrics | Table::Series => self.metrics.max_ms(),
            Table::Logs | Table::LogStreams => self.logs.max_ns().map(|ns| ns.div_euclid(1_000_000)),
            Table::Probes => read(&self.probes).iter().map(|probe| probe.timestamp_ms).max(),
            _ => self.sparse.table(table).and_then(SparseTable::max_ms),
        }
    }

    /// Days on which the table gets rows from here, with the number of samples, entries or results.
    pub(crate) fn days(&self, table: Table) -> BTreeMap<i32, u64> {
        match table {
            Table::Metrics => self.metrics.days(),
            Table::Series => {
                let mut days = self.metrics.days();
                for (day, rows) in self.sparse.tables().into_iter().flat_map(SparseTable::days) {
                    *days.entry(day).or_default() += rows;
                }
                days
            }
            Table::Logs | Table::LogStreams => self.logs.days(),
            Table::Probes => {
                let mut days = BTreeMap::new();
                for probe in read(&self.probes).iter() {
                    *days.entry(probe.timestamp_ms.div_euclid(DAY_MS) as i32).or_default() += 1;
                }
                days
            }
            _ => self.sparse.table(table).map(SparseTable::days).unwrap_or_default(),
        }
    }

    /// Series with rows of any kind, about: as many as the kind has that has most.
    pub(crate) fn series_count(&self) -> u64 {
        let sparse = self.sparse.tables().into_iter().map(SparseTable::series_count).max();
        self.metrics.series_count().max(sparse.unwrap_or(0))
    }
}

fn probe_bytes(probe: &ProbeResult) -> usize {
    let texts = [&probe.probe, &probe.target, &probe.kind, &probe.location, &probe.result_id];
    let options = [&probe.reason, &probe.http_version, &probe.ip, &probe.tls_version, &probe.tls_cipher];
    let attributes: usize = probe.attributes.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
    size_of::<ProbeResult>()
        + texts.iter().map(|text| text.len()).sum::<usize>()
        + options.iter().map(|text| text.as_ref().map_or(0, String::len)).sum::<usize>()
        + attributes
}
