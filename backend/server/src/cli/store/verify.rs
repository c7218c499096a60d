//! `verify`: reads files whole and names those that are not what was written.

use std::sync::Arc;

use futures::TryStreamExt;
use store::parquet_file::{Footers, ReadOptions, read_batches};
use store::{Catalog, DataFile, Table};

use super::super::query::CliError;
use super::super::{say, tell};
use super::{Which, progress, size};

/// Checks every file `which` names.
pub(super) async fn verify(catalog: &Catalog, which: &Which, deep: bool) -> Result<(), CliError> {
    let sets = catalog.files();
    let files: Vec<Arc<DataFile>> = Table::ALL
        .into_iter()
        .flat_map(|table| sets.table(table))
        .filter(|file| which.holds(file.table, file.day))
        .map(Arc::clone)
        .collect();
    let bytes = files.iter().map(|file| file.size).sum();
    let bar = progress(bytes, "verifying");
    let (mut damaged, mut unchecked) = (0, 0);
    for file in &files {
        match check(catalog, file, deep).await {
            Ok(Some(_)) => {}
            Ok(None) => unchecked += 1,
            Err(error) => {
                damaged += 1;
                bar.suspend(|| say(&format!("damaged: {}: {error}", file.key)));
            }
        }
        bar.inc(file.size);
    }
    bar.finish_and_clear();
    if unchecked > 0 {
        tell(&format!("{unchecked} files carry no checksum: another program wrote them"));
    }
    if damaged > 0 {
        return Err(format!("{damaged} of {} files are damaged", files.len()).into());
    }
    say(&format!("{} files are sound, {}", files.len(), size(bytes)));
    Ok(())
}

async fn check(catalog: &Catalog, file: &DataFile, deep: bool) -> Result<Option<u32>, CliError> {
    let checksum = store::inspect::verify(catalog.objects().as_ref(), file).await?;
    if deep {
        let footers = Footers::default();
        let mut batches = read_batches(catalog.objects(), &footers, file, &ReadOptions::default()).await?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
        }
        if file.rows > 0 && rows as u64 != file.rows {
            return Err(format!("{rows} rows instead of {}", file.rows).into());
        }
    }
    Ok(checksum)
}
