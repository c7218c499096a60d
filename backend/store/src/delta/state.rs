//! What a table's log adds up to at one version: live files, removed files, watermarks, schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::path::Path;

use super::actions::{Add, Line, Metadata, Protocol, Remove, Txn};
use super::{
    CRC32C_TAG, LEVEL_TAG, MAY_REPEAT_TAG, READER_VERSION, TOMBSTONE_RETENTION_MS, WRITER_VERSION, stats,
};
use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::ids::{self, Ids};
use crate::parquet_file::FileTags;
use crate::paths::{data_key, parse_day};
use crate::tables::{DAY_COLUMN, Table, check_delta_schema};

/// A table at one version.
#[derive(Clone, Debug)]
pub(crate) struct TableState {
    table: Table,
    root: Path,
    /// The last commit taken in; -1 before the first.
    pub(crate) version: i64,
    /// The newest checkpoint known; -1 where there is none.
    pub(crate) checkpoint_version: i64,
    protocol: Option<Protocol>,
    metadata: Option<Metadata>,
    files: BTreeMap<String, LiveFile>,
    tombstones: BTreeMap<String, Remove>,
    txns: BTreeMap<String, Txn>,
}

#[derive(Clone, Debug)]
struct LiveFile {
    add: Arc<Add>,
    file: Arc<DataFile>,
}

impl TableState {
    /// The state before the first commit. `root` is the key of the table's folder.
    pub(crate) fn empty(table: Table, root: Path) -> TableState {
        TableState {
            table,
            root,
            version: -1,
            checkpoint_version: -1,
            protocol: None,
            metadata: None,
            files: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            txns: BTreeMap::new(),
        }
    }

    /// How ids of the table are made.
    pub(crate) fn ids(&self) -> Ids {
        // Others were refused.
        self.metadata.as_ref().and_then(|metadata| ids_of(metadata).ok()).unwrap_or_default()
    }

    /// Takes in the actions of `version`. On failure the state is as before.
    pub(crate) fn apply(&mut self, version: i64, lines: Vec<Line>) -> Result<()> {
        let mut added = Vec::new();
        for line in &lines {
            self.check(line)?;
            if let Some(add) = &line.add {
                added.push(self.data_file(add)?);
            }
        }
        let mut added = added.into_iter();
        for line in lines {
            self.take(line, &mut added);
        }
        self.version = version;
        Ok(())
    }

    fn check(&self, line: &Line) -> Result<()> {
        if let Some(protocol) = &line.protocol {
            let (reader, writer) = (protocol.min_reader_version, protocol.min_writer_version);
            if reader > READER_VERSION || writer > WRITER_VERSION {
                return Err(Error::Protocol { table: self.table.name(), reader, writer });
            }
        }
        if let Some(metadata) = &line.meta_data {
            check_delta_schema(self.table, &metadata.schema_string)?;
            if metadata.partition_columns != [DAY_COLUMN] {
                let reason = format!("it is partitioned by {:?}, not by `day`", metadata.partition_columns);
                return Err(Error::Schema { table: self.table.name(), reason });
            }
            let ids = ids_of(metadata);
            ids.map_err(|reason| Error::Schema { table: self.table.name(), reason })?;
        }
        Ok(())
    }

    fn take(&mut self, line: Line, added: &mut impl Iterator<Item = Arc<DataFile>>) {
        if let Some(protocol) = line.protocol {
            self.protocol = Some(protocol);
        }
        if let Some(metadata) = line.meta_data {
            self.metadata = Some(metadata);
        }
        if let Some(txn) = line.txn {
            self.txns.insert(txn.app_id.clone(), txn);
        }
        if let Some(remove) = line.remove {
            self.files.remove(&remove.path);
            self.tombstones.insert(remove.path.clone(), remove);
        }
        if let (Some(add), Some(file)) = (line.add.as_ref(), line.add.as_ref().and_then(|_| added.next())) {
            self.tombstones.remove(&add.path);
            self.files.insert(add.path.clone(), LiveFile { add: Arc::new(add.clone()), file });
        }
    }

    fn data_file(&self, add: &Add) -> Result<Arc<DataFile>> {
        let key = data_key(&self.root, &add.path)?;
        let day = add.partition_values.get(DAY_COLUMN).and_then(Option::as_deref).and_then(parse_day);
        let day = day.ok_or_else(|| Error::corrupt(&key, "the delta log gives it no valid `day`"))?;
        let size = u64::try_from(add.size).map_err(|_| Error::corrupt(&key, "its size is negative"))?;
        let crc32c = tag(add, CRC32C_TAG).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let (rows, stats) =
            stats::parse(self.table, add.stats.as_deref().unwrap_or_default(), crc32c.is_some());
        Ok(Arc::new(DataFile {
            table: self.table,
            day,
            path: add.path.clone(),
            key,
            size,
            rows: rows.unwrap_or(0),
            stats,
            crc32c,
            tags: file_tags(add),
            written_ms: add.modification_time,
        }))
    }

    /// Live files in order of path, which begins with the day.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<DataFile>> {
        self.files.values().map(|live| &live.file)
    }

    /// True where the file at `path` (as the log writes it) is live.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Removed files the log still remembers.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = &Remove> {
        self.tombstones.values()
    }

    /// The last committed version of an application.
    pub(crate) fn watermark(&self, app_id: &str) -> Option<i64> {
        self.txns.get(app_id).map(|txn| txn.version)
    }

    /// The last committed version of every application.
    pub(crate) fn watermarks(&self) -> BTreeMap<String, i64> {
        self.txns.iter().map(|(app_id, txn)| (app_id.clone(), txn.version)).collect()
    }

    /// Forgets files removed longer ago than the log remembers them.
    pub(crate) fn expire_tombstones(&mut self, now_ms: i64) {
        self.tombstones
            .retain(|_, remove| remove.deletion_timestamp.unwrap_or(0) + TOMBSTONE_RETENTION_MS >= now_ms);
    }

    /// Every action needed to arrive at this state from nothing: the content of a checkpoint.
    pub(crate) fn checkpoint_lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::with_capacity(2 + self.files.len() + self.tombstones.len());
        lines.extend(self.protocol.clone().map(Line::from));
        lines.extend(self.metadata.clone().map(Line::from));
        lines.extend(self.txns.values().cloned().map(Line::from));
        lines.extend(
            self.tombstones
                .values()
                .map(|remove| Line::from(Remove { data_change: false, ..remove.clone() })),
        );
        lines.extend(
            self.files.values().map(|live| Line::from(Add { data_change: false, ..(*live.add).clone() })),
        );
        lines
    }
}

fn tag<'a>(add: &'a Add, name: &str) -> Option<&'a str> {
    add.tags.as_ref()?.get(name)?.as_deref()
}

/// Tags that are missing or not understood leave the default: files of older versions and other writers.
fn file_tags(add: &Add) -> FileTags {
    let default = FileTags::default();
    FileTags {
        level: tag(add, LEVEL_TAG).and_then(|level| level.parse().ok()).unwrap_or(default.level),
        may_repeat: tag(add, MAY_REPEAT_TAG).and_then(|may| may.parse().ok()).unwrap_or(default.may_repeat),
    }
}

fn ids_of(metadata: &Metadata) -> std::result::Result<Ids, String> {
    Ids::from_setting(metadata.configuration.get(ids::SETTING).and_then(Option::as_deref))
}
