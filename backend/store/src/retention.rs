//! Old days leave the tables, and files that belong to no table leave the store, with their sidecars.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::catalog::{Catalog, DataFile};
use crate::error::{Error, Result};
use crate::paths::{data_key, day_of_us, sidecar_root, sidecar_subject, table_root};
use crate::tables::{DAY_COLUMN, Table};

/// Shortest grace of a vacuum: running queries read files a commit has removed, and files just written wait
/// for their commit.
pub const VACUUM_GRACE_MIN: Duration = Duration::from_secs(3_600);

/// What a vacuum did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VacuumReport {
    /// Files deleted.
    pub files: usize,
    /// Sidecars deleted.
    pub sidecars: usize,
    /// Bytes of files and sidecars deleted.
    pub bytes: u64,
    /// Files that belong to no table and are too young to delete.
    pub kept: usize,
}

impl Catalog {
    /// Removes the files of all days before the last `keep_days` (today is the last one) in one commit.
    /// Returns how many; vacuum deletes them later.
    pub async fn apply_retention(&self, table: Table, keep_days: u32) -> Result<usize> {
        self.apply_retention_fenced(table, keep_days, None).await
    }

    /// [`Catalog::apply_retention`] of the maintenance leader of that epoch.
    pub(crate) async fn apply_retention_fenced(
        &self,
        table: Table,
        keep_days: u32,
        epoch: Option<i64>,
    ) -> Result<usize> {
        let today = day_of_us(self.clock().now_ns().div_euclid(1_000));
        let first_kept = i64::from(today) - i64::from(keep_days.max(1)) + 1;
        self.refresh_table(table).await?;
        let sets = self.files();
        let old: Vec<Arc<DataFile>> = sets
            .table(table)
            .iter()
            .filter(|file| i64::from(file.day) < first_kept)
            .map(Arc::clone)
            .collect();
        let count = old.len();
        self.commit_fenced(table, Vec::new(), old, None, epoch).await?;
        Ok(count)
    }

    /// Deletes data files that belong to no table and have lain, or have been out of their table, for `grace`
    /// (at least [`VACUUM_GRACE_MIN`]).
    pub async fn vacuum(&self, grace: Duration) -> Result<VacuumReport> {
        self.check_writable()?;
        let grace_ms = i64::try_from(grace.max(VACUUM_GRACE_MIN).as_millis()).unwrap_or(i64::MAX);
        let cutoff_ms = self.clock().now_ms().saturating_sub(grace_ms);
        let mut report = VacuumReport::default();
        for table in Table::ALL {
            let dead = self.vacuum_table(table, cutoff_ms, &mut report).await?;
            if table == Table::Logs {
                self.vacuum_sidecars(table, cutoff_ms, &dead, &mut report).await?;
            }
        }
        Ok(report)
    }

    /// Deletes the sidecars of the files just deleted, and those that have lain without a data file.
    async fn vacuum_sidecars(
        &self,
        table: Table,
        cutoff_ms: i64,
        deleted: &HashSet<Path>,
        report: &mut VacuumReport,
    ) -> Result<()> {
        let listed = self.list_below(sidecar_root(self.prefix(), table)).await?;
        let present: HashSet<Path> =
            self.list_data_files(table).await?.into_iter().map(|meta| meta.location).collect();
        let mut dead = Vec::new();
        for meta in listed {
            let Some(subject) = sidecar_subject(self.prefix(), table, &meta.location) else { continue };
            let young = meta.last_modified.timestamp_millis() > cutoff_ms;
            if deleted.contains(&subject) || (!young && !present.contains(&subject)) {
                report.sidecars += 1;
                report.bytes += meta.size;
                dead.push(meta.location);
            }
        }
        self.delete(dead, &sidecar_root(self.prefix(), table)).await
    }

    /// Gives the files deleted.
    async fn vacuum_table(
        &self,
        table: Table,
        cutoff_ms: i64,
        report: &mut VacuumReport,
    ) -> Result<HashSet<Path>> {
        // List first: what is committed after the listing is not in it, what was before is in the log.
        let listed = self.list_data_files(table).await?;
        self.refresh_table(table).await?;
        let sets = self.files();
        let live: HashSet<&Path> = sets.table(table).iter().map(|file| &file.key).collect();
        let root = table_root(self.prefix(), table);
        let mut lately_removed = HashSet::new();
        for (path, removed_ms) in self.tombstones(table).await {
            if removed_ms > cutoff_ms {
                lately_removed.insert(data_key(&root, &path)?);
            }
        }
        let mut dead = Vec::new();
        for meta in listed.into_iter().filter(|meta| !live.contains(&meta.location)) {
            let young = meta.last_modified.timestamp_millis() > cutoff_ms;
            if young || lately_removed.contains(&meta.location) {
                report.kept += 1;
            } else {
                report.files += 1;
                report.bytes += meta.size;
                if let Some(cache) = self.cache() {
                    cache.forget_file(&meta.location, meta.size);
                }
                dead.push(meta.location);
            }
        }
        self.delete(dead.clone(), &root).await?;
        Ok(dead.into_iter().collect())
    }

    async fn delete(&self, keys: Vec<Path>, below: &Path) -> Result<()> {
        let keys = futures::stream::iter(keys.into_iter().map(Ok)).boxed();
        let deleted = self.objects().delete_stream(keys).try_for_each(|_| async { Ok(()) }).await;
        deleted.map_err(|source| Error::object("delete", below, source))
    }

    async fn list_data_files(&self, table: Table) -> Result<Vec<ObjectMeta>> {
        let root = table_root(self.prefix(), table);
        let is_data = |meta: &ObjectMeta| {
            let mut parts = meta.location.prefix_match(&root).into_iter().flatten();
            let in_day =
                parts.next().is_some_and(|part| part.as_ref().starts_with(&format!("{DAY_COLUMN}=")));
            in_day && meta.location.extension() == Some("parquet")
        };
        let listed = self.list_below(root.clone()).await?;
        Ok(listed.into_iter().filter(is_data).collect())
    }

    async fn list_below(&self, root: Path) -> Result<Vec<ObjectMeta>> {
        let listed = self.objects().list(Some(&root)).try_collect().await;
        listed.map_err(|source| Error::object("list", &root, source))
    }
}

#[cfg(test)]
mod tests;
