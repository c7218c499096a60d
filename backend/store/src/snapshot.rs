//! What a query reads: the head's generations and the committed files of one moment.
//!
//! Comes in: a view of the store, or a catalog alone. Goes out: record batches of the rows in memory, the files
//! that hold all others, label sets of both. Rows just committed are in memory and in files; a snapshot reads
//! them from one side only. Knows no query language.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::RecordBatch;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::catalog::{Catalog, DataFile, FileSets};
use crate::engine::view::View;
use crate::error::Result;
use crate::head::generation::Generation;
use crate::head::log_rows::service;
use crate::head::metric_rows::Selection;
use crate::head::metrics::Series;
use crate::head::scan::TableScan;
use crate::index::files::FileIndex;
use crate::index::live::LiveIndex;
use crate::objects::DurableFolder;
use crate::parquet_file::Footers;
use crate::paths::DAY_US;
use crate::samples::part_cache::PartCache;
use crate::series_files::{SeriesEntry, SeriesFiles};
use crate::tables::Table;
use crate::tokens::TokenIndex;

/// Which of the head's rows are asked for. A hint: a scan may return more rows, never fewer.
#[derive(Clone, Debug, Default)]
pub struct HeadFilter {
    /// Only this metric (tables `metrics` and `series`).
    pub metric: Option<String>,
    /// Only these series, or streams.
    pub tsids: Option<Arc<HashSet<i64>>>,
    /// Earliest time, inclusive, microseconds since the Unix epoch.
    pub start_us: Option<i64>,
    /// Latest time, inclusive, microseconds since the Unix epoch.
    pub end_us: Option<i64>,
}

impl HeadFilter {
    fn selection(&self) -> Selection {
        Selection {
            metric: self.metric.clone(),
            ids: self.tsids.clone(),
            start_us: self.start_us.unwrap_or(i64::MIN),
            end_us: self.end_us.unwrap_or(i64::MAX),
            with_day: true,
        }
    }
}

/// The samples in memory as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSpan {
    /// None is earlier; microseconds since the Unix epoch.
    pub start_us: i64,
    /// None is later.
    pub end_us: i64,
    /// Whether one may have the series and time of a sample in a file, as [`crate::FileTags::may_repeat`].
    pub may_repeat: bool,
}

/// Rows and files of one moment; cheap to hold, never changes sides for a row.
#[derive(Clone, Debug)]
pub struct Snapshot {
    head: Option<Arc<View>>,
    /// To be read beside the head.
    files: Arc<FileSets>,
    /// Everything committed.
    all_files: Arc<FileSets>,
    objects: Arc<dyn ObjectStore>,
    folder: Option<DurableFolder>,
    parts: Option<Arc<PartCache>>,
    prefix: Path,
    series_files: Arc<SeriesFiles>,
    tokens: Arc<TokenIndex>,
    series_index: Arc<FileIndex>,
    stream_index: Arc<FileIndex>,
}

impl Snapshot {
    pub(crate) fn of(view: Arc<View>, catalog: &Catalog) -> Snapshot {
        let (files, all_files) = (Arc::clone(&view.shown), Arc::clone(&view.files));
        Snapshot { head: Some(view), all_files, ..Snapshot::of_files(files, catalog) }
    }

    fn of_files(files: Arc<FileSets>, catalog: &Catalog) -> Snapshot {
        Snapshot {
            head: None,
            all_files: Arc::clone(&files),
            files,
            objects: Arc::clone(catalog.reads()),
            folder: catalog.folder().cloned(),
            parts: catalog.parts().cloned(),
            prefix: catalog.prefix().clone(),
            series_files: Arc::clone(catalog.series()),
            tokens: Arc::clone(catalog.tokens()),
            series_index: Arc::clone(catalog.file_index(Table::Series)),
            stream_index: Arc::clone(catalog.file_index(Table::LogStreams)),
        }
    }

    /// The committed files alone, as they are on the object store now.
    pub async fn read_only(catalog: &Catalog) -> Result<Snapshot> {
        Ok(Snapshot::of_files(catalog.refresh().await?, catalog))
    }

    /// The files of a table whose rows are not in memory, sorted by day, then by least key: with
    /// [`Snapshot::head_batches`] they make up the table.
    pub fn files(&self, table: Table) -> &[Arc<DataFile>] {
        self.files.table(table)
    }

    /// [`Snapshot::files`] of all tables.
    pub fn file_sets(&self) -> &Arc<FileSets> {
        &self.files
    }

    /// All committed files of a table, to be counted or shown. With [`Snapshot::unflushed_rows`] they make up
    /// the table; read with [`Snapshot::head_batches`] they would give rows twice.
    pub fn all_files(&self, table: Table) -> &[Arc<DataFile>] {
        self.all_files.table(table)
    }

    /// [`Snapshot::all_files`] of all tables.
    pub fn all_file_sets(&self) -> &Arc<FileSets> {
        &self.all_files
    }

    /// The rows in memory, which are in none of [`Snapshot::files`]: columns of [`Table::sql_schema`], sorted by [`Table::sort_columns`]
    /// within each batch and across them, at most 65,536 rows a batch. Of samples with the same series and
    /// time the one that [`crate::duplicates::wins`]. Of `series` and `log_streams` the label sets no flush of this process has
    /// committed for the day.
    ///
    /// Takes time in proportion to the rows; not to be called on an async thread for large heads.
    pub fn head_batches(&self, table: Table, filter: &HeadFilter) -> Result<Vec<RecordBatch>> {
        let Some(view) = &self.head else { return Ok(Vec::new()) };
        let committed = Arc::clone(view.committed(table));
        let mut scan =
            TableScan::new(table, view.generations(table), filter.selection(), committed, i32::MIN);
        let mut batches = Vec::new();
        while let Some(batch) = scan.next_batch()? {
            batches.push(batch);
        }
        Ok(batches)
    }

    /// Metrics with samples, histograms, start times or exemplars in the head, sorted.
    pub fn head_metric_names(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for generation in self.generations(Table::Metrics) {
            names.append(&mut generation.metrics.metric_names());
        }
        for table in [Table::Histograms, Table::StartTimes, Table::Exemplars] {
            self.each_sparse_series(table, |entry| {
                names.insert(entry.labels.name().to_owned());
            });
        }
        names.into_iter().collect()
    }

    /// Calls `f` with the series of a table's rows in memory, where the table is one of those with few rows.
    fn each_sparse_series(&self, table: Table, mut f: impl FnMut(SeriesEntry)) {
        for generation in self.generations(table) {
            let Some(rows) = generation.sparse.table(table) else { continue };
            rows.each_series(&mut |tsid, labels, min_ms, max_ms| {
                let labels = model::Labels::clone(labels);
                f(SeriesEntry { tsid, labels, first_ts_us: min_ms * 1_000, last_ts_us: max_ms * 1_000 });
            });
        }
    }

    /// Series with samples, histograms, start times or exemplars in the head, of one metric or all, sorted by tsid.
    pub fn head_series(&self, metric: Option<&str>) -> Vec<SeriesEntry> {
        let names = metric.map_or_else(|| self.head_metric_names(), |metric| vec![metric.to_owned()]);
        let mut entries = BTreeMap::new();
        for generation in self.generations(Table::Metrics) {
            for name in &names {
                for series in generation.metrics.series_of(name, |_| true) {
                    merge(&mut entries, head_entry(&series));
                }
            }
        }
        for table in [Table::Histograms, Table::StartTimes, Table::Exemplars] {
            self.each_sparse_series(table, |entry| {
                if metric.is_none_or(|metric| metric == entry.labels.name()) {
                    merge(&mut entries, entry);
                }
            });
        }
        entries.into_values().collect()
    }

    /// Log streams with entries in the head, of one service or all, sorted by stream id.
    pub fn head_streams(&self, of_service: Option<&str>) -> Vec<SeriesEntry> {
        let mut entries = BTreeMap::new();
        for generation in self.generations(Table::Logs) {
            for stream in generation.logs.streams(i64::MIN, i64::MAX, |_| true) {
                if of_service.is_none_or(|wanted| wanted == service(&stream.labels)) {
                    let entry = SeriesEntry {
                        tsid: stream.stream_id,
                        labels: stream.labels,
                        first_ts_us: stream.min_ns.div_euclid(1_000),
                        last_ts_us: stream.max_ns.div_euclid(1_000),
                    };
                    merge(&mut entries, entry);
                }
            }
        }
        entries.into_values().collect()
    }

    /// Series of a metric, from head and files, sorted by tsid. `days`: only files of these days and series
    /// of the head with samples on them, inclusive, in days since 1970-01-01.
    pub async fn series(&self, metric: &str, days: Option<RangeInclusive<i32>>) -> Result<Vec<SeriesEntry>> {
        let head = self.head_series(Some(metric));
        self.with_files(Table::Series, Some(metric), days, head).await
    }

    /// Log streams of a service, or all, from head and files, as [`Snapshot::series`].
    pub async fn streams(
        &self,
        service: Option<&str>,
        days: Option<RangeInclusive<i32>>,
    ) -> Result<Vec<SeriesEntry>> {
        self.with_files(Table::LogStreams, service, days, self.head_streams(service)).await
    }

    async fn with_files(
        &self,
        table: Table,
        key: Option<&str>,
        days: Option<RangeInclusive<i32>>,
        head: Vec<SeriesEntry>,
    ) -> Result<Vec<SeriesEntry>> {
        let in_days = |entry: &SeriesEntry| {
            days.as_ref().is_none_or(|days| {
                let start_us = i64::from(*days.start()) * DAY_US;
                let end_us = (i64::from(*days.end()) + 1) * DAY_US;
                entry.first_ts_us < end_us && entry.last_ts_us >= start_us
            })
        };
        let mut entries = BTreeMap::new();
        head.into_iter().filter(in_days).for_each(|entry| merge(&mut entries, entry));
        let files = self.files(table);
        for entry in self.series_files.read_series(&self.objects, files, key, days.clone()).await? {
            merge(&mut entries, entry);
        }
        Ok(entries.into_values().collect())
    }

    /// Metrics in head and files, sorted.
    pub async fn metric_names(&self) -> Result<Vec<String>> {
        let files = self.files(Table::Series);
        let mut names: BTreeSet<String> = self.head_metric_names().into_iter().collect();
        names.extend(self.series_files.metric_names(&self.objects, files).await?);
        Ok(names.into_iter().collect())
    }

    /// Rows of a table in memory, which are in none of [`Snapshot::files`]; about: repeated samples count
    /// twice, and of `series` and `log_streams` those a flush has committed count, too.
    pub fn head_rows(&self, table: Table) -> u64 {
        rows(&self.generations(table), table)
    }

    /// Rows of a table that are in none of [`Snapshot::all_files`], about, as [`Snapshot::head_rows`].
    pub fn unflushed_rows(&self, table: Table) -> u64 {
        self.head.as_ref().map_or(0, |view| rows(&view.unflushed(table), table))
    }

    /// The span of the samples in memory, about; `None` where there are none.
    pub fn head_span(&self) -> Option<HeadSpan> {
        let mut span: Option<HeadSpan> = None;
        for generation in self.generations(Table::Metrics) {
            let Some(max_ms) = generation.metrics.max_ms() else { continue };
            let first_day = generation.metrics.days().into_keys().next().map_or(i64::MIN, i64::from);
            let (start_us, end_us) = (first_day.saturating_mul(DAY_US), max_ms.saturating_mul(1_000));
            let known = span.get_or_insert(HeadSpan { start_us, end_us, may_repeat: false });
            known.start_us = known.start_us.min(start_us);
            known.end_us = known.end_us.max(end_us);
            known.may_repeat |= generation.may_repeat(Table::Metrics);
        }
        span
    }

    /// The earliest sample, histogram or start time that is in no file, milliseconds; `None` where all are. What
    /// lies before is in [`Snapshot::all_files`], and as long as those are the same it does not change.
    pub fn earliest_unflushed_ms(&self) -> Option<i64> {
        let view = self.head.as_ref()?;
        let samples = view.unflushed(Table::Metrics).into_iter();
        let samples = samples.filter_map(|generation| generation.metrics.min_growing_ms()).min();
        let sparse = [Table::Histograms, Table::StartTimes].into_iter().flat_map(|table| {
            let generations = view.unflushed(table).into_iter();
            generations.filter_map(move |generation| generation.sparse.table(table)?.min_ms())
        });
        samples.into_iter().chain(sparse).min()
    }

    /// The index of the files of `series`, or of `log_streams`.
    pub(crate) fn file_index(&self, table: Table) -> &Arc<FileIndex> {
        if table == Table::LogStreams { &self.stream_index } else { &self.series_index }
    }

    /// The index of the head's series, or of its log streams.
    pub(crate) fn live(&self, table: Table) -> Option<Arc<LiveIndex>> {
        let live = &self.head.as_ref()?.live;
        Some(Arc::clone(if table == Table::LogStreams { &live.streams } else { &live.series }))
    }

    /// Days on which there are samples, or log entries, whose label sets may be in no file.
    pub(crate) fn unflushed_days(&self, table: Table) -> BTreeSet<i32> {
        let of: &[Table] = if table == Table::LogStreams { &[Table::Logs] } else { &Table::OF_SERIES };
        let Some(view) = &self.head else { return BTreeSet::new() };
        let days = |of: &Table| {
            let unflushed = view.unflushed(*of).into_iter();
            unflushed.flat_map(|generation| generation.days(*of).into_keys()).collect::<Vec<i32>>()
        };
        of.iter().flat_map(days).collect()
    }

    /// The object store the files lie on, for reading them: through the cache where there is one.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Key of the folder the tables lie in.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Which log files can hold a word.
    pub(crate) fn tokens(&self) -> &TokenIndex {
        &self.tokens
    }

    /// The folder to read samples from, if that is where the files lie.
    pub(crate) fn folder(&self) -> Option<&DurableFolder> {
        self.folder.as_ref()
    }

    /// The cache of decoded samples, if there is one.
    pub(crate) fn parts(&self) -> Option<&Arc<PartCache>> {
        self.parts.as_ref()
    }

    /// Footers of data files.
    pub(crate) fn footers(&self) -> &Footers {
        self.series_files.footers()
    }

    /// Generations whose rows of `table` are in no file, oldest first.
    pub(crate) fn generations(&self, table: Table) -> Vec<Arc<Generation>> {
        self.head.as_ref().map_or_else(Vec::new, |view| view.generations(table))
    }
}

fn rows(generations: &[Arc<Generation>], table: Table) -> u64 {
    let rows = |generation: &Arc<Generation>| match table {
        Table::Series => generation.series_count(),
        Table::LogStreams => generation.logs.stream_count(),
        _ => generation.table_rows(table),
    };
    generations.iter().map(rows).sum()
}

fn head_entry(series: &Series) -> SeriesEntry {
    SeriesEntry {
        tsid: series.tsid,
        labels: model::Labels::clone(&series.labels),
        first_ts_us: series.min_ms * 1_000,
        last_ts_us: series.max_ms * 1_000,
    }
}

fn merge(entries: &mut BTreeMap<i64, SeriesEntry>, entry: SeriesEntry) {
    match entries.get_mut(&entry.tsid) {
        None => {
            entries.insert(entry.tsid, entry);
        }
        Some(known) => {
            known.first_ts_us = known.first_ts_us.min(entry.first_ts_us);
            known.last_ts_us = known.last_ts_us.max(entry.last_ts_us);
        }
    }
}
