//! Loads what the first questions after a start need: the index of recent days, and the footers of their samples.
//! Comes in: a range of time; goes out: nothing but warm caches.

use futures::{StreamExt, TryStreamExt};

use super::query::days;
use crate::error::Result;
use crate::snapshot::Snapshot;
use crate::tables::Table;

/// Footers read at once, behind everything else that wants to read.
const FOOTERS_AT_ONCE: usize = 4;

impl Snapshot {
    /// Loads the index of the series and log streams of the days from `start_ms` to `end_ms` (milliseconds since
    /// the Unix epoch), and the footers of the files with their samples, as far as the caches have room. Fails
    /// where a file cannot be read; whoever asks for it later will try again.
    pub async fn warm_up(&self, start_ms: i64, end_ms: i64) -> Result<()> {
        let range = days(start_ms, end_ms);
        for table in [Table::Series, Table::LogStreams] {
            let days = self.days_of_files(table, &range);
            if !days.is_empty() {
                self.file_view(table, &days).await?;
            }
        }
        let files = self.files(Table::Metrics).iter().filter(|file| range.contains(&file.day));
        let footers: Vec<_> =
            files.map(|file| self.footers().read(self.objects(), &file.key, file.size)).collect();
        let read = futures::stream::iter(footers).buffer_unordered(FOOTERS_AT_ONCE);
        read.try_for_each(async |_| Ok(())).await
    }
}
