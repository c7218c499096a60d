//! Runs script files and prints how many evaluations passed, file by file. Exits with 1 if any failed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for path in std::env::args().skip(1) {
        let script = match std::fs::read_to_string(&path) {
            Ok(script) => script,
            Err(error) => {
                eprintln!("{path}: {error}");
                failed += 1;
                continue;
            }
        };
        let report = promql::script::run(&script);
        for failure in &report.failures {
            eprintln!("{path}:{}: {}", failure.line, failure.message);
        }
        println!("{path}: {} passed, {} failed", report.passed, report.failures.len());
        passed += report.passed;
        failed += report.failures.len();
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
