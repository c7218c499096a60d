//! `atl test promql`: runs PromQL test scripts through the engine and counts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{FAILED, say, tell};

/// Largest script read, in bytes.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;

/// Runs the scripts in order; prints `N passed, M failed` for each and for all. Exits 1 if anything failed.
pub(super) fn promql(paths: &[PathBuf]) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for path in paths {
        let script = match read(path) {
            Ok(script) => script,
            Err(error) => {
                tell(&format!("error: cannot read `{}`: {error}", path.display()));
                failed += 1;
                continue;
            }
        };
        let report = promql::script::run(&script);
        for failure in &report.failures {
            tell(&format!("{}:{}: {}", path.display(), failure.line, failure.message));
        }
        say(&format!("{}: {} passed, {} failed", path.display(), report.passed, report.failures.len()));
        passed += report.passed;
        failed += report.failures.len();
    }
    say(&format!("{passed} passed, {failed} failed"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > SCRIPT_BYTES_MAX {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    std::fs::read_to_string(path)
}
