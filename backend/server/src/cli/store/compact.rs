//! `compact`: merges files now, as the maintenance leader, beside a running server or without one.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;
use store::Catalog;
use store::compact::{
    CompactionPolicy, CompactionProgress, CompactionReport, CompactionScope, ProgressFn, compact_catalog,
};
use store::paths::day_name;

use super::super::query::CliError;
use super::super::{say, tell};
use super::{Which, progress, size};

/// Merges what `which` names; with `all` also files that are still young.
pub(super) async fn compact(catalog: &Catalog, which: &Which, all: bool) -> Result<(), CliError> {
    let scope = CompactionScope {
        tables: which.table.into_iter().collect(),
        first_day: which.day,
        last_day: which.day,
        all,
    };
    let bar = Arc::new(Mutex::new(None));
    let shown = ProgressFn::new(move |step| show(&bar, &step));
    let report = compact_catalog(catalog, CompactionPolicy::default(), &scope, &shown).await?;
    let CompactionReport { files_in, files_out, bytes_in, bytes_out, duplicates, .. } = report;
    say(&format!("{files_in} files of {} became {files_out} of {}", size(bytes_in), size(bytes_out)));
    if duplicates > 0 {
        say(&format!("{duplicates} repeated rows were removed"));
    }
    if report.conflicts > 0 {
        tell(&format!("{} merges were thrown away: another writer changed the files", report.conflicts));
    }
    if report.skipped > 0 {
        tell(&format!("{} files of other writers were left as they are", report.skipped));
    }
    if report.failures > 0 {
        return Err(format!(
            "{} merges failed, {} files are damaged; the log says which",
            report.failures, report.quarantined
        )
        .into());
    }
    Ok(())
}

/// One bar a merge.
fn show(bar: &Mutex<Option<ProgressBar>>, step: &CompactionProgress) {
    let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
    let shown = bar.get_or_insert_with(|| {
        let what = format!("{} {}: {} files", step.table.name(), day_name(step.day), step.files);
        progress(step.bytes, &what)
    });
    // The share of rows tells more than bytes written, which are fewer than those read.
    let share = if step.rows == 0 { 0.0 } else { step.rows_done as f64 / step.rows as f64 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a size")]
    shown.set_position((share.clamp(0.0, 1.0) * step.bytes as f64) as u64);
    if step.done {
        shown.finish_and_clear();
        *bar = None;
    }
}
