//! Loads what the first questions after a start need: the index of recent days, and the footers of their samples.
//! Comes in: a range of time; goes out: nothing but warm caches.

use std::sync::Arc;

use super::query::days;
use crate::error::Result;
use crate::samples::footers::footers;
use crate::snapshot::Snapshot;
use crate::tables::Table;

/// Footers decoded at once, beside the index and whatever is asked meanwhile.
const FOOTERS_AT_ONCE: usize = 1;

impl Snapshot {
    /// Loads the index of the series and log streams of the days from `start_ms` to `end_ms` (milliseconds since
    /// the Unix epoch), and the footers of the files with their samples, as far as the caches have room. Fails
    /// where a file cannot be read; whoever asks for it later will try again.
    pub async fn warm_up(&self, start_ms: i64, end_ms: i64) -> Result<()> {
        let range = days(start_ms, end_ms);
        let index = async {
            for table in [Table::Series, Table::LogStreams] {
                let days = self.days_of_files(table, &range);
                if !days.is_empty() {
                    self.file_view(table, &days).await?;
                }
            }
            Ok(())
        };
        let files = self.files(Table::Metrics).iter().filter(|file| range.contains(&file.day));
        // The newest first: they are asked for most.
        let files: Vec<_> = files.rev().map(Arc::clone).collect();
        // Neither keeps a processor busy all the time.
        futures::try_join!(index, footers(self, &files, FOOTERS_AT_ONCE)).map(|_| ())
    }
}
