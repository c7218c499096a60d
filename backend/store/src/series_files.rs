//! Reads `series` and `log_streams` files: which label sets were there, and when.
//!
//! Comes in: files of these tables. Goes out: label sets merged over files and days. What a file holds is
//! kept in memory as long as there is room, since files never change.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, AsArray, MapArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::{StreamExt, TryStreamExt};
use model::{Labels, LabelsBuilder};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::parquet_file::cache::Cache;
use crate::parquet_file::{Footers, ReadOptions, read_batches};

/// Files read at once.
const FILES_AT_ONCE: usize = 8;
/// Bytes of series kept unless told otherwise.
const SERIES_BYTES_MAX: usize = 24 << 20;
/// Bytes of metric names kept unless told otherwise.
const NAMES_BYTES_MAX: usize = 4 << 20;

/// A series or log stream, and the time it was seen in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesEntry {
    /// `tsid` or `stream_id`.
    pub tsid: i64,
    /// The labels, metric name included.
    pub labels: Labels,
    /// First time seen, microseconds since the Unix epoch.
    pub first_ts_us: i64,
    /// Last time seen, microseconds since the Unix epoch.
    pub last_ts_us: i64,
}

/// Reads series of files, with caches for footers, series and metric names.
#[derive(Debug)]
pub struct SeriesFiles {
    footers: Footers,
    series: Cache<(Path, Option<String>), Arc<[SeriesEntry]>>,
    names: Cache<Path, Arc<BTreeSet<String>>>,
}

impl Default for SeriesFiles {
    fn default() -> SeriesFiles {
        SeriesFiles {
            footers: Footers::default(),
            series: Cache::new(SERIES_BYTES_MAX),
            names: Cache::new(NAMES_BYTES_MAX),
        }
    }
}

impl SeriesFiles {
    /// Series of `files` (of `Table::Series` or `Table::LogStreams`), merged by id and sorted by it.
    ///
    /// `key`: only of this metric or service. `days`: only of files of these days, inclusive, in days since
    /// 1970-01-01.
    pub async fn read_series(
        &self,
        objects: &Arc<dyn ObjectStore>,
        files: &[Arc<DataFile>],
        key: Option<&str>,
        days: Option<RangeInclusive<i32>>,
    ) -> Result<Vec<SeriesEntry>> {
        let wanted = files.iter().filter(|file| {
            days.as_ref().is_none_or(|days| days.contains(&file.day))
                && key.is_none_or(|key| file.may_hold_key(key))
        });
        let reads: Vec<_> = wanted.map(|file| self.file_series(objects, file, key)).collect();
        let mut parts = futures::stream::iter(reads).buffered(FILES_AT_ONCE);
        let mut merged: HashMap<i64, SeriesEntry> = HashMap::new();
        while let Some(part) = parts.try_next().await? {
            part.iter().for_each(|entry| merge(&mut merged, entry));
        }
        let mut series: Vec<SeriesEntry> = merged.into_values().collect();
        series.sort_unstable_by_key(|entry| entry.tsid);
        Ok(series)
    }

    async fn file_series(
        &self,
        objects: &Arc<dyn ObjectStore>,
        file: &DataFile,
        key: Option<&str>,
    ) -> Result<Arc<[SeriesEntry]>> {
        let name = (file.key.clone(), key.map(str::to_owned));
        if let Some(entries) = self.series.get(&name) {
            return Ok(entries);
        }
        let options = ReadOptions { key: name.1.clone(), ..ReadOptions::default() };
        let mut batches = read_batches(objects, &self.footers, file, &options).await?;
        let mut entries = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            read_entries(file, &batch, &mut entries)?;
        }
        let entries: Arc<[SeriesEntry]> = entries.into();
        let weight = entries.iter().map(|entry| entry.labels.heap_bytes() + size_of::<SeriesEntry>()).sum();
        self.series.insert(name, Arc::clone(&entries), weight);
        Ok(entries)
    }

    /// Metrics (or services) that have a series in `files`, sorted.
    pub async fn metric_names(
        &self,
        objects: &Arc<dyn ObjectStore>,
        files: &[Arc<DataFile>],
    ) -> Result<Vec<String>> {
        let reads: Vec<_> = files.iter().map(|file| self.file_names(objects, file)).collect();
        let mut parts = futures::stream::iter(reads).buffered(FILES_AT_ONCE);
        let mut names = BTreeSet::new();
        while let Some(part) = parts.try_next().await? {
            names.extend(part.iter().cloned());
        }
        Ok(names.into_iter().collect())
    }

    async fn file_names(
        &self,
        objects: &Arc<dyn ObjectStore>,
        file: &DataFile,
    ) -> Result<Arc<BTreeSet<String>>> {
        if let Some(names) = self.names.get(&file.key) {
            return Ok(names);
        }
        let column = file.table.key_column();
        let options = ReadOptions { columns: Some(vec![column.to_owned()]), ..ReadOptions::default() };
        let mut batches = read_batches(objects, &self.footers, file, &options).await?;
        let mut names = BTreeSet::new();
        while let Some(batch) = batches.try_next().await? {
            let column = batch.column(0).as_string::<i32>();
            // Rows are sorted by name: look up a name only where it changes.
            let mut last = None;
            for name in column.iter().flatten() {
                if last != Some(name) && !names.contains(name) {
                    names.insert(name.to_owned());
                }
                last = Some(name);
            }
        }
        let names = Arc::new(names);
        let weight = names.iter().map(|name| name.len() + 48).sum();
        self.names.insert(file.key.clone(), Arc::clone(&names), weight);
        Ok(names)
    }

    /// Footers of files, of these tables and of others.
    pub(crate) fn footers(&self) -> &Footers {
        &self.footers
    }

    /// Bytes held in caches.
    pub fn bytes(&self) -> usize {
        self.footers.bytes() + self.series.bytes() + self.names.bytes()
    }
}

/// Series of `files`, merged by id and sorted by it, without a cache; see [`SeriesFiles::read_series`].
pub async fn read_series(
    objects: &Arc<dyn ObjectStore>,
    files: &[Arc<DataFile>],
    metric: Option<&str>,
    days: Option<RangeInclusive<i32>>,
) -> Result<Vec<SeriesEntry>> {
    SeriesFiles::default().read_series(objects, files, metric, days).await
}

fn merge(merged: &mut HashMap<i64, SeriesEntry>, entry: &SeriesEntry) {
    merged
        .entry(entry.tsid)
        .and_modify(|known| {
            known.first_ts_us = known.first_ts_us.min(entry.first_ts_us);
            known.last_ts_us = known.last_ts_us.max(entry.last_ts_us);
        })
        .or_insert_with(|| entry.clone());
}

fn read_entries(file: &DataFile, batch: &RecordBatch, entries: &mut Vec<SeriesEntry>) -> Result<()> {
    let lacks =
        |name: &str| Error::corrupt(&file.key, format!("column `{name}` is missing or of another type"));
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| lacks(name));
    let id_name = file.table.id_column().unwrap_or_default();
    let ids = column(id_name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| lacks(id_name))?;
    let labels = column("labels")?.as_map_opt().ok_or_else(|| lacks("labels"))?;
    let times = |name: &str| {
        column(name)?.as_primitive_opt::<TimestampMicrosecondType>().cloned().ok_or_else(|| lacks(name))
    };
    let (first, last) = (times("first_ts")?, times("last_ts")?);
    for row in 0..batch.num_rows() {
        entries.push(SeriesEntry {
            tsid: ids.value(row),
            labels: row_labels(labels, row).ok_or_else(|| lacks("labels"))?,
            first_ts_us: first.value(row),
            last_ts_us: last.value(row),
        });
    }
    Ok(())
}

fn row_labels(labels: &MapArray, row: usize) -> Option<Labels> {
    let entry = labels.value(row);
    let names = entry.column(0).as_string_opt::<i32>()?;
    let values = entry.column(1).as_string_opt::<i32>()?;
    let mut builder = LabelsBuilder::default();
    for i in 0..entry.len() {
        if values.is_valid(i) {
            builder.set(names.value(i), values.value(i));
        }
    }
    Some(builder.build())
}

#[cfg(test)]
mod tests;
