//! `atl test promql`: runs PromQL test scripts through the engine and counts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use promql::script::Report;
use query::prom::through_store::{self, Stage};

use super::{FAILED, say, tell};

/// Largest script read, in bytes.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;

/// Where a script's samples lie when its queries are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Through {
    /// In memory, given to the engine as they are
    #[default]
    Memory,
    /// In a store: in the head, in files, in compacted files, in the log of a store that was restarted, and mixed
    Store,
}

/// Runs the scripts in order; prints `N passed, M failed` for each and for all. Exits 1 if anything failed.
pub(super) fn promql(paths: &[PathBuf], through: Through) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for path in paths {
        let reports = match read(path).map_err(|error| error.to_string()).and_then(|text| run(&text, through))
        {
            Ok(reports) => reports,
            Err(error) => {
                tell(&format!("error: cannot run `{}`: {error}", path.display()));
                failed += 1;
                continue;
            }
        };
        let (mut file_passed, mut file_failed) = (0, 0);
        for (place, report) in reports {
            for failure in &report.failures {
                tell(&format!("{}:{}:{place} {}", path.display(), failure.line, failure.message));
            }
            file_passed += report.passed;
            file_failed += report.failures.len();
        }
        say(&format!("{}: {file_passed} passed, {file_failed} failed", path.display()));
        passed += file_passed;
        failed += file_failed;
    }
    say(&format!("{passed} passed, {failed} failed"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// A report for each place the samples lie in, with its name.
fn run(script: &str, through: Through) -> Result<Vec<(String, Report)>, String> {
    if through == Through::Memory {
        return Ok(vec![(String::new(), promql::script::run(script))]);
    }
    let folder = std::env::temp_dir().join(format!("atl-test-promql-{}", std::process::id()));
    let reports = Stage::ALL.into_iter().map(|stage| {
        let report = through_store::run(script, stage, folder.join(format!("{stage:?}")))?;
        Ok((format!(" {stage:?}:"), report))
    });
    let reports = reports.collect();
    // What is left behind lies among temporary files.
    let _ = std::fs::remove_dir_all(&folder);
    reports
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > SCRIPT_BYTES_MAX {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    std::fs::read_to_string(path)
}
