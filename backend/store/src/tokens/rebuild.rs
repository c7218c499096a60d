//! Makes the sidecar of a committed file from the file itself: for files written before there were sidecars,
//! by other writers, or when writing one failed.

use std::sync::Arc;

use futures::TryStreamExt;

use super::collect::{COLUMNS, Collector};
use super::load::write;
use super::sidecar::Subject;
use crate::catalog::{Catalog, DataFile};
use crate::error::Result;
use crate::inspect::checksum;
use crate::parquet_file::{Footers, ReadOptions, read_batches};
use crate::paths::day_of_us;
use crate::stats::Counters;
use crate::tables::Table;

impl Catalog {
    /// Reads `file`, of the table `logs`, and writes its sidecar, replacing one that is there. True where the
    /// sidecar was written; false where that failed, which is told in the statistics.
    pub async fn rebuild_tokens(&self, file: &DataFile) -> Result<bool> {
        self.check_writable()?;
        let crc32c = match file.crc32c {
            Some(crc32c) => crc32c,
            None => checksum(self.objects().as_ref(), file).await?,
        };
        let footers = Footers::default();
        let footer = footers.read(self.objects(), &file.key, file.size).await?;
        let mut collector = Collector::default();
        for group in 0..footer.metadata().num_row_groups() {
            let options = ReadOptions {
                columns: Some(COLUMNS.map(str::to_owned).into()),
                row_groups: Some(vec![group]),
                ..ReadOptions::default()
            };
            let mut batches = read_batches(self.objects(), &footers, file, &options).await?;
            while let Some(batch) = batches.try_next().await? {
                let work = tokio::task::spawn_blocking(move || {
                    let outcome = collector.rows(&batch);
                    (collector, outcome)
                });
                let outcome;
                (collector, outcome) = work.await?;
                outcome?;
            }
            collector.end_group();
        }
        let subject = Subject { size: file.size, crc32c };
        let sidecar = tokio::task::spawn_blocking(move || collector.finish(subject)).await?;
        let written = write(self.tokens(), self.objects().as_ref(), self.prefix(), &file.key, &sidecar).await;
        if written {
            Counters::bump(&self.tokens().counters.rebuilt);
        }
        self.tokens().insert(file, &sidecar, false);
        Ok(written)
    }

    /// Makes up to `count` sidecars for files that are known to have none and that will stay: merged ones, and
    /// those of the day before yesterday and earlier. Newest first; gives how many were written.
    pub(crate) async fn rebuild_missing_tokens(&self, count: usize) -> Result<usize> {
        let today = day_of_us(self.clock().now_ns().div_euclid(1_000));
        let sets = self.files();
        let lasts = |file: &DataFile| file.tags.level > 0 || file.day < today - 1;
        let missing = |file: &&Arc<DataFile>| lasts(file) && self.tokens().is_without(file);
        let mut written = 0;
        for file in sets.table(Table::Logs).iter().rev().filter(missing).take(count) {
            written += usize::from(self.rebuild_tokens(file).await?);
        }
        Ok(written)
    }
}
