use super::*;

/// Scripts as (name, text): our own, and Prometheus's where `ATL_PROMQLTEST` names their folder.
fn scripts() -> Vec<(String, String)> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../promql/testdata").to_owned();
    let folders = [Some(own), std::env::var("ATL_PROMQLTEST").ok()];
    let mut scripts = Vec::new();
    for folder in folders.into_iter().flatten() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "test") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                scripts.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    scripts.sort();
    assert!(scripts.len() > 20);
    scripts
}

/// Every script passes through a store as it does in memory.
fn check(stage: Stage) {
    let mut passed = 0;
    for (name, script) in scripts() {
        let directory = tempfile::tempdir().unwrap();
        let report = run(&script, stage, directory.path().to_owned()).unwrap();
        assert_eq!(report, promql::script::run(&script), "{name} {stage:?}");
        passed += report.passed;
    }
    assert!(passed > 200, "{passed}");
}

#[test]
fn scripts_pass_from_merged_files() {
    check(Stage::Merged);
}

#[test]
fn scripts_pass_from_the_head() {
    check(Stage::Head);
}

#[test]
fn scripts_pass_from_files() {
    check(Stage::Files);
}

#[test]
fn scripts_pass_from_memory_after_a_flush() {
    check(Stage::Hot);
}

#[test]
fn scripts_pass_after_a_restart() {
    check(Stage::Restarted);
}

#[test]
fn scripts_pass_from_files_and_head_together() {
    check(Stage::Mixed);
}
